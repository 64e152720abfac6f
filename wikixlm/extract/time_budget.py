"""A limit on the CPU time of a block of code, for pages written to take for ever."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn


class TimeBudgetExceededError(Exception):
    """The block has used up its CPU time."""


@contextlib.contextmanager
def time_budget(seconds: float) -> Iterator[None]:
    """Raise TimeBudgetExceededError in the block once it has used `seconds` of CPU time; in the main thread only.

    CPU time, not the clock: a job that was suspended, or that shares its core, has not used more of it. Regular
    expressions are interrupted, too.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGPROF, _raise)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    raise TimeBudgetExceededError
