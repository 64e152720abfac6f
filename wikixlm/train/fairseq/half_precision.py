"""Mixed-precision training: fairseq's FP16Optimizer in fewer steps, and resumed without a loss of precision.

fairseq keeps the weights twice, in half precision for the network and in fp32 ("masters") for the optimizer
(fairseq/optim/fp16_optimizer.py, 0.12.2). In every update it copies gradients one way and weights the other, parameter
by parameter: hundreds of launches that a GPU waits for. Here each way is one call. And its checkpoints hold the rounded
weights alone, so a resumed training starts from weights that it never had; here they hold the masters too.
"""

from typing import Any

import torch
from fairseq import optim
from fairseq.optim.fp16_optimizer import FP16Optimizer
from torch import nn

MASTERS = "masters"


class HalfPrecision(FP16Optimizer):
    """fairseq's mixed-precision optimizer, with masters parameter by parameter in both number formats."""

    _needs_sync: bool  # set by fairseq's backward

    @classmethod
    def build_optimizer(cls, cfg: Any, params: list[nn.Parameter], **options: Any) -> "HalfPrecision":
        """Around the optimizer that `cfg` names, which sees nothing but the masters.

        The gradients of several batches are added up in fp32: in bf16 the sum of 64 is off by a percent. (Not over
        several GPUs: torch's DistributedDataParallel wants gradients in the weights' format.)
        """
        training = cfg.distributed_training
        reduced_by_torch = training.distributed_world_size > 1 and training.ddp_backend != "legacy_ddp"
        if max(cfg.optimization.update_freq) > 1 and not reduced_by_torch:
            for parameter in params:
                parameter.grad_dtype = torch.float32
        masters = cls.build_fp32_params(cfg.optimizer, params, flatten=False)
        return cls(cfg, params, optim.build_optimizer(cfg.optimizer, masters), masters, **options)

    def _sync_fp16_grads_to_fp32(self) -> None:
        """Copy the network's gradients to the masters, zeros where a parameter has none."""
        if not self._needs_sync:
            return
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in self.fp16_params]
        torch._foreach_copy_([master.grad for master in self.fp32_params], gradients)
        self._needs_sync = False

    def _sync_fp32_params_to_fp16(self) -> None:
        """Round the masters into the network."""
        with torch.no_grad():
            torch._foreach_copy_(self.fp16_params, self.fp32_params)

    def zero_grad(self) -> None:
        """Drop the network's gradients; the masters' are overwritten by the next ones."""
        for parameter in self.fp16_params:
            parameter.grad = None
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
