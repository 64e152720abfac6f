"""Segment one tokenized shard's training lines, or one held-out split, with the codes.

Writes the segmented lines (word-internal symbols end in `@@`, the first piece of a word begins with `▁`; one line in,
one line out), the counts of their symbols,
and statistics: tokens per word, share of whole words, share of characters that the codes don't know (they are kept, as
symbols of their own). Memory use is flat: word types are cached up to a bound.
"""

import argparse
import itertools
import logging
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

from wikixlm.bpe.codes import read_codes
from wikixlm.bpe.encoder import BPEEncoder, LineEncoder
from wikixlm.bpe.pieces import PieceEncoder, is_pieces_file, read_pieces
from wikixlm.bpe.statistics import with_shares
from wikixlm.bpe.vocabulary import write_symbols
from wikixlm.errors import UserError
from wikixlm.files import atomic_binary, open_text, write_json
from wikixlm.seals import check_seals, sealed
from wikixlm.tokenize.split import load_held_out, train_lines

_BATCH = 2000  # lines written at a time


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a tokenized plain-text file, without their line ends."""
    with open_text(path) as stream:
        for line in stream:
            yield line.removesuffix("\n")


def read_encoder(codes: Path) -> LineEncoder:
    """The encoder of codes: of pieces if they are a tokenizer.json, else of merges.

    Raises:
        UserError: the codes are bad.
    """
    return PieceEncoder(read_pieces(codes)) if is_pieces_file(codes) else BPEEncoder(read_codes(codes))


def segment_lines(lines: Iterator[str], encoder: LineEncoder, output: Path) -> tuple[int, int]:
    """Write the segmented lines; return the lines read and the lines written."""
    read = written = 0
    with atomic_binary(output) as stream:
        while batch := list(itertools.islice(lines, _BATCH)):
            read += len(batch)
            text = "".join([f"{encoder.encode(line)}\n" for line in batch])
            written += text.count("\n")
            stream.write(text.encode())
        if read != written:
            raise UserError(f"{output}: {written} lines came out of {read}; a token contains a line end")
    return read, written


def apply_codes(
    codes: Path, lines: Iterator[str], output: Path, symbols: Path | None, counts_file: Path | None
) -> None:
    """Segment lines with the codes of a file.

    Args:
        codes: the codes file.
        lines: tokenized lines.
        output: gets the segmented lines.
        symbols: gets the symbol counts, `symbol count` lines.
        counts_file: gets the counts of lines and how words were split (JSON).

    Raises:
        UserError: the codes or a line are bad; nothing is written then.
    """
    check_seals(codes)
    encoder = read_encoder(codes)
    # A compressed shard has zstd's own checksums, and is temporary: its seal would outlive it.
    with nullcontext() if output.suffix == ".zst" else sealed(output):
        read, written = segment_lines(lines, encoder, output)
    statistics = encoder.statistics()
    if symbols:
        write_symbols(symbols, statistics.symbols)
    counts = with_shares(
        {
            "lines_in": read,
            "lines_out": written,
            "words": statistics.words,
            "tokens": statistics.tokens,
            "whole_words": statistics.whole_words,
            "characters": statistics.characters,
            "unknown_characters": statistics.unknown_characters,
            "symbols": len(statistics.symbols),
        }
    )
    logging.info("%s", counts)
    if counts_file:
        write_json(counts_file, counts)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--codes", type=Path, required=True, help="codes: fastBPE's or subword-nmt's, or pieces")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--tokenized", type=Path, metavar="SHARD", help="tokenized shard; its training lines are used")
    source.add_argument("--lines", type=Path, metavar="FILE", help="tokenized text, one line a paragraph (valid, test)")
    parser.add_argument("--held-out", type=Path, metavar="FILE", help="what training leaves out; with --tokenized")
    parser.add_argument("--output", type=Path, required=True, help="segmented lines")
    parser.add_argument("--symbols", type=Path, help="where the symbol counts go, `symbol count` lines")
    parser.add_argument("--counts", type=Path, help="lines, and how words were split (JSON)")


def main(args: argparse.Namespace) -> None:
    if bool(args.tokenized) != bool(args.held_out):
        raise UserError("--held-out goes with --tokenized: a shard's training lines are what the held-out file leaves")
    lines: Iterator[str]
    if args.tokenized:
        lines = (line for _, line in train_lines(args.tokenized, load_held_out(args.held_out)))
    else:
        lines = read_lines(args.lines)
    apply_codes(args.codes, lines, args.output, args.symbols, args.counts)
