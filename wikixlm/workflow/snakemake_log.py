"""Reading what Snakemake 9 logs of a call: which jobs it sent, which ended, and how.

`.snakemake/log` has a file a call. The reader goes through a log line by line and keeps nothing, because the log of a
hundred languages of a thousand shards has hundreds of megabytes. A job of a group is logged like any other, indented.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

_SENT = re.compile(rb"(local)?(?:rule|checkpoint) (\w+):\n")
_LANGUAGE = re.compile(r"\blang=([^,]+)")
_HINT = " (check log file(s) for error details)"
# The cluster's log of a failed group is named by the line after this one.
_NEXT = "?"
_HEADER = {b"Host", b"Command", b"Date", b"SLURM run ID"}


class Job:
    """What a log says of a job when it is sent, or when it has failed; its fields are read when they are asked for.

    Attributes:
        when: Snakemake's time stamp, see `seconds`.
        local: Snakemake runs it itself; others wait in a queue first.
        group: when a whole group has failed, the cluster's log of it.
    """

    def __init__(self, rule: str, when: str, local: bool = True, depth: int = 0) -> None:
        self.rule, self.when, self.local = rule, when, local
        self.group = ""
        # Below a job's first line: its fields, indented by this much, and what belongs to them, by more.
        self.indent = b" " * (depth + 4)
        self.lines: list[bytes] = []

    def _field(self, name: bytes) -> str:
        start = self.indent + name
        for line in self.lines:
            if line.startswith(start):
                return line[len(start) :].decode(errors="replace").strip()
        return ""

    @property
    def jobid(self) -> str:
        return self._field(b"jobid: ")

    @property
    def output(self) -> list[str]:
        return _paths(self._field(b"output: "))

    @property
    def is_target(self) -> bool:
        """Whether it makes nothing, and so is no job."""
        return not self._field(b"output: ")

    @property
    def language(self) -> str:
        """The wildcard `lang`; empty for a job of all languages together."""
        match = _LANGUAGE.search(self._field(b"wildcards: "))
        return match[1] if match else ""

    @property
    def log(self) -> list[str]:
        """The rule's own first; of a failed job also the cluster's."""
        return _paths(self._field(b"log: "))

    @property
    def benchmark(self) -> str:
        return self._field(b"benchmark: ")

    @property
    def wildcards(self) -> dict[str, str]:
        return _pairs(self._field(b"wildcards: "))

    @property
    def threads(self) -> int:
        return int(self._field(b"threads: ") or 1)

    @property
    def resources(self) -> dict[str, str]:
        return _pairs(self._field(b"resources: "))


class Sent(Job):
    """A job was started, or sent to a cluster."""


class Failed(Job):
    """A job has failed; it may be sent again."""


@dataclass
class Finished:
    """A job has ended well."""

    jobid: str
    when: str


@dataclass
class Planned:
    """The numbers of jobs that the call is to run, by rule."""

    jobs: dict[str, int]


@dataclass
class Header:
    """One of the lines at the top: Host, Command, Date; `SLURM run ID` where the jobs go there."""

    name: str
    value: str


Event = Sent | Failed | Finished | Planned | Header


def logs(directory: Path) -> list[Path]:
    """The logs of the calls in a run's directory, the oldest first."""
    return sorted((directory / ".snakemake" / "log").glob("*.snakemake.log"))


def read(path: Path) -> Iterator[Event]:
    """The events of one log, in their order."""
    with open(path, "rb") as stream:
        yield from events(stream)


def events(lines: Iterable[bytes]) -> Iterator[Event]:
    """The events in a log's lines."""
    reader = _Reader()
    job: Job | None = None
    for line in lines:
        # Most lines by far are of this kind.
        if job is not None and line.startswith(job.indent):
            job.lines.append(line)
            continue
        yield from reader.feed(line)
        job = reader.job
    yield from reader.close()


class _Reader:
    """Takes in a log line by line, and gives the events that have become whole."""

    def __init__(self) -> None:
        self._when = ""
        # Whether the line before was a time stamp: only then a line can begin a job.
        self._stamped = False
        self._group = ""
        self.job: Sent | Failed | None = None
        self._stats: dict[str, int] | None = None

    def feed(self, line: bytes) -> Iterable[Event]:
        """The next line, unless it is one below the first of `job`."""
        body = line.lstrip(b" ")
        depth = len(line) - len(body)
        if self._stats is not None and len(body) > 1:
            _count(body, self._stats)
            return ()
        found = self.close()
        if body[:1] == b"[":
            self._when, self._stamped = body[1:25].decode(errors="replace"), True
            self._group = self._group if depth else ""
        elif event := self._line(body, depth):
            found.append(event)
        return found

    def close(self) -> list[Event]:
        """What the lines so far have begun and another kind of line ends."""
        found: list[Event] = []
        if self.job is not None:
            self.job.group = self._group if isinstance(self.job, Failed) else ""
            found.append(self.job)
        if self._stats is not None:
            found.append(Planned(self._stats))
        self.job = self._stats = None
        return found

    def _line(self, body: bytes, depth: int) -> Event | None:
        """A line outside of jobs and tables."""
        stamped, self._stamped = self._stamped, False
        if self._group == _NEXT:
            self._group = _paths(body[5:].decode().strip())[0] if body.startswith(b"log: ") else ""
        elif stamped and (job := _begin(body, depth, self._when)):
            self.job = job
        elif body.startswith(b"Finished jobid: "):
            return Finished(body.split()[2].decode(), self._when)
        elif body == b"Job stats:\n":
            self._stats = {}
        elif body.startswith(b"message: Error in group"):
            self._group = _NEXT
        else:
            return _header(body)
        return None


def _header(body: bytes) -> Header | None:
    name, _, value = body.partition(b": ")
    return Header(name.decode(), value.decode(errors="replace").strip()) if name in _HEADER else None


def _count(body: bytes, stats: dict[str, int]) -> None:
    """A line of the table of jobs."""
    words = body.split()
    if len(words) == 2 and words[1].isdigit() and words[0] != b"total":
        stats[words[0].decode()] = int(words[1])


def _begin(body: bytes, depth: int, when: str) -> Sent | Failed | None:
    if match := _SENT.fullmatch(body):
        return Sent(match[2].decode(), when, match[1] is not None, depth)
    if body.startswith(b"Error in rule "):
        return Failed(body[14:].rstrip(b":\n").decode(), when, depth=depth)
    return None


def _paths(text: str) -> list[str]:
    return text.removesuffix(_HINT).split(", ") if text else []


def _pairs(text: str) -> dict[str, str]:
    parts = (part.partition("=") for part in text.split(", "))
    return {name: value for name, separator, value in parts if separator}


@lru_cache(maxsize=4096)
def seconds(when: str) -> float:
    """A time stamp of Snakemake's (`Tue Nov 24 14:53:05 2026`, local time) as seconds since 1970."""
    return datetime.strptime(when, "%a %b %d %H:%M:%S %Y").timestamp()
