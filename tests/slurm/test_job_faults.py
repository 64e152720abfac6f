"""What goes wrong with a job, or with snakemake, and what becomes of the run."""

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.slurm.conftest import PROFILE, Call
from tests.support.waiting import wait_for

WITHOUT_ACCOUNTING = PROFILE / "bin"
# One job of two rules: `corpus` and `tokenize` of one shard.
TARGET = "work/tokenized/en/00000-of-00001.jsonl.zst"
FIRST_HALF = "work/counts/extract/en/00000-of-00001.json"


@pytest.fixture
def run(run):
    """A run of one shard."""
    run.small(extract={"shards": 1})
    return run


def start_held(run, *arguments: str, **options: str) -> "tuple[Call, int]":
    """Start a call, and wait until the stage of the job's first half hangs: the call, and the stage's process."""
    (run.directory / "hold").touch()
    call = run.start(*arguments, **options)
    return call, wait_for(lambda: hanging(run), 180, "the stage to hang")[0]


def hanging(run) -> list[int]:
    """Its stages of this kind that hang."""
    stages = run.stage("wikixlm", "corpus")
    return [pid for pid in stages if psutil.Process(pid).status() == psutil.STATUS_STOPPED]


def test_a_hanging_job_meets_its_time_limit_and_is_sent_again(run):
    call, _ = start_held(run, TARGET, "--set-resources", "corpus:runtime=attempt", "tokenize:runtime=0")
    call.wait()
    assert call.status == 0, call.text
    assert call.states() == ["TIMEOUT", "COMPLETED"]
    assert [job["TimeLimit"] for job in call.jobs()] == ["00:01:00", "00:02:00"]


def test_a_job_out_of_memory_is_sent_again_with_more(run):
    call = run.run(TARGET, "--set-resources", "corpus:mem_mb=40*attempt**4", "tokenize:mem_mb=40*attempt**4")
    assert call.status == 0, call.text
    assert call.states()[0] != "COMPLETED"
    assert call.states()[-1] == "COMPLETED"
    memory = [int(job["MinMemoryNode"].removesuffix("M")) for job in call.jobs()]
    assert memory == [40, 640, 3240][: len(memory)]
    assert (run.directory / TARGET).is_file()


def test_a_cancelled_job_is_sent_again(run):
    call, _ = start_held(run, TARGET)
    run.cluster.ask("scancel", call.wait_for_job("shards")["JobId"])
    call.wait()
    assert call.status == 0, call.text
    assert call.states() == ["CANCELLED", "COMPLETED"]


def test_a_failing_job_is_sent_again_and_then_reported(run):
    (run.directory / "en.txt").write_bytes(b"\xff\xfe no text\n")
    call = run.run(TARGET)
    assert call.status == 1
    assert call.states() == ["FAILED"] * 3
    log = run.directory / "logs" / "extract" / "en" / "00000-of-00001.log"
    assert str(log.relative_to(run.directory)) in call.text
    assert "error: " in log.read_text()
    assert not (run.directory / TARGET).exists()


def test_a_cluster_without_sacct(run):
    """profiles/README.md tells of the program that takes its place."""
    programs = run.directory / "bin"
    programs.mkdir()
    for program in Path("/usr/bin").iterdir():
        if program.name != "sacct":
            (programs / program.name).symlink_to(program)
    call = run.start(TARGET, path=f"{WITHOUT_ACCOUNTING}:{programs}")
    call.wait()
    assert call.status == 0, call.text
    assert call.states() == ["COMPLETED"]


def test_interrupted_and_started_again(run):
    call, _ = start_held(run, TARGET)
    call.kill(signal.SIGINT)
    assert call.wait(60) != 0
    wait_for(lambda: call.states() == ["CANCELLED"], 30, "the job to be cancelled")
    again = run.run(TARGET)
    assert again.status == 0, again.text
    assert again.states() == ["COMPLETED"]


def test_killed_and_started_again(run):
    call = run.start(TARGET)
    call.wait_for_job("shards")
    call.kill(signal.SIGKILL)
    call.wait(60)
    refused = run.run(TARGET)
    assert refused.status != 0
    assert "--unlock" in refused.text
    wait_for(lambda: call.states() == ["COMPLETED"], 180, "the job to end: it goes on by itself")
    assert run.run("--unlock").status == 0
    again = run.run(TARGET)
    assert again.status == 0, again.text


@pytest.mark.alone
@pytest.mark.timeout(600, func_only=True)  # not while it waits for the others
@pytest.mark.parametrize(("seconds", "path"), [(1, ""), (65, f"{WITHOUT_ACCOUNTING}:")], ids=["a second", "a minute"])
def test_a_controller_that_is_down_in_the_middle_of_a_run(run, seconds, path):
    """After ten seconds the plugin asks sacct instead, and where that can only fail it forgets the job and hangs.

    (A job of two rules would not tell more: the second step can wait two minutes before it asks the controller again.)
    """
    call, stage = start_held(run, FIRST_HALF, path=f"{path}/usr/bin:/bin:/usr/sbin")
    run.cluster.stop_daemon("slurmctld")
    time.sleep(seconds)
    assert call.status is None, call.text
    run.cluster.start_controller()
    wait_for(lambda: run.cluster.node_states("one") == {"mixed"}, 60, "the node to answer")
    os.kill(stage, signal.SIGCONT)
    call.wait()
    assert call.status == 0, call.text
    assert call.states() == ["COMPLETED"]
