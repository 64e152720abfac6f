"""Nothing that a failed test started goes on running."""

import pytest


@pytest.fixture(autouse=True)
def no_trainer_left():
    from tests.support import training

    yield
    for process in training.started:
        if process.poll() is None:
            process.kill()
            process.wait()
    training.started.clear()
