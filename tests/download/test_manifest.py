"""What a finished download leaves, and what `wikixlm dumps` shows."""

import datetime
import hashlib
import json
import os
import re
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from tests.support.downloading import CONTACT, DUMP, NAME, QUICK, QUICK_POLICY, Download, start
from tests.support.wikimedia_server import WikimediaServer, drop, multistream
from wikixlm import cli
from wikixlm.config import load_overlays
from wikixlm.download.client import Client
from wikixlm.download.list_dumps import dumps_table
from wikixlm.errors import UserError
from wikixlm.formatting import size

PARTS = [multistream(60, seed) for seed in range(3)]
Usage = namedtuple("Usage", "total used free")


def test_the_manifest_tells_where_the_bytes_came_from(
    server: WikimediaServer, download: Download, folder: Path
) -> None:
    server.faults[NAME] += [drop(1000)]
    manifest = download()
    (file,) = manifest.pop("files")
    assert manifest == {
        "language": "de",
        "wiki": "dewiki",
        "host": "de.wikipedia.org",
        "layout": "multistream",
        "date": "20261101",
        "size": len(DUMP),
    }
    started, finished = (datetime.datetime.fromisoformat(file.pop(key)) for key in ("started", "finished"))
    assert started.tzinfo == datetime.UTC and started <= finished <= datetime.datetime.now(datetime.UTC)
    assert file == {
        "name": NAME,
        "url": f"{server.url}/dewiki/20261101/{NAME}",
        "mirror": server.url,
        "size": len(DUMP),
        "md5": hashlib.md5(DUMP).hexdigest(),
        "sha1": hashlib.sha1(DUMP).hexdigest(),
        "sha256": hashlib.sha256(DUMP).hexdigest(),
        "resumes": 1,
    }
    assert sorted(path.name for path in folder.iterdir()) == [f".{NAME}.json", NAME, "manifest.json", "resolved.yaml"]


def test_a_repeated_download_gives_the_same_manifest(download: Download, folder: Path) -> None:
    download()
    first = (folder / "manifest.json").read_bytes()
    (folder / "manifest.json").unlink()
    download()
    assert (folder / "manifest.json").read_bytes() == first


@pytest.mark.parametrize("layout", ["multistream", "content_current"])
def test_parts(server: WikimediaServer, download: Download, folder: Path, layout: str) -> None:
    if layout == "multistream":
        names = server.add_multistream("dewiki", "20261101", PARTS)
    else:
        names = server.add_content_current("dewiki", "2026-11-01", PARTS)
    server.faults[names[1]] += [drop(len(PARTS[1]) // 2), *[drop(0)] * 4]
    with pytest.raises(UserError, match=re.escape(names[1])):
        download(layout=layout)
    manifest = download(layout=layout)
    assert [file["name"] for file in manifest["files"]] == names
    assert [(folder / name).read_bytes() for name in names] == PARTS
    assert sum(server.sent[path] for path in server.sent if path.endswith(".bz2")) == sum(map(len, PARTS))


def test_a_file_that_is_there_already_is_checked_not_fetched(
    server: WikimediaServer, download: Download, folder: Path
) -> None:
    folder.mkdir(parents=True)
    (folder / NAME).write_bytes(DUMP)
    download()
    assert server.of(NAME) == []
    (folder / NAME).write_bytes(DUMP[:-1] + b"?")
    os.utime(folder / NAME, (1, 1))
    download()
    assert (folder / NAME).read_bytes() == DUMP
    assert len(server.of(NAME)) == 1 and len(list(folder.glob("*.bad-*"))) == 1


@pytest.mark.parametrize("debris", [b"", b"BZh", b"garbage" * 1000, DUMP + b"more", DUMP])
def test_any_debris_in_the_part_ends_in_the_right_file(download: Download, folder: Path, debris: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / f".{NAME}.part").write_bytes(debris)
    (folder / f".{NAME}.json").write_bytes(debris)
    download()
    assert (folder / NAME).read_bytes() == DUMP


def test_disk_space_is_checked_before_the_start(
    server: WikimediaServer, download: Download, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = len(DUMP) - 1
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, free))
    with pytest.raises(UserError, match=rf"has {size(free)} free, the rest of dewiki needs {size(len(DUMP))};"):
        download()
    assert server.of(NAME) == []
    (folder / f".{NAME}.part").write_bytes(DUMP[:1])
    download()


def test_a_full_disk_keeps_what_arrived(server: WikimediaServer, folder: Path) -> None:
    """A limit on the size of files makes write(2) fail in the middle, as a full disk or quota does."""
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({len(DUMP) // 2}, {len(DUMP) // 2}))"
    site = folder.parent / "site"
    site.mkdir(parents=True)
    (site / "sitecustomize.py").write_text(limit)
    process = start(server, folder, extra_path=site)
    _, output = process.communicate(timeout=60)
    assert process.returncode == 1
    assert re.search(r"^error: cannot write .*part: File too large; the \d+ bytes that arrived are kept", output, re.M)
    assert "Traceback" not in output and not (folder / NAME).exists()
    assert (folder / f".{NAME}.part").stat().st_size == len(DUMP) // 2
    process = start(server, folder)
    assert process.wait(60) == 0
    assert (folder / NAME).read_bytes() == DUMP
    assert server.of(NAME)[-1]["Range"] == f"bytes={len(DUMP) // 2}-"


def listed(server: WikimediaServer, folder: Path, *languages: str) -> str:
    overlay = {"languages": list(languages), "dumps": {"mirrors": [server.url]}}
    with Client(CONTACT, QUICK_POLICY) as client:
        return dumps_table(client, load_overlays([], overlay), folder)


def test_the_plan_is_shown_and_nothing_written(server: WikimediaServer, download: Download, folder: Path) -> None:
    server.add_content_current("frwiki", "2026-11-01", PARTS)
    (folder.parent / "fr").mkdir(parents=True)
    shown = listed(server, folder.parent, "de", "fr").splitlines()
    assert shown[0].split() == ["language", "layout", "date", "size", "here", "file"]
    assert [line.split()[0] for line in shown[1:-1]] == ["de", "fr", "fr", "fr"]
    assert shown[1].split()[1:3] == ["multistream", "20261101"] and shown[1].endswith(f"0 %   {NAME}")
    assert list(folder.parent.rglob("*.yaml")) == []
    download()
    assert f"100 %  {NAME}" in listed(server, folder.parent, "de")


def test_the_plan_reads_the_configuration(
    server: WikimediaServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.txt"
    text.write_text("Текст\n")
    overlay = {
        "languages": ["de", "bg"],
        "dumps": {"mirrors": [f"{server.url}/"], "contact": "tests@example.org"},
        "corpora": {"local": {"bg": [str(text)]}},
    }
    (tmp_path / "mine.yaml").write_text(json.dumps(overlay))
    cli.main(["dumps", "list", "--configfile", str(tmp_path / "mine.yaml"), "--folder", str(tmp_path)])
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:-1]] == ["de"]
    with pytest.raises(SystemExit):
        cli.main(["dumps", "list", "--languages", "de", "--folder", str(tmp_path)])
    assert re.search(r"^error: dumps\.contact is empty", capsys.readouterr().err, re.M)


def test_resolve_records_and_keeps(server: WikimediaServer, download: Download, folder: Path) -> None:
    record = folder / "resolved.yaml"
    options = ["--language", "de", "--mirrors", server.url, "--output", str(record), *QUICK]
    cli.main(["dumps", "resolve", *options])
    before = record.read_bytes()
    server.add_multistream("dewiki", "20261120", PARTS[0])
    cli.main(["dumps", "resolve", *options])
    assert record.read_bytes() == before
    assert download()["date"] == "20261101"
