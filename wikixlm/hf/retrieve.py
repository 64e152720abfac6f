"""How often a sentence's nearest neighbour in another language is its translation.

    wikixlm retrieve sentences.en sentences.bg --langs en bg --directory runs/demo

Line n of one file is the translation of line n of the other. Sentences are compared by their vectors (see `wikixlm
embed`), by cosine or, with --csls, by cosine corrected for sentences that are near everything (Conneau et al. 2018,
"Word translation without parallel data", section 2.3, with its 10 neighbours). Printed are the accuracies of both
directions, their mean, and that of a guess. For a line that occurs twice either place is right.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wikixlm.errors import UserError
from wikixlm.files import atomic_text
from wikixlm.hf.embed import read_sentences, refuse_empty
from wikixlm.hf.exported import add_model_arguments, find_export
from wikixlm.hf.sentence_vectors import SentenceEmbedder, Vectors
from wikixlm.model import device

HEADER = ("source", "target", "sentences", "score", "accuracy", "chance")
NEIGHBOURS = 10
_BLOCK = 1024  # rows of the similarity matrix at a time


class RetrievalResult(NamedTuple):
    """One direction's result, or the `mean` of both."""

    source: str
    target: str
    sentences: int
    score: str
    accuracy: float
    chance: float


def nearest(source: Vectors, target: Vectors, csls: bool = False) -> list[int]:
    """For each source vector, the number of the nearest target vector.

    Args:
        source: [sentences, embed_dim].
        target: [candidates, embed_dim].
        csls: 2 cos(x, y) - r(y) instead of cos(x, y), r(y) being the mean cosine of y's 10 nearest source vectors.
            (The other half of CSLS, r(x), is the same for all candidates.)
    """
    source, target = _normalized(source), _normalized(target)
    penalty = _neighbourhood(target, source) if csls else np.zeros(len(target), dtype=np.float32)
    scale = 2 if csls else 1
    found: list[int] = []
    for start in range(0, len(source), _BLOCK):
        scores = scale * (source[start : start + _BLOCK] @ target.T) - penalty
        found += scores.argmax(axis=1).tolist()
    return found


def _normalized(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    normalized: Vectors = vectors / np.maximum(lengths, 1e-12)
    return normalized


def _neighbourhood(vectors: Vectors, others: Vectors) -> Vectors:
    """Mean cosine of each vector with its nearest among `others`."""
    count = min(NEIGHBOURS, len(others))
    means = [
        np.partition(vectors[start : start + _BLOCK] @ others.T, -count, axis=1)[:, -count:].mean(axis=1)
        for start in range(0, len(vectors), _BLOCK)
    ]
    return np.concatenate(means).astype(np.float32)


def accuracy(found: Sequence[int], wanted: Sequence[str]) -> float:
    """The share of `found`, [sentences], whose text is the wanted one."""
    return sum(wanted[number] == text for number, text in zip(found, wanted, strict=True)) / len(wanted)


def retrieve(
    texts: Sequence[list[str]], vectors: Sequence[Vectors], langs: Sequence[str], csls: bool
) -> list[RetrievalResult]:
    """Both directions and their mean."""
    score = "csls" if csls else "cosine"
    rows = []
    for here, there in ((0, 1), (1, 0)):
        right = accuracy(nearest(vectors[here], vectors[there], csls), texts[there])
        rows.append(RetrievalResult(langs[here], langs[there], len(texts[here]), score, right, 1 / len(texts[here])))
    mean = sum(row.accuracy for row in rows) / 2
    return [*rows, rows[0]._replace(source="mean", target="mean", accuracy=mean)]


def read_parallel(paths: Sequence[Path]) -> list[list[str]]:
    """The lines of both files, which must be as many.

    Raises:
        UserError: one is missing or empty, or they have different numbers of lines.
    """
    texts = [list(read_sentences(path)) for path in paths]
    if len(texts[0]) != len(texts[1]):
        counts = " and ".join(f"{path} {len(lines)}" for path, lines in zip(paths, texts, strict=True))
        raise UserError(f"parallel files have the same number of lines; counted: {counts}")
    return texts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", type=Path, nargs=2, help="two parallel files of raw text, a sentence a line")
    parser.add_argument("--langs", nargs=2, required=True, metavar="LANG", help="their languages, two of the model's")
    parser.add_argument("--csls", action="store_true", help="correct for sentences that are near everything")
    parser.add_argument(
        "--max-tokens", type=int, default=8192, help="symbols in a batch; changes speed and memory only"
    )
    parser.add_argument("--output", type=Path, help="write the table here too, tab-separated")
    add_model_arguments(parser)


def main(args: argparse.Namespace) -> None:
    path = find_export(args.export, args.directory)
    texts = read_parallel(args.text)
    embedder = SentenceEmbedder(path, args.langs[0], device.choose(args.device).kind, args.max_tokens)
    embedder.bind(args.langs[1])  # so that an unknown language fails before any work
    vectors = []
    for source, lang, lines in zip(args.text, args.langs, texts, strict=True):
        embedder.bind(lang)
        encoded, empty = embedder.embed(lines)
        refuse_empty(source, empty)
        vectors.append(encoded)
    rows = retrieve(texts, vectors, args.langs, args.csls)
    for row in rows:
        name = "mean" if row.source == "mean" else f"{row.source} → {row.target}"
        print(f"{name:<10} {row.accuracy:8.1%}   (of {row.sentences}; chance {row.chance:.1%})")
    if args.output:
        with atomic_text(args.output) as stream:
            print(*HEADER, sep="\t", file=stream)
            for row in rows:
                print(*row[:4], f"{row.accuracy:.6f}", f"{row.chance:.6f}", sep="\t", file=stream)
