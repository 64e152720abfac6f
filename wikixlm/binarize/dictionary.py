"""Check that all languages were binarized with one dictionary, and write it as the dict.txt that fairseq opens."""

import argparse
import itertools
import logging
import shutil
from pathlib import Path

from wikixlm.errors import UserError
from wikixlm.files import atomic_path, sha256, text_lines
from wikixlm.seals import check_seals, sealed


def check_identical(dictionaries: list[Path]) -> None:
    """Compare the dictionaries byte for byte.

    Raises:
        UserError: one is missing, or they differ; the message names those that differ from the first and where.
    """
    for path in dictionaries:
        if not path.is_file():
            raise UserError(f"cannot read {path}: there is no such file; the binarize stage writes it")
    first, *others = dictionaries
    digest = sha256(first)
    different = [path for path in others if sha256(path) != digest]
    if different:
        names = ", ".join(map(str, different))
        raise UserError(
            f"the languages' dictionaries must be identical, but these differ from {first}: {names} "
            f"({_where(first, different[0])}); "
            "delete the binarized data of these languages and run again"
        )


def _where(first: Path, other: Path) -> str:
    pairs = itertools.zip_longest(text_lines(first), text_lines(other))
    for number, (one, two) in enumerate(pairs, start=1):
        if one != two:
            here, there = (repr(line[1]) if line else "nothing" for line in (one, two))
            return f"line {number}: {here} and {there}"
    return "line ends"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dictionaries",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="dict.{language}.txt of all languages",
    )
    parser.add_argument("--output", type=Path, required=True, help="the joint dictionary, dict.txt")


def main(args: argparse.Namespace) -> None:
    check_seals(*args.dictionaries)
    check_identical(args.dictionaries)
    with sealed(args.output), atomic_path(args.output) as temporary:
        shutil.copyfile(args.dictionaries[0], temporary)
    logging.info("%d dictionaries are identical: %s", len(args.dictionaries), args.output)
