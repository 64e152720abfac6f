"""The latest call of snakemake in a run's directory: what it sent, what ended, and whether it is still going."""

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from wikixlm import formatting
from wikixlm.errors import UserError
from wikixlm.run_layout import EVENTS
from wikixlm.workflow import events, run_record
from wikixlm.workflow.events import JobFailed, JobFinished, JobHeld, JobSent, RunEnded, RunStarted
from wikixlm.workflow.run_record import Record

# A job's rule, and its language ("" for one of all languages).
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
    """What one call has done so far.

    Attributes:
        last: when its last event was written; seconds since 1970.
        slurm_run_id: SLURM's name of the call's jobs; empty where they run on one machine.
        open: jobs that were sent and have not ended, by Snakemake's number of the job.
        finished: numbers of jobs that ended well, by place in the table.
        failed: jobs that ended badly and were not sent again, by number.
        attempts: how often a job was sent, by number.
        held: jobs that SLURM does not start for a reason that does not pass by itself, by SLURM's number.
    """

    last: float = 0.0
    slurm_run_id: str = ""
    open: dict[int, JobSent] = field(default_factory=dict)
    finished: dict[Place, int] = field(default_factory=lambda: defaultdict(int))
    failed: dict[int, tuple[JobSent, JobFailed]] = field(default_factory=dict)
    attempts: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    times: dict[str, Times] = field(default_factory=lambda: defaultdict(Times))
    held: dict[str, JobHeld] = field(default_factory=dict)

    @property
    def done(self) -> int:
        """How many jobs ended well."""
        return sum(self.finished.values())

    def add(self, event: events.Event) -> None:
        """Include the next event."""
        self.last = event.time
        match event:
            case RunStarted():
                self.slurm_run_id = event.slurm_run_id
            case JobSent():
                self._sent(event)
            case JobFailed():
                if sent := self.open.pop(event.jobid, None):
                    self.failed[event.jobid] = sent, event
            case JobFinished():
                self._finished(event)
            case JobHeld():
                self.held.pop(event.slurm_id, None)
                if event.reason:
                    self.held[event.slurm_id] = event
            case RunEnded():
                self.held.clear()

    def _sent(self, job: JobSent) -> None:
        self.attempts[job.jobid] += 1
        self.open[job.jobid] = job
        self.failed.pop(job.jobid, None)
        times = self.times[job.rule]
        if times.first_sent is None:
            times.first_sent = job.time

    def _finished(self, event: JobFinished) -> None:
        if sent := self.open.pop(event.jobid, None):
            self.attempts.pop(event.jobid)
            self.finished[place(sent)] += 1
            self.times[sent.rule].last_finished = event.time


def place(job: JobSent) -> Place:
    """Where a job belongs in the table."""
    return job.rule, job.language


def read(directory: Path, record: Record) -> Call:
    """The recorded call.

    Raises:
        UserError: its events are gone.
    """
    call = summarize(events.read(directory, record.events_offset))
    if not call.last:
        where = directory / EVENTS
        raise UserError(f"{where} has no events of the latest call: was it deleted? The next call writes it anew")
    return call


def summarize(found: Iterable[events.Event]) -> Call:
    """The call whose events these are."""
    call = Call()
    for event in found:
        call.add(event)
    return call


def state(directory: Path, record: Record, call: Call) -> tuple[str, str]:
    """What became of the call's process, and a line for the user that says how that is known."""
    if alive := run_record.is_alive(record):
        return RUNNING, f"running since {clock(record.process_started)} as process {record.pid}"
    if not any((directory / ".snakemake" / "locks").glob("*.lock")):
        return ENDED, f"ended at {clock(call.last)}"
    logs = sorted((directory / ".snakemake" / "log").glob("*.snakemake.log"))
    if logs and logs[-1].name != record.log:
        return UNKNOWN, f"another call holds the lock and has started no job yet: {logs[-1]}"
    if alive is None:
        silent = formatting.duration(time.time() - call.last)
        return UNKNOWN, f"running on {record.host} by its lock (not checked from here); last event {silent} ago"
    hint = "snakemake --unlock, then the same command resumes"
    if call.slurm_run_id:
        hint = f"its SLURM jobs may still run (squeue --me --name {call.slurm_run_id}); when they have ended: {hint}"
    return KILLED, f"killed after {clock(call.last)}: the process is gone, its lock is still there; {hint}"


def clock(seconds: float) -> str:
    """A local time for the user; with its date unless it is today."""
    when = datetime.fromtimestamp(seconds)
    return when.strftime("%H:%M:%S" if when.date() == datetime.now().date() else "%Y-%m-%d %H:%M:%S")
