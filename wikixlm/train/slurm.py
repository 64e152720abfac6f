"""What a training asks of SLURM about its own job: to start on every node, when it ends, to be started again.

A pretraining takes weeks and a job gets a day, so a training is a chain: shortly before its job's time limit it saves,
and puts the job back into the queue under the same number. To Snakemake that is one job that waits and runs, so no
retry is spent; and should Snakemake itself have been killed, the chain goes on all the same.

(`sbatch --signal` is no way there: `B:USR1` kills the shell that SLURM's plugin wraps the command in, and without `B:`
it kills the Snakemake inside the job. The clock needs neither.)
"""

import os
import subprocess
import time
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


def minutes_to_work() -> float | None:
    """Minutes until this job should save and stop; None outside SLURM, without a limit or without an answer.

    Asked of squeue and not taken from SLURM_JOB_END_TIME, which SLURM before 23.02 does not set.
    """
    job = job_id()
    if job is None:
        return None
    try:
        end = datetime.fromisoformat(_ask("squeue", "--noheader", "--jobs", job, "--format", "%e"))
    except (UserError, ValueError):
        return None
    left = end.timestamp() - time.time()
    return max(0.0, left / 60 - min(MINUTES_BEFORE_LIMIT, PART_OF_LIMIT * left / 60))


def on_every_node(nodes: int, threads: int) -> list[str]:
    """The beginning of a command line that starts the rest of it once on each of this job's nodes.

    The commands end together, and stay alive when SIGUSR1 reaches them before they listen to it.

    Raises:
        UserError: this is no SLURM job, or one with another number of nodes.
    """
    job = job_id()
    if job is None:
        raise UserError(f"train.nodes is {nodes}; several nodes need a SLURM job: use profiles/slurm, or set it to 1")
    given = _ask("squeue", "--noheader", "--jobs", job, "--format", "%D")
    if given != str(nodes):
        raise UserError(f"train.nodes is {nodes}, but SLURM job {job} has {given}: ask for as many (sbatch --nodes)")
    step = ["srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", f"--cpus-per-task={threads}"]
    step += ["--cpu-bind=none", "--mpi=none", "--input=none", "--kill-on-bad-exit=1"]
    return [*step, "sh", "-c", "trap '' USR1; exec \"$@\"", "sh"]


def go_on_later(message: str) -> None:
    """In a SLURM job: put it back into the queue, and wait until SLURM ends this run of it.

    Returns where there is no job; where it is ending already, because SLURM cancels it or puts it back itself (one that
    is preempted with a time of grace still counts as running, and just ending would be its end); and, with a warning,
    where SLURM refuses (a job that was submitted with --no-requeue).
    """
    job = job_id()
    if job is None or _state(job) != "RUNNING":
        return
    console.say(f"job {job} goes back into the queue: {message}")
    try:
        _ask("scontrol", "requeue", job)
    except UserError as failure:
        console.warn(f"the job can't be requeued ({failure}), so going on spends one of Snakemake's retries")
        return
    time.sleep(SECONDS_TO_BE_ENDED)


def _state(job: str) -> str:
    """What squeue calls the job's state; empty without an answer."""
    try:
        return _ask("squeue", "--noheader", "--jobs", job, "--format", "%T")
    except UserError:
        return ""


def _ask(*command: str) -> str:
    """Standard output of one of SLURM's commands.

    Raises:
        UserError: it is not installed, fails or does not answer.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_TO_ANSWER, check=False)
    except (OSError, subprocess.TimeoutExpired) as failure:
        raise UserError(f"{' '.join(command)}: {failure}") from failure
    if done.returncode != 0:
        raise UserError(f"{' '.join(command)}: {done.stderr.strip() or f'exit status {done.returncode}'}")
    return done.stdout.strip()
