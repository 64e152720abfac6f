"""Concatenate one language's segmented training shards into a plain text file, and add up their counts.

No line may be lost: the lines are counted again and compared with the shards' counts (--input-counts), and with the
training lines that the split stage counted (--split).
"""

import argparse
import logging
from pathlib import Path

from wikixlm.bpe.statistics import add_up, read_counts
from wikixlm.bpe.vocabulary import merge_symbols, write_symbols
from wikixlm.errors import UserError
from wikixlm.files import atomic_binary, open_binary, read_json, write_json
from wikixlm.seals import sealed

_BLOCK = 1 << 20


def concatenate(inputs: list[Path], expected: list[int] | None, output: Path) -> int:
    """Write the inputs, in their order, to `output`; return the number of lines.

    Raises:
        UserError: an input has another number of lines than expected (None: not compared), or none has any.
    """
    total = 0
    with atomic_binary(output) as stream:
        for index, path in enumerate(inputs):
            lines, last = 0, b"\n"
            with open_binary(path) as shard:
                while block := shard.read(_BLOCK):
                    lines += block.count(b"\n")
                    last = block[-1:]
                    stream.write(block)
            if last != b"\n":
                raise UserError(f"{path} ends in the middle of a line; delete it and run again")
            if expected is not None and lines != expected[index]:
                raise UserError(
                    f"{path} has {lines} lines, but its counts say {expected[index]}; delete it and run again"
                )
            total += lines
        if not total:
            raise UserError(f"{output} would be empty: there is no line of text in {', '.join(map(str, inputs))}")
    return total


def read_shard_counts(counts_files: list[Path], inputs: list[Path]) -> list[dict[str, int]]:
    """Read the counts that `wikixlm apply-bpe` wrote for each input.

    Raises:
        UserError: not one file for each input, or a count is missing.
    """
    if len(counts_files) != len(inputs):
        raise UserError(
            f"{len(counts_files)} files of --input-counts for {len(inputs)} --inputs; one for each is expected"
        )
    return [read_counts(path) for path in counts_files]


def check_total(output: Path, lines: int, split: Path) -> None:
    """Compare the number of lines with what the split stage counted.

    Raises:
        UserError: they differ, or the file has another form.
    """
    try:
        expected = read_json(split)["lines"]["train"]
    except (KeyError, TypeError) as failure:
        raise UserError(f"{split} does not come from `wikixlm split` ({failure}); delete it and run again") from failure
    if lines != expected:
        raise UserError(f"{output} would have {lines} lines, but {split} gives train {expected}; run the shards again")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--inputs", type=Path, nargs="+", required=True, metavar="FILE", help="segmented shards, in the order wanted"
    )
    parser.add_argument(
        "--input-counts", type=Path, nargs="+", metavar="FILE", help="the shards' counts from apply-bpe, same order"
    )
    parser.add_argument("--split", type=Path, metavar="FILE", help="the language's split.json, for the expected lines")
    parser.add_argument("--output", type=Path, required=True, help="plain text, one line a paragraph")
    parser.add_argument("--symbols", type=Path, nargs="+", metavar="FILE", help="symbol counts of the shards")
    parser.add_argument("--output-symbols", type=Path, help="the sum of --symbols")
    parser.add_argument("--counts", type=Path, help="the sum of --input-counts (JSON)")


def main(args: argparse.Namespace) -> None:
    if bool(args.symbols) != bool(args.output_symbols):
        raise UserError("--symbols and --output-symbols go together")
    if args.counts and not args.input_counts:
        raise UserError("--counts is the sum of --input-counts, which are missing")
    counts = read_shard_counts(args.input_counts, args.inputs) if args.input_counts else None
    expected = [each["lines_out"] for each in counts] if counts else None
    if args.split and expected is not None:
        check_total(args.output, sum(expected), args.split)
    with sealed(args.output):
        lines = concatenate(args.inputs, expected, args.output)
    if args.symbols:
        write_symbols(args.output_symbols, merge_symbols(args.symbols))
    logging.info("%s: %d lines", args.output, lines)
    if args.counts and counts:
        write_json(args.counts, add_up(counts))
