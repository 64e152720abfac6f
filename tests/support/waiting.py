"""Waiting for what other processes do, and looking at which of them run."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Found = TypeVar("Found")


def wait_for(
    condition: Callable[[], Found],
    seconds: float = 120,
    what: str = "it",
    process: "subprocess.Popen[Any] | None" = None,
    interval: float = 0.05,
) -> Found:
    """What `condition()` returns once it is true; the test fails after some seconds, or when `process` ends before."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert process is None or process.poll() is None, f"the process ended before {what} happened"
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(interval)
    return found


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and those that they started."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return children + [later for child in children for later in descendants(child)]


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected (a zombie) does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
