"""Language sampling: XLM's formula, quotas that no language exceeds, and a choice of lines that depends on the seed."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wikixlm.bpe.sampling import LineSampler, probabilities, quotas

SIZES = st.dictionaries(st.text("abcdef", min_size=1), st.integers(0, 10**9), min_size=1)


def test_probabilities_are_the_formula_of_the_paper():
    assert probabilities({"en": 400, "hi": 100}, 0.5) == pytest.approx({"en": 2 / 3, "hi": 1 / 3})
    assert probabilities({"en": 400, "hi": 100}, 1.0) == pytest.approx({"en": 0.8, "hi": 0.2})
    assert probabilities({"en": 400, "hi": 100}, 0.0) == pytest.approx({"en": 0.5, "hi": 0.5})


@given(SIZES, st.floats(0, 1), st.integers(1, 10**8))
def test_quotas_use_up_what_is_wanted_and_no_language_gives_more_than_it_has(sizes, alpha, wanted):
    given_lines = quotas(sizes, alpha, wanted)
    assert given_lines.keys() == sizes.keys()
    assert math.isclose(sum(given_lines.values()), min(wanted, sum(sizes.values())), rel_tol=1e-6, abs_tol=1e-6)
    assert all(quota <= sizes[language] * (1 + 1e-9) for language, quota in given_lines.items())


def test_what_a_small_language_cannot_give_is_shared_in_the_proportions_of_the_others():
    assert quotas({"en": 900, "fr": 400, "hi": 4}, 0.5, 104) == pytest.approx({"en": 60, "fr": 40, "hi": 4})


def test_the_sample_has_the_size_asked_for_and_depends_on_seed_and_language_only():
    lines = [(str(number % 700), f"line {number}") for number in range(20_000)]
    sampler = LineSampler(42, "en", 0.25)
    taken = [line for line in lines if sampler.selects(*line)]
    assert abs(len(taken) - 5000) < 5 * math.sqrt(20_000 * 0.25 * 0.75)
    random.Random(0).shuffle(lines)
    assert {line for line in lines if LineSampler(42, "en", 0.25).selects(*line)} == set(taken)
    for other in (LineSampler(43, "en", 0.25), LineSampler(42, "fr", 0.25)):
        assert {line for line in lines if other.selects(*line)} != set(taken)


def test_a_share_of_one_takes_every_line_and_of_zero_none():
    for number in range(1000):
        assert LineSampler(1, "en", 1.0).selects(str(number), "")
        assert not LineSampler(1, "en", 0.0).selects(str(number), "")
