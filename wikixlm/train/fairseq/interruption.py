"""Stopping early, the trainer's side: on a signal it finishes the update, saves checkpoint_last and exits.

Stock fairseq dies of it, and all updates since its last checkpoint are lost. A checkpoint between two
updates holds everything that the next ones depend on, so the resumed training ends with the weights of an uninterrupted
one.
`patches.validate_and_save` is where the training loop looks.
"""

import atexit
import functools
import importlib
import multiprocessing
import os
import signal
import threading
from types import FrameType
from typing import Any

# SIGHUP: the terminal was closed.
SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGHUP)

_asked_by: str | None = None


def listen() -> None:
    """Remember the signals instead of dying of them; call it before fairseq is imported.

    Data-loader workers must survive them: SLURM sends them to every process of a job, and a loader that dies takes its
    trainer along. So loaders ignore them and are killed at exit, where Python would send SIGTERM and wait for ever.
    """
    for number in SIGNALS:
        signal.signal(number, _remember)
        signal.siginterrupt(number, False)
    os.register_at_fork(after_in_child=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS))
    importlib.import_module("multiprocessing.util")  # what it does at exit comes after what is registered later
    atexit.register(_kill_loaders)
    # The parent held them back while this process was not ready for them.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _kill_loaders() -> None:
    for child in multiprocessing.active_children():
        child.kill()


def _remember(number: int, frame: FrameType | None) -> None:
    global _asked_by
    _asked_by = signal.Signals(number).name


def pass_on_to_workers() -> None:
    """In torchrun's own process: forward each SIGUSR1 to the workers, which have process groups of their own.

    It stays blocked here: this process would die of it, and so would a worker that has only just been started.
    """
    handler: Any = importlib.import_module("torch.distributed.elastic.multiprocessing.subprocess_handler")
    start, workers = handler.SubprocessHandler.__init__, []

    @functools.wraps(start)
    def __init__(self: Any, *options: Any, **named: Any) -> None:
        start(self, *options, **named)
        workers.append(self.proc)

    def pass_on() -> None:
        while True:
            signal.sigwait([signal.SIGUSR1])
            for worker in workers:
                if worker.poll() is None:
                    worker.send_signal(signal.SIGUSR1)

    handler.SubprocessHandler.__init__ = __init__
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    threading.Thread(target=pass_on, daemon=True).start()


def asked_by() -> str | None:
    """The name of the signal that asked this process to stop; None before."""
    return _asked_by


def any_worker_was_asked(trainer: Any) -> bool:
    """Whether to stop now: signals reach the workers at different updates, and all stop at the same one."""
    if trainer.data_parallel_world_size == 1:
        return _asked_by is not None
    if not hasattr(trainer, "vote"):
        trainer.vote = Vote()
    stop: bool = trainer.vote.cast(_asked_by is not None, trainer.device, trainer.data_parallel_process_group)
    return stop


class Vote:
    """Whether any worker says yes, known to all one vote later: by then it has arrived, and nobody waits for it."""

    def __init__(self) -> None:
        self._arriving: tuple[Any, Any] | None = None

    def cast(self, yes: bool, device: Any, group: Any) -> bool:
        """Vote, and return whether there was a yes among the votes before."""
        import torch

        earlier = self._arriving
        votes = torch.full((1,), float(yes), device=device)  # filled on the device: copied there, it would wait
        work = torch.distributed.all_reduce(votes, group=group, async_op=True)
        if votes.is_cuda:
            work.wait()  # has the GPU wait, not this process
            copy = torch.empty(1, pin_memory=True)
            copy.copy_(votes, non_blocking=True)
            arrival = torch.cuda.Event()
            arrival.record()
            self._arriving = copy, arrival.synchronize
        else:
            self._arriving = votes, work.wait
        if earlier is None:
            return False
        count, arrive = earlier
        arrive()
        return bool(count > 0)
