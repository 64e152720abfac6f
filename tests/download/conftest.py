"""A server with a dump, and the download command."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.downloading import CONTACT, DUMP, QUICK_POLICY, Download
from tests.support.wikimedia_server import WikimediaServer
from wikixlm.download.client import Client
from wikixlm.download.command import download_dump
from wikixlm.files import write_json

POLICY = [field.name for field in dataclasses.fields(QUICK_POLICY)]


@pytest.fixture
def server() -> Iterator[WikimediaServer]:
    """A server with one dump of the German Wikipedia."""
    with WikimediaServer() as running:
        running.add_multistream("dewiki", "20261101", DUMP)
        yield running


@pytest.fixture
def mirror() -> Iterator[WikimediaServer]:
    """A second server with the same dump."""
    with WikimediaServer() as running:
        running.add_multistream("dewiki", "20261101", DUMP)
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the dump goes."""
    return tmp_path / "dumps" / "de"


@pytest.fixture
def download(server: WikimediaServer, folder: Path) -> Download:
    """Download in this process as `wikixlm download` does; returns the manifest that it wrote."""

    def run(
        *, mirrors: list[str] | None = None, language: str = "de", contact: str = CONTACT, **options: Any
    ) -> dict[str, Any]:
        policy = dataclasses.replace(QUICK_POLICY, **{key: options.pop(key) for key in POLICY if key in options})
        target = folder.parent / language
        with Client(contact, policy) as client:
            manifest = download_dump(client, language, mirrors or [server.url], target, **options)
        write_json(target / "manifest.json", manifest)
        return manifest

    return run
