"""docs/security.md has the table that the tests' registry makes."""

from tests.security import test_hostile_models, test_numbers  # noqa: F401  (they register)
from tests.security.registry import OUTCOMES, PAGE, table


def test_the_page_lists_the_attacks_that_are_tested():
    page = PAGE.read_text(encoding="utf-8")
    assert OUTCOMES
    for row in table().splitlines():
        assert row in page, f"docs/security.md lacks a row; the table is:\n{table()}"
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(rows) == len(OUTCOMES) + 2, f"docs/security.md has rows without a test; the table is:\n{table()}"
