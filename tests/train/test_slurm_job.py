"""What a training asks of SLURM; the programs are stand-ins, the real ones answer in tests/slurm."""

import pytest

from wikixlm.errors import UserError
from wikixlm.train import slurm


@pytest.fixture
def job(tmp_path, monkeypatch):
    """A function that makes this process job 7 with such an answer of squeue; gives the list of calls of scontrol."""

    def make(answer: str, scontrol_status: int = 0):
        calls = tmp_path / "scontrol.txt"
        programs = {"squeue": f"echo '{answer}'", "scontrol": f"echo \"$@\" >> '{calls}'; exit {scontrol_status}"}
        for name, script in programs.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        monkeypatch.setenv("SLURM_JOB_ID", "7")
        monkeypatch.setattr(slurm, "SECONDS_TO_BE_ENDED", 0)
        return calls

    return make


def test_a_running_job_goes_back_into_the_queue(job, capfd):
    calls = job("RUNNING")
    slurm.requeue_job("stopped at update 5")
    assert calls.read_text() == "requeue 7\n"
    assert "job 7 is requeued: stopped at update 5" in capfd.readouterr().err


@pytest.mark.parametrize("state", ["CANCELLED", "COMPLETING", "PREEMPTED", ""])
def test_a_job_that_slurm_is_ending_is_left_to_it(job, state):
    calls = job(state)
    slurm.requeue_job("stopped")
    assert not calls.exists()


def test_a_job_that_may_not_be_requeued_says_so(job, capfd):
    job("RUNNING", scontrol_status=1)
    slurm.requeue_job("stopped")
    assert "warning: the job can't be requeued" in capfd.readouterr().err


def test_a_job_with_another_number_of_nodes_is_refused(job):
    job("1")
    with pytest.raises(UserError, match=r"train\.nodes is 2, but SLURM job 7 has 1"):
        slurm.srun_once_per_node(2, 4)


def test_the_command_starts_once_on_each_node(job):
    job("2")
    command = slurm.srun_once_per_node(2, 4)
    assert command[0] == "srun"
    assert {"--nodes=2", "--ntasks=2", "--ntasks-per-node=1", "--cpus-per-task=4"} <= set(command)


def test_outside_slurm_nothing_is_asked(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    slurm.requeue_job("stopped")
    assert slurm.minutes_until_stop() is None
