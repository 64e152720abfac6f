"""`work/run.json`: what the latest call of Snakemake in a directory set out to do, and which process it is.

Written when the first job is about to start, so that `wikixlm status` knows the languages and shards of a run, and
whether the process that runs it still lives. Nothing else reads it: it triggers no rerun, and a dry run writes none.
"""

import contextlib
import functools
import logging
import os
import platform
import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from wikixlm import console
from wikixlm.config import Config
from wikixlm.errors import UserError
from wikixlm.files import read_json, write_json
from wikixlm.run_layout import RUN_RECORD
from wikixlm.train.sessions import now
from wikixlm.workflow import events, slurm_queue, stage_lines

# A process's start is counted from the machine's, whose clock may be set anew in between.
SECONDS_OF_CLOCK = 2

# What a language is made from.
WIKIMEDIA, DUMP, TEXT = "wikimedia", "dump", "text"


@dataclass
class Record:
    """The record of a call.

    Attributes:
        log: the name of Snakemake's log of the call; empty where it writes none.
        events_offset: where in work/events.jsonl the call's events begin, in bytes.
        process_started: seconds since 1970; with `pid`, tells the process from a later one of the same number.
        sources: `wikimedia`, `dump` (one on disk) or `text` (files of the user's own), by language, in their order.
        shards: by language.
        max_update: the training's goal.
        jobs: numbers of jobs that the call set out to run, by rule, then by language; "" for jobs of none.
    """

    started: str
    host: str
    pid: int
    process_started: float
    command: str
    log: str
    events_offset: int
    sources: dict[str, str]
    shards: dict[str, int]
    max_update: int
    jobs: dict[str, dict[str, int]]


def record(cfg: Config, jobs: Iterable[tuple[str, str]], logs: Iterable[str], events_offset: int) -> Record:
    """The record of this process.

    Args:
        jobs: rule and language (or "") of each job that is to run.
        logs: Snakemake's logs of this call; the last is used.
        events_offset: where in work/events.jsonl the call's events begin, in bytes.
    """
    counts: dict[str, dict[str, int]] = {}
    for (rule, language), number in Counter(jobs).items():
        counts.setdefault(rule, {})[language] = number
    return Record(
        started=now(),
        host=platform.node(),
        pid=os.getpid(),
        process_started=psutil.Process().create_time(),
        command=shlex.join(sys.argv),
        log=next((Path(path).name for path in reversed(list(logs))), ""),
        events_offset=events_offset,
        sources={language: _source(cfg, language) for language in cfg.languages},
        shards={language: len(cfg.shards(language)) for language in cfg.languages},
        max_update=cfg.train.max_update,
        jobs=counts,
    )


def _source(cfg: Config, language: str) -> str:
    if language in cfg.corpora.local:
        return TEXT
    return DUMP if language in cfg.dumps.local else WIKIMEDIA


def start(cfg: Config, workflow: Any, logger: logging.Logger, logs: Iterable[str]) -> None:
    """Record this process, and from now on its jobs; if that fails, with a warning, the run matters more.

    Args:
        workflow: Snakemake's, whose jobs are planned.
        logger: Snakemake's.
        logs: Snakemake's logs of this call.
    """
    slurm_run_id = getattr(getattr(workflow.scheduler, "_executor", None), "run_uuid", "")
    writer = events.start(logger, slurm_run_id)
    stage_lines.start(logger, workflow.output_settings.quiet)
    if slurm_run_id:
        slurm_queue.QueueWatch(slurm_run_id, functools.partial(_held, writer)).start()
    # With --quiet Snakemake does not even log that a job has finished; its own handlers hide it in any case.
    workflow.scheduler.print_progress = True
    # A target makes no file, and so is no job.
    jobs = ((job.rule.name, job.wildcards.get("lang", "")) for job in workflow.dag.needrun_jobs() if job.output)
    try:
        write_json(Path(RUN_RECORD), asdict(record(cfg, jobs, logs, writer.offset if writer else 0)))
    except UserError as failure:
        console.warn(f"{failure}; the run continues, but wikixlm status will not know it")


def _held(writer: events.EventWriter | None, job: slurm_queue.QueuedJob) -> None:
    """Record a job that SLURM holds back, or does so no more."""
    if writer:
        writer.write(events.JobHeld(time.time(), job.slurm_id, job.name, job.reason))


def read(directory: Path) -> Record:
    """The record of the latest call in a run's directory.

    Raises:
        UserError: there is none, or it can't be read.
    """
    path = directory / RUN_RECORD
    if not path.is_file():
        raise UserError(f"{path} is not there: no job has started here yet; give the run's --directory")
    values: Any = read_json(path)
    try:
        return Record(**values)
    except TypeError:
        raise UserError(f"{path} is of another version of wikixlm; the next call of snakemake writes it anew") from None


def is_alive(run: Record) -> bool | None:
    """Whether the recorded process lives; None if it was started on another machine, and so can't be looked at."""
    if run.host != platform.node():
        return None
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(run.pid)
        same = abs(process.create_time() - run.process_started) < SECONDS_OF_CLOCK
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    return False
