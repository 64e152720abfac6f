"""Peak learning rates where the settings leave them to a rule: `lr: auto`.

Muon's steps are equally large for matrices of any shape, so one rate holds from width 128 to 1024; AdamW's rate for
the layers' matrices falls with the width (Yang et al. 2021, "Tensor programs V", table 3). Embeddings, norms and biases
are AdamW's, at one rate for all widths. All rise with the square root of the batch (Malladi et al. 2022, "On the SDEs
and scaling rules for adaptive gradient algorithms"). The figures are measured: docs/training.md.
"""

import math
from typing import NamedTuple

from wikixlm.config.training import TrainSettings

# For batches of so many tokens:
TOKENS = 2_048
MUON = 0.007
ADAMW = 0.001  # at this
WIDTH = 128
EMBEDDINGS = 0.0014
# Batches beyond so many times TOKENS raise the rates no further.
MOST = 16
# fairseq's tutorial has one rate.
TUTORIAL = 1e-4
# A rate given by hand that is so many times off the rule's was likely meant for the other optimizer.
FAR_OFF = 8


class Rates(NamedTuple):
    """Peak rates: of the layers' matrices, and of embeddings, norms and biases (None: the same)."""

    lr: float
    embedding_lr: float | None


def peak_rates(settings: TrainSettings, tokens_per_update: int) -> Rates:
    """The settings' rates; a given `lr` alone is AdamW's for all, and Muon's for the matrices."""
    lr, embedding_lr = settings.lr, settings.embedding_lr
    if settings.recipe == "tutorial":
        return Rates(TUTORIAL if lr == "auto" else lr, None)
    if embedding_lr is None and (lr == "auto" or settings.optimizer == "muon"):
        embedding_lr = EMBEDDINGS * scale(tokens_per_update)
    return Rates(matrix_rate(settings, tokens_per_update) if lr == "auto" else lr, embedding_lr)


def matrix_rate(settings: TrainSettings, tokens_per_update: int) -> float:
    """The rule's rate of the layers' matrices."""
    base = MUON if settings.optimizer == "muon" else ADAMW * WIDTH / settings.dimensions.embed_dim
    return base * scale(tokens_per_update)


def scale(tokens_per_update: int) -> float:
    """How much larger the rates are than with batches of `TOKENS`."""
    return math.sqrt(min(tokens_per_update / TOKENS, MOST))


def far_off(settings: TrainSettings, tokens_per_update: int) -> float | None:
    """The rule's rate, where the settings' own is `FAR_OFF` times larger or smaller; else None."""
    if settings.recipe == "tutorial" or settings.lr == "auto":
        return None
    rule = matrix_rate(settings, tokens_per_update)
    return rule if not rule / FAR_OFF <= settings.lr <= rule * FAR_OFF else None
