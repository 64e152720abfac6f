"""Choose a language's test and valid articles; everything else is training text.

Articles are ordered by a seeded hash of language and page id. The first ones go to test until it has its lines, the
next ones to valid, the rest to train: the choice depends on neither shards, nor their order, nor the number of cores.
Articles stay whole: the last one of test and of valid may overshoot the requested number of lines.

A line of 50 characters or more is never in two splits: it is dropped from train if test or valid has it, and from
valid if test has it. Dropped lines are counted, and do not count towards valid's lines. A page id that occurs more
than once (in plain-text corpora, a repeated line) is held out once; its repetitions are dropped and counted.

A training line of 50 characters or more that repeats another one of the language is dropped (`--deduplicate`). The one
that is kept depends on the hash of its document's id, not on shards or their order.

Three passes over the tokenized shards (test, valid, counting train). Memory holds the held-out articles, 8 bytes for
each other article, and the hashes of a 64th of the lines.
"""

import argparse
import hashlib
import heapq
import logging
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from wikixlm.documents import Document, read_documents
from wikixlm.errors import UserError
from wikixlm.files import atomic_text, read_json, work_folder, write_json
from wikixlm.tokenize.count_checks import check_counts
from wikixlm.tokenize.repeats import Numbers, RepeatFinder, decode_numbers, encode_numbers, line_hash

SHARED_LINE_CHARACTERS = 50  # shorter lines ("see also", "references") repeat by nature


class HeldOut(NamedTuple):
    """What training must leave out.

    `documents` are the ids of test and valid articles, `lines` the hashes of their longer lines; `repeats` are, by
    shard, the numbers of lines that repeat another training line (see `encode_numbers`).
    """

    documents: frozenset[str]
    lines: frozenset[int]
    repeats: Mapping[str, str] = MappingProxyType({})


_NOTHING = HeldOut(frozenset(), frozenset())


def load_held_out(path: Path) -> HeldOut:
    """Read what training must leave out, the split stage's `--held-out` file.

    Raises:
        UserError: the file is missing or has another form.
    """
    content = read_json(path)
    try:
        return HeldOut(frozenset(content["documents"]), frozenset(content["lines"]), dict(content.get("repeats", {})))
    except (KeyError, TypeError, ValueError, AttributeError) as failure:
        raise UserError(f"{path} does not come from `wikixlm split` ({failure}); delete it and run again") from failure


def train_lines(shard_path: Path, held_out: HeldOut) -> Iterator[tuple[str, str]]:
    """The training text of a tokenized shard, in its order: (document id, line), without what `held_out` names."""
    repeats = iter(decode_numbers(held_out.repeats.get(shard_path.name, "")).tolist())
    next_repeat = next(repeats, None)
    start = 0
    for document in read_documents(shard_path):
        if document.id not in held_out.documents:
            for number, line in enumerate(document.lines, start=start):
                if number == next_repeat:
                    next_repeat = next(repeats, None)
                elif not _is_among(line, held_out.lines):
                    yield document.id, line
        start += len(document.lines)


def _outside(lines: Iterable[str], hashes: frozenset[int]) -> list[str]:
    return [line for line in lines if not _is_among(line, hashes)]


def _is_among(line: str, hashes: frozenset[int]) -> bool:
    return len(line) >= SHARED_LINE_CHARACTERS and line_hash(line) in hashes


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


class ShardCounts:
    """What is left for training of one shard: lines dropped, lines of held-out articles, lines of each document."""

    def __init__(self) -> None:
        self.dropped = 0
        self.held_out = 0
        # 8 bytes a document: the number of its first line in the shard, and its lines for training.
        self._starts = array("I")
        self._lines = array("I")

    def add(self, start: int, lines: int) -> None:
        """Add a document of the training text."""
        self._starts.append(start)
        self._lines.append(lines)

    def without(self, repeats: Numbers) -> tuple[int, int]:
        """Documents and lines for training, without the lines of these numbers."""
        lines = np.array(self._lines, dtype=np.int64)
        np.subtract.at(lines, np.searchsorted(np.array(self._starts), repeats, side="right") - 1, 1)
        return int(np.count_nonzero(lines)), int(lines.sum())


def count_train(shard_path: Path, held_out: HeldOut, shard: int, finder: RepeatFinder | None) -> ShardCounts:
    """Count what `train_lines` gives of a shard and what it leaves out, and add its longer lines to `finder`."""
    counts = ShardCounts()
    start = 0
    for document in read_documents(shard_path):
        lines = len(document.lines)
        if document.id in held_out.documents:
            counts.held_out += lines
        else:
            document_hash = line_hash(document.id)
            kept = 0
            for number, line in enumerate(document.lines, start=start):
                hash_ = line_hash(line) if len(line) >= SHARED_LINE_CHARACTERS else None
                if hash_ in held_out.lines:
                    continue
                kept += 1
                if finder and hash_ is not None:
                    finder.add(line, hash_, document_hash, shard, number)
            counts.add(start, kept)
            counts.dropped += lines - kept
        start += lines
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
    deduplicate: bool = False,
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
        deduplicate: drop training lines of 50 characters or more that repeat another one of the language.
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
    with work_folder(outputs.held_out) as folder:
        finder = RepeatFinder(folder) if deduplicate else None
        counted = [count_train(path, held_out, number, finder) for number, path in enumerate(shards)]
        nothing = [np.array([], dtype=np.uint32)] * len(shards)
        repeats, differ_in_digits = finder.find(len(shards)) if finder else (nothing, None)
    train = [each.without(numbers) for each, numbers in zip(counted, repeats, strict=True)]
    documents = {"train": sum(each[0] for each in train), "valid": len(valid), "test": len(test)}
    lines = {"train": sum(each[1] for each in train), "valid": _count_lines(valid), "test": _count_lines(test)}
    dropped = {
        "train": sum(each.dropped for each in counted),
        "held_out": sum(each.held_out for each in counted) - lines["valid"] - lines["test"],
    }
    if deduplicate:
        dropped["repeated"] = sum(map(len, repeats))
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
    numbers = {path.name: encode_numbers(each) for path, each in zip(shards, repeats, strict=True) if len(each)}
    write_json(
        outputs.held_out,
        {"documents": sorted(held_out.documents), "lines": sorted(held_out.lines), "repeats": numbers},
    )
    counts: dict[str, Any] = {
        "language": language,
        "shards": [str(shard) for shard in shards],
        "documents": documents,
        "lines": lines,
        "dropped_duplicates": sum(dropped.values()),
        "dropped": dropped,
        "train_lines": [each[1] for each in train],
    }
    if differ_in_digits is not None:
        counts["differ_in_digits"] = differ_in_digits
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
    parser.add_argument("--valid", type=_positive, default=5000, help="least number of lines for validation")
    parser.add_argument("--test", type=_positive, default=5000, help="least number of lines for the test set")
    parser.add_argument("--seed", type=int, default=42, help="another seed, another choice of articles")
    parser.add_argument(
        "--deduplicate",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="drop training lines of 50 characters or more that repeat another one",
    )
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
        args.deduplicate,
        args.extract_counts,
        args.tokenize_counts,
    )
