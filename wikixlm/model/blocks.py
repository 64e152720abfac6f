"""One language's binarized text as blocks of equal length, read from the mapped file.

A block is a slice of the running text of all sentences, so reading one touches only its own bytes: no index is loaded,
no other language's data is read, and memory stays flat however large the corpus is.
"""

from pathlib import Path
from typing import Any

import numpy as np

from wikixlm.binarize.indexed_format import data_file, read_layout
from wikixlm.errors import UserError
from wikixlm.model.stateless_random import Integers


class Blocks:
    """Blocks of up to `length` tokens of a language's running text; the last one may be shorter.

    Args:
        prefix: the binarized data without `.bin` and `.idx`, e.g. `fairseq_processed/train.en` (mmap or lazy).
        length: tokens of a block, without the `</s>` that is put before it.

    Raises:
        UserError: the data is missing, damaged, empty or of another format.
    """

    def __init__(self, prefix: Path, length: int) -> None:
        self.prefix, self.length = prefix, length
        layout, data = read_layout(prefix), data_file(prefix)
        if not layout.tokens:
            raise UserError(f"{data} is empty: the language has no text in this split")
        self._id_shift = layout.id_shift
        try:
            self._tokens = np.memmap(data, mode="r", dtype=layout.dtype)
        except OSError as failure:
            raise UserError(f"cannot read {data}: {failure.strerror}") from failure

    @property
    def tokens(self) -> int:
        """Tokens of the language, line ends included."""
        return len(self._tokens)

    def __len__(self) -> int:
        return -(-self.tokens // self.length)

    def read(self, block_ids: Integers, pad: int) -> tuple[Integers, Integers]:
        """Read blocks `block_ids`, [batch].

        Returns:
            Their tokens, [batch, longest], right-padded with `pad`, and their lengths, [batch].
        """
        starts = block_ids * self.length
        lengths = np.minimum(self.tokens - starts, self.length)
        positions = starts[:, None] + np.arange(lengths.max())
        inside = np.arange(lengths.max()) < lengths[:, None]
        tokens = np.asarray(self._tokens[np.minimum(positions, self.tokens - 1)], dtype=np.int64) - self._id_shift
        tokens[~inside] = pad
        return tokens, lengths

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to data-loader workers as a path, not as the mapped bytes."""
        return type(self), (self.prefix, self.length)
