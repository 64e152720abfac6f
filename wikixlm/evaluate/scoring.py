"""Score a model on a text, and write the table of scores."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from wikixlm import formatting
from wikixlm.errors import UserError
from wikixlm.evaluate.models import SYMBOLS, Model
from wikixlm.evaluate.texts import TextSize
from wikixlm.files import atomic_text
from wikixlm.model.batches import held_out_batch
from wikixlm.model.blocks import Blocks
from wikixlm.model.perplexity import perplexity

# Other programs read the first seven columns (language and split included); new ones are added behind them.
COLUMNS = {
    "tokens": ".0f",
    "loss": ".6f",
    "perplexity": ".4f",
    "accuracy": ".6f",
    "unigram": ".4f",
    "bits_per_character": ".6f",
    "loss_error": ".6f",
}
PSEUDO_COLUMNS = {"pseudo_lines": ".0f", "pseudo_perplexity": ".4f", "pseudo_bits_per_character": ".6f"}


@dataclass(frozen=True)
class EvaluationRow:
    """A row of the table: a language, a split (or `text`), and the scores by column."""

    language: str
    split: str
    scores: dict[str, float]


def score_text(
    model: Model,
    path: Path,
    language: str,
    size: TextSize,
    baseline: npt.NDArray[np.float64] | None,
    seed: int,
    max_tokens: int,
) -> dict[str, float]:
    """The scores of one language's text, by column.

    Args:
        path: the binarized text without its suffix.
        language: one of the model's.
        size: the text's tokens and characters.
        baseline: the language's unigram log-probabilities, [vocabulary]; None if they are not known.
        seed: of the masks.
        max_tokens: tokens in a batch; changes speed and memory, not the scores.
    """
    import torch

    blocks = Blocks(path, model.tokens_per_sample - 1)
    language_id = model.languages.index(language)
    batch_size = max(1, max_tokens // model.tokens_per_sample)
    tokens, correct, loss, squares, unigram_loss = 0, 0, 0.0, 0.0, 0.0
    for start in range(0, len(blocks), batch_size):
        numbers = np.arange(start, min(start + batch_size, len(blocks)), dtype=np.int64)
        batch = held_out_batch(blocks, numbers, language_id, model.masking, seed, SYMBOLS)
        target = batch["target"]
        with torch.inference_mode():
            logits = model.logits(batch["net_input"])
            wanted = target.to(model.device)
            losses = torch.nn.functional.cross_entropy(logits, wanted, reduction="none").double()
            loss += float(losses.sum())
            squares += float(losses.square().sum())
            correct += int((logits.argmax(dim=-1) == wanted).sum())
        tokens += len(target)
        if baseline is not None:
            unigram_loss -= float(baseline[target.numpy()].sum())
    if not math.isfinite(loss):
        raise UserError(f"{model.name}: the loss on {path.name} is {loss}: its weights or activations overflow")
    return {
        "tokens": tokens,
        "loss": loss / tokens,
        "perplexity": perplexity(loss / tokens),
        "accuracy": correct / tokens,
        "unigram": math.nan if baseline is None else perplexity(unigram_loss / tokens),
        "bits_per_character": bits_per_character(loss / tokens, size),
        "loss_error": standard_error(tokens, loss, squares),
    }


def standard_error(count: int, total: float, squares: float) -> float:
    """The standard error of a mean, from number, sum and sum of squares, of values as independent as tokens are."""
    variance = max(0.0, squares - total * total / count) / max(1, count - 1)
    return math.sqrt(variance / count)


def bits_per_character(loss: float, size: TextSize) -> float:
    """A mean loss in nats per token, spread over a text's characters: loss / ln 2 * tokens / characters."""
    return loss / math.log(2) * size.tokens / size.characters


def mean_row(rows: Sequence[EvaluationRow]) -> EvaluationRow:
    """The row `mean` of one split's rows."""
    columns = {name: sum(row.scores[name] for row in rows) / len(rows) for name in rows[0].scores}
    if "loss_error" in columns:  # of the mean loss, the languages being independent
        columns["loss_error"] = math.hypot(*(row.scores["loss_error"] for row in rows)) / len(rows)
    return EvaluationRow("mean", rows[0].split, columns)


def write_table(path: Path, rows: Sequence[EvaluationRow]) -> None:
    with atomic_text(path) as stream:
        print_table(stream, rows)


def print_table(stream: IO[str], rows: Sequence[EvaluationRow], aligned: bool = False) -> None:
    """Write the table with a header, tab-separated or in aligned columns."""
    columns = {name: form for name, form in {**COLUMNS, **PSEUDO_COLUMNS}.items() if name in rows[0].scores}
    cells = [["language", "split", *columns]]
    cells += [[row.language, row.split, *(format(row.scores[name], columns[name]) for name in columns)] for row in rows]
    lines = [formatting.table(cells, left=(0, 1))] if aligned else ["\t".join(row) for row in cells]
    print(*lines, sep="\n", file=stream)
