"""Dump sizes in `wikixlm plan`, and a download in progress in `wikixlm status`."""

import json
from pathlib import Path

import pytest

from tests.support.downloading import DUMP, NAME, Download
from tests.support.wikimedia_server import WikimediaServer
from wikixlm import cli, formatting
from wikixlm.workflow.status import details


def plan(server: WikimediaServer, directory: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The row of the German Wikipedia."""
    dumps = f"dumps={{contact: tests@example.org, mirrors: ['{server.url}']}}"
    cli.main(["plan", "--config", "languages=[de]", dumps, "--directory", str(directory), "--device", "cpu"])
    return next(line for line in capsys.readouterr().out.splitlines() if line.startswith("de ")).split()


def test_the_plan_asks_for_the_size_and_downloads_nothing(
    server: WikimediaServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    size = formatting.size(len(DUMP)).split()
    assert plan(server, tmp_path, capsys)[1:5] == size + size
    assert server.of(NAME) == []
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_already_need_not_be_downloaded(
    server: WikimediaServer, download: Download, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    download()
    assert plan(server, tmp_path, capsys)[1:4] == [*formatting.size(len(DUMP)).split(), "-"]


def test_a_dump_on_its_way_has_size_rate_and_time_left(download: Download, folder: Path, tmp_path: Path) -> None:
    assert details.download(tmp_path, "de") == "", "none is chosen yet"
    download()
    (folder / NAME).rename(folder / f".{NAME}.part")
    with open(folder / f".{NAME}.part", "r+b") as part:
        part.truncate(len(DUMP) // 4)
    record = folder / f".{NAME}.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), "rate": 2e6}))
    shown = details.download(tmp_path, "de")
    assert "(25 %), 2.00 MB/s, 0:00:00 left" in shown or "(24 %), 2.00 MB/s, 0:00:00 left" in shown
    record.unlink()
    assert "0.00 MB/s" in details.download(tmp_path, "de")
