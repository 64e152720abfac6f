"""One language's binarized text as blocks of equal length, read where they lie.

fairseq-preprocess writes the tokens of all lines one after another into `PREFIX.bin`, each line closed by `</s>`.
A block is a slice of that running text, so reading one touches nothing but its own bytes: no index is loaded, no
other language's data is read, and memory stays flat however large the corpus is.
"""

from pathlib import Path
from typing import Any

import numpy as np

from wikixlm.binarize.indexed_format import data_file, read_layout
from wikixlm.errors import UserError
from wikixlm.model.stateless_random import Integers


def prefix(folder: Path, split: str, language: str) -> Path:
    """Where fairseq looks for a language's split: the path without `.bin` and `.idx`."""
    return Path(folder) / f"{split}.{language}"


class Blocks:
    """Blocks of up to `length` tokens over a language's running text; the last one may be shorter.

    Args:
        path: the binarized data without its suffix, e.g. `fairseq_processed/train.en` (mmap and lazy both work).
        length: tokens in a block, without the `</s>` that is put before it.

    Raises:
        UserError: the data is missing, damaged, empty or of another kind.
    """

    def __init__(self, path: Path, length: int) -> None:
        self.path = Path(path)
        self.length = length
        self._open()

    def _open(self) -> None:
        layout = read_layout(self.path)
        data = data_file(self.path)
        if not layout.tokens:
            raise UserError(f"{data} is empty: the language has no text in this split")
        self._shift = layout.id_shift
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

    def read(self, numbers: Integers, pad: int) -> tuple[Integers, Integers]:
        """The blocks `numbers`, [blocks]: their tokens, [blocks, longest], filled up with `pad`, and their lengths."""
        starts = numbers * self.length
        lengths = np.minimum(self.tokens - starts, self.length)
        places = starts[:, None] + np.arange(lengths.max())
        inside = np.arange(lengths.max()) < lengths[:, None]
        tokens = np.asarray(self._tokens[np.minimum(places, self.tokens - 1)], dtype=np.int64) - self._shift
        tokens[~inside] = pad
        return tokens, lengths

    def __getstate__(self) -> dict[str, Any]:
        """Travel to data-loader workers as a path, not as the mapped bytes."""
        return {"path": self.path, "length": self.length}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path, self.length = state["path"], state["length"]
        self._open()
