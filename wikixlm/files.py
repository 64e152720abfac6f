"""Read and write the pipeline's files: atomically, and compressed if the name ends in `.zst`.

Every output is written under a temporary name next to its final one, flushed to disk and renamed, so that a process
that dies at any moment leaves no partial file under the final name. Text is UTF-8 and lines end in `\\n` alone: other
characters that Python treats as line ends (U+2028, `\\r`, …) never split a line.
"""

import contextlib
import fcntl
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

import zstandard

from wikixlm.errors import UserError, describe

ZSTD_LEVEL = 3
LONGEST_LINE = 16 << 20  # bytes; what is longer is no text, and would not fit into a job's memory
ZstdError = zstandard.ZstdError


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path next to `path`, renamed to `path` when the block succeeds and deleted when it fails.

    Raises:
        UserError: the disk is full, or the folder can't be written.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    except OSError as failure:
        raise _cannot_write(path, failure) from failure
    temporary = Path(name)
    try:
        lock_file(handle)
        yield temporary
        _flush_to_disk(temporary)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as failure:
        if failure.errno is not None and failure.filename in (None, str(temporary)):
            raise _cannot_write(path, failure) from failure
        raise
    finally:
        temporary.unlink(missing_ok=True)
        os.close(handle)


def output_of_temporary(name: str) -> str | None:
    """The name of the output that `atomic_path` or `work_folder` makes under the temporary name; None for others."""
    found = re.fullmatch(r"\.(.+)(?:\.[a-z0-9_]{8}\.tmp|\.work)", name, re.DOTALL)
    return found[1] if found else None


def lock_file(handle: int) -> bool:
    """Lock an open file or folder for this process, and its children, until it is closed.

    Returns:
        Whether it is locked now: another process may have it, or the file system may not be able to.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _cannot_write(path: Path, failure: OSError) -> UserError:
    return UserError(f"cannot write {path}: {describe(OSError(failure.errno, failure.strerror or str(failure)))}")


def _flush_to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def atomic_binary(path: Path) -> Iterator[IO[bytes]]:
    """Open `path` for writing bytes, compressed if its name ends in `.zst`; the file appears when the block ends."""
    with atomic_path(path) as temporary, open(temporary, "wb") as raw:
        if Path(path).suffix != ".zst":
            yield raw
            return
        compressor = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=True)
        with compressor.stream_writer(raw, closefd=False) as stream:
            yield cast(IO[bytes], stream)


@contextlib.contextmanager
def atomic_text(path: Path) -> Iterator[IO[str]]:
    """Open `path` for writing UTF-8 text, as `atomic_binary` does."""
    with atomic_binary(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="\n", write_through=False)
        yield text
        text.flush()
        text.detach()


@contextlib.contextmanager
def work_folder(beside: Path) -> Iterator[Path]:
    """A hidden temporary folder next to `beside`, deleted afterwards; one that a killed run left is emptied first.

    Only for outputs that one process at a time makes.
    """
    folder = beside.parent / f".{beside.name}.work"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as failure:
        raise _cannot_write(folder, failure) from failure
    try:
        lock_file(handle)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A folder that replaces `path` when the block succeeds and is deleted when it fails.

    Only for outputs that one process at a time makes.

    Raises:
        UserError: the disk is full, or the folder can't be written.
    """
    path = Path(path)
    old = path.parent / f".{path.name}.old"
    if old.exists() and not path.exists():  # killed between the two renames below
        old.rename(path)
    with work_folder(path) as folder:
        yield folder
        try:
            for file in folder.iterdir():
                _flush_to_disk(file)
                file.chmod(0o666 & ~_umask())
            shutil.rmtree(old, ignore_errors=True)
            if path.exists():
                path.rename(old)
            folder.rename(path)
        except OSError as failure:
            if old.exists() and not path.exists():
                old.rename(path)
            raise _cannot_write(path, failure) from failure
        shutil.rmtree(old, ignore_errors=True)


class ZstdDecompressor:
    """Decompresses one zstd frame, with the interface of bz2.BZ2Decompressor.

    zstandard's own object has no `max_length`. It gets its input in small steps instead: at the highest ratio, 128 kB
    from a block of 4 bytes, a step makes 64 MB.
    """

    STEP = 2048

    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._input = memoryview(b"")

    @property
    def eof(self) -> bool:
        return self._frame.eof

    @property
    def needs_input(self) -> bool:
        return not self._input

    @property
    def unused_data(self) -> bytes:
        return self._frame.unused_data + bytes(self._input)

    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes:
        """Some of the decompressed bytes: a step's, however many `max_length` asks for."""
        if data:
            self._input = memoryview(bytes(self._input) + data)
        step, self._input = self._input[: self.STEP], self._input[self.STEP :]
        return self._frame.decompress(step)


class _ZstdFrames(io.RawIOBase):
    """The decompressed bytes of a zstd file; unlike zstandard's own reader it reports a truncated file."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._frame: ZstdDecompressor | None = None
        self._begun = False
        self._compressed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            if self._frame is None or self._frame.needs_input:
                self._compressed = self._compressed or self._raw.read(1 << 17)
                if not self._compressed:
                    if self._frame is not None or not self._begun:
                        raise ZstdError("it is cut short")
                    return 0
            self._frame, self._begun = self._frame or ZstdDecompressor(), True
            self._ready = memoryview(self._frame.decompress(self._compressed))
            self._compressed = b""
            if self._frame.eof:
                self._compressed, self._frame = self._frame.unused_data, None
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size


@contextlib.contextmanager
def open_binary(path: Path) -> Iterator[IO[bytes]]:
    """Open `path` for reading bytes, decompressed if its name ends in `.zst`.

    Raises:
        UserError: the file is missing, unreadable, or its compressed data is damaged or cut short.
    """
    try:
        with open(path, "rb") as raw:
            if Path(path).suffix != ".zst":
                yield raw
                return
            with io.BufferedReader(_ZstdFrames(raw), 1 << 20) as stream:
                yield stream
    except ZstdError as failure:
        raise UserError(f"{path} is damaged ({failure}); delete it and run again") from failure
    except OSError as failure:
        if failure.filename == str(path) or failure.filename == path:
            raise UserError(f"cannot read {path}: {failure.strerror}") from failure
        raise


@contextlib.contextmanager
def open_text(path: Path) -> Iterator[IO[str]]:
    """Open `path` for reading UTF-8 text, as `open_binary` does; lines end in `\\n` alone."""
    with open_binary(path) as stream:
        text = io.TextIOWrapper(stream, encoding="utf-8", newline="\n")
        try:
            yield text
        except UnicodeDecodeError as failure:
            # A flipped bit shows as such before zstd's checksum at the end of the frame is reached.
            if Path(path).suffix != ".zst":
                raise
            raise UserError(f"{path} is damaged ({failure.reason}); delete it and run again") from failure
        text.detach()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, keys in the order given."""
    with atomic_text(path) as stream:
        json.dump(value, stream, indent=2, ensure_ascii=False)
        stream.write("\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: it is missing or not JSON.
    """
    with open_text(path) as stream:
        try:
            return json.load(stream)
        except ValueError as failure:
            raise UserError(f"{path} is not valid JSON ({failure}); delete it and run again") from failure


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a UTF-8 file: (number from 1, text without its line end).

    Raises:
        UserError: the file can't be read, a line is longer than LONGEST_LINE, or a byte is not UTF-8.
    """
    with open_binary(path) as stream:
        for number, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE + 1), b""), start=1):
            if len(line) > LONGEST_LINE:
                raise UserError(f"{path}, line {number}: longer than {LONGEST_LINE} bytes")
            try:
                yield number, line.decode().removesuffix("\n").removesuffix("\r")
            except UnicodeDecodeError as failure:
                raise UserError(f"{path}, line {number}: not UTF-8 ({failure.reason})") from failure
