"""Run a command and say what it took."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

SAMPLES_PER_SECOND = 20


@dataclass
class Usage:
    """CPU seconds (user and system, children included), wall-clock seconds, peak memory in MB.

    Memory is the sum of the resident sets of the command and its children, sampled; what they share counts twice.
    """

    cpu: float
    wall: float
    peak: float


def measure(
    command: list[str],
    source: Path | None = None,
    target: Path | None = None,
    watch: Callable[[], Any] | None = None,
    **options: Any,
) -> Usage:
    """Run a command, standard input from `source`, standard output to `target`; exit if it fails.

    Args:
        watch: called with every sample of the memory.
        options: for subprocess.Popen.
    """
    start = time.perf_counter()
    with open(source or os.devnull, "rb") as input_, open(target or os.devnull, "wb") as output:
        process = subprocess.Popen(command, stdin=input_, stdout=output, **options)
        peak = [0.0]
        ended = threading.Event()
        sampler = threading.Thread(target=_sample, args=(process.pid, ended, peak, watch), daemon=True)
        sampler.start()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        ended.set()
        sampler.join()
    if process.returncode:
        sys.exit(f"exit status {process.returncode}: {' '.join(command)}")
    return Usage(used.ru_utime + used.ru_stime, time.perf_counter() - start, peak[0])


def _sample(pid: int, ended: threading.Event, peak: list[float], watch: Callable[[], Any] | None) -> None:
    while True:
        try:
            root = psutil.Process(pid)
            memory = sum(_resident(process) for process in [root, *root.children(recursive=True)])
            peak[0] = max(peak[0], memory / 1e6)
        except psutil.Error:
            pass
        if watch is not None:
            watch()
        if ended.wait(1 / SAMPLES_PER_SECOND):
            return


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0
