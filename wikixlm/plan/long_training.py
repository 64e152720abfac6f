"""A warning at the start of a run whose training would take more than a month on this machine."""

import os
from collections.abc import Iterable

from wikixlm import console
from wikixlm.config import Config
from wikixlm.errors import UserError
from wikixlm.plan import command, training

DAYS = 30


def warn(cfg: Config, rules: Iterable[str], executor: str) -> None:
    """Warn once; not where no training is to run, nor on a cluster, nor for a GPU of unknown speed.

    Args:
        cfg: the configuration of the run.
        rules: of the jobs that are to run.
        executor: Snakemake's; `local` is this machine.
    """
    if executor != "local" or "train_mlm" not in rules:
        return
    device = command.default_device(cfg)
    try:
        pace = training.estimate_pace(cfg, device, os.cpu_count() or 1, None)
    except UserError:
        return
    days = training.training_tokens(cfg) / pace.tokens_per_second / 86400
    if days > DAYS:
        where = "the CPU" if device == "cpu" else device
        console.warn(
            f"the training will take about {days:,.0f} days on {where}, by an estimate (wikixlm plan shows it): lower "
            "train.max_update or the model's size, use a GPU, or start from config/small.yaml or config/night.yaml"
        )
