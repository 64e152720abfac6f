"""What a download would fetch, and which dump each language uses.

    wikixlm dumps list                                 the languages of config.yaml: date, files, sizes, what is there
    wikixlm dumps list --configfile config/my.yaml     the same with an overlay on top, as for snakemake
    wikixlm dumps list --languages de en --contact me@example.org
    wikixlm dumps resolve --language de --contact me@example.org --output dumps/de/resolved.yaml

`list` asks the first mirror where there is no dumps/{lang}/resolved.yaml, and writes nothing. `resolve` chooses a dump
and records it; a recorded one stays.
"""

import argparse
from functools import reduce
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from wikixlm import formatting, languages
from wikixlm.config import load, merge
from wikixlm.download import pinned
from wikixlm.download.client import Client
from wikixlm.download.command import (
    add_patience_arguments,
    add_server_arguments,
    bytes_there,
    client_of,
    date_option,
)
from wikixlm.download.layouts import LAYOUT_CHOICES
from wikixlm.errors import UserError

BASE = Path(__file__).parents[2] / "config.yaml"


class Sources(NamedTuple):
    """What of the configuration is about dumps."""

    languages: list[str]
    mirrors: list[str]
    date: str
    layout: str
    contact: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `wikixlm dumps`."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    show = actions.add_parser("list", help="file, size and date per language", formatter_class=parser.formatter_class)
    show.add_argument("--configfile", nargs="+", type=Path, default=[], metavar="FILE", help="overlays of config.yaml")
    show.add_argument("--languages", nargs="+", metavar="CODE", help="instead of the configuration's")
    show.add_argument("--mirrors", nargs="+", metavar="URL", help="instead of the configuration's")
    show.add_argument("--date", type=date_option, metavar="DATE", help="instead of the configuration's")
    show.add_argument("--layout", choices=LAYOUT_CHOICES, help="instead of the configuration's")
    show.add_argument("--contact", help="instead of the configuration's")
    show.add_argument("--folder", type=Path, default=Path("dumps"), help="where the dumps are")
    add_patience_arguments(show)

    choose = actions.add_parser("resolve", help="choose a dump and record it", formatter_class=parser.formatter_class)
    choose.add_argument("--language", required=True, metavar="CODE", help="Wikipedia's language code")
    choose.add_argument("--date", type=date_option, default="latest", metavar="DATE", help="latest or YYYYMMDD")
    choose.add_argument("--layout", choices=LAYOUT_CHOICES, default="auto", help="the server's layout")
    choose.add_argument("--output", required=True, type=Path, metavar="FILE", help="resolved.yaml to write")
    add_server_arguments(choose)


def main(args: argparse.Namespace) -> None:
    """Run the action."""
    if args.action == "resolve":
        wiki = languages.wiki(args.language)
        with client_of(args.contact, args) as client:
            export = pinned.settle(client, args.mirrors[0].rstrip("/"), wiki, args.date, args.layout, args.output)
        pinned.write(args.output, wiki, export)
        return
    sources = _sources(args)
    with client_of(sources.contact, args) as client:
        print(plan(client, sources, args.folder), end="")


def plan(client: Client, sources: Sources, folder: Path) -> str:
    """The table: a line per file with language, layout, date, size and how much of it is there; the sums below.

    Raises:
        UserError: the server gives no answer, or a language has no such dump.
    """
    rows = [("language", "layout", "date", "size", "here", "file")]
    total = there = 0
    for code in sources.languages:
        record = folder / code / "resolved.yaml"
        wiki = languages.wiki(code)
        export = pinned.settle(client, sources.mirrors[0], wiki, sources.date, sources.layout, record)
        for file in export.files:
            here = min(bytes_there(folder / code, file.name), file.size)
            total, there = total + file.size, there + here
            percent = f"{100 * here // max(file.size, 1)} %"
            rows.append((code, export.layout, export.date, formatting.size(file.size), percent, file.name))
    sums = f"{formatting.size(total)} in all, {formatting.size(total - there)} still to download"
    return f"{formatting.table(rows, left=range(len(rows[0])))}\n{sums}\n"


def _sources(args: argparse.Namespace) -> Sources:
    """The configuration, with what the command line says instead."""
    if not BASE.exists():
        raise UserError(f"{BASE} is missing: run this from a checkout of wikixlm")
    overlay: dict[str, Any] = reduce(merge, map(read_overlay, args.configfile), {})
    said = {
        key: getattr(args, key) for key in ("mirrors", "date", "layout", "contact") if getattr(args, key) is not None
    }
    overlay = merge(overlay, {"dumps": said})
    if args.languages:
        overlay["languages"] = args.languages
    config = load(BASE, overlay)
    mirrors = [mirror.rstrip("/") for mirror in config.dumps.mirrors]
    return Sources(config.downloaded(), mirrors, config.dumps.date, config.dumps.layout, config.dumps.contact)


def read_overlay(path: Path) -> dict[str, Any]:
    """The keys of a configuration file.

    Raises:
        UserError: it can't be read, or holds no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as failure:
        raise UserError(f"cannot read {path}: {failure}") from failure
    if not isinstance(content, dict):
        raise UserError(f"{path} is no configuration: it holds a {type(content).__name__}, expected keys and values")
    return content
