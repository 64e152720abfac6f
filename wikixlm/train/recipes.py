"""The recipes: from the settings of a training to fairseq-train's arguments that shape the weights.

Where and how to run (device, folders, checkpoints, log) is `wikixlm train`'s business and the same for all recipes.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from wikixlm.config.training import TrainSettings
from wikixlm.train.batch_layout import BatchLayout
from wikixlm.train.fairseq import USER_DIR
from wikixlm.train.rates import Rates

# How far to train and how often to save: the keys that may change from one call to the next of the same training.
GOAL = ("max_update", "save_interval_updates")

# How the batch is spread and computed; the batch itself is part of the fingerprint (see save_dir.py).
LAYOUT = ("batch_tokens", "max_tokens", "update_freq", "compile")

# The keys that are no option of fairseq-train; every other key is an option of the recipe `wikixlm`.
_NO_OPTION = {
    *(*GOAL, *LAYOUT, "recipe", "arch", "optimizer", "lr", "embedding_lr", "warmup", "warmup_updates", "precision"),
    *("init_from", "extra_args"),
}

_WIKIXLM = [
    *["--user-dir", str(USER_DIR), "--task", "wikixlm_mlm", "--arch", "wikixlm_base", "--no-epoch-checkpoints"],
    *["--criterion", "wikixlm_masked_lm", "--lr-scheduler", "wikixlm_warmup"],
    *["--adam-betas", "(0.9, 0.98)", "--adam-eps", "1e-06", "--weight-decay", "0.0"],  # betas and eps: XLM's README
]

# fairseq's examples/cross_lingual_language_model/README.md; `legacy_ddp` is today's name of its `no_c10d`.
_TUTORIAL = [
    *["--task", "cross_lingual_lm", "--save-interval", "1", "--no-epoch-checkpoints", "--optimizer", "adam"],
    *["--lr-scheduler", "reduce_lr_on_plateau", "--lr-shrink", "0.5", "--stop-min-lr", "1e-09"],
    *["--criterion", "legacy_masked_lm_loss", "--masked-lm-only", "--ddp-backend", "legacy_ddp"],
]
_TUTORIAL_KEYS = (
    *("arch", "encoder_layers", "encoder_embed_dim", "encoder_ffn_embed_dim", "encoder_attention_heads"),
    *("encoder_normalize_before", "dropout", "attention_dropout", "tokens_per_sample", "seed"),
)


def wikixlm_arguments(settings: TrainSettings, languages: list[str]) -> list[str]:
    """Arguments for the classes in wikixlm/train/fairseq; `xlm_base` means the same dimensions there."""
    keys = (key for key in TrainSettings.model_fields if key not in _NO_OPTION)
    optimizer = ["--optimizer", f"wikixlm_{settings.optimizer}"]
    return [*_WIKIXLM, *optimizer, "--monolingual-langs", ",".join(languages), *_options(settings, keys)]


def tutorial_arguments(settings: TrainSettings, languages: list[str]) -> list[str]:
    """The flags of fairseq's tutorial, on fairseq's stock classes; `--num-segment` is the number of languages."""
    arguments = [*_TUTORIAL, "--monolingual-langs", ",".join(languages), "--num-segment", str(len(languages))]
    return arguments + _options(settings, _TUTORIAL_KEYS)


def layout_arguments(settings: TrainSettings, layout: BatchLayout, warmup_updates: int, rates: Rates) -> list[str]:
    """Arguments on the layout of a batch, the length of the warm-up and the peak rates.

    The tutorial's warm-up starts above 0, because fairseq takes a rate of 0 for one below `--stop-min-lr` and ends
    there without a single update.
    """
    arguments = ["--max-tokens", str(layout.max_tokens), "--update-freq", str(layout.update_freq)]
    arguments += ["--lr", str(rates.lr)]
    if rates.embedding_lr is not None:
        arguments += ["--embedding-lr", str(rates.embedding_lr)]
    if settings.recipe == "wikixlm":
        arguments += ["--warmup-updates", str(warmup_updates)]
        return [*arguments, "--compile-layers"] if settings.compile else arguments
    if warmup_updates:
        arguments += ["--warmup-updates", str(warmup_updates), "--warmup-init-lr", str(rates.lr / 100)]
    return arguments


def _options(settings: TrainSettings, keys: Iterable[str]) -> list[str]:
    """`--key value` for each key; the name alone for True, nothing for False and None."""
    arguments = []
    for key in keys:
        value = getattr(settings, key)
        if value is not None and value is not False:
            arguments.append(f"--{key.replace('_', '-')}")
            arguments += [] if value is True else [str(value)]
    return arguments


@dataclass(frozen=True)
class Recipe:
    """A way to train.

    Attributes:
        arguments: fairseq-train's arguments that shape the weights, from the settings and the languages in order.
        loss_base: base of the logarithm in which fairseq logs this recipe's loss.
        tokens_per_logged: tokens read for each token that fairseq counts in its log.
        on_cpu, on_gpu: arguments on how to load batches and average gradients there; none of them shapes the weights.
    """

    arguments: Callable[[TrainSettings, list[str]], list[str]]
    loss_base: float
    tokens_per_logged: float
    on_cpu: tuple[str, ...] = ()
    on_gpu: tuple[str, ...] = ()


RECIPES: dict[str, Recipe] = {
    # fairseq's pytorch_ddp needs a GPU; on one it overlaps averaging with the backward pass. Its data-loader processes
    # pile up with every epoch and validation; a thread of its own loads ahead without them.
    "wikixlm": Recipe(
        wikixlm_arguments,
        loss_base=math.e,
        tokens_per_logged=1.0,
        on_cpu=("--num-workers", "0", "--ddp-backend", "legacy_ddp"),
        on_gpu=("--num-workers", "0", "--ddp-backend", "pytorch_ddp"),
    ),
    # The legacy criterion logs bits, and counts masked tokens only: 15 % of all.
    "tutorial": Recipe(tutorial_arguments, loss_base=2.0, tokens_per_logged=1 / 0.15),
}


def shaping_settings(settings: TrainSettings) -> dict[str, Any]:
    """The settings that shape the weights, by key; of the two lengths of warm-up the one in use."""
    warmup = "warmup_updates" if settings.warmup_updates is None else "warmup"
    return settings.model_dump(mode="json", exclude={*GOAL, *LAYOUT, warmup})
