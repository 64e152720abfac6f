"""The figures of a model on a text, and the table of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from wikixlm.evaluate.models import SYMBOLS, Model
from wikixlm.evaluate.texts import Size
from wikixlm.files import atomic_text
from wikixlm.model.batches import held_out_batch
from wikixlm.model.blocks import Blocks
from wikixlm.model.perplexity import perplexity

# The first seven are what others read; columns are only ever added behind them.
COLUMNS = {
    "tokens": ".0f",
    "loss": ".6f",
    "perplexity": ".4f",
    "accuracy": ".6f",
    "unigram": ".4f",
    "bits_per_character": ".6f",
}
PSEUDO_COLUMNS = {"pseudo_lines": ".0f", "pseudo_perplexity": ".4f", "pseudo_bits_per_character": ".6f"}


@dataclass(frozen=True)
class Row:
    """One line of the table: a language, a split (or `text`), and the figures by column."""

    language: str
    split: str
    figures: dict[str, float]


def score(
    model: Model,
    path: Path,
    language: str,
    size: Size,
    baseline: npt.NDArray[np.float64] | None,
    seed: int,
    max_tokens: int,
) -> dict[str, float]:
    """The figures of one language's text, by column.

    Args:
        model: what to score.
        path: the binarized text without its suffix.
        language: one of the model's.
        size: the text's tokens and characters.
        baseline: the language's unigram log-probabilities, [vocabulary]; None where no training text is at hand.
        seed: of the masks.
        max_tokens: tokens in a batch; changes speed and memory, not the figures.
    """
    import torch

    blocks = Blocks(path, model.tokens_per_sample - 1)
    number = model.languages.index(language)
    width = max(1, max_tokens // model.tokens_per_sample)
    tokens, correct, loss, unigram_loss = 0, 0, 0.0, 0.0
    for start in range(0, len(blocks), width):
        numbers = np.arange(start, min(start + width, len(blocks)), dtype=np.int64)
        batch = held_out_batch(blocks, numbers, number, model.masking, seed, SYMBOLS)
        target = batch["target"]
        with torch.inference_mode():
            logits = model.logits(batch["net_input"])
            aim = target.to(model.device)
            loss += float(torch.nn.functional.cross_entropy(logits, aim, reduction="none").double().sum())
            correct += int((logits.argmax(dim=-1) == aim).sum())
        tokens += len(target)
        if baseline is not None:
            unigram_loss -= float(baseline[target.numpy()].sum())
    return {
        "tokens": tokens,
        "loss": loss / tokens,
        "perplexity": perplexity(loss / tokens),
        "accuracy": correct / tokens,
        "unigram": math.nan if baseline is None else perplexity(unigram_loss / tokens),
        "bits_per_character": bits_per_character(loss / tokens, size),
    }


def bits_per_character(loss: float, size: Size) -> float:
    """A mean loss in nats per token, spread over a text's characters: loss / ln 2 * tokens / characters."""
    return loss / math.log(2) * size.tokens / size.characters


def mean(rows: Sequence[Row]) -> Row:
    """The row `mean` of one split's rows."""
    columns = {name: sum(row.figures[name] for row in rows) / len(rows) for name in rows[0].figures}
    return Row("mean", rows[0].split, columns)


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write the table to a file."""
    with atomic_text(path) as stream:
        print_table(stream, rows)


def print_table(stream: IO[str], rows: Sequence[Row]) -> None:
    """Write the table, tab-separated."""
    columns: dict[str, Any] = {
        name: form for name, form in {**COLUMNS, **PSEUDO_COLUMNS}.items() if name in rows[0].figures
    }
    print("language", "split", *columns, sep="\t", file=stream)
    for row in rows:
        figures = [format(row.figures[name], form) for name, form in columns.items()]
        print(row.language, row.split, *figures, sep="\t", file=stream)
