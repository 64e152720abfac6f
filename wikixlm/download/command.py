"""Download one language's Wikipedia dump from Wikimedia or a mirror.

Beside the manifest (--output) it leaves the dump's file or files and resolved.yaml, the date that was chosen, which
later calls keep. The command can be killed and repeated at any time: it goes on where it stopped, checks size and
hashes, and gives a file its name only when they are right. Hashes always come from the first mirror.

    wikixlm download --language de --contact me@example.org --output dumps/de/manifest.json
"""

import argparse
import datetime
import logging
import re
import shutil
from pathlib import Path

from wikixlm import formatting, languages
from wikixlm.download import manifest, pinned, transfer
from wikixlm.download.client import Client, Patience
from wikixlm.download.layouts import LAYOUT_CHOICES, Export, runs
from wikixlm.download.partial import Record
from wikixlm.errors import UserError
from wikixlm.languages import Wiki

WIKIMEDIA = "https://dumps.wikimedia.org"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `wikixlm download`."""
    parser.add_argument("--language", required=True, metavar="CODE", help="Wikipedia's language code: de, zh-yue, …")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="manifest to write, last of all")
    parser.add_argument(
        "--date",
        type=date_option,
        metavar="DATE",
        help="latest or YYYYMMDD; without it the one of resolved.yaml, else latest",
    )
    parser.add_argument(
        "--layout",
        choices=LAYOUT_CHOICES,
        default="auto",
        help="the server's layout; auto: as in resolved.yaml, else multistream, else content_current",
    )
    add_server_arguments(parser)


def add_server_arguments(parser: argparse.ArgumentParser) -> None:
    """The options about whom to ask, and how patiently."""
    parser.add_argument("--mirrors", nargs="+", metavar="URL", default=[WIKIMEDIA], help="servers, tried in order")
    parser.add_argument("--contact", required=True, help="your e-mail address or URL, for the User-Agent")
    add_patience_arguments(parser)


def add_patience_arguments(parser: argparse.ArgumentParser) -> None:
    """The options about how patiently to ask."""
    normal = Patience()
    add = parser.add_argument
    add("--retries", type=int, default=normal.retries, metavar="N", help="failures in a row that end the patience")
    add("--backoff", type=float, default=normal.backoff, metavar="S", help="seconds before a retry, then doubled")
    add("--stall", type=float, default=normal.stall, metavar="S", help="seconds of silence that end a connection")


def date_option(text: str) -> str:
    """The type of --date: `latest` or YYYYMMDD."""
    if text == "latest":
        return text
    try:
        if re.fullmatch(r"\d{8}", text):
            datetime.date.fromisoformat(text)
            return text
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"{text!r} is no date; accepted: latest, or YYYYMMDD such as 20261101")


def client_of(contact: str, args: argparse.Namespace) -> Client:
    """The client that the options describe."""
    return Client(contact, Patience(retries=args.retries, backoff=args.backoff, stall=args.stall))


def main(args: argparse.Namespace) -> None:
    """Download a dump and write its manifest."""
    wiki = languages.wiki(args.language)
    mirrors = [mirror.rstrip("/") for mirror in args.mirrors]
    try:
        with client_of(args.contact, args) as client:
            export, records = _download(client, wiki, mirrors, args)
    except KeyboardInterrupt:
        raise UserError(f"{args.language}: interrupted; what has arrived is kept, run again to go on") from None
    manifest.write(args.output, manifest.manifest(args.language, wiki, export, records))


def _download(client: Client, wiki: Wiki, mirrors: list[str], args: argparse.Namespace) -> tuple[Export, list[Record]]:
    folder = args.output.parent
    record = folder / "resolved.yaml"
    export = pinned.settle(client, mirrors[0], wiki, args.date, args.layout, record)
    pinned.write(record, wiki, export)
    size = formatting.size(sum(file.size for file in export.files))
    logging.info("%s: %s of %s, %d files, %s", args.language, export.layout, export.date, len(export.files), size)
    try:
        return export, _files(client, export, mirrors, folder)
    except transfer.OtherContent as failure:
        # Wikimedia sometimes repeats a job of a run: then its files and the hashes it publishes change together.
        fresh = pinned.refresh(client, mirrors[0], export)
        if fresh == export:
            raise
        logging.warning("%s. The server now publishes other sizes or hashes: taking those", failure)
        pinned.write(record, wiki, fresh)
        return fresh, _files(client, fresh, mirrors, folder)
    except transfer.Gone as failure:
        raise UserError(
            f"{failure}. {record} says to use the dump of {export.date};"
            f" runs that are there: {runs(client, mirrors[0], export)}."
            f" Delete {record} to take the newest complete one"
        ) from failure


def _files(client: Client, export: Export, mirrors: list[str], folder: Path) -> list[Record]:
    """Fetch what is missing, a file at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = sum(max(file.size - bytes_there(folder, file.name), 0) for file in export.files)
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise UserError(
            f"{folder} has {formatting.size(free)} free, the rest of {export.wiki} needs {formatting.size(missing)};"
            " make room, or run in another --directory"
        )
    return [transfer.fetch(client, file, mirrors, folder) for file in export.files]


def bytes_there(folder: Path, name: str) -> int:
    """How many bytes of a file are in its folder, finished or in part."""
    for path in (folder / name, folder / f".{name}.part"):
        if path.exists():
            return path.stat().st_size
    return 0
