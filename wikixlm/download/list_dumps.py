"""List the dump of each language, or choose one and record it.

    wikixlm dumps list                                 the languages of config.yaml: date, files, sizes, what is there
    wikixlm dumps list --configfile config/my.yaml     the same with an overlay on top, as for snakemake
    wikixlm dumps list --languages de en --contact me@example.org
    wikixlm dumps resolve --language de --contact me@example.org --output dumps/de/resolved.yaml

`list` asks the first mirror where there is no dumps/{lang}/resolved.yaml, and writes nothing. `resolve` chooses a dump
and records it; a recorded one is kept.
"""

import argparse
from pathlib import Path
from typing import Any

from wikixlm import formatting, languages
from wikixlm.config import Config, load_overlays
from wikixlm.download import pinned
from wikixlm.download.client import Client, RetryPolicy
from wikixlm.download.command import (
    add_retry_arguments,
    add_server_arguments,
    check_mirrors,
    date_option,
)
from wikixlm.download.layouts import LAYOUT_CHOICES
from wikixlm.download.partial import bytes_on_disk


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    show = actions.add_parser("list", help="file, size and date per language", formatter_class=parser.formatter_class)
    show.add_argument("--configfile", nargs="+", type=Path, default=[], metavar="FILE", help="overlays of config.yaml")
    show.add_argument("--languages", nargs="+", metavar="CODE", help="instead of the configuration's")
    show.add_argument("--mirrors", nargs="+", metavar="URL", help="instead of the configuration's")
    show.add_argument("--date", type=date_option, metavar="DATE", help="instead of the configuration's")
    show.add_argument("--layout", choices=LAYOUT_CHOICES, help="instead of the configuration's")
    show.add_argument("--contact", help="instead of the configuration's")
    show.add_argument("--folder", type=Path, default=Path("dumps"), help="where the dumps are")
    add_retry_arguments(show)

    choose = actions.add_parser("resolve", help="choose a dump and record it", formatter_class=parser.formatter_class)
    choose.add_argument("--language", required=True, metavar="CODE", help="Wikipedia's language code")
    choose.add_argument("--date", type=date_option, default="latest", metavar="DATE", help="latest or YYYYMMDD")
    choose.add_argument("--layout", choices=LAYOUT_CHOICES, default="auto", help="the server's layout")
    choose.add_argument("--output", required=True, type=Path, metavar="FILE", help="resolved.yaml to write")
    add_server_arguments(choose)


def main(args: argparse.Namespace) -> None:
    if args.action == "resolve":
        with Client(args.contact, RetryPolicy(args.retries, args.backoff, stall_timeout=args.stall)) as client:
            record_dump(client, args.language, args.mirrors[0], args.output, args.date, args.layout)
        return
    options = {key: getattr(args, key) for key in ("mirrors", "date", "layout", "contact")}
    overlay: dict[str, Any] = {"dumps": {key: value for key, value in options.items() if value is not None}}
    if args.languages:
        overlay["languages"] = args.languages
    cfg = load_overlays(args.configfile, overlay)
    with Client(cfg.dumps.contact, RetryPolicy(args.retries, args.backoff, stall_timeout=args.stall)) as client:
        print(dumps_table(client, cfg, args.folder), end="")


def record_dump(client: Client, language: str, mirror: str, output: Path, date: str, layout: str) -> None:
    """Choose a language's dump and write the record `output`; a recorded dump is kept.

    Raises:
        UserError: see `pinned.pin_dump`.
    """
    wiki = languages.wiki(language)
    pinned.write_pinned(output, wiki, pinned.pin_dump(client, check_mirrors([mirror])[0], wiki, date, layout, output))


def dumps_table(client: Client, cfg: Config, folder: Path) -> str:
    """The dumps as text: a line per file with language, layout, date, size and share on disk; then the total.

    Raises:
        UserError: the server failed, or a language has no such dump.
    """
    rows = [("language", "layout", "date", "size", "here", "file")]
    total = on_disk = 0
    root = cfg.dumps.mirrors[0].rstrip("/")
    for code in cfg.downloaded():
        record = folder / code / "resolved.yaml"
        run = pinned.pin_dump(client, root, languages.wiki(code), cfg.dumps.date, cfg.dumps.layout, record)
        for file in run.files:
            here = min(bytes_on_disk(folder / code, file.name), file.size)
            total, on_disk = total + file.size, on_disk + here
            percent = f"{100 * here // max(file.size, 1)} %"
            rows.append((code, run.layout, run.date, formatting.size(file.size), percent, file.name))
    sums = f"{formatting.size(total)} in all, {formatting.size(total - on_disk)} still to download"
    return f"{formatting.table(rows, left=range(len(rows[0])))}\n{sums}\n"
