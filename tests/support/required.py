"""Tests that need a program of the system: skipped where it is missing, failed where everything must be tested."""

import os
from typing import NoReturn

import pytest


def lacking(reason: str) -> NoReturn:
    """End the test: with WIKIXLM_REQUIRE_ALL=1, as in CI, a skip would hide a test that never runs."""
    if os.environ.get("WIKIXLM_REQUIRE_ALL") == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)
