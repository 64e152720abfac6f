"""Tiny binarized data as fairseq reads it, made without the pipeline's other stages."""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from wikixlm import cli
from wikixlm.config import parse_train_settings
from wikixlm.config.training import TrainSettings
from wikixlm.train.fairseq import compat

SYMBOLS = 200
SPECIAL = 5  # special symbols of the dictionary
EOS = 2

# 2 layers x 32: a training of a few updates costs little more than fairseq's import.
SETTINGS: dict[str, Any] = {
    "recipe": "tutorial",
    "arch": "xlm_base",
    "encoder_layers": 2,
    "encoder_embed_dim": 32,
    "encoder_ffn_embed_dim": 64,
    "encoder_attention_heads": 2,
    "encoder_normalize_before": True,
    "max_update": 4,
    "max_tokens": 128,
    "tokens_per_sample": 16,
    "update_freq": 1,
    "optimizer": "adamw",
    "lr": 0.001,
    "embedding_lr": None,
    "hidden_gain": 0.0,
    "warmup_updates": 0,
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "alpha": 0.7,
    "precision": "auto",
    "save_interval_updates": 2,
    "init_from": None,
    "seed": 0,
    "extra_args": [],
}


def settings(**changes: Any) -> str:
    """The `--settings` of a tiny training, with `changes`."""
    return json.dumps({**SETTINGS, **changes})


def train_settings(**changes: Any) -> TrainSettings:
    """The same, parsed."""
    return parse_train_settings(settings(**changes))


def text(rng: np.random.Generator, lines: int) -> list[list[int]]:
    """Lines of 3 to 30 symbols, Zipf-distributed, numbered from 0."""
    weights = 1 / np.arange(1, SYMBOLS + 1)
    return [rng.choice(SYMBOLS, size=rng.integers(3, 31), p=weights / weights.sum()).tolist() for _ in range(lines)]


def write_dictionary(folder: Path, symbols: int = SYMBOLS) -> None:
    """Write a `dict.txt` of the symbols w0, w1, and so on."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dict.txt").write_text("".join(f"w{number} 1\n" for number in range(symbols)), encoding="utf-8")


def binarize(prefix: Path, lines: list[list[int]], dataset_impl: str = "mmap") -> None:
    """`prefix.bin` and `prefix.idx` of `lines`, numbered from 0, each with a `</s>` at its end."""
    write_ids(prefix, ([number + SPECIAL for number in line] + [EOS] for line in lines), dataset_impl, SYMBOLS)


def write_ids(prefix: Path, lines: Iterable[Any], dataset_impl: str = "mmap", symbols: int = SYMBOLS) -> None:
    """`prefix.bin` and `prefix.idx` of lines of ids, by fairseq's own builder: our reader is tested on it."""
    compat.apply()
    import torch
    from fairseq.data import indexed_dataset

    builder = indexed_dataset.make_builder(f"{prefix}.bin", impl=dataset_impl, vocab_size=symbols + SPECIAL)
    for line in lines:
        builder.add_item(torch.as_tensor(line))
    builder.finalize(f"{prefix}.idx")


def make_data(
    folder: Path, languages: list[str], train: int = 60, held_out: int = 6, dataset_impl: str = "mmap", seed: int = 0
) -> Path:
    """A data folder of all `languages`, with `train` lines for training, `held_out` for valid and for test."""
    write_dictionary(folder)
    rng = np.random.default_rng(seed)
    for language in languages:
        for split, lines in (("train", train), ("valid", held_out), ("test", held_out)):
            binarize(folder / f"{split}.{language}", text(rng, lines), dataset_impl)
    return folder


def train_arguments(data: Path, folder: Path, languages: list[str], *options: str, **changes: Any) -> list[str]:
    """The words after `wikixlm`: a training on the CPU with `changes` of the settings; everything lies in `folder`."""
    return [
        *["train", "--data", str(data), "--languages", *languages, "--settings", settings(**changes)],
        *["--save-dir", str(folder / "checkpoints"), "--output", str(folder / "model.pt")],
        *["--device", "cpu", "--threads", "1", *options],
    ]


def call(stage: Any, words: list[str]) -> None:
    """Run a stage in this process, with its errors as exceptions; `words` as on the command line, its name first."""
    stage.main(parse(words))


def parse(words: list[str]) -> argparse.Namespace:
    """The command line `wikixlm` with `words`, parsed."""
    return cli.build_parser([words[0]]).parse_args(words)
