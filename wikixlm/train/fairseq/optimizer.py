"""fairseq's optimizers `wikixlm_adamw` and `wikixlm_muon`: torch's kernels, with the gradients' scaling folded in.

fairseq multiplies every gradient by world size / sample size, then by the clipping coefficient, each a pass over all
gradients; here both become one factor of the step.
"""

import ast
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Optional

import torch
from fairseq.dataclass import FairseqDataclass
from fairseq.optim import FairseqOptimizer, register_optimizer
from omegaconf import II

from wikixlm.train.fairseq.muon import MuonAdamW, is_hidden_matrix


@dataclass
class AdamWConfig(FairseqDataclass):
    """AdamW's options, under the names of fairseq's `adam`."""

    adam_betas: str = field(default="(0.9, 0.98)", metadata={"help": "decay rates of the gradient's mean and square"})
    adam_eps: float = field(default=1e-6, metadata={"help": "added to the denominator"})
    weight_decay: float = field(default=0.0, metadata={"help": "decoupled weight decay"})
    embedding_lr: Optional[float] = field(  # noqa: UP045 - fairseq knows no other form
        default=None,
        metadata={"help": "peak rate of embeddings, norms and biases (default: --lr, which is then for all)"},
    )
    lr: list[float] = II("optimization.lr")  # noqa: RUF009


@register_optimizer("wikixlm_adamw", dataclass=AdamWConfig)
class FusedAdamW(FairseqOptimizer):
    """torch's fused AdamW: the steps of fairseq's `adam`, which adds eps before it corrects the bias, not after."""

    def __init__(self, cfg: AdamWConfig, params: Any) -> None:
        super().__init__(cfg)
        self._optimizer: Any = self._build(self._groups(list(params)))
        self._factor: float | torch.Tensor = 1.0
        self._norm: torch.Tensor | None = None
        self.set_lr(self._peak)

    def _build(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        return torch.optim.AdamW(groups, fused=True, **self.optimizer_config)

    def _groups(self, params: list[torch.nn.Parameter]) -> list[dict[str, Any]]:
        """The hidden matrices at --lr, all else at --embedding-lr if that is given; `lr_scale` is the ratio to --lr."""
        if self.cfg.embedding_lr is None:
            return [{"params": params, "lr_scale": 1.0}]
        rest = [one for one in params if not is_hidden_matrix(one)]
        return [
            {"params": [one for one in params if is_hidden_matrix(one)], "lr_scale": 1.0},
            {"params": rest, "lr_scale": self.cfg.embedding_lr / self._peak},
        ]

    @property
    def _peak(self) -> float:
        lr = self.cfg.lr
        return lr if isinstance(lr, float) else lr[0]

    @property
    def optimizer_config(self) -> dict[str, Any]:
        """The options that a resumed run reads from its configuration."""
        return {
            "lr": self._peak,
            "betas": tuple(ast.literal_eval(self.cfg.adam_betas)),
            "eps": self.cfg.adam_eps,
            "weight_decay": self.cfg.weight_decay,
        }

    def set_lr(self, lr: float) -> None:
        """Set the hidden matrices' rate to `lr`, the others' in proportion."""
        for group in self.param_groups:
            group["lr"] = lr * group.get("lr_scale", 1.0)  # older checkpoints have one rate for all

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


@dataclass
class MuonConfig(AdamWConfig):
    """Options of Muon for the hidden matrices and AdamW for all else."""

    muon_momentum: float = field(default=0.95, metadata={"help": "Nesterov momentum of the matrices' gradients"})


@register_optimizer("wikixlm_muon", dataclass=MuonConfig)
class FusedMuon(FusedAdamW):
    """Muon for the hidden matrices, at --lr, fused AdamW for embeddings, norms and biases, at --embedding-lr."""

    def _build(self, groups: Iterable[dict[str, Any]]) -> torch.optim.Optimizer:
        return MuonAdamW(groups, momentum=self.cfg.muon_momentum, **self.optimizer_config)

    def _groups(self, params: list[torch.nn.Parameter]) -> list[dict[str, Any]]:
        embedding_lr = self._peak if self.cfg.embedding_lr is None else self.cfg.embedding_lr
        matrices, rest = ([one for one in params if is_hidden_matrix(one) is kind] for kind in (True, False))
        return [
            {"params": matrices, "lr_scale": 1.0, "muon": True},
            {"params": rest, "lr_scale": embedding_lr / self._peak, "muon": False},
        ]

    @property
    def supports_flat_params(self) -> bool:
        """It needs the matrices' shapes."""
        return False
