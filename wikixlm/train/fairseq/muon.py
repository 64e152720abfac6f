"""Muon: orthogonalized momentum for the layers' matrices, beside AdamW for everything else.

Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks", with the step's size matched to
AdamW's (Liu et al. 2025, "Muon is scalable for LLM training", section 2.2), so that one rate serves all shapes. The
steps are those of torch.optim.Muon with `adjust_lr_fn="match_rms_adamw"`, but matrices of one shape are orthogonalized
together, workers share them, and a gradient that isn't finite changes nothing without waiting for the device.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

# Parameters with this `param_group` are Muon's; fairseq copies the tag to the fp32 masters.
HIDDEN_MATRIX = "hidden_matrix"
# Coefficients and iterations of the quintic Newton-Schulz iteration, Jordan et al. 2024.
_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_EPS = 1e-7


def tag_hidden_matrices(module: nn.Module) -> None:
    """Mark the weight matrices of the linear layers in `module` as Muon's."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            part.weight.param_group = HIDDEN_MATRIX  # type: ignore[attr-defined]


def is_hidden_matrix(parameter: nn.Parameter) -> bool:
    """Whether the parameter is one of those tagged."""
    return getattr(parameter, "param_group", None) == HIDDEN_MATRIX


def orthogonalize(matrices: Tensor) -> Tensor:
    """Approximate the orthogonal factor of the polar decomposition of each matrix, [count, rows, columns].

    Singular values end between about 0.7 and 1.2. Computed in bf16 on a GPU, and in fp32 on a CPU, where bf16 is slow.
    """
    x = matrices.to(torch.bfloat16 if matrices.is_cuda else torch.float32)
    wide = x.shape[-2] <= x.shape[-1]
    x = x if wide else x.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=_EPS)
    a, b, c = _NEWTON_SCHULZ
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.mT


def orthogonalize_shared(matrices: Tensor) -> Tensor:
    """`orthogonalize`, with the matrices shared out among the workers, each of which has all of them."""
    workers = dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1
    if workers == 1:
        return orthogonalize(matrices)
    count = len(matrices)
    share = -(-count // workers)
    start = min(dist.get_rank() * share, count)
    own = matrices.new_zeros(share, *matrices.shape[1:])
    if start < count:
        mine = orthogonalize(matrices[start : start + share])
        own[: len(mine)] = mine
    everything = own.new_empty(workers * share, *matrices.shape[1:])
    dist.all_gather_into_tensor(everything, own)
    return everything[:count]


def _gradient(parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


class MuonAdamW(torch.optim.AdamW):
    """Muon on parameter groups with `muon` set, torch's fused AdamW on the others.

    As in the fused kernels, `grad_scale` divides the gradients and `found_inf` other than 0 makes the step do nothing.

    Args:
        groups: parameter groups.
        momentum: Muon's Nesterov momentum.
        options: AdamW's; of these `lr` and `weight_decay` are also Muon's.
    """

    grad_scale: Tensor
    found_inf: Tensor

    def __init__(self, groups: Iterable[dict[str, Any]], momentum: float, **options: Any) -> None:
        super().__init__(groups, fused=True, **options)
        self.momentum = momentum

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update all parameters."""
        groups = self.param_groups
        self.param_groups = [group for group in groups if not group["muon"]]
        try:
            super().step(closure)
        finally:
            self.param_groups = groups
        for group in groups:
            if group["muon"]:
                self._muon_step(group)

    def _muon_step(self, group: dict[str, Any]) -> None:
        by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
        for parameter in group["params"]:
            by_shape[parameter.shape].append(parameter)
        keep = self.found_inf != 0
        for shape, parameters in by_shape.items():
            size = group["lr"] * 0.2 * math.sqrt(max(shape))  # a step's mean square is then AdamW's
            momenta = [self._momentum_of(parameter) for parameter in parameters]
            before = torch.stack(momenta)
            gradients = torch.stack([_gradient(parameter) for parameter in parameters]) / self.grad_scale
            after = before.lerp(gradients, 1 - self.momentum)
            steps = orthogonalize_shared(gradients.lerp(after, self.momentum)).to(before.dtype) * size
            steps = torch.where(keep, torch.zeros_like(steps), steps)
            after = torch.where(keep, before, after)
            if group["weight_decay"]:
                decay = torch.where(keep, 1.0, 1.0 - group["lr"] * group["weight_decay"])
                torch._foreach_mul_(parameters, decay)
            torch._foreach_sub_(parameters, list(steps.unbind()))
            torch._foreach_copy_(momenta, list(after.unbind()))

    def _momentum_of(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
            state["step"] = torch.zeros((), device=parameter.device)  # AdamW expects one in every state that it loads
        buffer: Tensor = state["momentum_buffer"]
        return buffer
