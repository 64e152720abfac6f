"""Download one language's Wikipedia dump from Wikimedia or a mirror.

Next to the manifest (--output) it writes the dump's files and resolved.yaml, which records the chosen date for later
calls. The command can be killed and repeated at any time: it resumes, checks size and hashes, and gives a file its
name only when they match. Hashes always come from the first mirror.

    wikixlm download --language de --contact me@example.org --output dumps/de/manifest.json
"""

import argparse
import datetime
import logging
import re
import shutil
from pathlib import Path
from typing import Any

from wikixlm import formatting, languages
from wikixlm.config.fields import check_mirror
from wikixlm.download import pinned, transfer
from wikixlm.download.client import Client, RetryPolicy
from wikixlm.download.layouts import LAYOUT_CHOICES, DumpRun, available_dates
from wikixlm.download.manifest import dump_manifest
from wikixlm.download.partial import TransferRecord, bytes_on_disk
from wikixlm.errors import UserError
from wikixlm.files import write_json

WIKIMEDIA = "https://dumps.wikimedia.org"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--language", required=True, metavar="CODE", help="Wikipedia's language code: de, zh-yue, …")
    parser.add_argument("--output", required=True, type=Path, metavar="FILE", help="manifest, written last")
    parser.add_argument(
        "--date",
        type=date_option,
        metavar="DATE",
        help="latest or YYYYMMDD (default: the date in resolved.yaml, else latest)",
    )
    parser.add_argument(
        "--layout",
        choices=LAYOUT_CHOICES,
        default="auto",
        help="the server's layout; auto: the one in resolved.yaml, else multistream, else content_current",
    )
    add_server_arguments(parser)


def add_server_arguments(parser: argparse.ArgumentParser, mirrors: str = WIKIMEDIA) -> None:
    """Add --mirrors, --contact and the options of the retry policy."""
    parser.add_argument("--mirrors", nargs="+", metavar="URL", default=[mirrors], help="servers, tried in order")
    parser.add_argument("--contact", required=True, help="your e-mail address or URL, for the User-Agent")
    add_retry_arguments(parser)


def add_retry_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that `retry_policy` reads."""
    default = RetryPolicy()
    add = parser.add_argument
    add("--retries", type=int, default=default.retries, metavar="N", help="consecutive failures before giving up")
    add("--backoff", type=float, default=default.backoff, metavar="S", help="seconds before a retry, then doubled")
    add("--stall", type=float, default=default.stall_timeout, metavar="S", help="seconds without data before a retry")


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
    raise argparse.ArgumentTypeError(f"{text!r} is not a date; accepted: latest, or YYYYMMDD such as 20261101")


def main(args: argparse.Namespace) -> None:
    with Client(args.contact, RetryPolicy(args.retries, args.backoff, stall_timeout=args.stall)) as client:
        manifest = download_dump(client, args.language, args.mirrors, args.output.parent, args.date, args.layout)
    write_json(args.output, manifest)


def download_dump(
    client: Client, language: str, mirrors: list[str], folder: Path, date: str | None = None, layout: str = "auto"
) -> dict[str, Any]:
    """Download a language's dump into `folder`, record it in resolved.yaml there, and return its manifest.

    Args:
        mirrors: base URLs, tried in order; the first is the primary, whose hashes count.
        date, layout: see `pinned.pin_dump`.

    Raises:
        UserError: there is no such dump, all mirrors failed, or the files can't be written.
    """
    wiki = languages.wiki(language)
    mirrors = check_mirrors(mirrors)
    record = folder / "resolved.yaml"
    try:
        run = pinned.pin_dump(client, mirrors[0], wiki, date, layout, record)
        pinned.write_pinned(record, wiki, run)
        size = formatting.size(sum(file.size for file in run.files))
        logging.info("%s: %s of %s, %d files, %s", language, run.layout, run.date, len(run.files), size)
        try:
            records = _download_files(client, run, mirrors, folder)
        except transfer.ContentMismatchError as failure:
            # Wikimedia sometimes repeats a job of a run: its files and the hashes it publishes then change together.
            fresh = pinned.refresh_pinned(client, mirrors[0], run)
            if fresh == run:
                raise
            logging.warning("%s. The server now publishes other sizes or hashes: using those", failure)
            pinned.write_pinned(record, wiki, fresh)
            run, records = fresh, _download_files(client, fresh, mirrors, folder)
    except transfer.MissingFileError as failure:
        dates = available_dates(client, mirrors[0], run)
        raise UserError(
            f"{failure}. {record} names the dump of {run.date}; available dates: {dates}."
            f" Delete {record} to use the newest complete one"
        ) from failure
    except KeyboardInterrupt:
        raise UserError(f"{language}: interrupted; what has arrived is kept, run again to resume") from None
    return dump_manifest(language, wiki, run, records)


def check_mirrors(mirrors: list[str]) -> list[str]:
    """The mirrors' addresses without their last slashes.

    Raises:
        UserError: one can't be a mirror's address.
    """
    try:
        return [check_mirror(mirror) for mirror in mirrors]
    except ValueError as failure:
        raise UserError(f"--mirrors: {failure}") from None


def _download_files(client: Client, run: DumpRun, mirrors: list[str], folder: Path) -> list[TransferRecord]:
    """Download the missing files, one at a time."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = sum(max(file.size - bytes_on_disk(folder, file.name), 0) for file in run.files)
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise UserError(
            f"{folder} has {formatting.size(free)} free, the rest of {run.wiki} needs {formatting.size(missing)};"
            " make room, or run in another --directory"
        )
    return [transfer.download_file(client, file, mirrors, folder) for file in run.files]
