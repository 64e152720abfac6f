"""fairseq's learning-rate schedule `wikixlm_warmup`: linear warm-up, then linear or inverse square root decay.

Neither end is 0: the first update already has a rate (fairseq's own schedules spend it at 0, and under
`--stop-min-lr` take that 0 for the end of the training), and so has the last. A run that goes on with a larger
max_update follows the longer line from where it is.
"""

from dataclasses import dataclass, field
from typing import Any

from fairseq.dataclass import ChoiceEnum, FairseqDataclass
from fairseq.optim.lr_scheduler import FairseqLRScheduler, register_lr_scheduler
from omegaconf import II

DECAYS = ChoiceEnum(["linear", "inverse_sqrt", "none"])


@dataclass
class ScheduleConfig(FairseqDataclass):
    """The schedule's options."""

    warmup_updates: int = field(default=0, metadata={"help": "updates over which the rate rises to --lr"})
    lr_decay: DECAYS = field(  # type: ignore[valid-type]
        default="linear", metadata={"help": "after warm-up: linear (to 0 at --max-update), inverse_sqrt, none"}
    )
    max_update: int = II("optimization.max_update")
    lr: list[float] = II("optimization.lr")  # noqa: RUF009


def rate(update: int, peak: float, warmup: int, total: int, decay: str) -> float:
    """The rate of an update.

    Args:
        update: the update's number, from 0.
        peak: the rate at the end of the warm-up.
        warmup, total: updates of the warm-up, and of the whole run (linear decay only).
        decay: `linear`, `inverse_sqrt` or `none`.
    """
    if update < warmup:
        return peak * (update + 1) / warmup
    if decay == "linear":
        left = max(total - update, 1)
        return peak * left / max(total - warmup, left)
    if decay == "inverse_sqrt":
        return float(peak * (max(warmup, 1) / (update + 1)) ** 0.5)
    return peak


@register_lr_scheduler("wikixlm_warmup", dataclass=ScheduleConfig)
class WarmupSchedule(FairseqLRScheduler):
    """Sets the rate before every update."""

    def __init__(self, cfg: ScheduleConfig, optimizer: Any) -> None:
        super().__init__(cfg, optimizer)
        if str(cfg.lr_decay) == "linear" and not cfg.max_update:
            raise ValueError("--lr-decay linear needs --max-update")
        self.step_update(0)

    def step_update(self, num_updates: int) -> float:
        """Set and return the rate of the update that follows `num_updates` others."""
        cfg = self.cfg
        lr = rate(num_updates, cfg.lr[0], cfg.warmup_updates, cfg.max_update, str(cfg.lr_decay))
        self.optimizer.set_lr(lr)
        return lr
