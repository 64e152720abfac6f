"""A file being downloaded: `.NAME.part` grows, `.NAME.json` records where its bytes came from.

However the process ends, the part file holds the beginning of the file, and the next download resumes behind it. NAME
itself appears once the file is complete and its hashes match; its record stays, so that a later run needs no request.
"""

import dataclasses
import datetime
import errno
import fcntl
import hashlib
import json
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from wikixlm import console
from wikixlm.download.layouts import DumpFile
from wikixlm.errors import UserError
from wikixlm.files import write_json

READ_SIZE = 1 << 20


def bytes_on_disk(folder: Path, name: str) -> int:
    """How many bytes of a file are in its folder, finished or in part."""
    for path in (folder / name, folder / f".{name}.part"):
        if path.exists():
            return path.stat().st_size
    return 0


def recorded_rate(folder: Path, name: str) -> float:
    """Bytes per second of a file's transfer, as its process last recorded; 0 where that is unknown."""
    try:
        return float(json.loads((folder / f".{name}.json").read_bytes())["rate"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def utc_now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


@dataclass
class TransferRecord:
    """What is known about the bytes in a part file or in the finished file."""

    size: int
    expected: dict[str, str]
    """hashes that the primary server published"""
    started: str = field(default_factory=utc_now)
    resumes: int = 0
    """how often the transfer resumed behind bytes that were there"""
    validators: dict[str, str] = field(default_factory=dict)
    """mirror -> strong ETag or modification date of its version of the file, for If-Range"""
    mirror: str = ""
    url: str = ""
    """where the last bytes came from"""
    rate: float = 0.0
    """bytes per second, over the last 30 s of the transfer"""
    finished: str = ""
    hashes: dict[str, str] = field(default_factory=dict)
    """of the finished file: SHA-256, and those of `expected`"""
    mtime_ns: int = 0
    """of the finished file"""


class Hashes:
    """SHA-256 and the hashes that were published, updated together."""

    def __init__(self, kinds: set[str]) -> None:
        self._hashes = {kind: hashlib.new(kind, usedforsecurity=False) for kind in sorted(kinds | {"sha256"})}

    def update(self, data: bytes | memoryview) -> None:
        for each in self._hashes.values():
            each.update(data)

    def update_from(self, path: Path) -> "Hashes":
        with open(path, "rb") as stream:
            while data := stream.read(READ_SIZE):
                self.update(data)
        return self

    def hexdigests(self) -> dict[str, str]:
        return {kind: each.hexdigest() for kind, each in self._hashes.items()}


def describe_mismatches(got: dict[str, str], expected: dict[str, str]) -> list[str]:
    """A phrase for each hash that differs from the expected one."""
    return [f"{kind} is {got[kind]}, expected {value}" for kind, value in expected.items() if got[kind] != value]


class PartialFile:
    """A file of a dump from its first byte to its final name; a context manager that locks it against other processes.

    Raises:
        UserError: another process is downloading it, or the folder can't be written.
    """

    def __init__(self, folder: Path, file: DumpFile) -> None:
        self.file = file
        self.target = folder / file.name
        self.path = folder / f".{file.name}.part"
        self._record_path = folder / f".{file.name}.json"
        self.size = 0
        """bytes in the part file so far"""
        self._hashes = Hashes(set(file.hashes))

    def __enter__(self) -> "PartialFile":
        self._open()
        self.record = self._read_record()
        return self

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        except OSError as failure:
            raise self._cannot_write(failure) from failure
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise UserError(f"{self.target} is being downloaded by another process; let it finish, or end it") from None
        except OSError as failure:  # file systems without locks
            logging.info("%s can't be locked: %s", self.path, failure.strerror)

    def __exit__(self, *exception: object) -> None:
        if os.fstat(self._handle).st_size == 0 and self.path.exists():
            self.path.unlink()
        os.close(self._handle)

    def is_finished(self) -> bool:
        """Whether the complete file is there: by size and time in its record, else by its hashes.

        A file of that name with other hashes is renamed.
        """
        try:
            found = self.target.stat()
        except FileNotFoundError:
            return False
        if self.record.finished and (found.st_size, found.st_mtime_ns) == (self.file.size, self.record.mtime_ns):
            return True
        logging.info("%s is there, checking its hashes", self.target)
        hashes = Hashes(set(self.file.hashes)).update_from(self.target).hexdigests()
        wrong = describe_mismatches(hashes, self.file.hashes)
        if wrong:
            aside = _rename_bad(self.target, self.target, hashes["sha256"])
            console.warn(f"{self.target} was there with other content ({'; '.join(wrong)}); it is now {aside}")
            return False
        self._finished(hashes)
        return True

    def load(self) -> None:
        """Hash what an earlier process left, so that the download resumes behind it."""
        size = os.fstat(self._handle).st_size
        if size > self.file.size:
            logging.warning("%s has %d bytes, more than the file: starting over", self.path, size)
            self.restart()
            return
        if size:
            logging.info("%s has %d of %d bytes, resuming behind them", self.path, size, self.file.size)
        self._hashes = Hashes(set(self.file.hashes)).update_from(self.path)
        self.size = size

    def append(self, data: bytes) -> None:
        """Append bytes unbuffered, so that they survive the end of the process.

        Raises:
            UserError: the disk is full, or the file can't be written.
        """
        view = memoryview(data)
        while view:
            try:
                written = os.write(self._handle, view)
            except OSError as failure:
                raise self._cannot_write(failure) from failure
            self._hashes.update(view[:written])
            self.size += written
            view = view[written:]

    def restart(self) -> None:
        """Drop the bytes that are there: they belong to another version of the file."""
        os.ftruncate(self._handle, 0)
        self.size = 0
        self._hashes = Hashes(set(self.file.hashes))

    def begin(self, mirror: str, url: str, validator: str) -> None:
        """TransferRecord where the next bytes come from."""
        self.record.mirror, self.record.url = mirror, url
        self.record.resumes += self.size > 0
        self.record.validators[mirror] = validator
        self._save()

    def note_rate(self, rate: float | None) -> None:
        """Record the rate, where there is a new one, for `wikixlm status`."""
        if rate is not None:
            self.record.rate = rate
            self._save()

    def finish(self) -> list[str]:
        """Give the complete file its name if its hashes match.

        Otherwise rename it, start over with an empty part file, and return the mismatches.
        """
        os.fsync(self._handle)
        hashes = self._hashes.hexdigests()
        wrong = describe_mismatches(hashes, self.file.hashes)
        if wrong:
            aside = _rename_bad(self.path, self.target, hashes["sha256"])
            os.close(self._handle)
            self._open()
            self.restart()
            self.record = TransferRecord(self.file.size, self.file.hashes)
            return [*wrong, f"the file is kept as {aside}"]
        self.path.replace(self.target)
        self._finished(hashes)
        return []

    def _finished(self, hashes: dict[str, str]) -> None:
        self.record.finished, self.record.hashes = utc_now(), hashes
        self.record.mtime_ns = self.target.stat().st_mtime_ns
        self._save()

    def _read_record(self) -> TransferRecord:
        """The record of the part file, or a new one; the part file of another version of the file is emptied."""
        try:
            record = TransferRecord(**json.loads(self._record_path.read_bytes()))
        except FileNotFoundError:
            return TransferRecord(self.file.size, self.file.hashes)
        except (ValueError, TypeError, RecursionError) as failure:
            logging.warning("%s is damaged (%s), ignored", self._record_path, failure)
            return TransferRecord(self.file.size, self.file.hashes)
        if (record.size, record.expected) != (self.file.size, self.file.hashes):
            logging.warning("%s is of another version of the file: starting over", self.path)
            os.ftruncate(self._handle, 0)
            return TransferRecord(self.file.size, self.file.hashes)
        return record

    def _save(self) -> None:
        write_json(self._record_path, dataclasses.asdict(self.record))

    def _cannot_write(self, failure: OSError) -> UserError:
        full = failure.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        kept = f"; the {self.size} bytes that arrived are kept, make room and run again" if full else ""
        return UserError(f"cannot write {self.path}: {failure.strerror}{kept}")


def _rename_bad(path: Path, target: Path, sha256: str) -> Path:
    """Rename a file with wrong content; a second file with the same content replaces the first."""
    return path.replace(target.with_name(f"{target.name}.bad-{sha256[:8]}"))
