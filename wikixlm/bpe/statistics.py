"""Tabulate how each language's text splits into symbols, from the counts of `wikixlm apply-bpe`.

Columns: `lines`, `words` and `tokens` (symbols) of a language's split; `tokens_per_word`; `whole_words`, the share of
words that are a single symbol; `unknown_characters`, the share of characters, in words of several symbols, that occur
nowhere in the codes, or with pieces: that are spelled in bytes; `tokens_per_character`, of characters without spaces,
for languages that put none between words. A language far above the others in `tokens_per_word` or
`unknown_characters`, or far below in `whole_words`, has too few codes of its own: raise bpe.codes, or lower bpe.alpha.
"""

import argparse
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from wikixlm.errors import UserError
from wikixlm.files import atomic_text, read_json
from wikixlm.run_layout import SPLITS

COUNTED = ("lines_in", "lines_out", "words", "tokens", "whole_words", "characters", "unknown_characters")
HEADER = (
    *("language", "split", "lines", "words", "tokens", "tokens_per_word", "whole_words", "unknown_characters"),
    "tokens_per_character",
)


def with_shares(counts: Mapping[str, int]) -> dict[str, Any]:
    """Add the shares that follow from counts (`COUNTED` or more); all are 0 where there are no words."""
    words, characters = max(counts["words"], 1), max(counts["characters"], 1)
    return {
        **counts,
        "tokens_per_word": round(counts["tokens"] / words, 4),
        "share_whole_words": round(counts["whole_words"] / words, 4),
        "share_unknown_characters": round(counts["unknown_characters"] / characters, 6),
        "tokens_per_character": round(counts["tokens"] / characters, 4),
    }


def read_counts(path: Path) -> dict[str, int]:
    """Read the counts of `wikixlm apply-bpe` or `wikixlm concatenate`, without the shares.

    Raises:
        UserError: a count is missing.
    """
    content = read_json(path)
    for key in COUNTED:
        if not isinstance(content, dict) or not isinstance(content.get(key), int):
            raise UserError(f"{path} has no number {key}; delete it and run again")
    return {key: content[key] for key in COUNTED}


def add_up(counts: Iterable[Mapping[str, int]]) -> dict[str, Any]:
    """Add up the counts of shards, and add the shares."""
    total = dict.fromkeys(COUNTED, 0)
    for each in counts:
        for key in COUNTED:
            total[key] += each[key]
    return with_shares(total)


def table_row(language: str, split: str, path: Path) -> list[str]:
    counts = with_shares(read_counts(path))
    names = ("tokens_per_word", "share_whole_words", "share_unknown_characters", "tokens_per_character")
    shares = [counts[name] for name in names]
    return list(map(str, (language, split, counts["lines_out"], counts["words"], counts["tokens"], *shares)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--languages", nargs="+", required=True, metavar="L", help="languages, in the table's order")
    for split in SPLITS:
        parser.add_argument(
            f"--{split}", type=Path, nargs="+", required=True, metavar="FILE", help=f"counts of each language's {split}"
        )
    parser.add_argument("--output", type=Path, required=True, help="the table, tab-separated")


def main(args: argparse.Namespace) -> None:
    files = {split: getattr(args, split) for split in SPLITS}
    for split, paths in files.items():
        if len(paths) != len(args.languages):
            raise UserError(
                f"--{split} has {len(paths)} files for {len(args.languages)} --languages; one each is expected"
            )
    rows = [
        table_row(lang, split, files[split][index]) for index, lang in enumerate(args.languages) for split in SPLITS
    ]
    with atomic_text(args.output) as stream:
        stream.writelines("\t".join(fields) + "\n" for fields in (HEADER, *rows))
    logging.info("%s: %d rows", args.output, len(rows))
