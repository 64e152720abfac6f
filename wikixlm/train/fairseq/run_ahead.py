"""Let the CPU prepare the next update while a GPU still works on this one.

fairseq's trainer (fairseq/trainer.py, 0.12.2) waits for the GPU twice in every update, and each time the GPU then waits
for the CPU: it checks that the gradients are finite before the optimizer's step, and converts every figure to a Python
number for the log. Here the optimizer's own kernel leaves the weights unchanged where gradients are not finite, the
trainer checks the update before, and the meters keep tensors, whose values are read when a line of the log is due.
The patches are in `patches`.
"""

from typing import Any

import torch
from torch import Tensor

from wikixlm.train.fairseq.optimizer import FusedAdamW


class Norms:
    """Gradient norms, returned one update late, when they are known without waiting.

    Attributes:
        newest: the norm of this update, on its device.
    """

    def __init__(self) -> None:
        self.newest = torch.zeros(())
        self._arriving: tuple[Tensor, Any] | None = None

    def exchange(self, norm: Tensor) -> Tensor:
        """Store this update's norm and return that of the update before, on the CPU; the first update gets its own."""
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
    """Whether nothing else needs the norm now: other workers, to compare; fp16's loss scale; another optimizer."""
    optimizer = trainer.optimizer
    alone = trainer.data_parallel_world_size == 1 and getattr(optimizer, "scaler", None) is None
    return norm.is_cuda and alone and isinstance(getattr(optimizer, "fp32_optimizer", optimizer), FusedAdamW)
