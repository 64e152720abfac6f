"""One small run, really trained and exported, for all tests of what comes after the training."""

import pytest
from export_factory import Run, make_run


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Nothing in it may be changed."""
    return make_run(tmp_path_factory.mktemp("exported"))
