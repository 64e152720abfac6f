"""Merge the languages' symbol counts into the joint vocabulary, in fairseq's format: `symbol count` lines.

Symbols are sorted by falling count, then by symbol, as in fairseq's `Dictionary.finalize`. Symbols `madeupword0000`, …
pad the embedding (these lines and fairseq's five special symbols, which no file lists) to a multiple of 8 rows. A
symbol's id is its line number, counted from 0, plus 5.

With --vocab-file nothing is merged: the file is checked and copied byte for byte, so that ids stay the same.

With --codes that are pieces (the scheme `sentencepiece`) all of them are in the vocabulary, be their count 0, and
nothing else: then no piece of any text is unknown.
"""

import argparse
import logging
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from wikixlm.bpe.codes import SPECIALS
from wikixlm.bpe.pieces import is_pieces_file, read_pieces
from wikixlm.errors import UserError
from wikixlm.files import atomic_path, atomic_text, text_lines
from wikixlm.seals import sealed

PADDING_FACTOR = 8


def write_symbols(path: Path, symbols: Counter[str]) -> None:
    """Write counts as `symbol count` lines, sorted by symbol."""
    with atomic_text(path) as stream:
        stream.writelines(f"{symbol} {symbols[symbol]}\n" for symbol in sorted(symbols))


def read_symbols(path: Path) -> Iterator[tuple[str, int]]:
    """Read a file of `symbol count` lines, in its order.

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
    """Add up the counts of several files."""
    total: Counter[str] = Counter()
    for path in paths:
        for symbol, count in read_symbols(path):
            total[symbol] += count
    return total


def sort_symbols(symbols: Counter[str]) -> list[tuple[str, int]]:
    """The vocabulary's entries: by falling count, then by symbol, padded to a multiple of 8 with the specials."""
    entries = sorted(symbols.items(), key=lambda entry: (-entry[1], entry[0]))
    missing = -(len(entries) + len(SPECIALS)) % PADDING_FACTOR
    return entries + [(f"madeupword{number:04d}", 0) for number in range(missing)]


def write_vocabulary(symbol_files: list[Path], output: Path, codes: Path | None = None) -> int:
    """Merge symbol counts into the joint vocabulary; return its number of lines.

    Raises:
        UserError: a file is bad, there are no symbols, or they are none of the pieces of `codes`.
    """
    symbols = merge_symbols(symbol_files)
    if not symbols:
        raise UserError(f"no symbols in {', '.join(map(str, symbol_files))}: there is no training text")
    if pieces := all_pieces(codes):
        check_pieces(symbols, pieces, f"the text of {', '.join(map(str, symbol_files))}", codes)
        symbols.update(dict.fromkeys(pieces, 0))
    entries = sort_symbols(symbols)
    with atomic_text(output) as stream:
        stream.writelines(f"{symbol} {count}\n" for symbol, count in entries)
    return len(entries)


def all_pieces(codes: Path | None) -> list[str]:
    """What codes of the scheme `sentencepiece` cut text into; nothing for merges, which make symbols of any text."""
    return read_pieces(codes).symbols if codes and is_pieces_file(codes) else []


def check_pieces(symbols: Iterable[str], pieces: Iterable[str], what: str, codes: Path | None) -> None:
    """Raise a UserError if a symbol is none of the pieces, but for those that fill the embedding."""
    if other := sorted(symbol for symbol in set(symbols) - set(pieces) if not symbol.startswith("madeupword")):
        raise UserError(
            f"{what} has symbols that {codes} does not make ({', '.join(other[:3])}); run again with its own"
        )


def copy_vocabulary(vocab_file: Path, output: Path, codes: Path | None = None) -> int:
    """Check an existing vocabulary and copy it; return its number of lines.

    Raises:
        UserError: the file is bad or empty, or not of the pieces of `codes`.
    """
    symbols = [symbol for symbol, _ in read_symbols(vocab_file)]
    size = len(symbols)
    if not size:
        raise UserError(f"{vocab_file} is empty; `symbol count` lines are expected")
    if pieces := all_pieces(codes):
        check_pieces(symbols, pieces, f"bpe.vocab_file: {vocab_file}", codes)
        if missing := sorted(set(pieces) - set(symbols)):
            raise UserError(
                f"bpe.vocab_file: {vocab_file} lacks {len(missing)} pieces of {codes} ({', '.join(missing[:3])}); "
                "give the vocab_mlm of the same run"
            )
    with atomic_path(output) as temporary:
        shutil.copyfile(vocab_file, temporary)
    return size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--symbols", type=Path, nargs="+", metavar="FILE", help="symbol counts of each language")
    source.add_argument("--vocab-file", type=Path, help="copy this vocabulary unchanged")
    parser.add_argument("--codes", type=Path, help="the codes; of pieces, all are in the vocabulary")
    parser.add_argument("--output", type=Path, required=True, help="the vocabulary, `symbol count` lines")


def main(args: argparse.Namespace) -> None:
    with sealed(args.output):
        if args.vocab_file:
            size = copy_vocabulary(args.vocab_file, args.output, args.codes)
        else:
            size = write_vocabulary(args.symbols, args.output, args.codes)
    logging.info("%d symbols, %d rows of the embedding", size, size + len(SPECIALS))
