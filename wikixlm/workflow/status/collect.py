"""How far each language is in each stage, from the call's events and from the files on disk."""

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from wikixlm.run_layout import JOINT, PER_LANGUAGE, RULES, Stage
from wikixlm.workflow import run_record
from wikixlm.workflow.events import JobFailed, JobSent
from wikixlm.workflow.run_record import Record
from wikixlm.workflow.status import call as calls
from wikixlm.workflow.status.call import Call

# Stages that have a row only where the call runs them or their files are there.
RARE = ("segmentation", "evaluate_crosslingual", "download_xnli", "prepare_xnli")
# Seconds by which a file server's time stamps may be coarser than the clock of an event.
CLOCK_STEP = 1.0


@dataclass
class Cell:
    """One language in one stage, or a joint stage, in numbers of jobs; `asked` if the call set out to run any."""

    total: int = 0
    done: int = 0
    running: int = 0
    queued: int = 0
    failed: int = 0
    stopped: int = 0
    asked: bool = False

    @property
    def is_done(self) -> bool:
        return self.done >= self.total

    @property
    def state(self) -> str:
        """The one word that matters most to the user."""
        if self.failed:
            return "failed"
        if self.is_done:
            return "done"
        for word in ("running", "queued", "stopped"):
            if getattr(self, word):
                return word
        return "waiting" if self.asked else "-"

    def add(self, other: "Cell") -> None:
        """Add another cell's numbers."""
        for name in ("total", "done", "running", "queued", "failed", "stopped"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.asked |= other.asked


@dataclass
class Failure:
    """A job that failed for good: what it is, how often it was sent, its log."""

    name: str
    attempts: int
    log: Path | None


@dataclass
class Status:
    """Everything that is shown.

    Attributes:
        languages: a cell for each stage of PER_LANGUAGE, None where a language skips it.
        joint: by stage, or by rule where a planned rule is of no stage.
    """

    directory: Path
    record: Record
    call: Call
    state: str
    line: str
    languages: dict[str, list[Cell | None]] = field(default_factory=dict)
    joint: dict[str, Cell] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    @property
    def steps(self) -> tuple[int, int]:
        """Jobs of the call that are done, and all of them."""
        return self.call.done, sum(sum(numbers.values()) for numbers in self.record.jobs.values())

    @property
    def is_over(self) -> bool:
        return self.state in (calls.ENDED, calls.KILLED)


def collect(directory: Path, record: Record, call: Call) -> Status:
    """Look at the run once."""
    state, line = calls.state(directory, record, call)
    status = Status(directory, record, call, state, line)
    jobs = _Jobs(status)
    for language in record.sources:
        status.languages[language] = [_language(jobs, stage, language) for stage in PER_LANGUAGE]
    for stage in JOINT:
        cell = _joint(jobs, stage)
        if stage.name not in RARE or cell.state != "-":
            status.joint[stage.name] = cell
    for rule in record.jobs:
        if rule not in RULES:
            status.joint[rule] = _other(jobs, rule)
    status.failures = jobs.failures
    return status


class _Jobs:
    """The call's jobs by their place in the table."""

    def __init__(self, status: Status) -> None:
        self.status = status
        self.call, self.record = status.call, status.record
        self.open: dict[calls.Place, list[JobSent]] = defaultdict(list)
        for sent in self.call.open.values():
            self.open[calls.place(sent)].append(sent)
        self.failed: dict[calls.Place, int] = defaultdict(int)
        self.failures: list[Failure] = []
        self._sort_failures()

    def fill(self, cell: Cell, rule: str, language: str) -> None:
        """Put a rule's jobs of a language into a cell whose total and files on disk are known."""
        place = rule, language
        planned = self.record.jobs.get(rule, {})
        cell.asked |= bool(planned.get(language))
        cell.failed += self.failed[place]
        early = sum(self._count(cell, sent) for sent in self.open[place])
        if planned:
            # Files of an earlier call, which this one is to make anew, are there but do not count.
            pending = planned.get(language, 0) - self.call.finished[place] - early
            cell.done = min(cell.done, max(0, cell.total - pending))

    def _count(self, cell: Cell, sent: JobSent) -> bool:
        """Put an open job into the cell; True if it is done and Snakemake only waits for the rest of its group."""
        begin = sent.time - CLOCK_STEP
        if _changed(self.status.directory / sent.output[-1]) >= begin:
            return True
        if self.status.is_over:
            cell.stopped += 1
        elif sent.local or any(_changed(self.status.directory / path) >= begin for path in sent.log[:1]):
            cell.running += 1
        else:
            cell.queued += 1
        return False

    def _sort_failures(self) -> None:
        """Of a group that failed together, only the jobs whose own logs say so; all of them where none does."""
        groups: dict[str, list[int]] = defaultdict(list)
        for number, (_, failed) in self.call.failed.items():
            groups[failed.group or str(number)].append(number)
        for numbers in groups.values():
            guilty = [number for number in numbers if self._says_so(*self.call.failed[number])]
            for number in guilty or numbers:
                sent, failed = self.call.failed[number]
                self.failed[calls.place(sent)] += 1
                own = [*(sent.log if number in guilty else ()), *filter(None, [failed.group_log]), *failed.log[::-1]]
                log = next((path for path in map(self._path, own) if path.is_file()), None)
                name = " ".join([sent.rule, *sent.wildcards.values()])
                self.failures.append(Failure(name, self.call.attempts[number], log))

    def _says_so(self, sent: JobSent, failed: JobFailed) -> bool:
        return any("error" in line.lower() for path in sent.log for line in tail(self._path(path), 5))

    def _path(self, name: str) -> Path:
        return self.status.directory / name


def _language(jobs: _Jobs, stage: Stage, language: str) -> Cell | None:
    if stage.name == "download" and jobs.record.sources[language] != run_record.WIKIMEDIA:
        return None
    files = stage.files(language, jobs.record.shards[language])
    cell = Cell(len(files), _there(jobs.status.directory, files))
    for rule in stage.rules:
        jobs.fill(cell, rule, language)
    return cell


def _joint(jobs: _Jobs, stage: Stage) -> Cell:
    cell = Cell(1, _there(jobs.status.directory, stage.proof))
    for rule in stage.rules:
        jobs.fill(cell, rule, "")
    return cell


def _other(jobs: _Jobs, rule: str) -> Cell:
    """A rule that is of no stage here."""
    cell = Cell(sum(jobs.record.jobs[rule].values()))
    cell.done = sum(number for (name, _), number in jobs.call.finished.items() if name == rule)
    for language in jobs.record.jobs[rule]:
        jobs.fill(cell, rule, language)
    return cell


def _there(directory: Path, files: Iterable[str]) -> int:
    """How many of the files exist, with one look at each folder: there may be thousands of shards."""
    by_folder: dict[str, set[str]] = defaultdict(set)
    for file in files:
        folder, _, name = file.rpartition("/")
        by_folder[folder].add(name)
    number = 0
    for folder, names in by_folder.items():
        with contextlib.suppress(FileNotFoundError), os.scandir(directory / folder) as entries:
            number += sum(entry.name in names for entry in entries)
    return number


def _changed(path: Path) -> float:
    """When a file was last written; 0 if it is not there."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a file that are not empty; none if it can't be read."""
    try:
        with open(path, "rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - 8192))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]


def rate(status: Status, rules: tuple[str, ...]) -> float | None:
    """Jobs per second of some rules, since the first of them was sent in this call; None as long as none has ended."""
    finished = sum(number for (rule, _), number in status.call.finished.items() if rule in rules)
    times = [status.call.times[rule] for rule in rules if rule in status.call.times]
    begin = min((each.first_sent for each in times if each.first_sent is not None), default=None)
    if not finished or begin is None:
        return None
    running = status.state in (calls.RUNNING, calls.UNKNOWN)
    end = time.time() if running else max(each.last_finished or 0 for each in times)
    return finished / max(1.0, end - begin)
