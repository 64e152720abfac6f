"""The attacks that docs/security.md lists, each with its outcome; registered by the tests that make them."""

from collections.abc import Callable
from typing import Any, TypeVar

from tests.workflow.conftest import ROOT

PAGE = ROOT / "docs" / "security.md"
OUTCOMES: dict[str, str] = {}

Test = TypeVar("Test", bound=Callable[..., Any])


def attack(what: str, outcome: str) -> Callable[[Test], Test]:
    """Register a test as the one that makes an attack; the page has a row of both texts."""

    def register(test: Test) -> Test:
        assert OUTCOMES.setdefault(what, outcome) == outcome
        return test

    return register


def table() -> str:
    """The table of the page, in Markdown."""
    rows = [f"| {what} | {outcome} |" for what, outcome in OUTCOMES.items()]
    return "\n".join(["| attack | outcome |", "| --- | --- |", *rows])
