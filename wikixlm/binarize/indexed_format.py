"""fairseq's binarized text: `PREFIX.bin`, the ids of all sentences one after another, and `PREFIX.idx`.

Both of fairseq's formats (fairseq/data/indexed_dataset.py, 0.12.2) can be read; mmap is written. All integers are
little-endian; `u8` has 8 bytes, and offsets count from the start of the data.

    mmap  magic[9] version:u8 type:u1 sentences:u8, then lengths i4[sentences], offsets in bytes i8[sentences]
    lazy  magic[8] version:u8 type:u8 item_size:u8 sentences:u8 lengths:u8, then first length of each sentence
          i8[sentences + 1], offsets in items i8[sentences + 1], lengths i8[lengths]
"""

import os
import struct
from pathlib import Path
from types import TracebackType
from typing import IO, NamedTuple

import numpy as np
import numpy.typing as npt

from wikixlm.errors import UserError

_MMAP_MAGIC = b"MMIDIDX\x00\x00"
_LAZY_MAGIC = b"TNTIDX\x00\x00"
_MMAP_HEADER = struct.Struct("<9sQBQ")
_LAZY_HEADER = struct.Struct("<8sQQQQQ")
_TYPES = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 8: "<u2", 9: "<u4", 10: "<u8"}
_INT32 = 4


class Layout(NamedTuple):
    """What an index says of its data.

    `id_shift` was added to each id: the lazy format counts from 1, as Lua does. `tokens` includes the end-of-sentence
    symbol of each sentence.
    """

    dtype: np.dtype[np.integer]
    id_shift: int
    sentences: int
    tokens: int


def split_prefix(folder: Path, split: str, language: str) -> Path:
    """Where fairseq looks for a language's split: the path without `.bin` and `.idx`."""
    return folder / f"{split}.{language}"


def data_file(prefix: Path) -> Path:
    """`PREFIX.bin`."""
    return prefix.with_name(f"{prefix.name}.bin")


def index_file(prefix: Path) -> Path:
    """`PREFIX.idx`."""
    return prefix.with_name(f"{prefix.name}.idx")


def read_layout(prefix: Path) -> Layout:
    """Read the ends of the index, in constant time and memory, and compare both files' sizes with it.

    Raises:
        UserError: a file is missing, the index has another format, or one of the files is cut short or longer than
            the index says.
    """
    index, data = index_file(prefix), data_file(prefix)
    try:
        with open(index, "rb") as stream:
            layout = _mmap_layout(stream) or _lazy_layout(stream)
        size = data.stat().st_size
    except (ValueError, struct.error) as failure:
        raise UserError(f"{index} is damaged ({failure}); run `wikixlm binarize` again") from failure
    except OSError as failure:
        raise UserError(
            f"cannot read {failure.filename}: {failure.strerror}; run `wikixlm binarize` first"
        ) from failure
    if layout is None:
        raise UserError(f"{index} is not an index of fairseq's mmap or lazy data; run `wikixlm binarize` again")
    expected = layout.tokens * layout.dtype.itemsize
    if size != expected:
        problem = "longer than its index says" if size > expected else "cut short" if size else "empty"
        raise UserError(f"{data} is {problem} ({size} bytes, not {expected}); run `wikixlm binarize` again")
    return layout


def _mmap_layout(stream: IO[bytes]) -> Layout | None:
    header = stream.read(_MMAP_HEADER.size)
    if not header.startswith(_MMAP_MAGIC):
        return None
    _, _, code, sentences = _MMAP_HEADER.unpack(header)
    dtype = _dtype(code)
    _check_size(stream, _MMAP_HEADER.size + 12 * sentences)
    if not sentences:
        return Layout(dtype, 0, 0, 0)
    stream.seek(_MMAP_HEADER.size + 4 * (sentences - 1))
    (length,) = struct.unpack("<i", stream.read(4))
    stream.seek(-8, os.SEEK_END)
    (offset,) = struct.unpack("<q", stream.read(8))
    return Layout(dtype, 0, sentences, offset // dtype.itemsize + length)


def _lazy_layout(stream: IO[bytes]) -> Layout | None:
    stream.seek(0)
    header = stream.read(_LAZY_HEADER.size)
    if not header.startswith(_LAZY_MAGIC):
        return None
    _, _, code, _, sentences, lengths = _LAZY_HEADER.unpack(header)
    _check_size(stream, _LAZY_HEADER.size + 8 * (2 * (sentences + 1) + lengths))
    stream.seek(_LAZY_HEADER.size + 8 * (2 * sentences + 1))
    (tokens,) = struct.unpack("<q", stream.read(8))
    return Layout(_dtype(code), 1, sentences, tokens)


def _dtype(code: int) -> np.dtype[np.integer]:
    if code not in _TYPES:
        raise ValueError(f"unknown type of tokens: {code}")
    return np.dtype(_TYPES[code])


def _check_size(stream: IO[bytes], expected: int) -> None:
    size = os.fstat(stream.fileno()).st_size
    if size != expected:
        raise ValueError(f"{size} bytes, not {expected}")


class IndexedWriter:
    """Write sentences in the mmap format with 32-bit ids; the index follows when the block ends well."""

    def __init__(self, prefix: Path) -> None:
        self._prefix = prefix
        self._lengths: list[int] = []

    def __enter__(self) -> "IndexedWriter":
        self._data = open(data_file(self._prefix), "wb")
        return self

    def write(self, ids: npt.ArrayLike) -> None:
        """Append one sentence, its ids [tokens] with the end-of-sentence symbol."""
        array = np.asarray(ids, dtype="<i4")
        self._lengths.append(len(array))
        self._data.write(array.tobytes())

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._data.close()
        if kind is not None:
            return
        lengths = np.array(self._lengths, dtype="<i4")
        ends = np.cumsum(lengths, dtype="<i8") * _INT32
        with open(index_file(self._prefix), "wb") as index:
            index.write(_MMAP_HEADER.pack(_MMAP_MAGIC, 1, 4, len(lengths)))
            index.write(lengths.tobytes())
            index.write((ends - lengths * np.int64(_INT32)).tobytes())
