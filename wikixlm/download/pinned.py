"""`dumps/{lang}/resolved.yaml`: which dump a language uses, kept until the file is deleted.

With `latest` the newest complete dump is taken once and recorded; later runs keep it, so that a rerun never silently
changes its data. A fixed date or layout that differs from the record is the user's explicit wish: it is followed, and
said. Each language has a file of its own, so that a new language never moves the others.
"""

import dataclasses
import datetime
import logging
from pathlib import Path
from typing import Any

import yaml

from wikixlm import console
from wikixlm.download.client import Client, Refused
from wikixlm.download.layouts import LAYOUTS, DumpFile, Export, Incomplete, resolve
from wikixlm.download.partial import now
from wikixlm.errors import UserError
from wikixlm.files import atomic_text
from wikixlm.languages import Wiki

STALE = 60  # days after which the newest dump of a layout looks abandoned
HEADER = "# The dump that this language uses. Delete this file to take the newest one on the next run.\n"


def settle(client: Client, root: str, wiki: Wiki, date: str | None, layout: str, path: Path) -> Export:
    """The dump to use: the recorded one, without asking the server, unless there is none or another one is asked for.

    Args:
        root: URL of the primary mirror.
        date: YYYYMMDD, `latest`, or None: whatever is recorded, else the latest.
        layout: a layout's name, or `auto`: whatever is recorded, else as `resolve` chooses.
        path: the record; nothing is written, see `write`.

    Raises:
        UserError: there is no such dump, no answer, or the record is damaged.
    """
    recorded = read(path, wiki)
    if recorded is not None:
        changes = []
        if date not in (None, "latest", recorded.date):
            changes.append(f"dumps.date is {date}, it was {recorded.date}")
        if layout not in ("auto", recorded.layout):
            changes.append(f"dumps.layout is {layout}, it was {recorded.layout}")
        if not changes:
            return recorded
        console.warn(f"{wiki.code}: {' and '.join(changes)} in {path}: taking the dump that is asked for now")
    if wiki.closed:
        logging.warning("%s is closed: nobody has edited it since", wiki.host)
    export = resolve(client, root, wiki.dbname, date or "latest", layout)
    age = (datetime.datetime.now(datetime.UTC).date() - datetime.date.fromisoformat(export.date)).days
    if date in (None, "latest") and age > STALE:
        console.warn(
            f"{wiki.code}: the newest complete {export.layout} dump is {age} days old ({export.date});"
            " another dumps.layout may have a newer one, see wikixlm dumps list"
        )
    return export


def refresh(client: Client, root: str, export: Export) -> Export:
    """The same run as the server describes it now.

    Raises:
        UserError: it is gone.
    """
    try:
        return LAYOUTS[export.layout].export(client, root, export.wiki, export.date)
    except (Incomplete, Refused) as failure:
        raise UserError(f"the dump of {export.wiki} of {export.date} can't be had any more: {failure}") from failure


def read(path: Path, wiki: Wiki) -> Export | None:
    """The recorded dump, None if there is no record.

    Raises:
        UserError: the record is damaged, or of another wiki.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as failure:
        raise UserError(f"cannot read {path}: {failure}") from failure
    try:
        record: dict[str, Any] = yaml.safe_load(text)
        files = tuple(DumpFile(**entry) for entry in record["files"])
        export = Export(record["wiki"], record["layout"], str(record["date"]), files)
        datetime.date.fromisoformat(export.date)
        if export.layout not in LAYOUTS or not files:
            raise ValueError("no such layout, or no files")
        if not all(export.date in file.path.replace("-", "") for file in files):
            raise ValueError(f"its files are not of {export.date}")
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as failure:
        raise UserError(f"{path} is damaged ({failure}); delete it to take the newest dump") from failure
    if export.wiki != wiki.dbname:
        raise UserError(f"{path} is about {export.wiki}, expected {wiki.dbname}; delete it")
    return export


def write(path: Path, wiki: Wiki, export: Export) -> None:
    """Record the dump, unless it is recorded already."""
    if path.exists() and read(path, wiki) == export:
        return
    record = {
        "language": wiki.code,
        "wiki": export.wiki,
        "layout": export.layout,
        "date": export.date,
        "resolved": now(),
        "files": [dataclasses.asdict(file) for file in export.files],
    }
    with atomic_text(path) as stream:
        stream.write(HEADER)
        yaml.safe_dump(record, stream, sort_keys=False)
