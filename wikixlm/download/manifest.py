"""`dumps/{lang}/manifest.json`: what was downloaded, from where and when; later stages read it. XNLI has one too."""

from typing import Any

from wikixlm.download.layouts import DumpFile, DumpRun
from wikixlm.download.partial import TransferRecord
from wikixlm.languages import Wiki


def dump_manifest(language: str, wiki: Wiki, run: DumpRun, records: list[TransferRecord]) -> dict[str, Any]:
    """The manifest of a downloaded dump; `files` are named relative to its folder, in the order of their pages.

    Sizes are bytes, times UTC; `resumes` counts how often a transfer resumed behind bytes that were there.
    """
    return {
        "language": language,
        "wiki": wiki.dbname,
        "host": wiki.host,
        "layout": run.layout,
        "date": run.date,
        "size": sum(file.size for file in run.files),
        "files": [file_entry(file, record) for file, record in zip(run.files, records, strict=True)],
    }


def file_entry(file: DumpFile, record: TransferRecord) -> dict[str, Any]:
    """A manifest's entry for one file."""
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
