"""Child processes that never outlive the one that started them, however that ends: even by SIGKILL (Linux only).

A trainer whose `wikixlm train` was killed would otherwise keep writing checkpoints beside its successor; an extractor
or a fairseq-preprocess would keep using CPU for nobody.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

# Set in the environment of a child of ours, and so of its own children, that is to die with its parent.
DIE_WITH_PARENT = "WIKIXLM_DIE_WITH_PARENT"
# Set by the rules: the process number of the snakemake that a stage is started by, and ends with.
SNAKEMAKE = "WIKIXLM_SNAKEMAKE"
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl if sys.platform.startswith("linux") else None


def die_with(parent: int, by: signal.Signals = signal.SIGKILL) -> None:
    """Ask the kernel to signal this process when its parent ends, or do it now if process `parent` has ended already.

    Args:
        by: SIGTERM leaves it the time to remove its temporary files, or to save a checkpoint.
    """
    if _prctl is None:
        return
    _prctl(_PR_SET_PDEATHSIG, by, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), by)


def die_with_this_process() -> Callable[[], None]:
    """For `preexec_fn` of any program: it will die with this process."""
    parent = os.getpid()
    return lambda: die_with(parent)


def environment_for_child() -> dict[str, str]:
    """This process's environment for a child that calls `die_with_parent`."""
    return {**os.environ, DIE_WITH_PARENT: "1"}


def die_with_parent() -> None:
    """Die with the process that started this one, where its `environment_for_child` asked for it."""
    if DIE_WITH_PARENT in os.environ:
        die_with(os.getppid())


def end_with_snakemake() -> None:
    """Be told by SIGTERM to stop when the snakemake ends that started this stage, where the rules started it."""
    # Not for this stage's own children, whose parent is another.
    if parent := os.environ.pop(SNAKEMAKE, ""):
        die_with(int(parent), signal.SIGTERM)


def import_nothing_from_here() -> None:
    """Keep every Python that is started from here from importing modules of the directory that it runs in.

    A run's directory may hold a random.py or torch.py, a stranger's even.
    """
    os.environ["PYTHONSAFEPATH"] = "1"
