"""The table of XNLI: accuracy per language over the fine-tunings of several seeds, and the zero-shot gap.

Columns: `language split seed examples accuracy gap`. A row for each language and seed; `mean` in the place of the
language is the mean over all languages. `gap` is how far the accuracy lies below that of English, which was trained on;
in a row `mean`, the mean gap of the other languages. In the place of the seed, `mean` and (of two seeds or more) `std`
stand for the mean and the standard deviation (n - 1) over the seeds.
"""

import argparse
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from wikixlm import console
from wikixlm.errors import UserError
from wikixlm.files import atomic_text
from wikixlm.finetune.prepare_xnli import PIVOT
from wikixlm.finetune.scores import MEAN, Score, read_table

HEADER = ("language", "split", "seed", "examples", "accuracy", "gap")
STD = "std"


class Row(NamedTuple):
    """A row of the table; see the module's description."""

    language: str
    split: str
    seed: str
    examples: int
    accuracy: float
    gap: float


def rows_of(seed: str, scores: list[Score]) -> list[Row]:
    """The rows of one seed and split.

    Raises:
        UserError: English was not scored.
    """
    english = next((each.accuracy for each in scores if each.language == PIVOT), None)
    if english is None:
        raise UserError(f"seed {seed}: no score in {PIVOT}, from which the zero-shot gap counts")
    rows = [
        Row(each.language, each.split, seed, each.examples, each.accuracy, english - each.accuracy) for each in scores
    ]
    gaps = [row.gap for row in rows if row.language != PIVOT] or [0.0]
    accuracy = statistics.fmean(row.accuracy for row in rows)
    examples = sum(row.examples for row in rows)
    return [*rows, Row(MEAN, rows[0].split, seed, examples, accuracy, statistics.fmean(gaps))]


def over_seeds(name: str, by_seed: list[list[Row]], summary: Callable[[Iterable[float]], float]) -> list[Row]:
    """Rows of several seeds summed up language by language.

    Raises:
        UserError: the seeds have other languages or numbers of examples.
    """
    summed = []
    for rows in zip(*by_seed, strict=True):
        if len({(row.language, row.examples) for row in rows}) > 1:
            raise UserError("the seeds were scored on other languages or examples; fine-tune them on the same data")
        first = rows[0]
        accuracy, gap = summary([row.accuracy for row in rows]), summary([row.gap for row in rows])
        summed.append(Row(first.language, first.split, name, first.examples, accuracy, gap))
    return summed


def table(scores: dict[str, list[Score]]) -> list[Row]:
    """All rows: split by split, every seed's, their mean, their standard deviation.

    Args:
        scores: by seed.
    """
    rows: list[Row] = []
    for split in dict.fromkeys(each.split for found in scores.values() for each in found):
        by_seed = [rows_of(seed, [each for each in found if each.split == split]) for seed, found in scores.items()]
        if len({len(each) for each in by_seed}) > 1:
            raise UserError("the seeds were scored on other languages; fine-tune them on the same data")
        rows += [row for each in by_seed for row in each] + over_seeds(MEAN, by_seed, statistics.fmean)
        if len(by_seed) > 1:
            rows += over_seeds(STD, by_seed, statistics.stdev)
    return rows


def write_table(path: Path, rows: list[Row]) -> None:
    """Write the table, tab-separated."""
    with atomic_text(path) as stream:
        print(*HEADER, sep="\t", file=stream)
        for row in rows:
            figures = f"{row.accuracy:.6f}\t{row.gap:.6f}"
            print(row.language, row.split, row.seed, row.examples, figures, sep="\t", file=stream)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this stage."""
    parser.add_argument("--seeds", nargs="+", required=True, help="the seeds, in the order of --metrics")
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="metrics.tsv of each fine-tuned model")
    parser.add_argument("--output", type=Path, required=True, help="the table, tab-separated")


def main(args: argparse.Namespace) -> None:
    """Write the table and tell its mean rows."""
    if len(args.seeds) != len(args.metrics):
        raise UserError(f"{len(args.seeds)} seeds and {len(args.metrics)} tables of metrics; one each is accepted")
    rows = table({seed: read_table(path) for seed, path in zip(args.seeds, args.metrics, strict=True)})
    write_table(args.output, rows)
    for row in rows:
        if (row.language, row.seed) == (MEAN, MEAN):
            console.say(f"XNLI {row.split}: mean accuracy {row.accuracy:.3f}, zero-shot gap to English {row.gap:.3f}")
