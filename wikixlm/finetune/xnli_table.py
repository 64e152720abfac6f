"""Write the table of XNLI: accuracy per language over several seeds, and the zero-shot gap.

Columns: `language split seed examples accuracy gap`, a row per language and seed. The language `mean` is the mean over
all languages. `gap` is the accuracy in English, the training language, minus that of the row; in a row `mean`, the mean
gap of the other languages. The seeds `mean` and (with two seeds or more) `std` are the mean and the standard deviation
(n - 1) over the seeds.
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


class XnliRow(NamedTuple):
    """A row of the table, see the module's description."""

    language: str
    split: str
    seed: str
    examples: int
    accuracy: float
    gap: float


def seed_rows(seed: str, scores: list[Score]) -> list[XnliRow]:
    """The rows of one seed and split.

    Raises:
        UserError: English was not scored.
    """
    english = next((each.accuracy for each in scores if each.language == PIVOT), None)
    if english is None:
        raise UserError(f"seed {seed}: no score in {PIVOT}, which the zero-shot gap is measured against")
    rows = [
        XnliRow(each.language, each.split, seed, each.examples, each.accuracy, english - each.accuracy)
        for each in scores
    ]
    gaps = [row.gap for row in rows if row.language != PIVOT] or [0.0]
    accuracy = statistics.fmean(row.accuracy for row in rows)
    examples = sum(row.examples for row in rows)
    return [*rows, XnliRow(MEAN, rows[0].split, seed, examples, accuracy, statistics.fmean(gaps))]


def over_seeds(name: str, by_seed: list[list[XnliRow]], summary: Callable[[Iterable[float]], float]) -> list[XnliRow]:
    """Rows of several seeds summarized language by language.

    Raises:
        UserError: the seeds differ in languages or numbers of examples.
    """
    summed = []
    for rows in zip(*by_seed, strict=True):
        if len({(row.language, row.examples) for row in rows}) > 1:
            raise UserError("the seeds were scored on other languages or examples; fine-tune them on the same data")
        first = rows[0]
        accuracy, gap = summary([row.accuracy for row in rows]), summary([row.gap for row in rows])
        summed.append(XnliRow(first.language, first.split, name, first.examples, accuracy, gap))
    return summed


def xnli_rows(scores: dict[str, list[Score]]) -> list[XnliRow]:
    """All rows from the scores by seed: per split those of each seed, their mean, their standard deviation."""
    rows: list[XnliRow] = []
    for split in dict.fromkeys(each.split for found in scores.values() for each in found):
        by_seed = [seed_rows(seed, [each for each in found if each.split == split]) for seed, found in scores.items()]
        if len({len(each) for each in by_seed}) > 1:
            raise UserError("the seeds were scored on other languages; fine-tune them on the same data")
        rows += [row for each in by_seed for row in each] + over_seeds(MEAN, by_seed, statistics.fmean)
        if len(by_seed) > 1:
            rows += over_seeds(STD, by_seed, statistics.stdev)
    return rows


def write_table(path: Path, rows: list[XnliRow]) -> None:
    with atomic_text(path) as stream:
        print(*HEADER, sep="\t", file=stream)
        for row in rows:
            print(*row[:4], f"{row.accuracy:.6f}", f"{row.gap:.6f}", sep="\t", file=stream)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seeds", nargs="+", required=True, help="the seeds, in the order of --metrics")
    parser.add_argument("--metrics", type=Path, nargs="+", required=True, help="metrics.tsv of each fine-tuned model")
    parser.add_argument("--output", type=Path, required=True, help="the table, tab-separated")


def main(args: argparse.Namespace) -> None:
    if len(args.seeds) != len(args.metrics):
        raise UserError(f"{len(args.seeds)} seeds and {len(args.metrics)} tables of metrics; one each is expected")
    rows = xnli_rows({seed: read_table(path) for seed, path in zip(args.seeds, args.metrics, strict=True)})
    write_table(args.output, rows)
    for row in rows:
        if (row.language, row.seed) == (MEAN, MEAN):
            console.say(f"XNLI {row.split}: mean accuracy {row.accuracy:.3f}, zero-shot gap to English {row.gap:.3f}")
