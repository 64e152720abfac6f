"""Masks: a pure function of (seed, epoch, example index), with BERT's proportions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wikixlm.model.masking import Masking, mask_tokens
from wikixlm.model.stateless_random import derive_key, permuted

MASKING = Masking(mask_id=4, first_id=5, last_id=1000)


def examples(count: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    tokens = rng.integers(5, 1000, (count, width))
    lengths = rng.integers(1, width + 1, count)
    tokens[np.arange(width) >= lengths[:, None]] = 1
    return tokens, lengths


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.integers(1, 70), st.integers(0, 2**31), st.integers(0, 10**6), st.floats(0.01, 1.0))
def test_each_example_alone_gets_the_masks_it_gets_in_a_batch(count, width, seed, epoch, ratio):
    tokens, lengths = examples(count, width)
    masking = Masking(4, 5, 1000, ratio)
    indices = np.random.default_rng(seed).integers(0, 2**40, count)
    source, chosen = mask_tokens(tokens, lengths, indices, seed, epoch, masking)
    assert (chosen.sum(1) == np.ceil(lengths * ratio)).all()
    assert (source[~chosen] == tokens[~chosen]).all()
    for row in range(count):
        alone = slice(row, row + 1)
        short = tokens[alone, : lengths[row]]
        source_alone, chosen_alone = mask_tokens(short, lengths[alone], indices[alone], seed, epoch, masking)
        assert (source_alone == source[alone, : lengths[row]]).all()
        assert (chosen_alone == chosen[alone, : lengths[row]]).all()
        assert not chosen[row, lengths[row] :].any()


@pytest.mark.parametrize("change", [{"seed": 1}, {"epoch": 2}, {"example_ids": np.arange(1, 65)}])
def test_another_seed_epoch_or_index_gives_other_masks(change):
    tokens, _ = examples(64, 64)
    lengths = np.full(64, 64)
    base = {"example_ids": np.arange(64), "seed": 0, "epoch": 1}
    _, one = mask_tokens(tokens, lengths, masking=MASKING, **base)
    _, two = mask_tokens(tokens, lengths, masking=MASKING, **{**base, **change})
    # independent choices of 10 of 64 agree on 10/64 of the chosen positions
    assert abs((one & two).sum() / one.sum() - 10 / 64) < 0.05


def test_eighty_ten_ten_and_no_place_preferred():
    count, width = 4_000, 50
    tokens = np.random.default_rng(0).integers(5, 1000, (count, width))
    source, chosen = mask_tokens(tokens, np.full(count, width), np.arange(count), 0, 1, MASKING)
    new, old = source[chosen], tokens[chosen]
    assert abs((new == 4).mean() - 0.8) < 0.01
    assert abs((new == old).mean() - 0.1) < 0.01
    random = new[(new != 4) & (new != old)]
    assert random.min() >= 5
    assert random.max() < 1000
    assert len(np.unique(random)) > 900
    assert abs(chosen.mean(0) - 8 / 50).max() < 0.03


@pytest.mark.parametrize("values", [(4, 5, 5, 0.15), (4, 5, 9, 0.0), (4, 5, 9, 1.1), (4, 5, 9, 0.15, 0.8, 0.3)])
def test_impossible_masking_is_refused(values):
    with pytest.raises(ValueError, match=r"symbols|ratio"):
        Masking(*values)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5_000), st.integers(0, 2**60))
def test_shuffled_is_a_permutation(size, seed):
    positions = np.arange(size)
    assert sorted(permuted(positions, size, derive_key(seed))) == list(range(size))


def test_shuffled_leaves_nothing_near_its_place():
    size = 10_000
    order = permuted(np.arange(size), size, derive_key(3, 1))
    assert abs(np.corrcoef(np.arange(size), order)[0, 1]) < 0.05
    assert (np.diff(order) == 1).mean() < 0.01
    assert (order == permuted(np.arange(size), size, derive_key(3, 2))).mean() < 0.01
