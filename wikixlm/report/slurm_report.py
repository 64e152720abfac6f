"""What SLURM itself measured of a run's jobs: the plugin's efficiency report, a row for each kind of job.

The report (`slurm-efficiency-report: true` in the profile) needs SLURM's accounting. It also knows the jobs that
failed, and what Snakemake took inside a job; a group of rules, being one job, is one row.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

PATTERN = "efficiency_report_*.csv"


@dataclass
class Kind:
    """The jobs of a rule or a group together; memory in MB, seconds of wall time and of CPU time."""

    name: str
    jobs: set[str]
    seconds: float = 0
    cpu_seconds: float = 0
    core_seconds: float = 0
    peak: float = 0
    memory: float = 0

    @property
    def efficiency(self) -> float | None:
        """CPU time as a share of the cores' time."""
        return self.cpu_seconds / self.core_seconds if self.core_seconds else None


def read(directory: Path) -> list[Kind]:
    """The kinds of jobs in all efficiency reports of `directory`; none where there is no report."""
    kinds: dict[str, Kind] = {}
    for path in sorted(directory.glob(PATTERN)):
        with open(path, encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                name = _kind(row.get("RuleName") or "unknown")
                _add(kinds.setdefault(name, Kind(name, set())), row)
    return list(kinds.values())


def _kind(comment: str) -> str:
    """The rule or group in what the plugin writes as a job's comment: `rule_NAME_wildcards_…`."""
    return comment.removeprefix("rule_").split("_wildcards_")[0]


def _add(kind: Kind, step: dict[str, str]) -> None:
    """Add a step of a job; its steps follow each other."""
    seconds = _number(step.get("Elapsed_sec"))
    kind.jobs.add(step.get("MainJobID", ""))
    kind.seconds += seconds
    kind.cpu_seconds += _number(step.get("TotalCPU_sec"))
    kind.core_seconds += seconds * _number(step.get("NCPUS"))
    kind.peak = max(kind.peak, _number(step.get("MaxRSS_MB")))
    kind.memory = max(kind.memory, _number(step.get("RequestedMem_MB")))


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
