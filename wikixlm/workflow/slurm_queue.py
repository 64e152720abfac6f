"""Jobs that SLURM holds back for a reason that does not pass by itself, for which Snakemake would wait in silence."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from wikixlm import console
from wikixlm.errors import UserError
from wikixlm.train import slurm
from wikixlm.workflow.events import JobHeld

SECONDS_BETWEEN_LOOKS = 30
PATIENCE = 60  # seconds; some reasons show up for a moment while SLURM looks for a place

# Of squeue's reasons, by how they begin: https://slurm.schedmd.com/job_reason_codes.html
LASTING = (
    *("Account", "BadConstraints", "DependencyNeverSatisfied", "InvalidAccount", "InvalidQOS", "JobHeld", "MaxMem"),
    *("Partition", "QOSNotAllowed", "ReqNodeNotAvail", "ReservationDeleted", "launch failed"),
)
# These count what runs, unless it is the job alone that is above them.
LIMITS = ("Assoc", "QOS")
ADVICE = (
    ("Partition", "it asks for more than the partition gives: see max-threads and set-resources in the profile"),
    ("MaxMem", "it asks for more memory than the partition gives: set-resources: RULE: mem_mb in the profile"),
    ("Account", "set slurm_account in the profile"),
    ("InvalidAccount", "set slurm_account in the profile"),
    ("InvalidQOS", "set slurm-qos in the profile"),
    ("QOSNotAllowed", "set slurm-qos in the profile"),
    ("BadConstraints", "see train.constraint in config.yaml and set-resources in the profile"),
    ("ReqNodeNotAvail", "the nodes that it needs are down or reserved"),
    ("JobHeld", "`scontrol release` lets it start"),
)


class QueuedJob(NamedTuple):
    """A job as squeue lists it; `name` is its rule or group."""

    slurm_id: str
    state: str
    reason: str
    name: str


def parse_squeue(text: str) -> list[QueuedJob]:
    """The jobs in squeue's output in the format `%i|%T|%r|%k`; a line that is not understood is left out."""
    rows = (line.split("|", 3) for line in text.splitlines())
    return [QueuedJob(row[0], row[1], row[2], rule_in(row[3])) for row in rows if len(row) == 4]


def rule_in(comment: str) -> str:
    """The rule or group in the comment that the plugin gives a job."""
    return comment.strip().removeprefix("rule_").split("_wildcards_")[0]


def is_lasting(reason: str, others_run: bool) -> bool:
    """Whether a reason does not pass by itself.

    Args:
        others_run: whether other jobs of this call run: as long as they do, they may be what a limit counts.
    """
    return reason.startswith(LASTING) or (reason.startswith(LIMITS) and ("PerJob" in reason or not others_run))


def advice(reason: str) -> str:
    """What a user can do, or where to look."""
    return next((what for begin, what in ADVICE if reason.startswith(begin)), "ask SLURM with scontrol show job")


def held_together(jobs: Iterable[QueuedJob | JobHeld]) -> Iterator[tuple[str, str, str]]:
    """Rule, reason, and the numbers of the jobs that share both: `4711 and 2 more`."""
    together: dict[tuple[str, str], list[str]] = defaultdict(list)
    for job in jobs:
        together[job.name, job.reason].append(job.slurm_id)
    for (name, reason), ids in together.items():
        yield name, reason, ids[0] + (f" and {len(ids) - 1:,} more" if len(ids) > 1 else "")


class QueueWatch:
    """Watch the jobs of a call of snakemake, and report those that are held back.

    Args:
        run_id: the name of all its jobs.
        held: called with a job, and again, with an empty reason, once it is held back no more.
    """

    def __init__(self, run_id: str, held: Callable[[QueuedJob], None]) -> None:
        self._run_id = run_id
        self._held = held
        self._since: dict[QueuedJob, float] = {}
        self._reported: dict[str, QueuedJob] = {}
        self._said: set[tuple[str, str]] = set()

    def start(self) -> None:
        """Look again and again, as long as this process lives."""
        threading.Thread(target=self._watch, name="SLURM's queue", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(SECONDS_BETWEEN_LOOKS)
            if (jobs := ask_squeue(self._run_id)) is not None:
                self.look(jobs, time.monotonic())

    def look(self, jobs: list[QueuedJob], now: float) -> None:
        """Take note of the call's jobs in the queue at a time, in seconds."""
        others_run = any(job.state == "RUNNING" for job in jobs)
        held = {job for job in jobs if job.state == "PENDING" and is_lasting(job.reason, others_run)}
        self._since = {job: self._since.get(job, now) for job in held}
        for slurm_id, job in list(self._reported.items()):
            if job not in held:
                del self._reported[slurm_id]
                self._held(job._replace(reason=""))
        lasting = [job for job, since in self._since.items() if now - since >= PATIENCE]
        news = [job for job in lasting if self._reported.get(job.slurm_id) != job]
        for job in news:
            self._reported[job.slurm_id] = job
            self._held(job)
        self._warn(news)

    def _warn(self, jobs: list[QueuedJob]) -> None:
        """One line for a rule and reason, once in a call."""
        for name, reason, numbers in held_together(jobs):
            if (name, reason) not in self._said:
                self._said.add((name, reason))
                console.warn(
                    f"SLURM does not start {name} (job {numbers}): {reason}, which does not pass by itself; "
                    f"{advice(reason)}"
                )


def ask_squeue(run_id: str) -> list[QueuedJob] | None:
    """The jobs of a call that are in the queue; None where SLURM does not answer."""
    options = ["--noheader", f"--name={run_id}", "--states=PENDING,RUNNING", "--format=%i|%T|%r|%k"]
    try:
        return parse_squeue(slurm.query("squeue", *options))
    except UserError:
        return None
