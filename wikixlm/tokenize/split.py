"""Choose a language's test and valid articles; everything else is training text.

Articles are ordered by a seeded hash of language and page id. The first ones go to test until it has its lines, the
next ones to valid, the rest to train: the choice depends on neither shards, nor their order, nor the number of cores.
Articles stay whole: the last one of test and of valid may overshoot the requested number of lines.

A line of 50 characters or more is never in two splits: it is dropped from train if test or valid has it, and from
valid if test has it. Dropped lines are counted, and do not count towards valid's lines. A page id that occurs more
than once (in plain-text corpora, a repeated line) is held out once; its repetitions are dropped and counted.

Three passes over the tokenized shards (test, valid, counting train); only the held-out articles are kept in memory.
"""

import argparse
import hashlib
import heapq
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from wikixlm.documents import Document, read_documents
from wikixlm.errors import UserError
from wikixlm.files import atomic_text, read_json, write_json
from wikixlm.tokenize.count_checks import check_counts

SHARED_LINE_CHARACTERS = 50  # shorter lines ("see also", "references") repeat by nature


class HeldOut(NamedTuple):
    """What training must leave out: the ids of test and valid articles, and the hashes of their longer lines."""

    documents: frozenset[str]
    lines: frozenset[int]


@dataclass
class TrainCounts:
    """Documents and lines of a shard that are left for training; lines dropped, and lines of held-out articles."""

    documents: int = 0
    lines: int = 0
    dropped: int = 0
    held_out: int = 0


_NOTHING = HeldOut(frozenset(), frozenset())


def line_hash(line: str) -> int:
    """A 64-bit hash of a line, the same in every process: BLAKE2b of its UTF-8 bytes, little-endian."""
    return int.from_bytes(hashlib.blake2b(line.encode(), digest_size=8).digest(), "little")


def load_held_out(path: Path) -> HeldOut:
    """Read what training must leave out, the split stage's `--held-out` file.

    Raises:
        UserError: the file is missing or has another form.
    """
    content = read_json(path)
    try:
        return HeldOut(frozenset(content["documents"]), frozenset(content["lines"]))
    except (KeyError, TypeError) as failure:
        raise UserError(f"{path} does not come from `wikixlm split` ({failure}); delete it and run again") from failure


def train_lines(shard_path: Path, held_out: HeldOut) -> Iterator[tuple[str, str]]:
    """The training text of a tokenized shard, in its order: (document id, line), without what `held_out` names."""
    for document in read_documents(shard_path):
        if document.id not in held_out.documents:
            for line in _outside(document.lines, held_out.lines):
                yield document.id, line


def _outside(lines: Iterable[str], hashes: frozenset[int]) -> list[str]:
    return [line for line in lines if len(line) < SHARED_LINE_CHARACTERS or line_hash(line) not in hashes]


class _FirstDocuments:
    """Of all documents added, those with the smallest keys that together just reach `goal` lines."""

    def __init__(self, goal: int) -> None:
        self._goal = goal
        self._lines = 0
        self._documents: dict[int, Document] = {}
        self._largest_first: list[int] = []

    def wants(self, key: int) -> bool:
        return self._lines < self._goal or key <= -self._largest_first[0]

    def add(self, key: int, document: Document) -> None:
        known = self._documents.get(key)
        if known is None:
            heapq.heappush(self._largest_first, -key)
        else:
            # The same page id again. Which one is kept must not depend on the order of arrival, and the number of
            # lines must not shrink: a document that was given up can't come back.
            self._lines -= len(known.lines)
            document = max(known, document, key=lambda each: (len(each.lines), each.lines))
        self._documents[key] = document
        self._lines += len(document.lines)
        while self._lines - len(self._documents[-self._largest_first[0]].lines) >= self._goal:
            surplus = self._documents.pop(-heapq.heappop(self._largest_first))
            self._lines -= len(surplus.lines)

    def in_order(self) -> list[Document]:
        return [self._documents[key] for key in sorted(self._documents)]


def choose(
    documents: Iterable[Document], lines: int, language: str, seed: int, without: HeldOut = _NOTHING
) -> list[Document]:
    """The first documents in the order of the seeded hash, until they have the lines asked for.

    Args:
        documents: all of a language's, in any order; only those chosen so far are held in memory.
        lines: how many the chosen documents should have at least.
        without: documents that can't be chosen, and lines to drop from the others.

    Returns:
        The chosen documents in the order of their hash; fewer lines only where there are no more.
    """
    first = _FirstDocuments(lines)
    for document in documents:
        name = f"{seed}:{language}:{document.id}".encode()
        key = int.from_bytes(hashlib.blake2b(name, digest_size=16).digest(), "big")
        if first.wants(key) and document.id not in without.documents:
            kept = _outside(document.lines, without.lines)
            if kept:
                first.add(key, Document(document.id, kept))
    return first.in_order()


def held_out_of(documents: Iterable[Document]) -> HeldOut:
    """What other splits must leave out when these documents are held out."""
    documents = list(documents)
    hashes = (line_hash(line) for doc in documents for line in doc.lines if len(line) >= SHARED_LINE_CHARACTERS)
    return HeldOut(frozenset(document.id for document in documents), frozenset(hashes))


def count_train(shard_path: Path, held_out: HeldOut) -> TrainCounts:
    """Count what `train_lines` gives of a shard, and what it leaves out."""
    counts = TrainCounts()
    for document in read_documents(shard_path):
        if document.id in held_out.documents:
            counts.held_out += len(document.lines)
            continue
        kept = len(_outside(document.lines, held_out.lines))
        counts.documents += kept > 0
        counts.lines += kept
        counts.dropped += len(document.lines) - kept
    return counts


@dataclass(frozen=True)
class SplitOutputs:
    """Where the split stage writes.

    Attributes:
        valid, test: the text, one line a paragraph.
        held_out: what training must leave out (JSON), see `load_held_out`.
        counts: documents and lines per split (JSON).
    """

    valid: Path
    test: Path
    held_out: Path
    counts: Path


@dataclass
class _Tally:
    """Counts what passes through."""

    documents: int = 0
    lines: int = 0

    def watch(self, documents: Iterable[Document]) -> Iterator[Document]:
        for document in documents:
            self.documents += 1
            self.lines += len(document.lines)
            yield document


def _check_shards(shards: list[Path]) -> None:
    seen: set[Path] = set()
    for shard in shards:
        if shard.resolve() in seen:
            raise UserError(f"--tokenized names the shard {shard} twice; each shard of a language belongs there once")
        seen.add(shard.resolve())


def _write_lines(path: Path, documents: Iterable[Document]) -> None:
    with atomic_text(path) as stream:
        for document in documents:
            stream.writelines(f"{line}\n" for line in document.lines)


def _documents(shards: list[Path]) -> Iterator[Document]:
    return (document for shard in shards for document in read_documents(shard))


def _count_lines(documents: Iterable[Document]) -> int:
    return sum(len(document.lines) for document in documents)


def split(
    language: str,
    shards: list[Path],
    valid_lines: int,
    test_lines: int,
    seed: int,
    outputs: SplitOutputs,
    extract_counts: Sequence[Path] = (),
    tokenize_counts: Sequence[Path] = (),
) -> None:
    """Choose, check and write one language's split; see the module's docstring.

    Args:
        language: its code, part of what is hashed.
        shards: all its tokenized shards.
        valid_lines, test_lines: how many lines valid and test should have at least.
        seed: another seed gives another choice of articles.
        outputs: where the results go.
        extract_counts, tokenize_counts: counts of the same shards, see `check_counts`.

    Raises:
        UserError: the language has no text, or is left without training text; nothing is written then.
    """
    _check_shards(shards)
    total = _Tally()
    test = choose(total.watch(_documents(shards)), test_lines, language, seed)
    check_counts(language, total.documents, total.lines, extract_counts, tokenize_counts)
    valid = choose(_documents(shards), valid_lines, language, seed, without=held_out_of(test))
    held_out = held_out_of([*test, *valid])
    train = [count_train(shard, held_out) for shard in shards]

    documents = {"train": sum(each.documents for each in train), "valid": len(valid), "test": len(test)}
    lines = {"train": sum(each.lines for each in train), "valid": _count_lines(valid), "test": _count_lines(test)}
    dropped = {
        "train": sum(each.dropped for each in train),
        "held_out": sum(each.held_out for each in train) - lines["valid"] - lines["test"],
    }
    if total.lines != sum(lines.values()) + sum(dropped.values()):
        raise UserError(f"{language}: the tokenized shards changed while they were read; run again")
    if not lines["train"]:
        raise UserError(
            f"{language} is left without training text: it has {total.documents} articles with {total.lines} "
            f"lines, of which split.test: {test_lines} took {lines['test']} and split.valid: {valid_lines} took "
            f"{lines['valid']} (articles stay whole, repeated lines are dropped); lower split.test and split.valid"
        )

    _write_lines(outputs.test, test)
    _write_lines(outputs.valid, valid)
    write_json(outputs.held_out, {"documents": sorted(held_out.documents), "lines": sorted(held_out.lines)})
    counts = {
        "language": language,
        "shards": [str(shard) for shard in shards],
        "documents": documents,
        "lines": lines,
        "dropped_duplicates": sum(dropped.values()),
        "dropped": dropped,
        "train_lines": [each.lines for each in train],
    }
    write_json(outputs.counts, counts)
    logging.info("%s: lines %s, dropped as duplicates %s", language, lines, dropped)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not a positive number of lines")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tokenized", type=Path, nargs="+", required=True, metavar="SHARD", help="all tokenized shards of the language"
    )
    parser.add_argument("--language", required=True, help="language code; part of what is hashed")
    parser.add_argument("--valid", type=_positive, default=5000, help="lines that valid should have at least")
    parser.add_argument("--test", type=_positive, default=5000, help="lines that test should have at least")
    parser.add_argument("--seed", type=int, default=42, help="another seed, another choice of articles")
    parser.add_argument(
        "--extract-counts",
        type=Path,
        nargs="*",
        default=[],
        metavar="FILE",
        help="the extract stage's counts of the same shards: compared with what reached tokenize",
    )
    parser.add_argument(
        "--tokenize-counts",
        type=Path,
        nargs="*",
        default=[],
        metavar="FILE",
        help="the tokenize stage's counts of the same shards: compared with what the shards hold",
    )
    parser.add_argument("--output-valid", type=Path, required=True, help="valid text, one line a paragraph")
    parser.add_argument("--output-test", type=Path, required=True, help="test text, one line a paragraph")
    parser.add_argument("--held-out", type=Path, required=True, help="what the training side must leave out (JSON)")
    parser.add_argument("--output", type=Path, required=True, help="counts of documents and lines per split (JSON)")


def main(args: argparse.Namespace) -> None:
    split(
        args.language,
        args.tokenized,
        args.valid,
        args.test,
        args.seed,
        SplitOutputs(args.output_valid, args.output_test, args.held_out, args.output),
        args.extract_counts,
        args.tokenize_counts,
    )
