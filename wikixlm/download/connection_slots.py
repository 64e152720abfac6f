"""Limit this machine to three connections per host, over all users, processes and configurations.

Wikimedia allows three per address. A slot is a lock (flock) on a file in a folder of the machine, so that a process
frees its slot however it ends. The folder ignores TMPDIR, because a batch system gives each job its own. Containers and
machines that share an address can't see each other's slots; there the scheduler's `wikimedia_connections` helps.
"""

import contextlib
import fcntl
import logging
import os
import random
import re
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from wikixlm import console
from wikixlm.errors import UserError

SLOTS = 3
PATIENCE_SECONDS = 60.0  # of waiting, after which the user is warned


def slots_folder() -> Path:
    """The machine's folder of slots, created if missing and writable for every user.

    Raises:
        UserError: it can't be created.
    """
    temporary = Path("/tmp")
    path = (temporary if temporary.is_dir() else Path(tempfile.gettempdir())) / "wikixlm-slots"
    try:
        with contextlib.suppress(FileExistsError):
            path.mkdir()
            path.chmod(0o1777)
    except OSError as failure:
        raise UserError(f"cannot make {path}, where downloads count their connections: {failure.strerror}") from failure
    return path


@contextlib.contextmanager
def slot(host: str) -> Iterator[None]:
    """Hold one of the host's slots, once one is free. `host` is a name, with `:port` if that is unusual."""
    handle = _acquire(host)
    warn_at = time.monotonic() + PATIENCE_SECONDS
    if handle is None:
        logging.info("waiting: this machine has %d open connections to %s, the most allowed", SLOTS, host)
    while handle is None:
        time.sleep(random.uniform(0.05, 0.5))
        handle = _acquire(host)
        if time.monotonic() > warn_at and handle is None:
            console.warn(
                f"waiting for a connection to {host}: other processes of this machine hold all {SLOTS} slots, see"
                f" fuser {_slot_path(host, 0).with_suffix('')}.*"
            )
            warn_at = float("inf")
    try:
        yield
    finally:
        os.close(handle)


def _acquire(host: str) -> int | None:
    """A locked file descriptor, or None while all slots are taken."""
    for number in range(SLOTS):
        path = _slot_path(host, number)
        handle = _open(path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Someone may have deleted the file: a lock on a deleted file protects nothing.
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)
    return None


def _slot_path(host: str, number: int) -> Path:
    name = re.sub(r"[^a-z0-9.-]", "_", host.lower())[:200]
    return slots_folder() / f"{name}.{number}"


def _open(path: Path) -> int:
    """Open a slot read-only, which is enough for a lock: Linux forbids O_CREAT on other users' files there."""
    while True:
        try:
            # Not blocking: anyone may have put a FIFO there, whose opening waits for a writer.
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                os.close(handle)
                raise UserError(f"{path}, a slot for downloads, is not a file; delete it, or have its owner do so")
            return handle
        except FileNotFoundError:
            pass
        except OSError as failure:
            raise UserError(f"cannot open {path}, a slot for downloads: {failure.strerror}") from failure
        try:
            handle = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
            os.fchmod(handle, 0o644)
            return handle
        except FileExistsError:
            continue
        except OSError as failure:
            raise UserError(f"cannot make {path}, a slot for downloads: {failure.strerror}") from failure
