"""The trainer's side of ending early: on SIGUSR1 or SIGTERM it finishes the update, saves checkpoint_last and exits.

Left alone, fairseq dies of either signal, and all updates since its last checkpoint are lost. What is saved between two
updates is all that the next ones depend on, so that the resumed training ends with the weights of an unbroken one.
"""

import atexit
import functools
import importlib
import logging
import multiprocessing
import os
import signal
import threading
from types import FrameType
from typing import Any

logger = logging.getLogger(__name__)

SIGNALS = (signal.SIGUSR1, signal.SIGTERM)
# In the log, where `wikixlm train` looks for it.
STOPPED = "stopped between two updates"

_asked_by: str | None = None


def listen() -> None:
    """From now on remember the signals instead of dying of them; call it before fairseq is imported.

    Data-loader workers must outlive them: SLURM sends them to every process of a job, and a loader that dies takes its
    trainer along. So they are killed at the end; Python would ask them with a SIGTERM and wait for ever.
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
    """In torchrun's own process: send each SIGUSR1 on to the workers, which are in process groups of their own.

    It stays blocked, for this process would die of it, and so would a worker that has only just been started.
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


def install() -> None:
    """Make fairseq's training loop look, after every update, whether it was asked to end.

    The validation and the checkpoint that are due after that update are made as ever: a resumed training does not
    make them again. Else the checkpoint is saved without a validation, for time may be short. At the end of an epoch
    one more update is made: what fairseq does between two epochs (the plateau schedule's step) would be left out.
    """
    from fairseq import checkpoint_utils

    train: Any = importlib.import_module("fairseq_cli.train")
    save, after_update = checkpoint_utils.save_checkpoint, train.validate_and_save
    saved_at = -1
    epoch_to_end = True

    @functools.wraps(save)
    def save_checkpoint(cfg: Any, trainer: Any, epoch_itr: Any, val_loss: float | None) -> None:
        nonlocal saved_at
        save(cfg, trainer, epoch_itr, val_loss)
        saved_at = trainer.get_num_updates()

    @functools.wraps(after_update)
    def validate_and_save(
        cfg: Any, trainer: Any, task: Any, epoch_itr: Any, subsets: list[str], end_of_epoch: bool
    ) -> tuple[Any, bool]:
        nonlocal epoch_to_end
        losses, done = after_update(cfg, trainer, task, epoch_itr, subsets, end_of_epoch)
        if done or not _any_worker_was_asked(trainer):
            return losses, done
        if end_of_epoch and epoch_to_end:
            epoch_to_end = False  # not again, where an epoch is a single update
            return losses, done
        updates = trainer.get_num_updates()
        if saved_at != updates:
            checkpoint_utils.save_checkpoint(cfg.checkpoint, trainer, epoch_itr, None)
        logger.info("%s, at update %d, by %s", STOPPED, updates, _asked_by or "another worker")
        return losses, True

    checkpoint_utils.save_checkpoint = save_checkpoint
    train.validate_and_save = validate_and_save


def _any_worker_was_asked(trainer: Any) -> bool:
    """The signals reach the workers at different updates; they all stop at the same one."""
    if trainer.data_parallel_world_size == 1:
        return _asked_by is not None
    import torch
    from fairseq.distributed import utils

    asked = torch.tensor([float(_asked_by is not None)], device=trainer.device)
    return bool(utils.all_reduce(asked, group=trainer.data_parallel_process_group) > 0)
