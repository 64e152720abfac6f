"""Merge the languages' symbol counts into the joint vocabulary, in fairseq's format: `symbol count` lines.

Most frequent symbol first, equal counts in the order of the symbols, as fairseq's `Dictionary.finalize` has it; and
as there, symbols `madeupword0000`, … fill up until the model's embedding (these lines and fairseq's five special
symbols, which no file lists) is a multiple of 8 rows. A symbol's id is its line number, from 0, plus 5.

With --vocab-file nothing is merged: the file is checked and copied byte for byte, so that ids stay what they were.
"""

import argparse
import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from wikixlm.bpe.codes import SPECIALS
from wikixlm.errors import UserError
from wikixlm.files import atomic_path, atomic_text, text_lines, write_json

PADDING_FACTOR = 8


def write_symbols(path: Path, symbols: Counter[str]) -> None:
    """Write counts as `symbol count` lines, sorted by symbol."""
    with atomic_text(path) as stream:
        stream.writelines(f"{symbol} {symbols[symbol]}\n" for symbol in sorted(symbols))


def read_symbols(path: Path) -> Iterator[tuple[str, int]]:
    """The symbols and counts of a file of `symbol count` lines, in its order.

    Raises:
        UserError: a line has another form, repeats a symbol or names one of fairseq's special symbols; the message
            names file and line.
    """
    lines: dict[str, int] = {}
    for number, line in text_lines(path):
        fields = line.split(" ")
        if len(fields) != 2 or line.split() != fields or not (fields[1].isascii() and fields[1].isdigit()):
            raise UserError(f"{path}, line {number}: {line!r}, where `symbol count` is expected")
        symbol, count = fields[0], int(fields[1])
        if symbol in SPECIALS:
            raise UserError(f"{path}, line {number}: fairseq adds {symbol} by itself; it must not be in the vocabulary")
        if symbol in lines:
            raise UserError(f"{path}, line {number}: the symbol {symbol!r} is in line {lines[symbol]} already")
        lines[symbol] = number
        yield symbol, count


def merge_symbols(paths: Iterable[Path]) -> Counter[str]:
    """The sum of several files' counts."""
    total: Counter[str] = Counter()
    for path in paths:
        for symbol, count in read_symbols(path):
            total[symbol] += count
    return total


def ordered(symbols: Counter[str]) -> list[tuple[str, int]]:
    """The vocabulary's entries, by falling count, then by symbol, filled up to a multiple of 8 with the specials."""
    entries = sorted(symbols.items(), key=lambda entry: (-entry[1], entry[0]))
    missing = -(len(entries) + len(SPECIALS)) % PADDING_FACTOR
    return entries + [(f"madeupword{number:04d}", 0) for number in range(missing)]


def merge(symbol_files: list[Path], output: Path) -> int:
    """Write the joint vocabulary; return its number of lines."""
    symbols = merge_symbols(symbol_files)
    if not symbols:
        raise UserError(f"no symbols in {', '.join(map(str, symbol_files))}: there is no training text")
    entries = ordered(symbols)
    with atomic_text(output) as stream:
        stream.writelines(f"{symbol} {count}\n" for symbol, count in entries)
    return len(entries)


def take_over(vocab_file: Path, output: Path) -> int:
    """Check an existing vocabulary and copy it; return its number of lines."""
    size = sum(1 for _ in read_symbols(vocab_file))
    if not size:
        raise UserError(f"{vocab_file} is empty; `symbol count` lines are expected")
    with atomic_path(output) as temporary:
        shutil.copyfile(vocab_file, temporary)
    return size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--symbols", type=Path, nargs="+", metavar="FILE", help="symbol counts of each language")
    source.add_argument("--vocab-file", type=Path, help="take this vocabulary over unchanged")
    parser.add_argument("--output", type=Path, required=True, help="the vocabulary, `symbol count` lines")
    parser.add_argument("--counts", type=Path, help="size of the vocabulary (JSON)")


def main(args: argparse.Namespace) -> None:
    """Run the stage."""
    size = take_over(args.vocab_file, args.output) if args.vocab_file else merge(args.symbols, args.output)
    counts = {"symbols": size, "embedding_rows": size + len(SPECIALS)}
    logging.info("%s", counts)
    if args.counts:
        write_json(args.counts, counts)
