"""fairseq's optimizer `wikixlm_adamw`: AdamW in one fused kernel, with the gradients' scaling folded into it.

fairseq multiplies every gradient by world size / sample size, then by the clipping coefficient, each a pass over all
gradients; here both are handed to the kernel as one factor.
"""

import ast
from dataclasses import dataclass, field
from typing import Any

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer, register_optimizer
from omegaconf import II


@dataclass
class AdamWConfig(FairseqDataclass):
    """AdamW's options, under the names of fairseq's `adam`."""

    adam_betas: str = field(default="(0.9, 0.98)", metadata={"help": "decay rates of the gradient's mean and square"})
    adam_eps: float = field(default=1e-6, metadata={"help": "added to the denominator"})
    weight_decay: float = field(default=0.0, metadata={"help": "decoupled weight decay"})
    lr: list[float] = II("optimization.lr")  # noqa: RUF009


@register_optimizer("wikixlm_adamw", dataclass=AdamWConfig)
class FusedAdamW(FairseqOptimizer):
    """torch's fused AdamW: the steps of fairseq's `adam`, which adds eps before it corrects the bias, not after."""

    def __init__(self, cfg: AdamWConfig, params: Any) -> None:
        super().__init__(cfg)
        self._optimizer: Any = torch.optim.AdamW(params, fused=True, **self.optimizer_config)
        self._factor: float | torch.Tensor = 1.0
        self._norm: torch.Tensor | None = None

    @property
    def optimizer_config(self) -> dict[str, Any]:
        """The options that a resumed run reads from its configuration."""
        lr = self.cfg.lr
        return {
            "lr": lr if isinstance(lr, float) else lr[0],
            "betas": tuple(ast.literal_eval(self.cfg.adam_betas)),
            "eps": self.cfg.adam_eps,
            "weight_decay": self.cfg.weight_decay,
        }

    def multiply_grads(self, c: float | torch.Tensor) -> None:
        """Remember the factor for the next step."""
        self._factor = self._factor * c

    def clip_grad_norm(self, max_norm: float, aggregate_norm_fn: Any = None) -> torch.Tensor:
        """The norm of the (scaled) gradients, which the next step clips to `max_norm` if that is above 0."""
        gradients = [parameter.grad for parameter in self.params if parameter.grad is not None]
        norm = torch.nn.utils.get_total_norm(gradients) * self._factor
        if aggregate_norm_fn is not None:
            norm = aggregate_norm_fn(norm)
        self._norm = norm
        if max_norm > 0:
            self._factor = self._factor * (max_norm / (norm + 1e-6)).clamp(max=1.0)
        return norm

    def step(self, closure: Any = None, scale: float = 1.0, groups: Any = None) -> None:
        """Update the parameters, or none of them where the gradients' norm is not finite.

        The kernel divides gradients by `grad_scale`, so it gets the inverse of the factor.
        """
        factor = torch.as_tensor(self._factor / scale, dtype=torch.float32)
        device = next(iter(self.params)).device
        self._optimizer.grad_scale = factor.reciprocal().to(device, non_blocking=True)
        found = torch.zeros((), device=device) if self._norm is None else torch.isfinite(self._norm).logical_not()
        self._optimizer.found_inf = found.float()
        self._optimizer.step(closure)
        self._factor, self._norm = 1.0, None

    def zero_grad(self) -> None:
        """Drop the gradients."""
        self._factor, self._norm = 1.0, None
        self._optimizer.zero_grad(set_to_none=True)

    @property
    def supports_flat_params(self) -> bool:
        """It works element by element."""
        return True
