"""docs/security.md has the attacks that the tests make, each with an outcome."""

import ast

import pytest

from tests.security.page import PAGE, _marks, attacks, page


def test_the_page_is_current():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.security.page (a part of make docs)"


def test_every_attack_has_an_outcome_and_a_row_of_its_own():
    found = attacks()
    rows = [(attack.area, attack.what) for attack in found]
    assert len(set(rows)) == len(rows)
    for attack in found:
        assert "not handled" not in attack.outcome and attack.outcome.strip()
        assert not set("|\n") & set(attack.what + attack.outcome), f"breaks the table: {attack}"


@pytest.mark.parametrize("words", ["'model', 'a'", "'elsewhere', 'a', 'b'", "'model', 'a', b", ""])
def test_a_mark_that_would_make_no_row_is_an_error(words):
    with pytest.raises(ValueError, match="test_x, line 1"):
        list(_marks(ast.parse(f"pytest.mark.attack({words})"), "test_x"))
