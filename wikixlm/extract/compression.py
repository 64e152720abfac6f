"""Stream-decompress bz2, gzip, xz and zstd; the format is detected from magic bytes.

A bz2 file may be a chain of streams, each starting on a byte boundary; a Wikimedia multistream dump has 100 pages in
each. Reading can begin at any stream, which makes shards by byte ranges possible.

Data arrives in pieces of bounded size, so that a file that unpacks to gigabytes costs time, not memory.
"""

import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from wikixlm.errors import UserError
from wikixlm.files import ZstdDecompressor, ZstdError

CHUNK = 1 << 16
LONGEST_PIECE = 1 << 20  # decompressed bytes at a time
XZ_MEMORY = 256 << 20  # bytes that a stream's dictionary may take; `xz -9` makes 64 MB
# A bz2 stream header with the magic of its first block, which only an empty stream lacks.
BZ2_STREAM = re.compile(rb"BZh[1-9]1AY&SY")
BZ2_STREAM_LENGTH = 10


class Decompressor(Protocol):
    """What bz2's and lzma's decompressors have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _GzipDecompressor:
    """zlib's decompressor with the interface of bz2's."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused_data(self) -> bytes:
        return self._stream.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        piece = self._stream.decompress(self._stream.unconsumed_tail + data, max_length)
        self.needs_input = len(piece) < max_length and not self._stream.unconsumed_tail
        return piece


DECOMPRESSORS: dict[str, tuple[bytes, Callable[[], Decompressor]]] = {
    "bz2": (b"BZh", bz2.BZ2Decompressor),
    "gzip": (b"\x1f\x8b", _GzipDecompressor),
    "xz": (b"\xfd7zXZ\x00", lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY)),
    "zstd": (b"\x28\xb5\x2f\xfd", ZstdDecompressor),
}
UNREADABLE = {b"7z\xbc\xaf\x27\x1c": "a 7z archive", b"PK\x03\x04": "a zip archive", b"Rar!": "a rar archive"}


def detect_compression(path: Path) -> str:
    """The compression of `path`: a key of DECOMPRESSORS, or "plain".

    Raises:
        UserError: the file is missing, unreadable, empty, or an archive in an unsupported format.
    """
    try:
        with open(path, "rb") as stream:
            head = stream.read(16)
    except OSError as failure:
        raise UserError(f"cannot read {path}: {failure.strerror}") from failure
    if not head:
        raise UserError(f"{path} is empty (0 bytes)")
    for magic, name in UNREADABLE.items():
        if head.startswith(magic):
            raise UserError(f"{path} is {name}; accepted are plain files and {', '.join(DECOMPRESSORS)}")
    for kind, (magic, _) in DECOMPRESSORS.items():
        if head.startswith(magic):
            return kind
    return "plain"


def read_streams(path: Path, kind: str, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """The decompressed bytes from byte `start` (where a stream begins) to the end of the file.

    Yields (byte of the file at which the stream begins, some of its bytes: LONGEST_PIECE at most, of zstd 64 MB). A
    plain file is one stream.

    Raises:
        UserError: the data is damaged, cut short, or followed by something else.
    """
    if kind == "plain":
        for chunk in _chunks(path, start):
            yield start, chunk
        return
    magic, new_decompressor = DECOMPRESSORS[kind]
    decompressor = new_decompressor()
    stream_start = position = start
    for chunk in _chunks(path, start):
        rest = chunk
        while rest:
            if decompressor.eof:
                decompressor, stream_start = new_decompressor(), position
            try:
                for data in _pieces(decompressor, rest):
                    yield stream_start, data
            except (OSError, EOFError, zlib.error, lzma.LZMAError, ZstdError) as failure:
                raise _damaged(path, kind, magic, stream_start, failure) from failure
            unused = decompressor.unused_data if decompressor.eof else b""
            position += len(rest) - len(unused)
            rest = unused
    if not decompressor.eof:
        raise UserError(
            f"{path} is cut short: the {kind} stream that begins at byte {stream_start} has no end; "
            "copy or download it again"
        )


def _pieces(decompressor: Decompressor, data: bytes) -> Iterator[bytes]:
    while True:
        if piece := decompressor.decompress(data, LONGEST_PIECE):
            yield piece
        if decompressor.eof or decompressor.needs_input:
            return
        data = b""


def _chunks(path: Path, start: int) -> Iterator[bytes]:
    try:
        with open(path, "rb") as file:
            file.seek(start)
            while chunk := file.read(CHUNK):
                yield chunk
    except OSError as failure:
        raise UserError(f"cannot read {path}: {failure.strerror}") from failure


def _damaged(path: Path, kind: str, magic: bytes, stream_start: int, failure: Exception) -> UserError:
    with open(path, "rb") as file:
        file.seek(stream_start)
        is_stream = file.read(len(magic)) == magic
    if is_stream:
        return UserError(f"{path} is damaged: the {kind} stream that begins at byte {stream_start}: {failure}")
    return UserError(f"{path} is damaged: the data at byte {stream_start}, after a {kind} stream, is not {kind}")


def find_bz2_stream(path: Path, start: int, end: int) -> int | None:
    """The first byte in [start, end) at which a bz2 stream begins, or None."""
    tail = b""
    position = start
    for chunk in _chunks(path, start):
        window = tail + chunk
        if found := BZ2_STREAM.search(window):
            offset = position - len(tail) + found.start()
            return offset if offset < end else None
        position += len(chunk)
        if position - BZ2_STREAM_LENGTH >= end:
            return None
        tail = window[-(BZ2_STREAM_LENGTH - 1) :]
    return None
