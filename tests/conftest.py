"""Fixtures that tests of several rooms share."""

import pytest

from tests.support.exports import Run, make_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One small run, really trained and exported; nothing in it may be changed."""
    return make_run(tmp_path_factory.mktemp("exported"))
