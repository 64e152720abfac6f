"""The SLURM job of a training: its time limit, its requeue, and a process on each of its nodes.

A pretraining takes weeks and a job gets a day, so a training is a chain: shortly before its job's time limit it saves,
and requeues the job under the same number. To Snakemake that is one job that waits and runs, so no retry is spent; and
should Snakemake itself have been killed, the chain continues all the same.

(`sbatch --signal` does not help: `B:USR1` kills the shell that SLURM's plugin wraps the command in, and without `B:`
it kills the Snakemake inside the job. The clock needs neither.)
"""

import os
import subprocess
import time
from collections.abc import Mapping
from datetime import datetime

from wikixlm import console
from wikixlm.errors import UserError

SECONDS_TO_ANSWER = 60
SECONDS_TO_BE_ENDED = 180
# Enough to finish an update, a validation and a checkpoint of some GB; a tenth of a short limit.
MINUTES_BEFORE_LIMIT = 10.0
PART_OF_LIMIT = 0.1


def job_id() -> str | None:
    """The SLURM job that this process runs in."""
    return os.environ.get("SLURM_JOB_ID")


def minutes_until_stop() -> float | None:
    """Minutes until this job should save and stop; None outside SLURM, without a limit or without an answer.

    From squeue and not from SLURM_JOB_END_TIME, which SLURM before 23.02 does not set.
    """
    job = job_id()
    if job is None:
        return None
    try:
        end = datetime.fromisoformat(query("squeue", "--noheader", "--jobs", job, "--format", "%e"))
    except (UserError, ValueError):
        return None
    left = end.timestamp() - time.time()
    return max(0.0, left / 60 - min(MINUTES_BEFORE_LIMIT, PART_OF_LIMIT * left / 60))


def srun_once_per_node(nodes: int, threads: int) -> list[str]:
    """The beginning of a command line that starts the rest of it once on each of this job's nodes.

    The commands end together, and survive a SIGUSR1 that reaches them before they handle it.

    Raises:
        UserError: this is no SLURM job, or one with another number of nodes.
    """
    job = job_id()
    if job is None:
        raise UserError(f"train.nodes is {nodes}; several nodes need a SLURM job: use profiles/slurm, or set it to 1")
    given = query("squeue", "--noheader", "--jobs", job, "--format", "%D")
    if given != str(nodes):
        raise UserError(f"train.nodes is {nodes}, but SLURM job {job} has {given}: ask for as many (sbatch --nodes)")
    step = ["srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", f"--cpus-per-task={threads}"]
    step += ["--cpu-bind=none", "--mpi=none", "--input=none", "--kill-on-bad-exit=1"]
    return [*step, "sh", "-c", "trap '' USR1; exec \"$@\"", "sh"]


def requeue_job(message: str) -> None:
    """In a SLURM job: requeue it, and wait until SLURM ends this run of it.

    Returns outside a job; where the job is ending already, because SLURM cancels or requeues it (one that is preempted
    with a grace period still counts as running, and must be requeued here); and, with a warning, where SLURM refuses (a
    job that was submitted with --no-requeue).
    """
    job = job_id()
    if job is None or _state(job) != "RUNNING":
        return
    console.say(f"job {job} is requeued: {message}")
    try:
        query("scontrol", "requeue", job)
    except UserError as failure:
        console.warn(f"the job can't be requeued ({failure}), so resuming it spends one of Snakemake's retries")
        return
    time.sleep(SECONDS_TO_BE_ENDED)


def _state(job: str) -> str:
    """The job's state in squeue's words; empty without an answer."""
    try:
        return query("squeue", "--noheader", "--jobs", job, "--format", "%T")
    except UserError:
        return ""


def query(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """Standard output of one of SLURM's commands.

    Args:
        environment: default: this process's.

    Raises:
        UserError: it is not installed, fails or does not answer.
    """
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS_TO_ANSWER,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise UserError(f"{' '.join(command)}: {failure}") from failure
    if done.returncode != 0:
        raise UserError(f"{' '.join(command)}: {done.stderr.strip() or f'exit status {done.returncode}'}")
    return done.stdout.strip()
