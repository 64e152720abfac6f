"""What a training is: its settings, and fairseq-train's arguments that follow from them.

A recipe is a function from settings to the arguments that shape the trained weights. Where and how to run (device,
folders, checkpoints, log) is `wikixlm train`'s business and the same for all recipes.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from wikixlm.errors import UserError
from wikixlm.train.fairseq import USER_DIR


@dataclass(frozen=True)
class TrainSettings:
    """The section `train` of the configuration, without its operational keys (device, gpus, nodes, keep_checkpoints).

    Values that are None follow the architecture. `extra_args` stand last on fairseq-train's command line, so they win.
    """

    max_update: int
    recipe: str = "wikixlm"
    arch: str = "xlm_base"
    encoder_layers: int | None = None
    encoder_embed_dim: int | None = None
    encoder_ffn_embed_dim: int | None = None
    encoder_attention_heads: int | None = None
    encoder_normalize_before: bool = True
    max_tokens: int = 2048
    tokens_per_sample: int = 256
    update_freq: int = 1
    lr: float = 0.0001
    warmup_updates: int = 0
    dropout: float = 0.1
    attention_dropout: float = 0.1
    alpha: float = 0.7
    mask_ratio: float = 0.3
    lr_decay: str = "trapezoidal"
    clip_norm: float = 1.0
    position_scale: float = 0.06
    attention_gain: float = 1.0
    neighbour_logit: float = 16.0
    compile: bool = False
    precision: str = "auto"
    save_interval_updates: int = 5000
    init_from: str | None = None
    seed: int = 0
    extra_args: list[str] = field(default_factory=list)


# What may change from one call to the next while the training goes on: how far, and how often to save.
GOAL = ("max_update", "save_interval_updates")


def parse_settings(text: str) -> TrainSettings:
    """The settings in a JSON object.

    Raises:
        UserError: not JSON, an unknown or missing key, or values that can't be trained with.
    """
    try:
        values = json.loads(text)
    except ValueError as failure:
        raise UserError(f"--settings is not valid JSON ({failure})") from failure
    if not isinstance(values, dict):
        raise UserError("--settings is not a JSON object of keys of the section train")
    known = [item.name for item in fields(TrainSettings)]
    if unknown := sorted(set(values) - set(known)):
        raise UserError(f"--settings: unknown key {', '.join(unknown)}; known: {', '.join(known)}")
    if "max_update" not in values:
        raise UserError("--settings: max_update is missing")
    settings = TrainSettings(**values)
    _check(settings)
    return settings


def _check(settings: TrainSettings) -> None:
    if settings.recipe not in RECIPES:
        raise UserError(f"train.recipe is {settings.recipe!r}; known: {', '.join(RECIPES)}")
    if settings.max_update < 1:
        raise UserError(f"train.max_update is {settings.max_update}; it must be at least 1")
    if settings.max_tokens < settings.tokens_per_sample:
        raise UserError(
            f"train.max_tokens is {settings.max_tokens}, less than one block of "
            f"train.tokens_per_sample {settings.tokens_per_sample}: not one block fits a batch"
        )
    if settings.init_from is not None and not Path(settings.init_from).is_file():
        raise UserError(f"train.init_from: {settings.init_from} is not a file")


def tutorial(settings: TrainSettings, languages: list[str]) -> list[str]:
    """The flags of fairseq's tutorial, in its order, on fairseq's stock classes.

    Source: examples/cross_lingual_language_model/README.md of fairseq. `legacy_ddp` is the present name of its
    `--ddp-backend=no_c10d`; `--num-segment` is the number of languages. The warm-up starts above 0, because fairseq
    takes a rate of 0 for one below `--stop-min-lr` and ends there without a single update.
    """
    arguments = ["--task", "cross_lingual_lm", "--no-epoch-checkpoints", "--save-interval", "1"]
    arguments += _architecture(settings)
    arguments += ["--optimizer", "adam", "--lr-scheduler", "reduce_lr_on_plateau", "--lr-shrink", "0.5"]
    arguments += ["--lr", str(settings.lr), "--stop-min-lr", "1e-09"]
    if settings.warmup_updates:
        arguments += ["--warmup-updates", str(settings.warmup_updates), "--warmup-init-lr", str(settings.lr / 100)]
    arguments += ["--dropout", str(settings.dropout), "--criterion", "legacy_masked_lm_loss"]
    arguments += ["--max-tokens", str(settings.max_tokens), "--tokens-per-sample", str(settings.tokens_per_sample)]
    arguments += ["--attention-dropout", str(settings.attention_dropout), "--seed", str(settings.seed)]
    arguments += ["--masked-lm-only", "--monolingual-langs", ",".join(languages)]
    arguments += ["--num-segment", str(len(languages)), "--ddp-backend", "legacy_ddp"]
    arguments += ["--update-freq", str(settings.update_freq)]
    return arguments


def wikixlm(settings: TrainSettings, languages: list[str]) -> list[str]:
    """The flags of wikixlm's own classes, the fairseq extension in wikixlm/train/fairseq.

    `xlm_base` means the same dimensions in the extension's network. The betas and eps are those of XLM's README.
    """
    arguments = ["--user-dir", str(USER_DIR), "--task", "wikixlm_mlm", "--no-epoch-checkpoints"]
    arguments += _architecture(replace(settings, arch=settings.arch.replace("xlm_base", "wikixlm_base")))
    arguments += ["--monolingual-langs", ",".join(languages), "--tokens-per-sample", str(settings.tokens_per_sample)]
    arguments += ["--alpha", str(settings.alpha), "--mask-ratio", str(settings.mask_ratio)]
    arguments += ["--position-scale", str(settings.position_scale), "--attention-gain", str(settings.attention_gain)]
    arguments += ["--neighbour-logit", str(settings.neighbour_logit)]
    arguments += ["--dropout", str(settings.dropout), "--attention-dropout", str(settings.attention_dropout)]
    arguments += [
        "--criterion",
        "wikixlm_masked_lm",
        "--optimizer",
        "wikixlm_adamw",
        "--clip-norm",
        str(settings.clip_norm),
    ]
    arguments += ["--adam-betas", "(0.9, 0.98)", "--adam-eps", "1e-06", "--weight-decay", "0.0"]
    arguments += ["--lr", str(settings.lr), "--lr-scheduler", "wikixlm_warmup", "--lr-decay", settings.lr_decay]
    arguments += ["--warmup-updates", str(settings.warmup_updates), "--max-tokens", str(settings.max_tokens)]
    arguments += ["--update-freq", str(settings.update_freq), "--seed", str(settings.seed)]
    return [*arguments, "--compile-layers"] if settings.compile else arguments


def _architecture(settings: TrainSettings) -> list[str]:
    """`--arch`, and what overrides it."""
    arguments = ["--arch", settings.arch]
    for name in ("encoder_layers", "encoder_embed_dim", "encoder_ffn_embed_dim", "encoder_attention_heads"):
        value = getattr(settings, name)
        if value is not None:
            arguments += [f"--{name.replace('_', '-')}", str(value)]
    if settings.encoder_normalize_before:
        arguments.append("--encoder-normalize-before")
    return arguments


@dataclass(frozen=True)
class Recipe:
    """A way to train.

    Attributes:
        arguments: fairseq-train's arguments that shape the weights, from the settings and the languages in order.
        loss_base: the base of the logarithm in which fairseq logs this recipe's loss.
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
        wikixlm,
        loss_base=math.e,
        tokens_per_logged=1.0,
        on_cpu=("--num-workers", "0", "--ddp-backend", "legacy_ddp"),
        on_gpu=("--num-workers", "0", "--ddp-backend", "pytorch_ddp"),
    ),
    # The legacy criterion logs bits, and counts masked tokens only: 15 % of all.
    "tutorial": Recipe(tutorial, loss_base=2.0, tokens_per_logged=1 / 0.15),
}


def settings_as_dict(settings: TrainSettings) -> dict[str, Any]:
    """The settings that shape the weights, by key: all but how far to go and how often to save."""
    return {item.name: getattr(settings, item.name) for item in fields(settings) if item.name not in GOAL}
