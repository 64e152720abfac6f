"""How a run that failed ends: after all that Snakemake prints itself, one line for each cause.

A failed job's cause is the `error: ` line in its rule's log. What Snakemake finds wrong itself (a locked directory, a
misspelt target, …) is said in this project's words, with what to type. On a cluster this is the only place where a
job's line reaches the terminal.
"""

import atexit
import difflib
import errno
import itertools
import logging
import os
import re
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, NamedTuple

from wikixlm.console import ERROR
from wikixlm.errors import describe

LITTLE_ROOM = 1 << 16  # bytes
CLOCKS_DIFFER = 60.0  # seconds, between this machine and a cluster's file server


class Job(NamedTuple):
    """A job that failed.

    Attributes:
        rule: its rule.
        logs: its log files, by the names that the rule has for them, with the paths to open.
        elsewhere: it ran on a cluster, so that its own line did not come to this terminal.
        grouped: Snakemake reports it because a job of its group failed, which need not be this one.
        refused: what sbatch said where it did not take the job; else empty.
    """

    rule: str
    logs: dict[str, Path]
    elsewhere: bool
    grouped: bool
    refused: str = ""

    @property
    def _begin(self) -> str:
        """Here a job says its `error: ` itself, further up."""
        return ERROR if self.elsewhere else "failed: "

    def cause(self, since: float) -> str | None:
        """The line for the `error: ` in its log; None where none was written since then (seconds of the epoch)."""
        if self.refused:
            return f"{ERROR}{self.rule}: SLURM did not take the job: {' '.join(self.refused.split())}"
        found = ((last_error(path, since), name) for name, path in self.logs.items())
        return next((f"{self._begin}{self.rule}: {error} (log: {name})" for error, name in found if error), None)

    def silence(self) -> str:
        """The line for a job that left none."""
        if full := next(filter(None, map(_full_disk, self.logs.values())), None):
            return f"{self._begin}{self.rule} left no log: {full}"
        place = f"look at {', '.join(self.logs)}" if self.logs else "its output is above"
        return f"{ERROR}{self.rule} ended without saying why (killed? out of memory or time?); {place}"


def _full_disk(log: Path) -> str | None:
    """That the disk has no room for a log, where it has none."""
    folder = next((parent for parent in log.parents if parent.is_dir()), log.parent)
    try:
        state = os.statvfs(folder)
    except OSError:
        return None
    # File systems without a fixed number of files say 0 of 0.
    if state.f_bavail * state.f_frsize >= LITTLE_ROOM and (state.f_favail > 0 or not state.f_files):
        return None
    return describe(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)))


def last_error(log: Path, since: float) -> str | None:
    """The last `error: ` line of a log, without that word; of a log of an earlier run none."""
    try:
        if log.stat().st_mtime < since - CLOCKS_DIFFER:
            return None
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.removeprefix(ERROR) for line in reversed(lines) if line.startswith(ERROR)), None)


class FailureSummary(logging.Handler):
    """Listen to Snakemake's log, and report at the end what went wrong.

    Args:
        targets: gives the names of rules that can be asked for, once all are known.
        silent: Snakemake prints none of its own errors (`--quiet all`), so that each must be said here.
    """

    def __init__(self, targets: Callable[[], list[str]], silent: bool = False) -> None:
        super().__init__(logging.INFO)
        self._targets = targets
        self._silent = silent
        self._failed: dict[int, Job] = {}
        self._causes: list[str] = []
        self._begun = time.time()

    def emit(self, record: logging.LogRecord) -> None:
        """Take note of failed jobs, of those that a retry finished, and of Snakemake's own errors."""
        event = getattr(record, "event", None)
        name = getattr(event, "value", None)
        said: Any = record
        if name == "job_error":
            grouped = bool(said.indent)  # groups are sent to a cluster as one job
            elsewhere = grouped or "external_jobid" in (said.aux or {})
            # Snakemake leaves --directory before the program ends.
            logs = {path: Path(path).absolute() for path in said.log if ".snakemake" not in Path(path).parts}
            refused = re.search(
                r"SLURM sbatch failed\. The error message was '(.*?)'\.\n", said.rule_msg or "", re.DOTALL
            )
            self._failed[said.jobid] = Job(said.rule_name, logs, elsewhere, grouped, refused[1] if refused else "")
        elif name == "job_finished":
            self._failed.pop(said.job_id, None)
        elif name == "error":
            said_by_snakemake = " ".join(record.getMessage().split()) if self._silent else None
            if cause := explain(said.exception, record.getMessage(), self._targets) or said_by_snakemake:
                self._causes.append(cause)

    def print(self) -> None:
        """Write the lines; nothing where nothing failed."""
        causes = [(job, job.cause(self._begun)) for job in self._failed.values()]
        explained = any(cause for _, cause in causes)
        lines = [f"{ERROR}{cause}" for cause in self._causes]
        lines += [cause or job.silence() for job, cause in causes if cause or not (job.grouped and explained)]
        for line in dict.fromkeys(lines):
            print(line, file=sys.stderr, flush=True)


def explain(exception: str, message: str, targets: Callable[[], list[str]]) -> str | None:
    """What an exception of Snakemake's means for the user, in a line; None where nothing needs to be added."""
    lines = message.splitlines()
    if exception == "LockException":
        return (
            f"another snakemake works in {_after('following directory:', lines)}, or one was killed there: wait for "
            "it; if none runs, add --unlock to your command, then give the command again"
        )
    if exception == "MissingRuleException":
        wanted = next((line.split()[4] for line in lines if line.startswith("No rule to produce ")), "")
        return _no_such_target(wanted, targets())
    if exception == "MissingInputException":
        files = [line.strip() for line in lines[1:] if line.startswith(" ") and ":" not in line]
        return f"missing: {', '.join(files)}; no rule makes it: was it moved or deleted?"
    if unwritable := re.search(r"(?:Permission|FileNotFound)Error: .*'([^']+)/\.snakemake[^']*'$", message.rstrip()):
        return f"{unwritable[1]} can't be written; give --directory a folder of yours"
    if failure := re.search(r"(?m)Error: \[Errno (\d+)\] ([^:\n]+)(?:: '([^'\n]+)')?", message):
        return f"snakemake: {describe(OSError(int(failure[1]), failure[2], failure[3]))}"
    return None


def _after(end: str, lines: list[str]) -> str:
    """The line after the one that ends so."""
    return next((after for line, after in itertools.pairwise(lines) if line.endswith(end)), "this directory")


def _no_such_target(wanted: str, targets: list[str]) -> str:
    if "/" in wanted:
        return f"no rule makes the file {wanted}: is its language in `languages`, and the path relative to --directory?"
    near = difflib.get_close_matches(wanted, targets, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(targets))}"
    return f"no target {wanted}; {hint}"


def watch(logger: logging.Logger, targets: Callable[[], list[str]], quiet: Collection[Any] | None) -> None:
    """End this run of Snakemake with a line a cause.

    Args:
        targets: see `FailureSummary`.
        quiet: the levels of `--quiet`, of Snakemake's enumeration.
    """
    summary = FailureSummary(targets, silent="ALL" in {level.name for level in quiet or ()})
    logger.addHandler(summary)
    atexit.register(summary.print)
