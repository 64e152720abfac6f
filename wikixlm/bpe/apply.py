"""Segment one tokenized shard's training lines, or one held-out split, with the BPE codes.

Writes the segmented lines (`@@ ` joints, one line in, one line out), the counts of the symbols in them, and how the
text was split: tokens per word, share of whole words, share of characters that the codes don't know (they are kept,
as symbols of their own). Memory is flat: word types are remembered up to a bound.
"""

import argparse
import itertools
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wikixlm.bpe.codes import read_codes
from wikixlm.bpe.encoder import BPEEncoder, SplitStatistics
from wikixlm.bpe.statistics import with_shares
from wikixlm.bpe.vocabulary import write_symbols
from wikixlm.errors import UserError
from wikixlm.files import atomic_binary, open_text, write_json
from wikixlm.tokenize.split import load_held_out, train_lines

_BATCH = 2000  # lines written at a time


def lines_of(path: Path) -> Iterator[str]:
    """The lines of a tokenized plain-text file, without their line ends."""
    with open_text(path) as stream:
        for line in stream:
            yield line.removesuffix("\n")


def segment_file(lines: Iterator[str], encoder: BPEEncoder, output: Path) -> tuple[int, int]:
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


def report(read: int, written: int, split: SplitStatistics) -> dict[str, Any]:
    """The counts that the stage writes."""
    counts = {
        "lines_in": read,
        "lines_out": written,
        "words": split.words,
        "tokens": split.tokens,
        "whole_words": split.whole_words,
        "characters": split.characters,
        "unknown_characters": split.unknown_characters,
        "symbols": len(split.symbols),
    }
    return with_shares(counts)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--codes", type=Path, required=True, help="BPE codes, fastBPE's or subword-nmt's format")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--tokenized", type=Path, metavar="SHARD", help="tokenized shard; its training lines are taken")
    source.add_argument("--lines", type=Path, metavar="FILE", help="tokenized text, one line a paragraph (valid, test)")
    parser.add_argument("--held-out", type=Path, metavar="FILE", help="what training leaves out; goes with --tokenized")
    parser.add_argument("--output", type=Path, required=True, help="segmented lines")
    parser.add_argument("--symbols", type=Path, help="where the symbol counts go, `symbol count` lines")
    parser.add_argument("--counts", type=Path, help="lines, and how words were split (JSON)")


def main(args: argparse.Namespace) -> None:
    """Run the stage."""
    if bool(args.tokenized) != bool(args.held_out):
        raise UserError("--held-out goes with --tokenized: a shard's training lines are what the held-out file leaves")
    lines: Iterator[str]
    if args.tokenized:
        lines = (line for _, line in train_lines(args.tokenized, load_held_out(args.held_out)))
    else:
        lines = lines_of(args.lines)
    encoder = BPEEncoder(read_codes(args.codes))
    read, written = segment_file(lines, encoder, args.output)
    statistics = encoder.statistics()
    if args.symbols:
        write_symbols(args.symbols, statistics.symbols)
    counts = report(read, written, statistics)
    logging.info("%s", counts)
    if args.counts:
        write_json(args.counts, counts)
