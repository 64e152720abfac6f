"""A server with a dump, and the download command."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.downloading import DUMP, QUICK, Download
from tests.support.wikimedia_server import WikimediaServer
from wikixlm.download import command as fetch


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
    """Run `wikixlm download` in this process and return the manifest."""

    def run(*options: str, mirrors: list[str] | None = None, language: str = "de") -> dict[str, Any]:
        parser = argparse.ArgumentParser()
        fetch.add_arguments(parser)
        output = folder.parent / language / "manifest.json"
        arguments = ["--language", language, "--output", str(output), "--mirrors", *(mirrors or [server.url])]
        fetch.main(parser.parse_args([*arguments, *QUICK, *options]))
        manifest: dict[str, Any] = json.loads(output.read_bytes())
        return manifest

    return run
