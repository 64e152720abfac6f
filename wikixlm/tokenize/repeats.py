"""Find a language's repeated training lines, in bounded memory and whatever the order of its shards.

Hashes of lines go to files by their first bits, and each file is sorted by itself: memory holds one file, a 64th of the
language's lines at 24 bytes each. Of equal lines the one in the document with the smallest hash is kept.
"""

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_FILES = 64
_BATCH = 100_000  # lines held in memory before they are written
_LINE = np.dtype([("line", "<u8"), ("document", "<u8"), ("shard", "<u4"), ("number", "<u4")])
_DIGITS = re.compile(r"\d+")

Numbers = npt.NDArray[np.uint32]


def line_hash(line: str) -> int:
    """A 64-bit hash of a line, the same in every process: BLAKE2b of its UTF-8 bytes, little-endian."""
    return int.from_bytes(hashlib.blake2b(line.encode(), digest_size=8).digest(), "little")


def encode_numbers(numbers: Numbers) -> str:
    """Line numbers as text for JSON."""
    return base64.b64encode(numbers.astype("<u4").tobytes()).decode("ascii")


def decode_numbers(text: str) -> Numbers:
    """The inverse of `encode_numbers`.

    Raises:
        ValueError: the text is not of that form.
    """
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<u4")


class RepeatFinder:
    """Collects the lines of a language's shards, then finds those that repeat another.

    Args:
        folder: an empty folder for temporary files, 32 bytes a line.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: list[tuple[int, int, int, int]] = []
        self._without_digits: list[int] = []

    def add(self, line: str, hash_: int, document_hash: int, shard: int, number: int) -> None:
        """Add a line and its hash; `number` is its place in the shard, from 0."""
        self._lines.append((hash_, document_hash, shard, number))
        self._without_digits.append(line_hash(_DIGITS.sub("0", line)) if _DIGITS.search(line) else hash_)
        if len(self._lines) == _BATCH:
            self._write()

    def _write(self) -> None:
        lines = np.array(self._lines, dtype=_LINE)
        _append(self._folder, "lines", lines, lines["line"])
        without_digits = np.array(self._without_digits, dtype="<u8")
        _append(self._folder, "without-digits", without_digits, without_digits)
        self._lines.clear()
        self._without_digits.clear()

    def find(self, shards: int) -> tuple[list[Numbers], int]:
        """Find the repeated lines.

        Returns:
            The sorted numbers of the lines to drop, for each shard, and how many of the other lines equal another of
            them but for digits.
        """
        self._write()
        parts: list[list[Numbers]] = [[] for _ in range(shards)]
        distinct = distinct_without_digits = 0
        for lines in _read(self._folder, "lines", _LINE):
            order = np.lexsort((lines["number"], lines["shard"], lines["document"], lines["line"]))
            lines = lines[order]
            repeated = np.zeros(len(lines), dtype=bool)
            repeated[1:] = lines["line"][1:] == lines["line"][:-1]
            distinct += len(lines) - int(repeated.sum())
            dropped = lines[repeated]
            for shard in np.unique(dropped["shard"]):
                parts[shard].append(dropped["number"][dropped["shard"] == shard])
        for hashes in _read(self._folder, "without-digits", np.dtype("<u8")):
            distinct_without_digits += len(np.unique(hashes))
        numbers = [np.sort(np.concatenate(each)) if each else np.array([], dtype=np.uint32) for each in parts]
        return numbers, distinct - distinct_without_digits


def _append(folder: Path, name: str, records: npt.NDArray[np.void], hashes: npt.NDArray[np.uint64]) -> None:
    files = hashes % np.uint64(_FILES)
    for file in np.unique(files):
        with open(folder / f"{name}.{file}", "ab") as stream:
            stream.write(records[files == file].tobytes())


def _read(folder: Path, name: str, dtype: np.dtype[Any]) -> Iterator[npt.NDArray[Any]]:
    for file in range(_FILES):
        path = folder / f"{name}.{file}"
        if path.exists():
            yield np.fromfile(path, dtype=dtype)
            path.unlink()
