"""Accuracy and F1 per language, and their table."""

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wikixlm import hf
from wikixlm.errors import UserError
from wikixlm.files import atomic_text, open_text

HEADER = ("language", "split", "examples", "accuracy", "f1")
MEAN = "mean"


class Score(NamedTuple):
    """The scores of one language and split; `f1` is the unweighted mean over the labels."""

    language: str
    split: str
    examples: int
    accuracy: float
    f1: float


def score(language: str, split: str, truth: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> Score:
    """Compare predicted label ids with the true ones, both [examples]."""
    metrics = hf.require("sklearn.metrics")
    return Score(
        language,
        split,
        len(truth),
        float(metrics.accuracy_score(truth, predicted)),
        float(metrics.f1_score(truth, predicted, average="macro", zero_division=0)),
    )


def mean_score(scores: list[Score]) -> Score:
    """The row `mean` of one split's scores: the unweighted mean over the languages."""
    accuracy = sum(each.accuracy for each in scores) / len(scores)
    f1 = sum(each.f1 for each in scores) / len(scores)
    return Score(MEAN, scores[0].split, sum(each.examples for each in scores), accuracy, f1)


def write_table(path: Path, scores: Iterable[Score]) -> None:
    """Write the table, tab-separated, with a row `mean` after each split's rows."""
    by_split: dict[str, list[Score]] = {}
    for each in scores:
        by_split.setdefault(each.split, []).append(each)
    with atomic_text(path) as stream:
        print(*HEADER, sep="\t", file=stream)
        for rows in by_split.values():
            for row in [*rows, mean_score(rows)]:
                print(
                    row.language, row.split, row.examples, f"{row.accuracy:.6f}", f"{row.f1:.6f}", sep="\t", file=stream
                )


def read_table(path: Path) -> list[Score]:
    """The scores in a table, without the rows `mean`.

    Raises:
        UserError: it is missing, or not such a table.
    """
    with open_text(path) as stream:
        try:
            rows = [row for row in csv.DictReader(stream, delimiter="\t") if row["language"] != MEAN]
            return [
                Score(row["language"], row["split"], int(row["examples"]), float(row["accuracy"]), float(row["f1"]))
                for row in rows
            ]
        except (KeyError, ValueError, TypeError) as failure:
            raise UserError(
                f"{path} is not a table of `wikixlm finetune` ({failure}); delete it and run again"
            ) from failure
