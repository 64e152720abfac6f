"""A training that is asked to stop saves a checkpoint, and ends later as if it had never been stopped."""

import os
import signal

import pytest

from tests.support import fairseq_data as factory
from tests.support import training

GOAL = 60


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """About 100 updates an epoch."""
    return factory.make_data(tmp_path_factory.mktemp("data"), training.LANGUAGES, train=400)


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A training that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    status, output = training.finish(training.words(data, folder, max_update=GOAL), folder / "log")
    assert status == 0, output
    return folder


def stop(arguments, folder, number, to_all=False):
    """Ask the training to stop some updates after it began; gives what the terminal showed."""
    process = training.start(arguments, folder / "log")
    assert training.reaches(lambda: training.updates_logged(folder / "log") >= 3, process)
    training.send(process, number, to_all)
    output = process.communicate(timeout=60)[1]
    assert process.returncode == os.EX_TEMPFAIL, output
    assert "Traceback" not in output
    return output


CASES = [
    pytest.param(signal.SIGHUP, 1, False, id="SIGHUP"),
    pytest.param(signal.SIGTERM, 1, True, id="SIGTERM to every process", marks=pytest.mark.slow),
    pytest.param(signal.SIGUSR1, 2, False, id="SIGUSR1, 2 workers", marks=pytest.mark.slow),
    pytest.param(signal.SIGTERM, 2, True, id="SIGTERM to every process, 2 workers", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("number", "workers", "to_all"), CASES)
def test_a_stopped_training_saves_and_goes_on(data, tmp_path, number, workers, to_all):
    options = ["--gpus", str(workers), "--save-interval-updates", "1000"]
    # data-loader workers get the signal too
    changes = {"lr_decay": "none", "extra_args": ["--num-workers", "1"] if to_all else []}
    far = training.words(data, tmp_path, *options, max_update=100000, **changes)
    output = stop(far, tmp_path, number, to_all)
    reached = training.updates(tmp_path)
    assert reached >= 3
    name = signal.Signals(number).name
    (error,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert error.startswith(f"error: training stopped at update {reached} of 100000 by {name}; checkpoint saved")
    assert not (tmp_path / "model.pt").exists()
    nearer = training.words(data, tmp_path, *options, max_update=reached + 1, **changes)
    status, output = training.finish(nearer, tmp_path / "log")
    assert status == 0, output
    assert f"resuming from update {reached} of {reached + 1}" in output


@pytest.mark.slow
def test_a_stopped_training_ends_with_the_weights_of_an_uninterrupted_one(data, whole, tmp_path):
    arguments = training.words(data, tmp_path, max_update=GOAL)
    stop(arguments, tmp_path, signal.SIGUSR1)
    reached = training.updates(tmp_path)
    assert 0 < reached < GOAL
    assert training.finish(arguments, tmp_path / "log")[0] == 0
    assert training.same_weights(whole, tmp_path)
    assert training.same_weights(whole, tmp_path, "checkpoint_best.pt")


def test_a_time_limit_stops_it(data, tmp_path):
    arguments = training.words(data, tmp_path, "--stop-after-minutes", "0.2", max_update=1000000)
    status, output = training.finish(arguments, tmp_path / "log")
    assert status == os.EX_TEMPFAIL
    assert "by --stop-after-minutes 0.2; checkpoint saved" in output
    assert training.updates(tmp_path) > 0
