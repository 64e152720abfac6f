"""Measure whether languages share a space: retrieval of translations by an exported model, beside honest baselines.

For each pair of languages, line n of one file is the translation of line n of the other. A sentence's vector is the
mean of a layer's states over its symbols, as it is or with the mean vector of its language taken off ("centred"). On
one half of the sentences, drawn by --seed, the layer and the centring with the highest accuracy are chosen; the figures
are those of the other half, in both directions, by cosine and by CSLS (Conneau et al. 2018, "Word translation without
parallel data", section 2.3).

The table: `accuracy`, how often the nearest sentence of the target language is the translation, `lowest` and `highest`
its 95 % interval (bootstrap over the sentences). Beside it what needs no model: `chance`; `length`, the sentence of the
most similar length in symbols; `surface`, the sentence that shares the most symbols (cosine of tf-idf), which finds
names and numbers. A model whose interval is not above all three shows nothing that the languages share.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wikixlm import formatting
from wikixlm.errors import UserError
from wikixlm.hf.exported import find_export
from wikixlm.hf.retrieve import (
    EncodedTexts,
    baselines,
    encode_sides,
    hits,
    nearest,
    percent,
    read_parallel,
    write_rows,
)
from wikixlm.hf.sentence_vectors import SentenceEmbedder, Vectors, add_embedder_arguments
from wikixlm.model import device

FEWEST_SENTENCES = 20
SCORES = {"cosine": False, "csls": True}
_RESAMPLES = 10_000


class Pair(NamedTuple):
    """Two languages of a model and their parallel files."""

    source: str
    target: str
    files: tuple[Path, Path]


class Representation(NamedTuple):
    """Which vectors of a model are compared: layer 0 is the embeddings."""

    layer: int
    centred: bool

    def of(self, side: EncodedTexts) -> Vectors:
        """The vectors of a side's sentences, [sentences, dim]."""
        vectors = side.vectors[:, self.layer]
        if not self.centred:
            return vectors
        centred: Vectors = vectors - vectors.mean(axis=0)
        return centred


class CrosslingualRow(NamedTuple):
    """One direction of a pair, by one score."""

    task: str
    source: str
    target: str
    sentences: int
    layer: int
    centred: int
    score: str
    accuracy: float
    lowest: float
    highest: float
    chance: float
    length: float
    surface: float


def halves(count: int, seed: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Two disjoint sets of the numbers below `count`, in order, each of half of them."""
    order = np.random.default_rng(seed).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])


def found_translations(
    source: EncodedTexts, target: EncodedTexts, by: Representation, csls: bool
) -> npt.NDArray[np.bool_]:
    """For each sentence of `source`, whether its nearest one is its translation, [sentences]."""
    return hits(nearest(by.of(source), by.of(target), csls), target.lines)


def best_representation(source: EncodedTexts, target: EncodedTexts) -> Representation:
    """The layer and the centring with the highest mean accuracy of both directions, by CSLS; of equals the lowest."""
    layers = source.vectors.shape[1]
    candidates = [Representation(layer, centred) for layer in range(layers) for centred in (False, True)]
    figures = [
        (found_translations(source, target, by, True).mean() + found_translations(target, source, by, True).mean()) / 2
        for by in candidates
    ]
    for by, figure in zip(candidates, figures, strict=True):
        logging.info(
            "%s-%s, layer %d%s: %.4f", source.lang, target.lang, by.layer, ", centred" if by.centred else "", figure
        )
    return candidates[int(np.argmax(figures))]


def bootstrap_interval(found: npt.NDArray[np.bool_], seed: int) -> tuple[float, float]:
    """The 95 % interval of the share of `found`, [sentences].

    The number of hits among sentences drawn again with replacement is binomial.
    """
    shares = np.random.default_rng(seed).binomial(len(found), found.mean(), _RESAMPLES) / len(found)
    lowest, highest = np.quantile(shares, [0.025, 0.975])
    return float(lowest), float(highest)


def measure_direction(
    source: EncodedTexts, target: EncodedTexts, by: Representation, seed: int
) -> list[CrosslingualRow]:
    """A row a score."""
    without_model = baselines(source, target)
    rows = []
    for score, csls in SCORES.items():
        found = found_translations(source, target, by, csls)
        of_model = score, float(found.mean()), *bootstrap_interval(found, seed)
        whose = "retrieval", source.lang, target.lang, len(found), by.layer, int(by.centred)
        rows.append(CrosslingualRow(*whose, *of_model, *without_model))
    return rows


def measure_pair(embedder: SentenceEmbedder, pair: Pair, seed: int) -> list[CrosslingualRow]:
    """Both directions of a pair.

    Raises:
        UserError: the files have different numbers of lines, too few, or a line without text.
    """
    texts = read_parallel(pair.files)
    if len(texts[0]) < FEWEST_SENTENCES:
        raise UserError(f"{pair.files[0]} has {len(texts[0])} lines; at least {FEWEST_SENTENCES} are needed")
    sides = encode_sides(embedder, (pair.source, pair.target), pair.files, texts, every_layer=True)
    chosen_on, scored_on = halves(len(texts[0]), seed)
    by = best_representation(*(side.choose(chosen_on) for side in sides))
    source, target = (side.choose(scored_on) for side in sides)
    return [*measure_direction(source, target, by, seed), *measure_direction(target, source, by, seed)]


def print_table(rows: Sequence[CrosslingualRow]) -> None:
    """The rows by CSLS, as a person reads them."""
    cells = [["", "accuracy (csls)", "95 %", "chance", "sentence length only", "shared symbols only"]]
    for row in rows:
        if row.score == "csls":
            interval = f"{percent(row.lowest)} to {percent(row.highest)}"
            without_model = map(percent, (row.chance, row.length, row.surface))
            cells.append([f"{row.source} → {row.target}", percent(row.accuracy), interval, *without_model])
    print(formatting.table(cells))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pair",
        nargs=4,
        action="append",
        required=True,
        metavar=("SOURCE", "TARGET", "FILE", "FILE"),
        help="two languages of the model and their parallel files, a sentence a line (repeatable)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the halves, and of the intervals")
    parser.add_argument("--output", type=Path, help="write the table here, tab-separated")
    add_embedder_arguments(parser)


def main(args: argparse.Namespace) -> None:
    path = find_export(args.export, args.directory)
    pairs = [Pair(source, target, (Path(first), Path(second))) for source, target, first, second in args.pair]
    embedder = SentenceEmbedder(path, pairs[0].source, device.choose(args.device).kind, args.max_tokens)
    for pair in pairs:  # so that an unknown language fails before any work
        embedder.bind(pair.source)
        embedder.bind(pair.target)
    rows = [row for pair in pairs for row in measure_pair(embedder, pair, args.seed)]
    print_table(rows)
    if args.output:
        write_rows(args.output, rows)
