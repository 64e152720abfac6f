"""Vectors of sentences: one line of text in, one row of a NumPy array out, in the order of the lines.

    wikixlm embed sentences.txt --lang en --directory runs/demo --output sentences.npy

A row is the mean of the last layer's states over the line's symbols, 32-bit floats. A long line counts whole. Lines
without a symbol (empty ones) are an error that names them, unless --allow-empty gives them zeros.
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
from wikixlm.hf.exported import add_model_arguments, exported_model
from wikixlm.hf.sentence_vectors import SentenceEncoder
from wikixlm.model import device

AT_ONCE = 10_000  # lines sorted by length at a time; memory grows with it, not with the file


def read_sentences(path: Path) -> Iterator[str]:
    """The lines of a file.

    Raises:
        UserError: it is missing, empty, or not UTF-8.
    """
    lines = 0
    for lines, line in text_lines(path):  # noqa: B007
        yield line
    if not lines:
        raise UserError(f"{path} is empty; a sentence a line is expected")


def refuse_empty(path: Path, numbers: list[int]) -> None:
    """Raise a UserError that names the lines (counted from 0 in `numbers`, from 1 in the message), if there are any."""
    if numbers:
        some = ", ".join(str(number + 1) for number in numbers[:5]) + (", …" if len(numbers) > 5 else "")
        raise UserError(f"{path}: {len(numbers)} lines have no text that a model could read: {some}")


def embed(source: Path, encoder: SentenceEncoder, output: Path, allow_empty: bool) -> int:
    """Write the array; return its number of rows.

    Raises:
        UserError: no text, a line without a symbol, or no place to write.
    """
    count = sum(1 for _ in read_sentences(source))
    empty: list[int] = []
    with atomic_path(output) as temporary:
        rows = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float32, shape=(count, encoder.width))
        for start, lines in _groups(source):
            vectors, without = encoder.encode(lines)
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


def _groups(source: Path) -> Iterator[tuple[int, list[str]]]:
    lines = read_sentences(source)
    for start in itertools.count(0, AT_ONCE):
        group = list(itertools.islice(lines, AT_ONCE))
        if not group:
            return
        yield start, group


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this stage."""
    parser.add_argument("text", type=Path, help="raw text, a sentence a line")
    parser.add_argument("--lang", required=True, help="language of the text, one of the model's")
    parser.add_argument("--allow-empty", action="store_true", help="zeros for lines without text, instead of an error")
    parser.add_argument(
        "--max-tokens", type=int, default=8192, help="symbols in a batch; changes speed and memory only"
    )
    parser.add_argument("--output", type=Path, required=True, help="the array, .npy, [lines, model width]")
    add_model_arguments(parser)


def main(args: argparse.Namespace) -> None:
    """Write the vectors."""
    path = exported_model(args)
    encoder = SentenceEncoder(path, args.lang, device.choose(args.device).kind, args.max_tokens)
    count = embed(args.text, encoder, args.output, args.allow_empty)
    console.say(f"{count} vectors of {encoder.width} numbers: {args.output}")
