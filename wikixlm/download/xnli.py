"""Download XNLI and the English MultiNLI that goes with it: XNLI-1.0.zip and XNLI-MT-1.0.zip.

Resumable and polite like the dumps' download. No hashes are published for the archives: SHA256SUMS next to the
manifest records those of the first download, in sha256sum's format, and every later download must match them.

    wikixlm download-xnli --contact me@example.org --output xnli/manifest.json
"""

import argparse
import logging
import re
from pathlib import Path
from typing import Any

from wikixlm.download import transfer
from wikixlm.download.client import Client, PermanentError, RetryPolicy
from wikixlm.download.command import add_server_arguments, check_mirrors
from wikixlm.download.layouts import DumpFile
from wikixlm.download.manifest import file_entry
from wikixlm.errors import UserError
from wikixlm.files import atomic_text, open_text, write_json

PUBLISHER = "https://dl.fbaipublicfiles.com/XNLI"
ARCHIVES = ("XNLI-1.0.zip", "XNLI-MT-1.0.zip")
SUMS = "SHA256SUMS"


def read_sums(path: Path) -> dict[str, str]:
    """File name to SHA-256, from a file in sha256sum's format; empty where there is no such file yet.

    Raises:
        UserError: a line in another format.
    """
    if not path.exists():
        return {}
    sums = {}
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            match = re.fullmatch(r"([0-9a-f]{64}) [ *](\S+)", line.strip())
            if match is None:
                raise UserError(f"{path}, line {number}: {line.strip()!r}; accepted: SHA-256, two spaces, file name")
            sums[match[2]] = match[1]
    return sums


def write_sums(path: Path, sums: dict[str, str]) -> None:
    """Write file name to SHA-256 in sha256sum's format."""
    with atomic_text(path) as stream:
        stream.writelines(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))


def download_archives(client: Client, mirrors: list[str], folder: Path) -> dict[str, Any]:
    """Download both archives into `folder` and return their manifest.

    Raises:
        UserError: no mirror has an archive, or its content differs from the first download's.
    """
    mirrors = check_mirrors(mirrors)
    try:
        files = [_download_archive(client, name, mirrors, folder) for name in ARCHIVES]
    except KeyboardInterrupt:
        raise UserError("XNLI: interrupted; what has arrived is kept, run again to resume") from None
    return {"size": sum(file["size"] for file in files), "files": files}


def _download_archive(client: Client, name: str, mirrors: list[str], folder: Path) -> dict[str, Any]:
    """Download one archive, verify it against the hash of its first download, and return its manifest entry."""
    sums = read_sums(folder / SUMS)
    known = {"sha256": sums[name]} if name in sums else {}
    file = DumpFile(name, name, _size(client, name, mirrors), known)
    try:
        record = transfer.download_file(client, file, mirrors, folder)
    except transfer.ContentMismatchError as failure:
        raise UserError(
            f"{failure}. {folder / SUMS} has the hash of the first download; to accept other content, delete its line"
        ) from failure
    if not known:
        logging.info("%s: SHA-256 %s, recorded in %s", name, record.hashes["sha256"], folder / SUMS)
        write_sums(folder / SUMS, {**sums, name: record.hashes["sha256"]})
    return file_entry(file, record)


def _size(client: Client, name: str, mirrors: list[str]) -> int:
    failures = []
    for mirror in mirrors:
        try:
            return client.size(f"{mirror}/{name}")
        except PermanentError as failure:
            failures.append(str(failure))
    raise UserError(f"cannot download {name}: {'. '.join(failures)}; if you have a copy, name its folder in xnli.local")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="manifest, written last")
    add_server_arguments(parser, PUBLISHER)


def main(args: argparse.Namespace) -> None:
    with Client(args.contact, RetryPolicy(args.retries, args.backoff, stall_timeout=args.stall)) as client:
        manifest = download_archives(client, args.mirrors, args.output.parent)
    write_json(args.output, manifest)
