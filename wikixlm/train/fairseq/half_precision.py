"""Mixed-precision training: fairseq's FP16Optimizer in fewer steps, and resumed without a loss of precision.

fairseq keeps the weights twice, in half precision for the network and in fp32 ("masters") for the optimizer
(fairseq/optim/fp16_optimizer.py, 0.12.2). In every update it copies gradients one way and weights the other, parameter
by parameter: hundreds of launches that a GPU waits for. Here each way is one call. And its checkpoints hold the rounded
weights alone, so a resumed training starts from weights that it never had; here they hold the masters too.
"""

from typing import Any

import torch
import torch.distributed as dist
from fairseq import optim
from fairseq.optim.fp16_optimizer import FP16Optimizer
from torch import nn

MASTERS = "masters"


class HalfPrecision(FP16Optimizer):
    """fairseq's mixed-precision optimizer, with masters parameter by parameter in both number formats."""

    _needs_sync: bool  # set by fairseq's backward
    # Whether gradients are added up in the masters' and averaged over the workers there.
    sums_in_masters = False

    @classmethod
    def build_optimizer(cls, cfg: Any, params: list[nn.Parameter], **options: Any) -> "HalfPrecision":
        """Around the optimizer that `cfg` names, which sees nothing but the masters.

        The gradients of several batches are added up in fp32: in bf16 the sum of 64 is off by a percent. Over several
        workers that happens in the masters' gradients, since DistributedDataParallel wants gradients in the weights'
        format.
        """
        several_batches = max(cfg.optimization.update_freq) > 1
        several_workers = cfg.distributed_training.distributed_world_size > 1
        if several_batches and not several_workers:
            for parameter in params:
                parameter.grad_dtype = torch.float32
        masters = cls.build_fp32_params(cfg.optimizer, params, flatten=False)
        optimizer = cls(cfg, params, optim.build_optimizer(cfg.optimizer, masters), masters, **options)
        optimizer.sums_in_masters = several_batches and several_workers
        return optimizer

    def backward(self, loss: torch.Tensor) -> None:
        """Compute gradients, and add them to those of the update's batches before."""
        super().backward(loss)
        if self.sums_in_masters:
            pairs = [(one, master) for one, master in zip(self.fp16_params, self.fp32_params, strict=True)
                     if one.grad is not None]  # fmt: skip
            torch._foreach_add_([master.grad for _, master in pairs], [one.grad.float() for one, _ in pairs])
            for one, _ in pairs:
                one.grad = None

    def _average_over_workers(self) -> None:
        """Replace the masters' gradients by their mean; those of the last batch are a mean already, which it keeps."""
        work = [dist.all_reduce(master.grad, async_op=True) for master in self.fp32_params]
        for each in work:
            each.wait()
        torch._foreach_div_([master.grad for master in self.fp32_params], dist.get_world_size())

    def _sync_fp16_grads_to_fp32(self) -> None:
        """Copy the network's gradients to the masters, zeros where a parameter has none."""
        if not self._needs_sync:
            return
        self._needs_sync = False
        if self.sums_in_masters:
            self._average_over_workers()
            return
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in self.fp16_params]
        torch._foreach_copy_([master.grad for master in self.fp32_params], gradients)

    def _sync_fp32_params_to_fp16(self) -> None:
        """Round the masters into the network."""
        with torch.no_grad():
            torch._foreach_copy_(self.fp16_params, self.fp32_params)

    def zero_grad(self) -> None:
        """Drop the network's gradients; the masters' are overwritten by the next ones, unless they add up there."""
        for parameter in self.fp16_params:
            parameter.grad = None
        if self.sums_in_masters:
            torch._foreach_zero_([master.grad for master in self.fp32_params])
        self._needs_sync = False
        if self.scaler is not None:
            self._multiply_factor = 1.0 / float(self.scaler.loss_scale)

    def state_dict(self) -> dict[str, Any]:
        """As fairseq's, and the masters, in the order of the parameters."""
        return {**super().state_dict(), MASTERS: [master.detach() for master in self.fp32_params]}

    def load_state_dict(self, state_dict: dict[str, Any], optimizer_overrides: dict[str, Any] | None = None) -> None:
        """Load a checkpoint; from one without masters (fairseq's own) the rounded weights are resumed."""
        state = dict(state_dict)
        masters = state.pop(MASTERS, None)
        super().load_state_dict(state, optimizer_overrides)
        if masters is not None:
            with torch.no_grad():
                torch._foreach_copy_(self.fp32_params, [master.to(self.fp32_params[0].device) for master in masters])
