"""Trainings that are killed, and a disk that is full: the next call goes on, and nothing is lost but a few updates."""

import random
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import fairseq_factory as factory
import pytest

from wikixlm import checkpoints

LANGUAGES = ["en", "bg"]
GOAL = 120


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return factory.make_data(tmp_path_factory.mktemp("data"), LANGUAGES)


def start(words, log: Path, **options) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "wikixlm", *words, "--log", str(log)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)


def updates(folder: Path) -> int:
    return checkpoints.updates(checkpoints.load(folder / "checkpoints" / "checkpoint_last.pt"))


def kill_while_running(process, log: Path, moment) -> None:
    """SIGKILL the command once it trains and `moment()` is true."""
    end = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < end:
        if log.exists() and '"num_updates"' in log.read_text(errors="replace") and moment():
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.001)
    process.wait(60)


@pytest.mark.slow
def test_a_training_killed_again_and_again_reaches_its_goal(data, tmp_path):
    words = factory.train_arguments(data, tmp_path, LANGUAGES, max_update=GOAL, save_interval_updates=5)
    rng = random.Random(0)
    folder, reached = tmp_path / "checkpoints", []
    moments = [lambda: any(folder.glob("*.tmp")) or any(folder.glob(".*.tmp"))]  # while it writes a checkpoint
    delays = [rng.uniform(0, 1.5) for _ in range(4)]
    moments += [lambda delay=delay: time.monotonic() - begin > delay for delay in delays]
    for number, moment in enumerate(moments):
        log = tmp_path / f"log{number}"
        process = start(words, log)
        wait_for_line(log, "Start iterating over samples", process)
        begin = time.monotonic()
        kill_while_running(process, log, moment)
        output = process.stderr.read()
        assert "error: " not in output
        reached += [int(found) for found in re.findall(r"going on from update (\d+)", output)]
    done = start(words, tmp_path / "last")
    output = done.communicate(timeout=300)[1]
    assert done.returncode == 0, output
    reached += [int(found) for found in re.findall(r"going on from update (\d+)", output)]
    assert reached == sorted(reached), "never back behind a checkpoint"
    assert reached[-1] > 0
    assert updates(tmp_path) == GOAL
    assert checkpoints.load(tmp_path / "model.pt")
    epoch = checkpoints.load(folder / "checkpoint_last.pt")["extra_state"]["train_iterator"]["epoch"]
    assert epoch > 2, "the kills were to fall in several epochs"


def wait_for_line(log: Path, text: str, process) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        if log.exists() and text in log.read_text(errors="replace"):
            return
        time.sleep(0.01)


def test_a_disk_without_room_is_one_error_line_and_the_next_call_recovers(data, tmp_path):
    words = factory.train_arguments(data, tmp_path, LANGUAGES)

    def little_room():
        """Stands in for a full disk, which needs a file system of its own; torch meets both while it writes."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    process = start(words, tmp_path / "log", preexec_fn=little_room)
    output = process.communicate(timeout=200)[1]
    assert process.returncode == 1
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "a checkpoint can't be written" in errors[0]
    assert "Traceback" not in output
    assert not (tmp_path / "model.pt").exists()
    assert not list((tmp_path / "checkpoints").glob("checkpoint*.pt")), "nothing half-written under a good name"
    process = start(words, tmp_path / "log")
    assert process.wait(200) == 0, process.stderr.read()
    assert updates(tmp_path) == 4
    assert not list((tmp_path / "checkpoints").glob("*.tmp"))
