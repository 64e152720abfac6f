"""What the jobs of a run took, against what was asked for: a row a rule, with a suggestion where a request is far off.

Read from Snakemake's own logs (which jobs were sent, how often, with which resources) and its benchmarks (wall time,
CPU time, peak memory), so it is the same on a cluster and on one machine, and needs no accounting of the scheduler's.
Where SLURM's efficiency report is there, what that says stands below.
"""

import argparse
import csv
import math
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from wikixlm import formatting
from wikixlm.errors import UserError
from wikixlm.report import slurm_report
from wikixlm.workflow import snakemake_log

# What the Snakemake inside a cluster's job takes, beside the command that the benchmark sees.
MEMORY_OF_SNAKEMAKE = 300
ROOMY, TIGHT = 0.4, 0.9
LONG_MINUTES = 60
SECONDS_TO_TELL = 60


@dataclass
class Job:
    """One job: what its last sending asked for, how often it was sent in one call, and what it took."""

    rule: str
    threads: int
    memory: int | None
    minutes: int | None
    benchmark: Path | None
    sent: int = 1
    seconds: float | None = None
    cpu_seconds: float | None = None
    peak: float | None = None


@dataclass
class Rule:
    """The jobs of a rule together; memory in MB."""

    name: str
    jobs: list[Job] = field(default_factory=list)

    @property
    def retries(self) -> int:
        return sum(job.sent - 1 for job in self.jobs)

    @property
    def seconds(self) -> list[float]:
        return [job.seconds for job in self.jobs if job.seconds is not None]

    @property
    def peak(self) -> float | None:
        return max((job.peak for job in self.jobs if job.peak is not None), default=None)

    @property
    def memory(self) -> int | None:
        return max((job.memory for job in self.jobs if job.memory is not None), default=None)

    @property
    def efficiency(self) -> float | None:
        """CPU time as a share of the cores asked for over the wall time."""
        timed = [job for job in self.jobs if job.seconds and job.cpu_seconds is not None]
        given = sum((job.seconds or 0) * job.threads for job in timed)
        return sum(job.cpu_seconds or 0 for job in timed) / given if given else None

    def suggestion(self) -> str:
        """What to ask for instead; empty where the requests fit, or where the jobs were too short to tell."""
        if sum(self.seconds) < SECONDS_TO_TELL:
            return ""
        found = []
        if self.peak is not None and self.memory is not None:
            needed = self.peak + MEMORY_OF_SNAKEMAKE
            better = max(1000, math.ceil(1.5 * needed / 500) * 500)
            if needed > TIGHT * self.memory or (needed < ROOMY * self.memory and better < self.memory):
                found.append(f"mem_mb={better}")
        threads = max(job.threads for job in self.jobs)
        if threads > 1 and self.efficiency is not None and self.efficiency < ROOMY:
            found.append(f"threads={max(1, math.ceil(threads * self.efficiency))}")
        minutes = max((job.minutes for job in self.jobs if job.minutes is not None), default=None)
        if self.seconds and minutes is not None and max(self.seconds) > TIGHT * minutes * 60:
            found.append(f"runtime={2 * minutes}")
        elif self.seconds and minutes is not None and minutes > LONG_MINUTES and max(self.seconds) < 0.1 * minutes * 60:
            found.append(f"runtime={max(LONG_MINUTES, math.ceil(max(self.seconds) / 60 * 3))}")
        return " ".join(found)


def read(directory: Path) -> list[Rule]:
    """The rules of all calls of snakemake in `directory`, in the order of their first job.

    Raises:
        UserError: no call has sent a job there.
    """
    jobs: dict[str, Job] = {}
    for log in snakemake_log.logs(directory):
        sent: dict[str, int] = defaultdict(int)
        for event in snakemake_log.read(log):
            if isinstance(event, snakemake_log.Sent) and not event.is_target:
                name = ", ".join(event.output)
                sent[name] += 1
                jobs[name] = _job(event, directory)
                jobs[name].sent = sent[name]
    if not jobs:
        raise UserError(f"{directory} has no logs of jobs in .snakemake/log: give the run's --directory")
    rules: dict[str, Rule] = {}
    for job in jobs.values():
        if job.benchmark is not None and job.benchmark.is_file():
            job.seconds, job.cpu_seconds, job.peak = measured(job.benchmark)
        rules.setdefault(job.rule, Rule(job.rule)).jobs.append(job)
    return list(rules.values())


def _job(sent: snakemake_log.Sent, directory: Path) -> Job:
    """A job as it was sent."""
    return Job(
        sent.rule,
        threads=sent.threads,
        memory=_whole(sent.resources.get("mem_mb")),
        minutes=_whole(sent.resources.get("runtime")),
        benchmark=directory / sent.benchmark if sent.benchmark else None,
    )


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def measured(benchmark: Path) -> tuple[float | None, float | None, float | None]:
    """Wall and CPU time in seconds and peak memory in MB, by a benchmark's last line; None: too short a job to tell."""
    with open(benchmark, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    last = rows[-1] if rows else {}
    return _number(last.get("s")), _number(last.get("cpu_time")), _number(last.get("max_rss"))


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


def table(rules: list[Rule]) -> str:
    """The table for the terminal."""
    rows = [["rule", "jobs", "retries", "wall", "longest", "cpu", "memory", "asked", "suggestion"]]
    for rule in rules:
        rows.append(
            [
                rule.name,
                str(len(rule.jobs)),
                str(rule.retries),
                formatting.duration(sum(rule.seconds)) if rule.seconds else "-",
                formatting.duration(max(rule.seconds)) if rule.seconds else "-",
                f"{rule.efficiency:.0%}" if rule.efficiency is not None else "-",
                formatting.size(rule.peak * 2**20) if rule.peak is not None else "-",
                formatting.size(rule.memory * 1e6) if rule.memory is not None else "-",
                rule.suggestion(),
            ]
        )
    return formatting.table(rows, left=(0, len(rows[0]) - 1))


def slurm_table(kinds: list[slurm_report.Kind]) -> str:
    """The table of what SLURM measured, for the terminal."""
    rows = [["job", "jobs", "wall", "cpu", "memory", "asked", ""]]
    for kind in kinds:
        share = f"{kind.efficiency:.0%}" if kind.efficiency is not None else "-"
        sizes = [formatting.size(kind.peak * 1e6), formatting.size(kind.memory * 1e6), ""]
        rows.append([kind.name, str(len(kind.jobs)), formatting.duration(kind.seconds), share, *sizes])
    return formatting.table(rows, left=(0, len(rows[0]) - 1))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this command."""
    parser.add_argument("--directory", type=Path, default=Path(), help="the run: what snakemake --directory was given")


def main(args: argparse.Namespace) -> None:
    """Print the table."""
    rules = read(args.directory)
    print(table(rules))
    if kinds := slurm_report.read(args.directory):
        print(f"\nAs SLURM measured them, failed jobs and Snakemake inside them too:\n{slurm_table(kinds)}")
    if any(rule.suggestion() for rule in rules):
        print("\nSuggestions: --set-resources RULE:KEY=VALUE (threads: --set-threads RULE=N), or in the profile.")
