"""fairseq's learning-rate schedule `wikixlm_warmup`: linear warm-up, then one of several ways down.

No update has a rate of 0: fairseq's own schedules start at 0, which `--stop-min-lr` mistakes for the end of the
training. A run that is resumed with a larger max_update follows the longer line from where it is.
"""

from dataclasses import dataclass, field
from typing import Any

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.optim.lr_scheduler import FairseqLRScheduler, register_lr_scheduler
from omegaconf import II

DECAYS = ChoiceEnum(["linear", "trapezoidal", "inverse_sqrt", "none"])
NEED_MAX_UPDATE = ("linear", "trapezoidal")
COOLDOWN = 0.2  # share of the updates after warm-up in which a trapezoid falls


@dataclass
class ScheduleConfig(FairseqDataclass):
    """The schedule's options."""

    warmup_updates: int = field(default=0, metadata={"help": "updates over which the rate rises to --lr"})
    lr_decay: DECAYS = field(  # type: ignore[valid-type]
        default="trapezoidal",
        metadata={"help": "after warm-up: linear, trapezoidal (both to 0 at --max-update), inverse_sqrt, none"},
    )
    max_update: int = II("optimization.max_update")
    lr: list[float] = II("optimization.lr")  # noqa: RUF009


def rate(update: int, peak: float, warmup: int, total: int, decay: str) -> float:
    """The rate of an update.

    The trapezoid stays at its peak until its last fifth (a constant rate and a cooldown: Zhai et al. 2022, Scaling
    Vision Transformers; a cooldown of a fifth: Hägele et al. 2024, Scaling Laws and Compute-Optimal Training).

    Args:
        update: the update's number, from 0.
        peak: the rate at the end of the warm-up.
        warmup, total: updates of the warm-up, and of the whole run (the latter only for `NEED_MAX_UPDATE`).
        decay: `linear`, `trapezoidal`, `inverse_sqrt` or `none`.
    """
    if update < warmup:
        return peak * (update + 1) / warmup
    left = max(total - update, 1)
    if decay == "linear":
        return peak * left / max(total - warmup, left)
    if decay == "trapezoidal":
        return peak * min(left / max(COOLDOWN * (total - warmup), 1), 1)
    if decay == "inverse_sqrt":
        return float(peak * (max(warmup, 1) / (update + 1)) ** 0.5)
    return peak


@register_lr_scheduler("wikixlm_warmup", dataclass=ScheduleConfig)
class WarmupSchedule(FairseqLRScheduler):
    """Sets the rate before every update."""

    def __init__(self, cfg: ScheduleConfig, optimizer: Any) -> None:
        super().__init__(cfg, optimizer)
        if str(cfg.lr_decay) in NEED_MAX_UPDATE and not cfg.max_update:
            raise ValueError(f"--lr-decay {cfg.lr_decay} needs --max-update")
        self.step_update(0)

    def step_update(self, num_updates: int) -> float:
        """Set and return the rate of the update that follows `num_updates` others."""
        cfg = self.cfg
        lr = rate(num_updates, cfg.lr[0], cfg.warmup_updates, cfg.max_update, str(cfg.lr_decay))
        self.optimizer.set_lr(lr)
        return lr
