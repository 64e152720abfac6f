"""Measure how often a sentence's nearest neighbour in another language is its translation.

    wikixlm retrieve sentences.en sentences.bg --langs en bg --directory runs/demo

Line n of one file is the translation of line n of the other. Sentences are compared by their vectors (see `wikixlm
embed`), by cosine or, with --csls, by cosine corrected for sentences that are near everything (Conneau et al. 2018,
"Word translation without parallel data", section 2.3, with its 10 neighbours). Printed are the accuracies of both
directions and their mean, beside three baselines without a model's vectors: a guess; the sentence of the most similar
length in symbols; and the sentence that shares the most symbols (cosine of tf-idf over the model's symbols), which
finds names and numbers. A model that is not well above all three shows nothing shared between the languages. For a line
that occurs twice either place is right; of candidates that are equally near each counts for its share.
"""

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from wikixlm import formatting, hf
from wikixlm.errors import UserError
from wikixlm.files import atomic_text
from wikixlm.hf.embed import read_sentences, refuse_empty
from wikixlm.hf.exported import find_export
from wikixlm.hf.sentence_vectors import SentenceEmbedder, Vectors, add_embedder_arguments
from wikixlm.model import device

NEIGHBOURS = 10
_BLOCK = 1024  # rows of the similarity matrix at a time


class RetrievalResult(NamedTuple):
    """One direction's accuracy beside that of the baselines, or the `mean` of both."""

    source: str
    target: str
    sentences: int
    score: str
    accuracy: float
    chance: float
    length: float
    surface: float


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


def hits(found: Sequence[int], wanted: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Whether the text of each of `found`, [sentences], is the wanted one."""
    return np.array([wanted[number] == text for number, text in zip(found, wanted, strict=True)])


def accuracy(found: Sequence[int], wanted: Sequence[str]) -> float:
    """The share of `found`, [sentences], whose text is the wanted one."""
    return float(hits(found, wanted).mean())


def length_accuracy(source: Sequence[list[int]], target: Sequence[list[int]], lines: list[str]) -> float:
    """The accuracy of taking the sentence of the most similar length in symbols."""
    lengths = np.array([len(symbols) for symbols in target])
    return _mean_share((-abs(lengths - len(symbols)) for symbols in source), lines)


def surface_accuracy(source: Sequence[list[int]], target: Sequence[list[int]], lines: list[str]) -> float:
    """The accuracy of taking the sentence with the highest cosine of tf-idf over the symbols of both files."""
    sparse = hf.require("scipy.sparse")
    counts = [_count_matrix(sentences, sparse) for sentences in (source, target)]
    columns = max(matrix.shape[1] for matrix in counts)
    for matrix in counts:
        matrix.resize(matrix.shape[0], columns)
    document_frequency = sum(np.asarray((matrix > 0).sum(axis=0)).ravel() for matrix in counts)
    weights = np.log((len(source) + len(target)) / np.maximum(document_frequency, 1))
    first, second = (_unit_rows(matrix.multiply(weights).tocsr(), sparse) for matrix in counts)
    blocks = range(0, len(source), _BLOCK)
    scores = (row for start in blocks for row in (first[start : start + _BLOCK] @ second.T).toarray().round(9))
    return _mean_share(scores, lines)


def _count_matrix(sentences: Sequence[list[int]], sparse: Any) -> Any:
    """How often each symbol is in each sentence, [sentences, highest id + 1], sparse."""
    rows = np.repeat(np.arange(len(sentences)), [len(symbols) for symbols in sentences])
    columns = np.concatenate([np.array(symbols, dtype=np.int64) for symbols in sentences])
    shape = (len(sentences), int(columns.max()) + 1)
    return sparse.csr_matrix((np.ones(len(columns)), (rows, columns)), shape=shape)


def _unit_rows(matrix: Any, sparse: Any) -> Any:
    norms = np.sqrt(np.asarray(matrix.multiply(matrix).sum(axis=1)).ravel())
    return sparse.diags(1 / np.maximum(norms, 1e-12)) @ matrix


def _mean_share(scores: Iterable[Any], lines: list[str]) -> float:
    """The mean share of right candidates among the best ones; each row of scores, [candidates], is a line's."""
    shares = []
    for row, line in zip(scores, lines, strict=True):
        best = np.flatnonzero(row == row.max())
        shares.append(sum(lines[number] == line for number in best) / len(best))
    return sum(shares) / len(shares)


class EncodedTexts(NamedTuple):
    """One language's side: its lines, their symbols' ids, and their vectors.

    Vectors are [sentences, embed_dim], or of every layer [sentences, layers + 1, embed_dim].
    """

    lang: str
    lines: list[str]
    symbols: list[list[int]]
    vectors: Vectors

    def choose(self, numbers: npt.NDArray[np.int64]) -> "EncodedTexts":
        """Only the sentences with these numbers."""
        chosen = numbers.tolist()
        lines, symbols = [self.lines[n] for n in chosen], [self.symbols[n] for n in chosen]
        return EncodedTexts(self.lang, lines, symbols, self.vectors[numbers])


def encode_sides(
    embedder: SentenceEmbedder,
    langs: Sequence[str],
    paths: Sequence[Path],
    texts: Sequence[list[str]],
    every_layer: bool = False,
) -> list[EncodedTexts]:
    """Both sides of parallel files, of the last layer or of every one.

    Raises:
        UserError: a file has a line without text.
    """
    sides = []
    for lang, path, lines in zip(langs, paths, texts, strict=True):
        embedder.bind(lang)
        vectors, empty = embedder.embed_layers(lines) if every_layer else embedder.embed(lines)
        refuse_empty(path, empty)
        sides.append(EncodedTexts(lang, lines, embedder.symbols(lines), vectors))
    return sides


def baselines(source: EncodedTexts, target: EncodedTexts) -> tuple[float, float, float]:
    """The accuracies that need no vectors: of a guess, by length in symbols, by shared symbols."""
    return (
        sum(count**2 for count in Counter(target.lines).values()) / len(target.lines) ** 2,
        length_accuracy(source.symbols, target.symbols, target.lines),
        surface_accuracy(source.symbols, target.symbols, target.lines),
    )


def retrieve(sides: Sequence[EncodedTexts], csls: bool) -> list[RetrievalResult]:
    """Both directions and their mean."""
    score = "csls" if csls else "cosine"
    results = []
    for here, there in (sides, sides[::-1]):
        figures = accuracy(nearest(here.vectors, there.vectors, csls), there.lines), *baselines(here, there)
        results.append(RetrievalResult(here.lang, there.lang, len(here.lines), score, *figures))
    means = [(one + other) / 2 for one, other in zip(results[0][4:], results[1][4:], strict=True)]
    return [*results, RetrievalResult("mean", "mean", len(sides[0].lines), score, *means)]


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
    parser.add_argument("--output", type=Path, help="write the table here too, tab-separated")
    add_embedder_arguments(parser)


def main(args: argparse.Namespace) -> None:
    path = find_export(args.export, args.directory)
    texts = read_parallel(args.text)
    embedder = SentenceEmbedder(path, args.langs[0], device.choose(args.device).kind, args.max_tokens)
    embedder.bind(args.langs[1])  # so that an unknown language fails before any work
    results = retrieve(encode_sides(embedder, args.langs, args.text, texts), args.csls)
    cells = [["", "accuracy", "chance", "sentence length only", "shared symbols only"]]
    for row in results:
        name = "mean" if row.source == "mean" else f"{row.source} → {row.target}"
        cells.append([name, *map(percent, row[4:])])
    print(formatting.table(cells))
    print(f"{len(texts[0]):,} sentences, {results[0].score}")
    if args.output:
        write_rows(args.output, results)


def write_rows(path: Path, rows: Sequence[Any]) -> None:
    """Write named tuples as a table, tab-separated: the names of their fields, and shares with six decimals."""
    with atomic_text(path) as stream:
        print(*rows[0]._fields, sep="\t", file=stream)
        for row in rows:
            print(*(f"{value:.6f}" if isinstance(value, float) else value for value in row), sep="\t", file=stream)


def percent(share: float) -> str:
    """A share with two significant digits or one decimal: `0.05 %`, `24.1 %`, `100.0 %`."""
    return f"{100 * share:.1f} %" if share >= 0.00995 or not share else f"{100 * share:.2g} %"
