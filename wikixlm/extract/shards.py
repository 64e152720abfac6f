"""Which bytes of a list of files belong to shard k of n."""

import argparse
from pathlib import Path
from typing import NamedTuple

from wikixlm.errors import UserError

SKIPPED_SHARE = 0.001  # the share of a language's articles that wikiextractor may fail on


class FilePart(NamedTuple):
    """A file and the non-empty range of its bytes [start, end) that a shard owns."""

    path: Path
    size: int
    start: int
    end: int


def add_shard_arguments(parser: argparse.ArgumentParser) -> None:
    """`--shard K --shards N`."""
    parser.add_argument("--shard", type=int, default=0, metavar="K", help="number of the shard, from 0")
    parser.add_argument("--shards", type=int, default=1, metavar="N", help="total number of shards")


def shard_parts(paths: list[Path], shard: int, shards: int) -> list[FilePart]:
    """The parts of `paths` in bytes [k*size/n, (k+1)*size/n) of all files concatenated.

    Raises:
        UserError: the shard number is out of range, or a file is missing or empty.
    """
    if shards < 1 or not 0 <= shard < shards:
        raise UserError(f"--shard {shard} --shards {shards}: a shard from 0 to {max(shards, 1) - 1} is accepted")
    sizes = [_size(path) for path in paths]
    total = sum(sizes)
    low, high = shard * total // shards, (shard + 1) * total // shards
    parts = []
    offset = 0
    for path, size in zip(paths, sizes, strict=True):
        start, end = max(low - offset, 0), min(high - offset, size)
        if start < end:
            parts.append(FilePart(path, size, start, end))
        offset += size
    return parts


def _size(path: Path) -> int:
    try:
        if not path.is_file():
            raise UserError(f"{path} is not a file" if path.exists() else f"{path} does not exist")
        size = path.stat().st_size
    except OSError as failure:
        raise UserError(f"cannot read {path}: {failure.strerror}") from failure
    if size == 0:
        raise UserError(f"{path} is empty (0 bytes)")
    return size
