"""Let the CPU prepare the next update while a GPU still works on this one.

fairseq's trainer (fairseq/trainer.py, 0.12.2) waits for the GPU twice in every update, and each time the GPU then waits
for the CPU: it looks whether the gradients are finite before it steps, and turns every figure into a Python number as
it logs it. Here the optimizer's own kernel leaves the weights as they are where gradients are not finite, the trainer
looks at the update before, and the meters keep tensors, which are asked for their value when a line of the log is due.
"""

import functools
from typing import Any

import torch
from fairseq import checkpoint_utils, metrics
from fairseq.trainer import Trainer
from torch import Tensor

from wikixlm.train.fairseq.optimizer import FusedAdamW


class Norms:
    """The gradients' norms, handed on one update late, when they are known without waiting.

    Attributes:
        newest: the norm of this update, on its device.
    """

    def __init__(self) -> None:
        self.newest = torch.zeros(())
        self._arriving: tuple[Tensor, Any] | None = None

    def exchange(self, norm: Tensor) -> Tensor:
        """Take this update's norm, give that of the update before, on the CPU; of the first update its own."""
        earlier, self.newest = self._arriving, norm
        if norm.is_cuda:
            copy = torch.empty(norm.shape, dtype=norm.dtype, pin_memory=True)
            copy.copy_(norm, non_blocking=True)
            arrival = torch.cuda.Event()
            arrival.record()
            self._arriving = copy, arrival
        else:
            self._arriving = norm, None
        if earlier is None:
            return norm
        known, arrived = earlier
        if arrived is not None:
            arrived.synchronize()
        return known


def may_run_ahead(trainer: Any, norm: Tensor) -> bool:
    """Whether nobody else needs the norm now: other workers, to compare; fp16's loss scale; another optimizer."""
    optimizer = trainer.optimizer
    alone = trainer.data_parallel_world_size == 1 and getattr(optimizer, "scaler", None) is None
    return norm.is_cuda and alone and isinstance(getattr(optimizer, "fp32_optimizer", optimizer), FusedAdamW)


def install() -> None:
    """Have fairseq's trainer work that way. What it logs has its own names, priorities and values.

    An update whose gradients are not finite ends the training as ever, but during the update after it, or as its
    checkpoint is due: none is saved with an update that was left out.
    """
    clip, log, save = Trainer.clip_grad_norm, Trainer._reduce_and_log_stats, checkpoint_utils.save_checkpoint

    @functools.wraps(clip)
    def clip_grad_norm(self: Any, clip_norm: float) -> Tensor:
        norm: Tensor = clip(self, clip_norm)
        if not may_run_ahead(self, norm):
            return norm
        if not hasattr(self, "norms"):
            self.norms = Norms()
        norms: Norms = self.norms
        return norms.exchange(norm)

    @functools.wraps(log)
    def log_update(self: Any, logs: list[dict[str, Any]], sample_size: float, grad_norm: Any = None) -> dict[str, Any]:
        if grad_norm is None:  # a validation
            outcome: dict[str, Any] = log(self, logs, sample_size)
            return outcome
        norm = self.norms.newest if hasattr(self, "norms") else grad_norm
        metrics.log_speed("ups", 1.0, priority=100, round=2)
        metrics.log_scalar("gnorm", norm, priority=400, round=3)
        limit = self.cfg.optimization.clip_norm
        if limit > 0:
            metrics.log_scalar("clip", 100.0 * (norm > limit), priority=500, round=1)
        self.task.reduce_metrics(logs, self.get_criterion())
        return {"sample_size": sample_size}  # the training loop looks at no more than whether there was an update

    @functools.wraps(save)
    def save_checkpoint(cfg: Any, trainer: Any, epoch_itr: Any, val_loss: float | None) -> None:
        if hasattr(trainer, "norms") and not torch.isfinite(trainer.norms.newest):
            raise FloatingPointError("gradients are Nan/Inf")  # the trainer's own words
        save(cfg, trainer, epoch_itr, val_loss)

    Trainer.clip_grad_norm = clip_grad_norm
    Trainer._reduce_and_log_stats = log_update
    checkpoint_utils.save_checkpoint = save_checkpoint
