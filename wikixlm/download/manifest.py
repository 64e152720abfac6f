"""`dumps/{lang}/manifest.json`: what was downloaded, from where and when; the later stages read it.

XNLI's archives have one too.
"""

from pathlib import Path
from typing import Any

from wikixlm.download.layouts import DumpFile, Export
from wikixlm.download.partial import Record
from wikixlm.files import write_json
from wikixlm.languages import Wiki


def manifest(language: str, wiki: Wiki, export: Export, records: list[Record]) -> dict[str, Any]:
    """The manifest of a downloaded dump; `files` are named relative to its folder, in the order of their pages.

    Sizes are bytes, times UTC; `resumes` counts how often a transfer went on behind bytes that were there.
    """
    return {
        "language": language,
        "wiki": wiki.dbname,
        "host": wiki.host,
        "layout": export.layout,
        "date": export.date,
        "size": sum(file.size for file in export.files),
        "files": [entry(file, record) for file, record in zip(export.files, records, strict=True)],
    }


def entry(file: DumpFile, record: Record) -> dict[str, Any]:
    """What a manifest says about one file."""
    return {
        "name": file.name,
        "url": record.url,
        "mirror": record.mirror,
        "size": file.size,
        **record.hashes,
        "started": record.started,
        "finished": record.finished,
        "resumes": record.resumes,
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """Write the manifest; it appears whole, after all its files."""
    write_json(path, content)
