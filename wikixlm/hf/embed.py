"""Write vectors of sentences: a row of a NumPy array for each line of text, in the order of the lines.

    wikixlm embed sentences.txt --lang en --directory runs/demo --output sentences.npy

A row is the mean of the last layer's states over the line's symbols, as 32-bit floats. A line longer than the model's
positions is read in pieces. Lines without a symbol are an error that lists them; --allow-empty makes them zeros.
"""

import argparse
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wikixlm import console
from wikixlm.errors import UserError
from wikixlm.files import atomic_path, text_lines
from wikixlm.hf.exported import find_export
from wikixlm.hf.sentence_vectors import SentenceEmbedder, add_embedder_arguments
from wikixlm.model import device

LINES_PER_GROUP = 10_000  # sorted by length; memory grows with it, not with the file


def read_sentences(path: Path) -> Iterator[str]:
    """The lines of a file.

    Raises:
        UserError: it is missing, empty, or not UTF-8.
    """
    number = 0
    for number, line in text_lines(path):  # noqa: B007
        yield line
    if not number:
        raise UserError(f"{path} is empty; one sentence a line is expected")


def refuse_empty(path: Path, numbers: list[int]) -> None:
    """Raise a UserError that lists the lines, if there are any; `numbers` count from 0, the message from 1."""
    if numbers:
        some = ", ".join(str(number + 1) for number in numbers[:5]) + (", …" if len(numbers) > 5 else "")
        raise UserError(f"{path}: {len(numbers)} lines have no text that a model can read: {some}")


def embed_file(source: Path, embedder: SentenceEmbedder, output: Path, allow_empty: bool) -> int:
    """Write the vectors of a file's lines as an array, [lines, embed_dim]; return the number of lines.

    Raises:
        UserError: the file is empty, has a line without a symbol (unless `allow_empty`), or `output` can't be written.
    """
    count = sum(1 for _ in read_sentences(source))
    empty: list[int] = []
    with atomic_path(output) as temporary:
        rows = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=(count, embedder.embed_dim))
        for start, lines in _line_groups(source):
            vectors, without = embedder.embed(lines)
            if not (finite := np.isfinite(vectors).all(axis=1)).all():
                broken = start + int(np.flatnonzero(~finite)[0]) + 1
                raise UserError(f"{source}, line {broken}: its vector is not finite (NaN or infinity)")
            rows[start : start + len(lines)] = vectors
            empty += [start + number for number in without]
            if not allow_empty:
                refuse_empty(source, empty)
            logging.info("%d of %d lines", start + len(lines), count)
        rows.flush()
        del rows
    if empty:
        console.warn(f"{source}: {len(empty)} lines have no text; their rows are zeros")
    return count


def _line_groups(source: Path) -> Iterator[tuple[int, list[str]]]:
    lines = read_sentences(source)
    for start in itertools.count(0, LINES_PER_GROUP):
        group = list(itertools.islice(lines, LINES_PER_GROUP))
        if not group:
            return
        yield start, group


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", type=Path, help="raw text, a sentence a line")
    parser.add_argument("--lang", required=True, help="language of the text, one of the model's")
    parser.add_argument("--allow-empty", action="store_true", help="zeros for lines without text, not an error")
    parser.add_argument("--output", type=Path, required=True, help="the array, .npy, [lines, embed_dim]")
    add_embedder_arguments(parser)


def main(args: argparse.Namespace) -> None:
    path = find_export(args.export, args.directory)
    embedder = SentenceEmbedder(path, args.lang, device.choose(args.device).kind, args.max_tokens)
    count = embed_file(args.text, embedder, args.output, args.allow_empty)
    console.say(f"{count:,} vectors of {embedder.embed_dim} numbers: {args.output}")
