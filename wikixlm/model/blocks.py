"""One language's binarized text as blocks of equal length, read where they lie.

fairseq-preprocess writes the tokens of all lines one after another into `PREFIX.bin`, each line closed by `</s>`.
A block is a slice of that running text, so reading one touches nothing but its own bytes: no index is loaded, no
other language's data is read, and memory stays flat however large the corpus is.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np

from wikixlm.errors import UserError
from wikixlm.model.stateless_random import Integers

_MMAP_MAGIC = b"MMIDIDX\x00\x00"
_LAZY_MAGIC = b"TNTIDX\x00\x00"
# The type codes of fairseq's index files (fairseq/data/indexed_dataset.py, 0.12.2).
_TYPES: dict[int, Any] = {
    1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 8: np.uint16, 9: np.uint32, 10: np.uint64,
}  # fmt: skip


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
        kind, self._shift = _read_header(self.path.with_name(f"{self.path.name}.idx"))
        data = self.path.with_name(f"{self.path.name}.bin")
        try:
            size = data.stat().st_size
            if size % np.dtype(kind).itemsize:
                raise UserError(f"{data} is cut short ({size} bytes); run `wikixlm binarize` again")
            if size == 0:
                raise UserError(f"{data} is empty: the language has no text in this split")
            self._tokens = np.memmap(data, mode="r", dtype=kind)
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


def _read_header(index: Path) -> tuple[Any, int]:
    """The tokens' type, and what was added to each id (the lazy format counts from 1)."""
    try:
        with open(index, "rb") as stream:
            header = stream.read(24)
    except OSError as failure:
        raise UserError(f"cannot read {index}: {failure.strerror}; run `wikixlm binarize` first") from failure
    if header.startswith(_MMAP_MAGIC) and len(header) >= 18:
        code, shift = header[17], 0
    elif header.startswith(_LAZY_MAGIC) and len(header) == 24:
        (code,), shift = struct.unpack("<Q", header[16:24]), 1
    else:
        raise UserError(f"{index} is not an index of fairseq's mmap or lazy data; run `wikixlm binarize` again")
    if code not in _TYPES:
        raise UserError(f"{index}: unknown type of tokens ({code}); run `wikixlm binarize` again")
    return _TYPES[code], shift
