"""Fixtures that tests of several rooms share."""

import signal
from collections.abc import Iterator

import pytest

from tests.support.exports import Run, make_run


@pytest.fixture(scope="session", autouse=True)
def signals_as_in_a_terminal() -> Iterator[None]:
    """Under nohup SIGHUP is ignored, in a shell's background SIGINT, and so by whatever a test starts."""
    defaults = {signal.SIGHUP: signal.SIG_DFL, signal.SIGINT: signal.default_int_handler}
    inherited = {number: signal.signal(number, handler) for number, handler in defaults.items()}
    yield
    for number, handler in inherited.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One small run, really trained and exported; nothing in it may be changed."""
    return make_run(tmp_path_factory.mktemp("exported"))
