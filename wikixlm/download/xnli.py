"""Download XNLI and the English MultiNLI that goes with it: XNLI-1.0.zip and XNLI-MT-1.0.zip.

Resumable and polite as the dumps' download. No hashes are published for them: SHA256SUMS beside the manifest records
those of the first download, in sha256sum's format, and every later download must have them.

    wikixlm download-xnli --contact me@example.org --output xnli/manifest.json
"""

import argparse
import logging
import re
from pathlib import Path

from wikixlm.download import manifest, transfer
from wikixlm.download.client import Client, Refused
from wikixlm.download.command import add_patience_arguments, client_of
from wikixlm.download.layouts import DumpFile
from wikixlm.download.partial import Record
from wikixlm.errors import UserError
from wikixlm.files import atomic_text, open_text

PUBLISHER = "https://dl.fbaipublicfiles.com/XNLI"
ARCHIVES = ("XNLI-1.0.zip", "XNLI-MT-1.0.zip")
SUMS = "SHA256SUMS"


def read_sums(path: Path) -> dict[str, str]:
    """File name to SHA-256; empty where there is no such file yet.

    Raises:
        UserError: a line that sha256sum would not write.
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
    """Write the file that `read_sums` reads."""
    with atomic_text(path) as stream:
        stream.writelines(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))


def fetch(client: Client, name: str, mirrors: list[str], folder: Path) -> tuple[DumpFile, Record]:
    """Bring one archive home, with the hash of its first download if there was one.

    Raises:
        UserError: no mirror has it, or its content is another one than at first.
    """
    sums = read_sums(folder / SUMS)
    known = {"sha256": sums[name]} if name in sums else {}
    file = DumpFile(name, name, _size(client, name, mirrors), known)
    try:
        record = transfer.fetch(client, file, mirrors, folder)
    except transfer.OtherContent as failure:
        raise UserError(
            f"{failure}. {folder / SUMS} has the hash of the first download; to accept other content, delete its line"
        ) from failure
    if not known:
        logging.info("%s: SHA-256 %s, recorded in %s", name, record.hashes["sha256"], folder / SUMS)
        write_sums(folder / SUMS, {**sums, name: record.hashes["sha256"]})
    return file, record


def _size(client: Client, name: str, mirrors: list[str]) -> int:
    refusals = []
    for mirror in mirrors:
        try:
            return client.size(f"{mirror}/{name}")
        except Refused as failure:
            refusals.append(str(failure))
    raise UserError(f"cannot download {name}: {'. '.join(refusals)}; if you have a copy, name its folder in xnli.local")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `wikixlm download-xnli`."""
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="manifest to write, last of all")
    parser.add_argument("--mirrors", nargs="+", metavar="URL", default=[PUBLISHER], help="addresses, tried in order")
    parser.add_argument("--contact", required=True, help="your e-mail address or URL, for the User-Agent")
    add_patience_arguments(parser)


def main(args: argparse.Namespace) -> None:
    """Download both archives and write the manifest."""
    mirrors = [mirror.rstrip("/") for mirror in args.mirrors]
    try:
        with client_of(args.contact, args) as client:
            pairs = [fetch(client, name, mirrors, args.output.parent) for name in ARCHIVES]
    except KeyboardInterrupt:
        raise UserError("XNLI: interrupted; what has arrived is kept, run again to go on") from None
    files = [manifest.entry(file, record) for file, record in pairs]
    manifest.write(args.output, {"size": sum(file.size for file, _ in pairs), "files": files})
