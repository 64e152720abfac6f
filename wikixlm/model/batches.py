"""From blocks of text to the batch that the model and the criterion take; training and evaluation share it."""

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
    """The dictionary's special ids: padding, and the `</s>` that opens every example."""

    pad: int
    eos: int


def make_batch(
    blocks: Blocks,
    numbers: Integers,
    indices: Integers,
    language: int,
    masking: Masking,
    seed: int,
    epoch: int,
    symbols: Symbols,
) -> Batch:
    """The blocks `numbers` of one language, masked.

    Args:
        blocks: the language's text.
        numbers: which blocks, [examples].
        indices: the examples' numbers, [examples], which with `seed` and `epoch` decide the masks.
        language: the language's id, its row among the model's segment embeddings.

    Returns:
        `net_input`: what the model's forward takes. `src_tokens` ids, [examples, width], right-padded, each example
        opened by `</s>`; `segment_labels` the language's id, [examples, 1], to be broadcast; `masked_tokens`, which
        positions to predict, [examples, width], and the same as `masked_columns` and `masked_places`; `padded`,
        whether there is any padding.
        `target`: the ids to predict, [masked], in the order of the text. `ntargets`, `ntokens` (all tokens, without
        padding), `nsentences`, `language`, `id`.
    """
    tokens, lengths = blocks.read(numbers, symbols.pad)
    source, chosen = mask_tokens(tokens, lengths, indices, seed, epoch, masking)
    examples, width = source.shape
    opened = np.full((examples, width + 1), symbols.eos, dtype=np.int64)
    opened[:, 1:] = source
    masked = np.zeros((examples, width + 1), dtype=np.bool_)
    masked[:, 1:] = chosen
    target = tokens[chosen]
    columns, places = _columns(masked)
    return {
        "id": torch.from_numpy(indices),
        "language": language,
        "nsentences": examples,
        "ntokens": int(lengths.sum()) + examples,
        "ntargets": len(target),
        "net_input": {
            "src_tokens": torch.from_numpy(opened),
            "segment_labels": torch.full((examples, 1), language, dtype=torch.int64),
            "masked_tokens": torch.from_numpy(masked),
            "masked_columns": torch.from_numpy(columns),
            "masked_places": None if places is None else torch.from_numpy(places),
            "padded": bool((lengths < width).any()),
        },
        "target": torch.from_numpy(target),
    }


def _columns(masked: npt.NDArray[np.bool_]) -> tuple[Integers, Integers | None]:
    """The chosen columns of each row, rows with fewer filled up with column 0, and which of all these are real.

    Blocks of full length have the same number chosen, so that most batches need no filling: then the second is None.
    """
    counts = masked.sum(axis=1)
    most = int(counts.max())
    columns = np.argsort(~masked, axis=1, kind="stable")[:, :most]
    real = np.arange(most) < counts[:, None]
    if real.all():
        return np.ascontiguousarray(columns), None
    return np.where(real, columns, 0), np.flatnonzero(real)


def held_out_batch(
    blocks: Blocks, numbers: Integers, language: int, masking: Masking, seed: int, symbols: Symbols
) -> Batch:
    """A batch for validation or evaluation: the masks of block i are those of (seed, epoch 0, example i), for ever."""
    return make_batch(blocks, numbers, numbers, language, masking, seed, 0, symbols)
