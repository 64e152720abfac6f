"""Which files a dump consists of: those that a command is given, or those that a download's manifest lists."""

import argparse
from pathlib import Path
from typing import Any

from wikixlm.errors import UserError
from wikixlm.files import read_json


def add_dump_arguments(parser: argparse.ArgumentParser) -> None:
    """`--dump PATH …` or `--manifest PATH`."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dump", type=Path, nargs="+", metavar="PATH", help="file of the dump, or its files in order")
    source.add_argument(
        "--manifest", type=Path, help="manifest.json of a download, which lists the files in its folder"
    )


def dump_files(dump: list[Path] | None, manifest: Path | None) -> list[Path]:
    """The files of a dump in order: those given, or those listed in the manifest of a download.

    Raises:
        UserError: the manifest lists no files, or a file's size differs from the manifest's.
    """
    if manifest is None:
        return list(dump or [])
    content: Any = read_json(manifest)
    try:
        entries = [(manifest.parent / entry["name"], entry.get("size")) for entry in content["files"]]
    except (KeyError, TypeError, AttributeError) as failure:
        raise UserError(
            f'{manifest}: expected {{"files": [{{"name": …, "size": …}}]}}, not found: {failure}'
        ) from failure
    if not entries:
        raise UserError(f"{manifest} lists no files")
    for path, size in entries:
        if size is not None and path.is_file() and path.stat().st_size != size:
            raise UserError(f"{path} has {path.stat().st_size} bytes, {manifest} says {size}; download it again")
    return [path for path, _ in entries]
