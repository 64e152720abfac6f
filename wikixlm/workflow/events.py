r"""`work/events.jsonl`: what the calls of snakemake in a run's directory did, one JSON object a line.

Every call that runs jobs appends to it, from these of Snakemake's structured events:

    {"event": "run_started", "time": 1764345600.1, "command": "snakemake --cores 2", "host": "login1",
     "slurm_run_id": ""}
    {"event": "job_sent", "time": …, "jobid": 7, "rule": "extract", "local": true, "threads": 1,
     "wildcards": {"lang": "en", "shard": "00000-of-00008"}, "output": ["work/…"], "log": ["logs/…"],
     "benchmark": "logs/benchmarks/…", "resources": {"mem_mb": 1000, "runtime": 240}}
    {"event": "job_finished", "time": …, "jobid": 7}
    {"event": "job_failed", "time": …, "jobid": 7, "log": ["logs/…"], "group": "", "group_log": ""}
    {"event": "job_held", "time": …, "slurm_id": "4711", "name": "learn_bpe", "reason": "PartitionConfig"}
    {"event": "run_ended", "time": …}

`time` is in seconds since 1970. `jobid` is Snakemake's number of the job within one call; a job that is sent again
keeps it. Paths are relative to the run's directory, a cluster's log is absolute. `resources` are the whole numbers
among what the job asked for. Targets, which make no file, are left out. A call that was killed has no `run_ended`, and
its last line may be cut.
"""

import contextlib
import json
import logging
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

from snakemake_interface_logger_plugins.common import LogEvent

from wikixlm import console
from wikixlm.run_layout import EVENTS


@dataclass(frozen=True)
class RunStarted:
    """A call of snakemake starts its first jobs; `slurm_run_id` is SLURM's name of its jobs, empty without SLURM."""

    event: ClassVar[str] = "run_started"
    time: float
    command: str
    host: str
    slurm_run_id: str


@dataclass(frozen=True)
class JobSent:
    """A job was started, or sent to a cluster; `local` if Snakemake runs it itself, without a queue."""

    event: ClassVar[str] = "job_sent"
    time: float
    jobid: int
    rule: str
    local: bool
    threads: int
    wildcards: dict[str, str]
    output: list[str]
    log: list[str]
    benchmark: str
    resources: dict[str, int]

    @property
    def language(self) -> str:
        """The wildcard `lang`; empty for a job of all languages together."""
        return self.wildcards.get("lang", "")


@dataclass(frozen=True)
class JobFinished:
    """A job has ended well."""

    event: ClassVar[str] = "job_finished"
    time: float
    jobid: int


@dataclass(frozen=True)
class JobFailed:
    """A job has failed, and may be sent again; `log` names its own logs and the cluster's.

    Where a group of jobs failed as one, each of them has the group's name and the cluster's log of the group.
    """

    event: ClassVar[str] = "job_failed"
    time: float
    jobid: int
    log: list[str]
    group: str
    group_log: str


@dataclass(frozen=True)
class JobHeld:
    """SLURM does not start a job, for a reason that does not pass by itself; an empty one: it does so no more.

    `name` is its rule or group.
    """

    event: ClassVar[str] = "job_held"
    time: float
    slurm_id: str
    name: str
    reason: str


@dataclass(frozen=True)
class RunEnded:
    """A call of snakemake has ended, well or not."""

    event: ClassVar[str] = "run_ended"
    time: float


Event = RunStarted | JobSent | JobFinished | JobFailed | JobHeld | RunEnded
_KINDS: dict[str, Any] = {kind.event: kind for kind in (RunStarted, JobSent, JobFinished, JobFailed, JobHeld, RunEnded)}


def read(directory: Path, offset: int = 0) -> Iterator[Event]:
    """The events of a run's calls, the oldest first; none where there is no file.

    Args:
        directory: the run's.
        offset: in bytes; a call's own is in its record (`run_record.Record.events_offset`).
    """
    path = directory / EVENTS
    if not path.is_file():
        return
    with open(path, "rb") as stream:
        stream.seek(offset)
        for line in stream:
            # A cut line, or a kind of a later version.
            with contextlib.suppress(ValueError, KeyError, TypeError):
                values = json.loads(line)
                kind = _KINDS[values["event"]]
                yield kind(**{field.name: values[field.name] for field in fields(kind)})


class EventWriter(logging.Handler):
    """A handler of Snakemake's logger that appends its events to a file, whatever `--quiet` hides on the terminal.

    Attributes:
        offset: where in the file this call's events begin, in bytes.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(logging.INFO)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        self.offset = os.fstat(self._file).st_size
        self._group = self._group_log = ""
        if self.offset and os.pread(self._file, 1, self.offset - 1) != b"\n":
            os.write(self._file, b"\n")
            self.offset += 1

    def emit(self, record: logging.LogRecord) -> None:
        """Append what the record says of a job."""
        said: Any = record
        now = time.time()
        match getattr(record, "event", None):
            case LogEvent.JOB_INFO if said.output:
                self.write(_sent(now, said))
            case LogEvent.JOB_FINISHED:
                self.write(JobFinished(now, said.job_id))
            case LogEvent.GROUP_ERROR:
                self._group, self._group_log = str(said.groupid), str(next(iter(said.aux_logs), ""))
            case LogEvent.JOB_ERROR:
                # The jobs of a failed group follow its own event, indented.
                group = (self._group, self._group_log) if said.indent else ("", "")
                self.write(JobFailed(now, said.jobid, [str(path) for path in said.log], *group))

    def write(self, event: Event) -> None:
        """Append one event; after a failure none any more, with one warning, for the run matters more."""
        if self._file is None:
            return
        line = json.dumps({"event": event.event, **asdict(event)}, ensure_ascii=False) + "\n"
        try:
            os.write(self._file, line.encode())
        except OSError as failure:
            console.warn(f"cannot write {self._path}: {failure.strerror}; wikixlm status will not see this run's jobs")
            os.close(self._file)
            self._file = None

    def close(self) -> None:
        """Append that the call has ended."""
        if self._file is not None:
            self.write(RunEnded(time.time()))
        if self._file is not None:
            os.close(self._file)
            self._file = None
        super().close()


def _sent(now: float, job: Any) -> JobSent:
    """A job as Snakemake's JOB_INFO describes it."""
    return JobSent(
        now,
        jobid=job.jobid,
        rule=job.rule_name,
        local=job.local,
        threads=job.threads,
        wildcards=dict(job.wildcards),
        output=[str(path) for path in job.output],
        log=[str(path) for path in job.log],
        benchmark=str(job.benchmark or ""),
        resources={
            name: value
            for name, value in job.resources.items()
            if type(value) is int and not name.startswith("_") and name != "wikimedia_connections"
        },
    )


def start(logger: logging.Logger, slurm_run_id: str = "", path: Path = Path(EVENTS)) -> EventWriter | None:
    """Record this call's events from now on.

    Args:
        logger: Snakemake's.

    Returns:
        What records them; None, after a warning, where the file can't be written.
    """
    try:
        writer = EventWriter(path)
    except OSError as failure:
        console.warn(f"cannot write {path}: {failure.strerror}; wikixlm status will not see this run's jobs")
        return None
    writer.write(RunStarted(time.time(), shlex.join(sys.argv), platform.node(), slurm_run_id))
    logger.addHandler(writer)
    return writer
