"""The latest call of Snakemake in a run's directory: what it sent, what ended, and whether it is still going."""

import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from wikixlm import formatting
from wikixlm.workflow import run_record, snakemake_log
from wikixlm.workflow.run_record import Record
from wikixlm.workflow.snakemake_log import Failed, Sent

# A job's rule, and its language ("" for one of none).
Place = tuple[str, str]

# What became of the process.
RUNNING, UNKNOWN, ENDED, KILLED = "running", "unknown", "ended", "killed"


@dataclass
class Times:
    """When the first job of a rule was sent, and the last one ended; seconds since 1970, None before that."""

    first_sent: float | None = None
    last_finished: float | None = None


@dataclass
class Call:
    """What one log says so far.

    Attributes:
        planned: numbers of jobs by rule.
        open: jobs that were sent and have not ended, by Snakemake's number of the job.
        done: how many jobs ended well, targets included.
        finished: numbers of jobs that ended well, by place in the table.
        failed: jobs that ended badly and were not sent again, by number.
        attempts: how often a job was sent, by number.
        cluster: SLURM's name of the call's jobs; empty where they run on one machine.
    """

    log: Path
    host: str = ""
    cluster: str = ""
    planned: dict[str, int] = field(default_factory=dict)
    open: dict[str, Sent] = field(default_factory=dict)
    done: int = 0
    finished: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    failed: dict[str, tuple[Sent, Failed]] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    times: dict[str, Times] = field(default_factory=lambda: defaultdict(Times))

    def take(self, event: snakemake_log.Event) -> None:
        """Take in the next event of the log."""
        match event:
            case Sent():
                self._sent(event)
            case Failed():
                if sent := self.open.pop(event.jobid, None):
                    self.failed[event.jobid] = sent, event
            case snakemake_log.Finished():
                self._finished(event)
            case snakemake_log.Planned():
                self.planned = event.jobs
            case snakemake_log.Header(name="Host"):
                self.host = event.value
            case snakemake_log.Header(name="SLURM run ID"):
                self.cluster = event.value

    def _sent(self, job: Sent) -> None:
        if job.is_target:
            return
        number = job.jobid
        self.attempts[number] += 1
        self.open[number] = job
        self.failed.pop(number, None)
        times = self.times[job.rule]
        if times.first_sent is None:
            times.first_sent = snakemake_log.seconds(job.when)

    def _finished(self, event: snakemake_log.Finished) -> None:
        self.done += 1
        if sent := self.open.pop(event.jobid, None):
            self.attempts.pop(event.jobid)
            self.finished[place(sent)] += 1
            self.times[sent.rule].last_finished = snakemake_log.seconds(event.when)


def place(job: Sent) -> Place:
    """Where a job belongs in the table."""
    return job.rule, job.language


def latest(directory: Path) -> Path | None:
    """The log of the latest call that planned any job."""
    for log in reversed(snakemake_log.logs(directory)):
        for event in snakemake_log.read(log):
            if isinstance(event, snakemake_log.Planned):
                return log
    return None


def read(log: Path) -> Call:
    """The call that a log is of."""
    call = Call(log)
    for event in snakemake_log.read(log):
        call.take(event)
    return call


def state(directory: Path, record: Record, call: Call) -> tuple[str, str]:
    """What became of the call's process, and a line for the user that says how that is known."""
    if alive := run_record.is_alive(record):
        return RUNNING, f"running since {clock(record.process_started)} as process {record.pid}"
    written = call.log.stat().st_mtime
    if not any((directory / ".snakemake" / "locks").glob("*.lock")):
        return ENDED, f"ended at {clock(written)}"
    if (newest := snakemake_log.logs(directory)[-1]) != call.log:
        return UNKNOWN, f"another call holds the lock and has started no job yet: {newest}"
    if alive is None:
        silent = formatting.duration(time.time() - written)
        return UNKNOWN, f"running on {record.host} by its lock (not checked from here); its log last grew {silent} ago"
    hint = "snakemake --unlock, then the same command goes on"
    if call.cluster:
        hint = f"its SLURM jobs may go on (squeue --me --name {call.cluster}); when they have ended: {hint}"
    return KILLED, f"killed after {clock(written)}: the process is gone, its lock is still there; {hint}"


def clock(seconds: float) -> str:
    """A local time for the user; with its date unless it is today."""
    when = datetime.fromtimestamp(seconds)
    return when.strftime("%H:%M:%S" if when.date() == datetime.now().date() else "%Y-%m-%d %H:%M:%S")
