"""Which run is chosen, what is recorded, and how the record is used."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.downloading import CONTACT, DUMP, NAME, Download
from tests.support.wikimedia_server import WikimediaServer, answer, multistream
from wikixlm.download.client import Client, RetryPolicy
from wikixlm.download.layouts import DumpRun, _checksums, _jobs, find_run
from wikixlm.errors import UserError

SMALL = [multistream(20, seed) for seed in range(12)]


@pytest.fixture
def client() -> Iterator[Client]:
    """A client that gives up soon."""
    with Client(CONTACT, RetryPolicy(retries=1, backoff=0.01, stall_timeout=5)) as quick:
        yield quick


def find(client: Client, server: WikimediaServer, date: str = "latest", layout: str = "auto") -> DumpRun:
    return find_run(client, server.url, "dewiki", date, layout)


def test_latest_goes_back_to_the_newest_complete_run(client: Client, server: WikimediaServer) -> None:
    server.add_multistream("dewiki", "20261020", SMALL[0])
    server.add_multistream("dewiki", "20261120", SMALL[1], status="in-progress")
    server.add_multistream("dewiki", "20261122", SMALL[1], hashes=False)
    server.files["dewiki/latest/dewiki-latest-pages-articles-multistream.xml.bz2"] = SMALL[2]
    server.files["dewiki/20261199/no-date"] = b""
    export = find(client, server)
    assert (export.layout, export.date) == ("multistream", "20261101")
    (file,) = export.files
    assert (file.name, file.size) == (NAME, len(DUMP))
    assert set(file.hashes) == {"sha1", "md5"}


def test_a_run_without_a_status_file_yet(client: Client, server: WikimediaServer) -> None:
    server.files["dewiki/20261120/index.html"] = b""
    assert find(client, server).date == "20261101"


def test_large_wikis_are_recombined_by_a_second_job(client: Client, server: WikimediaServer) -> None:
    """The parts are listed under articlesmultistreamdump, the one file under articlesmultistreamdumprecombine."""
    parts = server.add_multistream("dewiki", "20261101", SMALL[:3])
    path = "dewiki/20261101/dumpstatus.json"
    status = json.loads(server.files[path])
    one = {"size": 5, "sha1": "a" * 40}
    status["jobs"]["articlesmultistreamdumprecombine"] = {"status": "in-progress", "files": {NAME: one}}
    server.files[path] = json.dumps(status).encode()
    assert [file.name for file in find(client, server).files] == parts
    status["jobs"]["articlesmultistreamdumprecombine"]["status"] = "done"
    server.files[path] = json.dumps(status).encode()
    assert [file.name for file in find(client, server).files] == [NAME]


def test_a_missing_part_is_no_complete_run(client: Client, server: WikimediaServer) -> None:
    parts = server.add_multistream("dewiki", "20261115", SMALL[:3])
    path = "dewiki/20261115/dumpstatus.json"
    status = json.loads(server.files[path])
    del status["jobs"]["articlesmultistreamdump"]["files"][parts[1]]
    server.files[path] = json.dumps(status).encode()
    assert find(client, server).date == "20261101"


def test_parts_come_in_the_order_of_their_pages(client: Client, server: WikimediaServer) -> None:
    names = server.add_content_current("dewiki", "2026-11-01", SMALL)
    assert len(names) == 12
    export = find(client, server, layout="content_current")
    assert [file.name for file in export.files] == names, "p1200 comes after p900"
    assert [file.size for file in export.files] == [len(part) for part in SMALL]
    names = server.add_multistream("dewiki", "20261101", SMALL)
    assert [file.name for file in find(client, server).files] == names


def test_content_current_counts_with_success_only(client: Client, server: WikimediaServer) -> None:
    server.add_content_current("dewiki", "2026-10-01", SMALL[:2])
    server.add_content_current("dewiki", "2026-11-01", SMALL[:3], success=False)
    export = find(client, server, layout="content_current")
    assert (export.date, len(export.files)) == ("20261001", 2)
    with pytest.raises(UserError, match=r"of 20261101 for dewiki: .*_SUCCESS.*available dates: 20261101, 20261001$"):
        find(client, server, "20261101", "content_current")


def test_auto_takes_content_current_where_there_is_no_multistream(client: Client, server: WikimediaServer) -> None:
    server.add_content_current("frwiki", "2026-11-01", SMALL[:2])
    assert find_run(client, server.url, "frwiki", "latest", "auto").layout == "content_current"
    server.add_content_current("dewiki", "2026-11-01", SMALL[:2])
    assert find(client, server).layout == "multistream"


@pytest.mark.parametrize(
    ("date", "layout", "message"),
    [
        (
            "20200101",
            "multistream",
            r"dump of 20200101 for dewiki: multistream: does not exist; .* 20261101$",
        ),
        ("20261120", "multistream", r"is 'in-progress'; available dates: 20261120, 20261101$"),
        ("20200101", "auto", r"multistream: does not exist; .*20261101\. content_current: .*: none$"),
        ("latest", "content_current", r"no complete dump for dewiki: content_current: .*: none$"),
    ],
)
def test_dates_that_are_not_there(
    client: Client, server: WikimediaServer, date: str, layout: str, message: str
) -> None:
    server.add_multistream("dewiki", "20261120", SMALL[0], status="in-progress")
    with pytest.raises(UserError, match=message):
        find(client, server, date, layout)


def test_names_that_are_none_of_a_dump_are_refused(client: Client, server: WikimediaServer) -> None:
    server.add_content_current("dewiki", "2026-11-01", SMALL[:1])
    path = "other/mediawiki_content_current/dewiki/2026-11-01/xml/bzip2/SHA256SUMS"
    server.files[path] += b"0" * 64 + b"  ../../../etc/cron.d/x.xml.bz2\n"
    with pytest.raises(UserError, match="not the name of a dump of dewiki"):
        find(client, server, layout="content_current")


@given(st.binary(max_size=300))
def test_no_status_file_breaks_the_parsers(body: bytes) -> None:
    for parse in (_jobs, _checksums):
        with contextlib.suppress(ValueError):  # the one that leads to another attempt
            parse(body)


def test_a_date_once_resolved_is_kept(server: WikimediaServer, download: Download, folder: Path) -> None:
    assert download(date="latest")["date"] == "20261101"
    record = (folder / "resolved.yaml").read_text()
    assert record.startswith("# The dump that this language uses. Delete this file")
    server.add_multistream("dewiki", "20261120", SMALL[0])
    (folder / "manifest.json").unlink()  # as Snakemake does before a rerun
    server.requests.clear()
    assert download(date="latest")["date"] == "20261101"
    assert server.requests == [], "what is there needs no server"
    assert (folder / "resolved.yaml").read_text() == record
    (folder / "resolved.yaml").unlink()
    assert download(date="latest")["date"] == "20261120"


def test_another_language_has_a_record_of_its_own(server: WikimediaServer, download: Download, folder: Path) -> None:
    download()
    before = (folder / "resolved.yaml").read_bytes()
    server.add_multistream("dewiki", "20261120", SMALL[0])
    server.add_multistream("frwiki", "20261120", SMALL[1])
    assert download(language="fr")["date"] == "20261120"
    assert yaml.safe_load((folder.parent / "fr" / "resolved.yaml").read_text())["date"] == "20261120"
    assert (folder / "resolved.yaml").read_bytes() == before


def test_a_date_that_is_asked_for_wins_over_the_record(
    server: WikimediaServer, download: Download, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    download(date="20261101")
    names = server.add_multistream("dewiki", "20261020", SMALL[0])
    assert download(date="20261020")["date"] == "20261020"
    assert "warning: de: dumps.date is 20261020, it was 20261101 in " in capfd.readouterr().err
    assert (folder / names[0]).read_bytes() == SMALL[0]
    assert download(date="latest")["date"] == "20261020", "latest keeps what is recorded"
    server.add_content_current("dewiki", "2026-11-01", SMALL[:2])
    assert download(date="latest", layout="content_current")["date"] == "20261101"
    assert "dumps.layout is content_current, it was multistream" in capfd.readouterr().err


def test_a_recorded_dump_that_is_gone(server: WikimediaServer, download: Download, folder: Path) -> None:
    server.faults[NAME] += [answer(403)]
    with pytest.raises(UserError):
        download()
    for path in [path for path in server.files if "20261101" in path]:
        del server.files[path]
    server.add_multistream("dewiki", "20261120", SMALL[0])
    with pytest.raises(
        UserError, match=r"404 .*resolved\.yaml names the dump of 20261101; available dates: 20261120\. D"
    ):
        download()
    (folder / "resolved.yaml").unlink()
    assert download()["date"] == "20261120"


@pytest.mark.parametrize(
    "text",
    ["", "a: [", "files: 3", "wiki: dewiki\nlayout: multistream\ndate: x\nfiles: []", "\x00", "[1]"],
)
def test_a_damaged_record(server: WikimediaServer, download: Download, folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / "resolved.yaml").write_text(text)
    with pytest.raises(UserError, match=r"resolved.yaml is damaged .*; delete it to use the newest dump$"):
        download()


def test_a_record_edited_by_hand(download: Download, folder: Path) -> None:
    download()
    record = folder / "resolved.yaml"
    record.write_text(record.read_text().replace("date: '20261101'", "date: 20261020"))
    with pytest.raises(UserError, match=r"its files are not of 20261020\); delete it"):
        download()


def test_a_record_of_another_wiki(download: Download, folder: Path) -> None:
    download()
    folder.rename(folder.parent / "en")
    with pytest.raises(UserError, match=r"is about dewiki, expected enwiki; delete it$"):
        download(language="en")


def test_an_old_newest_dump_is_a_warning(
    server: WikimediaServer, download: Download, capfd: pytest.CaptureFixture[str]
) -> None:
    server.add_multistream("frwiki", "20200101", SMALL[1])
    download(language="fr")
    assert "warning: fr: the newest complete multistream dump is" in capfd.readouterr().err
