"""XNLI's archives: resumed, the same content every time, and only for clients that identify themselves."""

import hashlib
import io
import random
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.downloading import CONTACT, QUICK_POLICY
from tests.support.wikimedia_server import WikimediaServer, answer, drop, web_page
from wikixlm.download import xnli
from wikixlm.download.client import Client
from wikixlm.errors import UserError


def archive(seed: int) -> bytes:
    """A zip of 50 kB."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as opened:
        opened.writestr("XNLI-1.0/xnli.dev.tsv", random.Random(seed).randbytes(50_000))
    return stream.getvalue()


ARCHIVES = {name: archive(number) for number, name in enumerate(xnli.ARCHIVES)}


@pytest.fixture
def server():
    with WikimediaServer() as running:
        running.files |= {f"XNLI/{name}": content for name, content in ARCHIVES.items()}
        yield running


def download(server: WikimediaServer, folder: Path) -> dict[str, Any]:
    with Client(CONTACT, QUICK_POLICY) as client:
        return xnli.download_archives(client, [f"{server.url}/XNLI/"], folder)


def test_both_archives_arrive_and_the_manifest_says_from_where(server, tmp_path):
    manifest = download(server, tmp_path)
    for entry in manifest["files"]:
        content = ARCHIVES[entry["name"]]
        assert (tmp_path / entry["name"]).read_bytes() == content
        assert entry["url"] == f"{server.url}/XNLI/{entry['name']}"
        assert (entry["size"], entry["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert manifest["size"] == sum(map(len, ARCHIVES.values()))
    assert all("wikixlm/" in headers["User-Agent"] for _, _, headers in server.requests)
    sums = (tmp_path / xnli.SUMS).read_text().splitlines()
    assert sums == [f"{hashlib.sha256(ARCHIVES[name]).hexdigest()}  {name}" for name in sorted(ARCHIVES)]


def test_a_broken_transfer_resumes_behind_what_arrived(server, tmp_path):
    server.faults["XNLI-MT-1.0.zip"] += [drop(20_000), answer(503)]
    manifest = download(server, tmp_path)
    assert manifest["files"][1]["resumes"] == 1
    assert (tmp_path / "XNLI-MT-1.0.zip").read_bytes() == ARCHIVES["XNLI-MT-1.0.zip"]
    assert server.sent["/XNLI/XNLI-MT-1.0.zip"] < len(ARCHIVES["XNLI-MT-1.0.zip"]) + 20_000


def test_a_second_call_fetches_nothing(server, tmp_path):
    download(server, tmp_path)
    before = dict(server.sent)
    download(server, tmp_path)
    assert server.sent == before


def test_other_content_than_at_first_is_refused(server, tmp_path):
    download(server, tmp_path)
    (tmp_path / "XNLI-1.0.zip").unlink()
    (tmp_path / ".XNLI-1.0.zip.json").unlink()
    other = archive(7)  # made once: a zip file has the time at which it was made
    server.files["XNLI/XNLI-1.0.zip"] = other
    with pytest.raises(UserError, match=r"SHA256SUMS has the hash of the first download; .* delete its line"):
        download(server, tmp_path)
    assert not (tmp_path / "XNLI-1.0.zip").exists()
    sums = tmp_path / xnli.SUMS
    sums.write_text(sums.read_text().splitlines(keepends=True)[1])
    download(server, tmp_path)
    assert (tmp_path / "XNLI-1.0.zip").read_bytes() == other


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (web_page(), "answers with a web page"),
        (answer(404), "answers 404"),
        (answer(200, "no zip at all, but of the right kind of answer"), "the published size is|is not a zip file"),
    ],
    ids=["page", "missing", "other"],
)
def test_what_is_no_archive_is_no_archive(server, tmp_path, fault, message):
    server.faults["XNLI-1.0.zip"] += [fault] * 5
    with pytest.raises(UserError, match=message):
        download(server, tmp_path)
    assert not (tmp_path / "XNLI-1.0.zip").exists()


def test_content_that_is_no_zip_is_refused(server, tmp_path):
    server.files["XNLI/XNLI-1.0.zip"] = b"x" * 1000
    with pytest.raises(UserError, match=r"is not a zip file: it begins with"):
        download(server, tmp_path)


def test_an_unreachable_server_says_that_a_copy_will_do(server, tmp_path):
    del server.files["XNLI/XNLI-1.0.zip"]
    with pytest.raises(UserError, match=r"cannot download XNLI-1.0.zip: .*404.*name its folder in xnli.local"):
        download(server, tmp_path)


def test_a_damaged_list_of_hashes_is_an_error(server, tmp_path):
    (tmp_path / xnli.SUMS).write_text("abc  XNLI-1.0.zip\n")
    with pytest.raises(UserError, match=r"SHA256SUMS, line 1: 'abc XNLI-1.0.zip'"):
        download(server, tmp_path)
