"""`dumps/{lang}/resolved.yaml`: the dump that a language uses, kept until the file is deleted.

With `latest` the newest complete dump is chosen once and recorded; later runs keep it, so that a rerun never silently
changes its data. A fixed date or layout that differs from the record is an explicit wish: it is followed, with a
warning. Each language has its own file, so that a new language never changes the others' dumps.
"""

import dataclasses
import datetime
import logging
from pathlib import Path
from typing import Any

import yaml

from wikixlm import console
from wikixlm.download.client import Client, PermanentError
from wikixlm.download.layouts import LAYOUTS, DumpFile, DumpRun, IncompleteRunError, find_run
from wikixlm.download.partial import utc_now
from wikixlm.errors import UserError
from wikixlm.files import atomic_text
from wikixlm.languages import Wiki

STALE_DAYS = 60  # after which a layout's newest dump looks abandoned
HEADER = "# The dump that this language uses. Delete this file to use the newest one in the next run.\n"


def pin_dump(client: Client, root: str, wiki: Wiki, date: str | None, layout: str, path: Path) -> DumpRun:
    """The recorded dump, without a request; where there is no record, or another dump is asked for, the server's.

    Args:
        root: URL of the primary mirror.
        date: YYYYMMDD, `latest`, or None: the recorded one, else the latest.
        layout: a layout's name, or `auto`: the recorded one, else as `find_run` chooses.
        path: the record; only read here, see `write_pinned`.

    Raises:
        UserError: there is no such dump, the server failed, or the record is damaged.
    """
    recorded = read_pinned(path, wiki)
    if recorded is not None:
        changes = []
        if date not in (None, "latest", recorded.date):
            changes.append(f"dumps.date is {date}, it was {recorded.date}")
        if layout not in ("auto", recorded.layout):
            changes.append(f"dumps.layout is {layout}, it was {recorded.layout}")
        if not changes:
            return recorded
        console.warn(f"{wiki.code}: {' and '.join(changes)} in {path}: using the configured dump from now on")
    if wiki.closed:
        logging.warning("%s is closed: nobody has edited it since", wiki.host)
    run = find_run(client, root, wiki.dbname, date or "latest", layout)
    age = (datetime.datetime.now(datetime.UTC).date() - datetime.date.fromisoformat(run.date)).days
    if date in (None, "latest") and age > STALE_DAYS:
        console.warn(
            f"{wiki.code}: the newest complete {run.layout} dump is {age} days old ({run.date});"
            " another dumps.layout may have a newer one, see wikixlm dumps list"
        )
    return run


def refresh_pinned(client: Client, root: str, run: DumpRun) -> DumpRun:
    """The same run with the sizes and hashes that the server publishes now.

    Raises:
        UserError: the server no longer has it.
    """
    try:
        return LAYOUTS[run.layout].describe_run(client, root, run.wiki, run.date)
    except (IncompleteRunError, PermanentError) as failure:
        raise UserError(f"the dump of {run.wiki} of {run.date} is no longer available: {failure}") from failure


def read_pinned(path: Path, wiki: Wiki) -> DumpRun | None:
    """The recorded dump, None where there is no record.

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
        run = DumpRun(record["wiki"], record["layout"], str(record["date"]), files)
        datetime.date.fromisoformat(run.date)
        if run.layout not in LAYOUTS or not files:
            raise ValueError("unknown layout, or an empty list of files")
        if not all(run.date in file.path.replace("-", "") for file in files):
            raise ValueError(f"its files are not of {run.date}")
        if not all(file.name == Path(file.path).name and ".." not in Path(file.path).parts for file in files):
            raise ValueError("a name or path leads elsewhere")
        if not all(type(file.size) is int and isinstance(file.hashes, dict) for file in files):
            raise ValueError("a file without size or hashes")
    except (yaml.YAMLError, KeyError, TypeError, ValueError, AttributeError, RecursionError) as failure:
        raise UserError(f"{path} is damaged ({failure}); delete it to use the newest dump") from failure
    if run.wiki != wiki.dbname:
        raise UserError(f"{path} is about {run.wiki}, expected {wiki.dbname}; delete it")
    return run


def write_pinned(path: Path, wiki: Wiki, run: DumpRun) -> None:
    """Record the dump, unless it is recorded already."""
    if path.exists() and read_pinned(path, wiki) == run:
        return
    record = {
        "language": wiki.code,
        "wiki": run.wiki,
        "layout": run.layout,
        "date": run.date,
        "resolved": utc_now(),
        "files": [dataclasses.asdict(file) for file in run.files],
    }
    with atomic_text(path) as stream:
        stream.write(HEADER)
        yaml.safe_dump(record, stream, sort_keys=False)
