"""Tiny binarized data for the tests of the fairseq extension."""

import argparse
from pathlib import Path

import numpy as np

from tests.support.fairseq_data import SPECIAL, write_ids
from wikixlm.train.fairseq import USER_DIR, compat


def load_recipe() -> None:
    """Import fairseq and register the recipe's parts, as `--user-dir` does."""
    compat.apply()
    from fairseq import utils

    utils.import_user_module(argparse.Namespace(user_dir=str(USER_DIR)))


def write_dictionary(folder: Path, symbols: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dict.txt").write_text("".join(f"w{number} {symbols - number}\n" for number in range(symbols)))


def write_split(folder: Path, name: str, tokens: np.ndarray, impl: str = "mmap", symbols: int = 100) -> np.ndarray:
    """Binarize `tokens` as lines of 7 that end in </s>; returns the running text as it must be read back."""
    folder.mkdir(parents=True, exist_ok=True)
    tokens = tokens.copy()
    tokens[6::7] = 2
    write_ids(folder / name, (tokens[start : start + 7] for start in range(0, len(tokens), 7)), impl, symbols)
    return tokens


def write_data(folder: Path, sizes: dict[str, int], symbols: int = 100, held_out: int = 200) -> Path:
    """`dict.txt`, and for each language `sizes` tokens of training text and `held_out` of validation text."""
    load_recipe()
    write_dictionary(folder, symbols)
    rng = np.random.default_rng(len(sizes))
    weights = 1 / np.arange(1, symbols + 1)
    for language, size in sizes.items():
        for split, count in (("train", size), ("valid", held_out)):
            tokens = SPECIAL + rng.choice(symbols, count, p=weights / weights.sum())
            write_split(folder, f"{split}.{language}", tokens, symbols=symbols)
    return folder
