"""What the jobs of a run asked for and what they used, with a suggestion where a request is far off.

Requests and retries come from work/events.jsonl, wall time, CPU time and peak memory from Snakemake's benchmarks, so
the figures are the same on a cluster and on one machine. With `slurm-efficiency-report: true` in the profile, SLURM's
own figures follow: they need its accounting, and cover failed jobs and Snakemake inside each job as well.
"""

import csv
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from wikixlm import formatting
from wikixlm.errors import UserError
from wikixlm.run_layout import BENCHMARKS, EVENTS, STAGES
from wikixlm.workflow import events

MEBIBYTE = 2**20  # the benchmarks' unit of memory
EFFICIENCY_REPORTS = "efficiency_report_*.csv"
# What the Snakemake inside a cluster's job uses, in MB, beside the command that the benchmark measures.
MEMORY_OF_SNAKEMAKE = 300
ROOMY, TIGHT = 0.4, 0.9
LONG_MINUTES = 60
SECONDS_TO_TELL = 60
_ORDER = {name: number for number, name in enumerate(name for stage in STAGES for name in (*stage.rules, stage.name))}


@dataclass
class JobCost:
    """A job: the request of its last attempt, the attempts in one call of snakemake, and what the last run used.

    Attributes:
        stage: the folder of its benchmark, else its rule.
        benchmark: None for a rule without one.
        memory_mb: asked for.
        peak: of its memory, in MiB.
    """

    stage: str
    benchmark: Path | None
    threads: int | None = None
    memory_mb: int | None = None
    minutes: int | None = None
    attempts: int = 1
    seconds: float | None = None
    cpu_seconds: float | None = None
    peak: float | None = None


@dataclass
class StageCost:
    """The jobs of a stage together."""

    name: str
    jobs: list[JobCost] = field(default_factory=list)

    @property
    def retries(self) -> int:
        return sum(job.attempts - 1 for job in self.jobs)

    @property
    def seconds(self) -> list[float]:
        return [job.seconds for job in self.jobs if job.seconds is not None]

    @property
    def cpu_seconds(self) -> float:
        return sum(job.cpu_seconds or 0.0 for job in self.jobs)

    @property
    def peak(self) -> float | None:
        return max((job.peak for job in self.jobs if job.peak is not None), default=None)

    @property
    def memory_mb(self) -> int | None:
        return max((job.memory_mb for job in self.jobs if job.memory_mb is not None), default=None)

    @property
    def threads(self) -> int | None:
        return max((job.threads for job in self.jobs if job.threads is not None), default=None)

    @property
    def minutes(self) -> int | None:
        return max((job.minutes for job in self.jobs if job.minutes is not None), default=None)

    @property
    def efficiency(self) -> float | None:
        """CPU time divided by wall time of the cores asked for."""
        timed = [job for job in self.jobs if job.seconds and job.cpu_seconds is not None and job.threads]
        given = sum((job.seconds or 0) * (job.threads or 1) for job in timed)
        return sum(job.cpu_seconds or 0 for job in timed) / given if given else None

    def suggestion(self) -> str:
        """What to ask for instead; empty where the requests fit, or where the jobs were too short to tell."""
        if sum(self.seconds) < SECONDS_TO_TELL:
            return ""
        found = []
        if self.peak is not None and self.memory_mb is not None:
            needed = self.peak + MEMORY_OF_SNAKEMAKE
            better = max(1000, math.ceil(1.5 * needed / 500) * 500)
            if needed > TIGHT * self.memory_mb or (needed < ROOMY * self.memory_mb and better < self.memory_mb):
                found.append(f"mem_mb={better}")
        if (self.threads or 1) > 1 and self.efficiency is not None and self.efficiency < ROOMY:
            found.append(f"threads={max(1, math.ceil((self.threads or 1) * self.efficiency))}")
        if self.minutes is not None and max(self.seconds) > TIGHT * self.minutes * 60:
            found.append(f"runtime={2 * self.minutes}")
        elif self.minutes is not None and self.minutes > LONG_MINUTES and max(self.seconds) < 6 * self.minutes:
            found.append(f"runtime={max(LONG_MINUTES, math.ceil(max(self.seconds) / 60 * 3))}")
        return " ".join(found)


def read_costs(directory: Path) -> list[StageCost]:
    """The stages of a run that had jobs, in their order; of each job the last run counts."""
    jobs = _requested(directory)
    folder = directory / BENCHMARKS
    for path in sorted(folder.rglob("*.tsv")):
        jobs.setdefault(str(path.relative_to(directory)), JobCost(_stage(path.relative_to(folder)), path))
    stages: dict[str, StageCost] = {}
    for job in jobs.values():
        if job.benchmark is not None and job.benchmark.is_file():
            job.seconds, job.cpu_seconds, job.peak = _measured(job.benchmark)
        stages.setdefault(job.stage, StageCost(job.stage)).jobs.append(job)
    return sorted(stages.values(), key=lambda stage: (_ORDER.get(stage.name, len(_ORDER)), stage.name))


def _requested(directory: Path) -> dict[str, JobCost]:
    """The jobs that were sent, by their benchmark, or by their outputs where they have none."""
    jobs: dict[str, JobCost] = {}
    attempts: Counter[str] = Counter()
    for event in events.read(directory):
        if isinstance(event, events.RunStarted):
            attempts.clear()
        elif isinstance(event, events.JobSent):
            name = event.benchmark or ", ".join(event.output)
            attempts[name] += 1
            benchmark = Path(event.benchmark)
            inside = benchmark.is_relative_to(BENCHMARKS)
            jobs[name] = JobCost(
                _stage(benchmark.relative_to(BENCHMARKS)) if inside else event.rule,
                directory / benchmark if event.benchmark else None,
                event.threads,
                event.resources.get("mem_mb"),
                event.resources.get("runtime"),
                attempts[name],
            )
    return jobs


def _stage(benchmark: Path) -> str:
    return benchmark.parts[0].removesuffix(".tsv")


def _measured(benchmark: Path) -> tuple[float | None, float | None, float | None]:
    """Wall and CPU time in seconds and peak memory in MiB, from the last line; None where the job was too short."""
    with open(benchmark, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    last = rows[-1] if rows else {}
    return _number(last.get("s")), _number(last.get("cpu_time")), _number(last.get("max_rss"))


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None


@dataclass
class SlurmCost:
    """The jobs of a rule or a group as SLURM measured them; memory in MB, wall and CPU time in seconds."""

    name: str
    jobs: set[str] = field(default_factory=set)
    seconds: float = 0
    cpu_seconds: float = 0
    core_seconds: float = 0
    peak: float = 0
    memory: float = 0

    @property
    def efficiency(self) -> float | None:
        """CPU time divided by the time of the cores."""
        return self.cpu_seconds / self.core_seconds if self.core_seconds else None

    def add(self, step: dict[str, str]) -> None:
        """Add a step of a job; the steps of a job run one after another."""
        seconds, cpu, cores, peak, memory = (
            _number(step.get(name)) or 0.0
            for name in ("Elapsed_sec", "TotalCPU_sec", "NCPUS", "MaxRSS_MB", "RequestedMem_MB")
        )
        self.jobs.add(step.get("MainJobID", ""))
        self.seconds += seconds
        self.cpu_seconds += cpu
        self.core_seconds += seconds * cores
        self.peak, self.memory = max(self.peak, peak), max(self.memory, memory)


def read_slurm_costs(directory: Path) -> list[SlurmCost]:
    """The kinds of jobs in all efficiency reports of `directory`; a group of rules, being one job, is one of them."""
    found: dict[str, SlurmCost] = {}
    for path in sorted(directory.glob(EFFICIENCY_REPORTS)):
        with open(path, encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                # The plugin's comment of a job is `rule_NAME_wildcards_…`.
                name = (row.get("RuleName") or "unknown").removeprefix("rule_").split("_wildcards_")[0]
                found.setdefault(name, SlurmCost(name)).add(row)
    return list(found.values())


def describe_costs(directory: Path) -> str:
    """The tables for the terminal, and what they miss.

    Raises:
        UserError: no job has run in `directory`.
    """
    stages = read_costs(directory)
    if not stages:
        raise UserError(f"{directory} has no record of jobs in {EVENTS}: give the run's --directory")
    parts = [_costs_table(stages)]
    if not (directory / EVENTS).is_file():
        parts.append(f"What the jobs asked for is unknown: {EVENTS} is missing, which older versions did not write.")
    if slurm := read_slurm_costs(directory):
        parts.append(f"As SLURM measured them, failed jobs and Snakemake inside them too:\n{_slurm_table(slurm)}")
    if any(stage.suggestion() for stage in stages):
        parts.append("Suggestions: --set-resources RULE:KEY=VALUE (threads: --set-threads RULE=N), or in the profile.")
    return "\n\n".join(parts)


def _costs_table(stages: Iterable[StageCost]) -> str:
    rows = [["stage", "jobs", "retries", "wall", "longest", "cpu", "memory", "asked", "suggestion"]]
    for stage in stages:
        rows.append(
            [
                stage.name,
                str(len(stage.jobs)),
                str(stage.retries),
                formatting.duration(sum(stage.seconds)) if stage.seconds else "-",
                formatting.duration(max(stage.seconds)) if stage.seconds else "-",
                _share(stage.efficiency),
                formatting.size(stage.peak * MEBIBYTE) if stage.peak is not None else "-",
                formatting.size(stage.memory_mb * 1e6) if stage.memory_mb is not None else "-",
                stage.suggestion(),
            ]
        )
    return formatting.table(rows, left=(0, 8))


def _slurm_table(kinds: Iterable[SlurmCost]) -> str:
    rows = [["job", "jobs", "wall", "cpu", "memory", "asked"]]
    for kind in kinds:
        sizes = (formatting.size(kind.peak * 1e6), formatting.size(kind.memory * 1e6))
        rows.append(
            [kind.name, str(len(kind.jobs)), formatting.duration(kind.seconds), _share(kind.efficiency), *sizes]
        )
    return formatting.table(rows)


def _share(efficiency: float | None) -> str:
    return "-" if efficiency is None else f"{efficiency:.0%}"
