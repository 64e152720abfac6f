"""Masking: which tokens of an example the model must predict, and what it sees in their place.

The choice is a pure function of (seed, epoch, example index): training, validation, `wikixlm evaluate` and a resumed
run all see the same masks for the same example, however examples are batched and whichever worker reads them. The
scheme is BERT's and XLM's (Devlin et al. 2019; Lample and Conneau 2019): of the chosen tokens 80 % are replaced by
`<mask>`, 10 % by a random symbol, 10 % stay as they are. As in fairseq's legacy MaskedLMDataset exactly
ceil(ratio * length) tokens of each example are chosen, line ends (`</s>`) included, the leading `</s>` never.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wikixlm.model.stateless_random import Integers, derive_key, random_words

# What validation and evaluation mask, whatever the training masks: the field's figures are for 15 %.
HELD_OUT_RATIO = 0.15


@dataclass(frozen=True)
class Masking:
    """How to mask: symbol ids and shares.

    Attributes:
        mask_id: id of `<mask>`.
        first_id, last_id: random replacements are drawn from range(first_id, last_id); the special symbols lie below.
        ratio: share of an example's tokens to predict.
        masked, random: shares of those that become `<mask>` and a random symbol.
    """

    mask_id: int
    first_id: int
    last_id: int
    ratio: float = HELD_OUT_RATIO
    masked: float = 0.8
    random: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1:
            raise ValueError(f"the masking ratio is {self.ratio}; it must be above 0 and at most 1")
        if min(self.masked, self.random) < 0 or self.masked + self.random > 1:
            raise ValueError(f"the shares of <mask> ({self.masked}) and random symbols ({self.random}) exceed 1")
        if not 0 <= self.first_id < self.last_id:
            raise ValueError(f"no symbols to draw replacements from: ids {self.first_id} to {self.last_id}")


def mask_tokens(
    tokens: Integers, lengths: Integers, example_ids: Integers, seed: int, epoch: int, masking: Masking
) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Mask a batch of examples.

    Args:
        tokens: ids, [batch, seq_len]; what lies beyond an example's length is never chosen.
        lengths: tokens of each example, [batch], each at most `seq_len`.
        example_ids: the number of each example, [batch].
        seed, epoch: with an example's number, all that its masks depend on.
        masking: how to mask.

    Returns:
        What the model sees, [batch, seq_len], and which tokens it must predict, [batch, seq_len].
    """
    seq_len = tokens.shape[1]
    key = derive_key(seed, epoch, example_ids)[:, None]
    counters = 2 * np.arange(seq_len, dtype=np.int64)
    order = random_words(key, counters)
    order[np.arange(seq_len) >= lengths[:, None]] = np.iinfo(np.uint64).max
    counts = np.ceil(lengths * masking.ratio).astype(np.int64)
    chosen = np.zeros(tokens.shape, dtype=np.bool_)
    np.put_along_axis(chosen, order.argsort(axis=1), np.arange(seq_len) < counts[:, None], axis=1)
    source = tokens.copy()
    source[chosen] = _replacements(tokens[chosen], random_words(key, counters + 1)[chosen], masking)
    return source, chosen


def _replacements(tokens: Integers, random: npt.NDArray[np.uint64], masking: Masking) -> Integers:
    """Replacements of `tokens`: the upper 24 bits of `random` choose the kind, the lower 40 the random symbol."""
    share = (random >> np.uint64(40)).astype(np.float64) / 2**24
    symbols = (random & np.uint64(2**40 - 1)) % np.uint64(masking.last_id - masking.first_id)
    replaced = np.where(share < masking.masked + masking.random, symbols.astype(np.int64) + masking.first_id, tokens)
    return np.where(share < masking.masked, masking.mask_id, replaced)
