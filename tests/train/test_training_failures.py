"""A full disk, a loss without bounds, damaged data: one line says what to change, and nothing is lost."""

import math
import os
import resource
import shutil
import signal
import subprocess
from collections import deque

import pytest

from tests.support import fairseq_data as factory
from tests.support import training
from tests.support.waiting import descendants, wait_for
from wikixlm.train import process
from wikixlm.train.fairseq import run


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return factory.make_data(tmp_path_factory.mktemp("data"), training.LANGUAGES)


@pytest.fixture(scope="module")
def begun(data, tmp_path_factory):
    """A training of two updates."""
    folder = tmp_path_factory.mktemp("begun")
    status, output = training.finish(training.words(data, folder, max_update=2), folder / "log")
    assert status == 0, output
    return folder


def only_error(output):
    (error,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in output
    return error


def test_a_checkpoint_that_can_not_be_written_leaves_the_one_before(data, begun, tmp_path):
    shutil.copytree(begun, folder := tmp_path / "run")
    before = (folder / "checkpoints" / "checkpoint_last.pt").read_bytes()
    arguments = training.words(data, folder, max_update=4)

    def little_room():
        """Stands in for a full disk, which needs a file system of its own; torch meets both while it writes."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    status, output = training.finish(arguments, tmp_path / "log", preexec_fn=little_room)
    assert status == 1
    assert "a checkpoint can't be written" in only_error(output)
    assert (folder / "checkpoints" / "checkpoint_last.pt").read_bytes() == before
    assert training.updates(folder) == 2
    status, output = training.finish(arguments, tmp_path / "log")
    assert status == 0, output
    assert training.updates(folder) == 4
    assert not list((folder / "checkpoints").glob("*.tmp"))


@pytest.fixture
def small_disk(begun, tmp_path):
    """A file system with room for the checkpoints there are, and half a one more."""
    disk = tmp_path / "disk"
    disk.mkdir()
    used = sum(path.stat().st_size for path in (begun / "checkpoints").iterdir())
    size = used + (begun / "checkpoints" / "checkpoint_last.pt").stat().st_size // 2
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("only root may mount a small file system")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.slow
def test_a_full_disk_leaves_the_checkpoint_before(data, begun, small_disk):
    shutil.copytree(begun / "checkpoints", small_disk / "checkpoints")
    log = begun / "log"
    before = (small_disk / "checkpoints" / "checkpoint_last.pt").read_bytes()
    arguments = training.words(data, small_disk, max_update=4)
    status, output = training.finish(arguments, log)
    assert status == 1
    assert "disk" in only_error(output)
    assert (small_disk / "checkpoints" / "checkpoint_last.pt").read_bytes() == before
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    status, output = training.finish(arguments, log)
    assert status == 0, output
    assert "resuming from update 2 of 4" in output
    assert training.updates(small_disk) == 4


@pytest.mark.parametrize("recipe", ["wikixlm", pytest.param("tutorial", marks=pytest.mark.slow)])
def test_a_loss_without_bounds_says_what_to_change(data, tmp_path, recipe):
    arguments = training.words(data, tmp_path, recipe=recipe, lr=1e6, max_update=50, save_interval_updates=1000)
    status, output = training.finish(arguments, tmp_path / "log")
    assert status == 1
    error = only_error(output)
    assert "train.lr" in error
    assert "train.warmup_updates" in error
    assert not (tmp_path / "model.pt").exists()


def test_a_loss_scale_at_its_minimum_says_what_to_change():
    """Fairseq's own message, since fp16 needs a GPU."""
    from wikixlm.train.fairseq import compat

    compat.apply()
    from fairseq.optim.dynamic_loss_scaler import DynamicLossScaler

    scaler = DynamicLossScaler(init_scale=1, min_loss_scale=0.5)
    with pytest.raises(FloatingPointError) as failure:
        for _ in range(9):
            try:
                scaler.check_overflow(math.inf)
            except OverflowError:
                scaler._iter += 1
    lines = deque([f"FloatingPointError: {failure.value}"])
    assert "lower train.lr, or set train.precision to bf16 or fp32" in process._cause(lines, 1)


def test_damaged_data_is_the_trainers_own_line(data, tmp_path):
    damaged = tmp_path / "data"
    shutil.copytree(data, damaged)
    with open(damaged / "train.bg.bin", "rb+") as stream:
        stream.truncate((damaged / "train.bg.bin").stat().st_size - 1)
    status, output = training.finish(training.words(damaged, tmp_path), tmp_path / "log")
    assert status == 1
    assert only_error(output).startswith(f"error: {damaged / 'train.bg.bin'} is cut short")
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_data_loaders_error_is_one_line_without_its_traceback(capsys):
    nested = "Caught UserError in DataLoader worker process 0. Original Traceback: … wikixlm.errors.UserError: x is cut"
    assert run.report(run.UserError(nested)) == 1
    assert capsys.readouterr().out == "error: x is cut\n"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (
            "E1128 api.py:1003] failed (exitcode: -9) local_rank: 1 (pid: 77) of binary: python",
            "worker 1 (process 77) of fairseq-train was ended by SIGKILL; was the machine out of memory?",
        ),
        (
            "RuntimeError: DataLoader worker (pid 78) is killed by signal: Killed. ",
            "a data loader (process 78) was ended (Killed); was the machine out of memory?",
        ),
        ("ConnectionResetError: [Errno 104] Connection reset by peer", "a data loader was ended; was the machine"),
    ],
)
def test_a_killed_process_is_named(line, says):
    cause = process._cause(deque([line, "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "]), 1)
    assert cause.startswith(says)
    assert cause.endswith("Run again: it resumes from the last checkpoint")


@pytest.mark.slow
def test_a_killed_worker_is_named(data, tmp_path):
    arguments = training.words(data, tmp_path, "--gpus", "2", max_update=100000)
    command = training.start(arguments, tmp_path / "log")
    wait_for(lambda: training.updates_logged(tmp_path / "log") > 0, process=command)
    worker = descendants(command.pid)[-1]
    os.kill(worker, signal.SIGKILL)
    error = only_error(command.communicate(timeout=120)[1])
    assert f"(process {worker}) of fairseq-train was ended by SIGKILL; was the machine out of memory?" in error
