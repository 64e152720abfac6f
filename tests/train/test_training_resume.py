"""Trainings that are killed: the next call goes on, and ends with the weights of one that nothing interrupted."""

import os
import random
import re
import signal
import time

import psutil
import pytest

from tests.support import fairseq_data as factory
from tests.support import training
from tests.support.waiting import descendants, is_alive
from wikixlm.train import checkpoints
from wikixlm.train.metrics import METRICS, read_metrics

GOAL = 100


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """About 35 updates an epoch."""
    return factory.make_data(tmp_path_factory.mktemp("data"), training.LANGUAGES, train=150)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    status, output = training.finish(words(data, folder), folder / "log")
    assert status == 0, output
    return folder


def words(data, folder, *options, **changes):
    return training.words(data, folder, *options, **{"max_update": GOAL, "save_interval_updates": 10, **changes})


def epoch(folder):
    """The epoch of the last checkpoint."""
    return checkpoints.load(folder / "checkpoints" / "checkpoint_last.pt")["extra_state"]["train_iterator"]["epoch"]


@pytest.mark.slow
def test_a_training_killed_again_and_again_ends_with_the_same_weights(data, whole, tmp_path):
    """SIGKILL to the command or to its trainer: in epoch 1 and 2, at random, and while a checkpoint is written."""
    rng = random.Random(time.time_ns())
    folder = tmp_path / "checkpoints"
    writing = lambda: any(folder.glob("*.tmp")) or any(folder.glob(".*.tmp"))  # noqa: E731
    ranges = [(2, 30), (31, 45), (45, 60), (60, 75)]  # of updates
    targets = [rng.randint(*between) for between in ranges]
    print("kills at", targets)
    moments = [(lambda log, target=target: training.updates_logged(log) >= target) for target in targets]
    moments.append(lambda log: training.updates_logged(log) > 0 and writing())
    reached, epochs = [], []
    for number, moment in enumerate(moments):
        log = tmp_path / f"log{number}"
        process = training.start(words(data, tmp_path), log)
        assert training.reaches(lambda moment=moment, log=log: moment(log), process)
        trainers = descendants(process.pid)
        os.kill(rng.choice([process.pid, *trainers]), signal.SIGKILL)
        process.wait(60)
        output = process.stderr.read()
        assert "Traceback" not in output
        reached += [int(found) for found in re.findall(r"resuming from update (\d+)", output)]
        if (folder / "checkpoint_last.pt").exists():
            epochs.append(epoch(tmp_path))
    status, output = training.finish(words(data, tmp_path), tmp_path / "last")
    assert status == 0, output
    reached += [int(found) for found in re.findall(r"resuming from update (\d+)", output)]
    print("went on from", reached, "in epochs", epochs)
    assert reached == sorted(reached), "never back behind a checkpoint"
    assert min(epochs) == 1
    assert max(epochs) >= 2
    for name in ("checkpoint_last.pt", "checkpoint_best.pt"):
        assert training.updates(tmp_path, name) == training.updates(whole, name)
        assert training.same_weights(whole, tmp_path, name), name
    metrics_of_each_update_once(whole, tmp_path)


def figures_of(folder):
    """The rows of a training in their order, by split and update."""
    rows = list(read_metrics(folder / "checkpoints" / METRICS))
    figures = {(row["split"], row["update"]): row for row in rows}
    assert len(figures) == len(rows), "no update twice"
    return figures


def metrics_of_each_update_once(whole, killed):
    """The metrics of a killed training are those of a whole one, but for the clock, and updates that were lost."""
    expected, found = map(figures_of, (whole, killed))
    for figures in (expected, found):
        walls = [row["wall"] for row in figures.values()]
        assert walls == sorted(walls)
    assert found.keys() == expected.keys()
    for key, row in expected.items():
        assert found[key]["loss"] == pytest.approx(row["loss"], abs=1e-3), key
        assert found[key].get("languages") == row.get("languages")


def test_a_killed_command_takes_no_figures_along(data, tmp_path):
    """The command stands still while its trainer goes on to the next checkpoint; then it is killed."""
    log, saved = tmp_path / "log", tmp_path / "checkpoints" / "checkpoint_last.pt"
    process = training.start(words(data, tmp_path), log)
    assert training.reaches(lambda: training.updates_logged(log) > 0, process)
    os.kill(process.pid, signal.SIGSTOP)
    assert training.reaches(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED, process)
    logged = training.updates_logged(log)
    assert training.reaches(lambda: saved.exists() and training.updates(tmp_path) > logged, process)
    process.kill()
    process.wait(60)
    assert training.updates_logged(log) == logged
    status, output = training.finish(words(data, tmp_path), tmp_path / "last")
    assert status == 0, output
    assert [update for split, update in figures_of(tmp_path) if split == "train"] == list(range(1, GOAL + 1))


def test_figures_that_can_not_be_written_are_told_of_on_the_terminal(data, tmp_path):
    process = training.start(words(data, tmp_path), tmp_path / "log")
    assert training.reaches(lambda: training.updates_logged(tmp_path / "log") > 0, process)
    (tmp_path / "full").symlink_to("/dev/full")
    (tmp_path / "full").rename(tmp_path / "checkpoints" / METRICS)
    output = process.communicate(timeout=240)[1]
    assert process.returncode == 0, output
    (warning,) = (line for line in output.splitlines() if line.startswith("warning: "))
    assert f"{METRICS}: No space left on device; training continues without it" in warning


@pytest.mark.slow
def test_two_workers_give_the_figures_of_one_with_twice_the_batches(data, tmp_path):
    """Without dropout, whose random numbers fairseq draws once per update. Two workers also resume."""
    rows = {}
    for workers, goals in ((1, [40]), (2, [25, 40])):
        folder = tmp_path / str(workers)
        folder.mkdir()
        for goal in goals:
            changes = {"update_freq": 2 // workers, "dropout": 0.0, "attention_dropout": 0.0, "lr_decay": "none"}
            arguments = words(data, folder, "--gpus", str(workers), max_update=goal, **changes)
            status, output = training.finish(arguments, folder / "log")
            assert status == 0, output
        rows[workers] = {update: row for (split, update), row in figures_of(folder).items() if split == "valid"}
    one, two = rows[1], rows[2]
    assert len(one.keys() & two.keys()) >= 4
    for update in one.keys() & two.keys():
        assert two[update]["loss"] == pytest.approx(one[update]["loss"], abs=1e-4)
        for code in training.LANGUAGES:
            found, expected = two[update]["languages"][code], one[update]["languages"][code]
            assert found["loss"] == pytest.approx(expected["loss"], abs=1e-4)


@pytest.mark.slow
def test_two_trainings_of_one_save_directory(data, tmp_path):
    first = training.start(words(data, tmp_path, max_update=100000), tmp_path / "log")
    assert training.reaches(lambda: training.updates_logged(tmp_path / "log") > 0, first)
    status, output = training.finish(words(data, tmp_path, max_update=100000), tmp_path / "second")
    assert status == 1
    assert f"checkpoints is in use by process {first.pid} on " in output
    assert first.poll() is None
    first.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_worker_outlives_its_command(data, tmp_path, number):
    arguments = words(data, tmp_path, "--gpus", "2", max_update=100000)
    process = training.start(arguments, tmp_path / "log")
    assert training.reaches(lambda: training.updates_logged(tmp_path / "log") > 0, process)
    trainers = descendants(process.pid)
    assert len(trainers) >= 3, "torchrun and two workers"
    process.send_signal(number)
    assert process.wait(60) != 0
    end = time.monotonic() + 20
    while any(map(is_alive, trainers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(is_alive, trainers))
