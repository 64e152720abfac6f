"""What goes wrong on a cluster, and what becomes of the run.

The calls of snakemake start together and each test waits for its own: most of their time is SLURM's.
"""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.slurm.cluster import wait_for
from tests.slurm.conftest import SlurmRun

# One job of two rules: `corpus` and `tokenize` of one shard.
TARGET = "work/tokenized/en/00000-of-00001.jsonl.zst"
ONE_SHARD = {"extract": {"shards": 1}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory, cluster):
    """The runs by name, each with its first call."""
    arguments = {
        "out of memory": ["--set-resources", "corpus:mem_mb=40*attempt**4", "tokenize:mem_mb=40*attempt**4"],
        "hanging": ["--set-resources", "corpus:runtime=attempt", "tokenize:runtime=0"],
        "cancelled": [],
        "failing": [],
        "without sacct": [],
    }
    found = {}
    for name, more in arguments.items():
        run = SlurmRun(tmp_path_factory.mktemp(name.replace(" ", "_")), cluster)
        run.small(**ONE_SHARD)
        if name == "failing":
            (run.directory / "en.txt").write_bytes(b"\xff\xfe no text\n")
        path = {"path": path_without_sacct(run.directory)} if name == "without sacct" else {}
        found[name] = run, run.start(TARGET, *more, **path)
    yield found
    cluster.cancel_all()


def path_without_sacct(directory: Path) -> str:
    """A PATH with all programs of this machine, but for sacct the stub of profiles/README.md."""
    programs = directory / "bin"
    programs.mkdir()
    for program in Path("/usr/bin").iterdir():
        if program.name != "sacct":
            (programs / program.name).symlink_to(program)
    stub = programs / "sacct"
    stub.write_text("#!/bin/sh\nexit 1\n")
    stub.chmod(0o755)
    return str(programs)


def states(call) -> list[str]:
    return [job["JobState"] for job in call.jobs()]


def stage(directory: Path, name: str) -> int:
    """The process of a stage that runs in a directory."""

    def find() -> list[int]:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_text().split("\0")
                if words[1:4] == ["-m", "wikixlm", name] and (entry / "cwd").readlink() == directory:
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    wait_for(find, 120, f"{name} to run in {directory}")
    return find()[0]


def test_a_hanging_job_meets_its_time_limit_and_is_sent_again(runs):
    run, call = runs["hanging"]
    os.kill(stage(run.directory, "corpus"), signal.SIGSTOP)
    runs["cancelled"][1].wait_for_job("shards")
    run.cluster.ask("scancel", runs["cancelled"][1].jobs()[0]["JobId"])
    call.wait()
    assert call.status == 0, call.text
    assert states(call) == ["TIMEOUT", "COMPLETED"]
    assert [job["TimeLimit"] for job in call.jobs()] == ["00:01:00", "00:02:00"]


def test_a_cancelled_job_is_sent_again(runs):
    _, call = runs["cancelled"]
    call.wait()
    assert call.status == 0, call.text
    assert states(call) == ["CANCELLED", "COMPLETED"]


def test_a_job_out_of_memory_is_sent_again_with_more(runs):
    run, call = runs["out of memory"]
    call.wait()
    assert call.status == 0, call.text
    print(states(call), [job["TRES"] for job in call.jobs()])
    assert states(call)[0] != "COMPLETED"
    assert states(call)[-1] == "COMPLETED"
    assert (run.directory / TARGET).is_file()


def test_a_failing_job_is_sent_again_and_then_reported(runs):
    run, call = runs["failing"]
    call.wait()
    assert call.status == 1
    assert states(call) == ["FAILED"] * 3
    log = run.directory / "logs" / "extract" / "en" / "00000-of-00001.log"
    assert str(log.relative_to(run.directory)) in call.text
    assert "error: " in log.read_text()
    assert not (run.directory / TARGET).exists()


def test_a_cluster_without_sacct(runs):
    _, call = runs["without sacct"]
    call.wait()
    assert call.status == 0, call.text
    assert states(call) == ["COMPLETED"]


def test_interrupted_and_started_again(run):
    run.small(**ONE_SHARD)
    call = run.start(TARGET)
    call.wait_for_job("shards")
    call.kill(signal.SIGINT)
    assert call.wait(60) != 0
    wait_for(lambda: states(call) == ["CANCELLED"], 30, "the job to be cancelled")
    again = run.run(TARGET)
    assert again.status == 0, again.text
    assert states(again) == ["COMPLETED"]


def test_killed_and_started_again(run):
    run.small(**ONE_SHARD)
    call = run.start(TARGET)
    call.wait_for_job("shards")
    call.kill(signal.SIGKILL)
    call.wait(60)
    refused = run.run(TARGET)
    assert refused.status != 0
    assert "--unlock" in refused.text
    wait_for(lambda: states(call) == ["COMPLETED"], 60, "the job to end: it goes on by itself")
    assert run.run("--unlock").status == 0
    again = run.run(TARGET)
    assert again.status == 0, again.text


def test_a_controller_that_restarts_in_the_middle_of_a_run(run):
    run.small(**ONE_SHARD)
    call = run.start(TARGET)
    call.wait_for_job("shards")
    run.cluster.stop_daemon("slurmctld")
    time.sleep(5)
    run.cluster.start_controller()
    call.wait()
    assert call.status == 0, call.text
    assert states(call) == ["COMPLETED"]
