"""What a training asks of SLURM about its own job: when it ends, and to be started again after that.

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


def go_on_later(message: str) -> None:
    """In a SLURM job: put it back into the queue, and wait until SLURM ends this run of it.

    Returns where there is no job, or where SLURM refuses (a job that was submitted with --no-requeue), with a warning.
    """
    job = job_id()
    if job is None:
        return
    console.say(f"{message}; job {job} goes back into the queue")
    try:
        _ask("scontrol", "requeue", job)
    except UserError as failure:
        console.warn(f"the job can't be requeued ({failure}), so going on spends one of Snakemake's retries")
        return
    time.sleep(SECONDS_TO_BE_ENDED)


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
