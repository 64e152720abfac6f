"""A process that never outlives the one that started it, however that ends: even SIGKILL (Linux only).

A trainer whose `wikixlm train` was killed would go on writing checkpoints beside its successor; an extractor or a
fairseq-preprocess would go on taking CPU for nobody.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

# Set in the environment of a child of ours, and so of its children of ours, that shall tie themselves.
FOLLOW = "WIKIXLM_FOLLOW_PARENT"
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl if sys.platform.startswith("linux") else None


def end_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, or end now if process `parent` has ended already."""
    if _prctl is None:
        return
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def tie() -> Callable[[], None]:
    """For `preexec_fn`: ties any program to this process before it runs."""
    parent = os.getpid()
    return lambda: end_with(parent)


def environment() -> dict[str, str]:
    """This process's environment for a child that calls `follow_parent`."""
    return {**os.environ, FOLLOW: "1"}


def follow_parent() -> None:
    """End with the process that started this one, where `environment` asked for it."""
    if FOLLOW in os.environ:
        end_with(os.getppid())
