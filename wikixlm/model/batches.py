"""From blocks of text to the batch that the model and the criterion read; training and evaluation share it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from wikixlm.model.blocks import Blocks
from wikixlm.model.masking import Masking, mask_tokens
from wikixlm.model.stateless_random import Integers

Batch = dict[str, Any]


@dataclass(frozen=True)
class Symbols:
    """The dictionary's special ids: padding, and the `</s>` that starts every example."""

    pad: int
    eos: int


def make_batch(
    tokens: Integers,
    lengths: Integers,
    languages: Integers,
    example_ids: Integers,
    masking: Masking,
    seed: int,
    epoch: int,
    symbols: Symbols,
) -> Batch:
    """A masked batch.

    Args:
        tokens: ids, [batch, longest], right-padded, and
        lengths: the tokens of each row, [batch], as `Blocks.read` gives them.
        languages: the rows' language ids, [batch]: rows of the model's segment embeddings.
        example_ids: the examples' numbers, [batch], which with `seed` and `epoch` decide the masks.
        masking: how to mask.
        seed, epoch: with an example's number, all that its masks depend on.
        symbols: special ids.

    Returns:
        `net_input`: the arguments of the model's forward. `src_tokens` ids, [batch, seq_len], right-padded, each
        example starting with `</s>`; `segment_labels` the languages' ids, [batch, 1], broadcast; `masked_tokens`, which
        positions to predict, [batch, seq_len], and the same as `masked_positions` and `masked_selection`; `padded`,
        whether there is any padding.
        `target`: the ids to predict, [num_masked], in the order of the text. `ntargets`, `ntokens` (all tokens without
        padding), `nsentences`, `id`.
    """
    source, chosen = mask_tokens(tokens, lengths, example_ids, seed, epoch, masking)
    batch, block_len = source.shape
    src_tokens = np.full((batch, block_len + 1), symbols.eos, dtype=np.int64)
    src_tokens[:, 1:] = source
    masked = np.zeros((batch, block_len + 1), dtype=np.bool_)
    masked[:, 1:] = chosen
    target = tokens[chosen]
    positions, selection = masked_positions(masked)
    return {
        "id": torch.from_numpy(example_ids),
        "nsentences": batch,
        "ntokens": int(lengths.sum()) + batch,
        "ntargets": len(target),
        "net_input": {
            "src_tokens": torch.from_numpy(src_tokens),
            "segment_labels": torch.from_numpy(languages[:, None]),
            "masked_tokens": torch.from_numpy(masked),
            "masked_positions": torch.from_numpy(positions),
            "masked_selection": None if selection is None else torch.from_numpy(selection),
            "padded": bool((lengths < block_len).any()),
        },
        "target": torch.from_numpy(target),
    }


def masked_positions(masked: npt.NDArray[np.bool_]) -> tuple[Integers, Integers | None]:
    """The masked positions of each row of `masked`, [batch, seq_len], as numbers.

    Blocks of full length have equally many, so most batches need no filling.

    Returns:
        Positions, [batch, max_masked], rows with fewer filled up with position 0; and which entries of these,
        flattened, are real, [num_masked], None where all are.
    """
    counts = masked.sum(axis=1)
    most = int(counts.max())
    positions = np.argsort(~masked, axis=1, kind="stable")[:, :most]
    real = np.arange(most) < counts[:, None]
    if real.all():
        return np.ascontiguousarray(positions), None
    return np.where(real, positions, 0), np.flatnonzero(real)


def held_out_batch(
    blocks: Blocks, block_ids: Integers, language: int, masking: Masking, seed: int, symbols: Symbols
) -> Batch:
    """A batch of one language for validation or evaluation; block i always has the masks of (seed, epoch 0, i)."""
    tokens, lengths = blocks.read(block_ids, symbols.pad)
    languages = np.full_like(block_ids, language)
    return make_batch(tokens, lengths, languages, block_ids, masking, seed, 0, symbols)
