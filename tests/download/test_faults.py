"""Everything a server can do to a client: the bytes end up right, or the error is one clear line."""

import re
from pathlib import Path

import httpx
import pytest

from tests.support.downloading import DUMP, NAME, Download, no_bad_file
from tests.support.wikimedia_server import (
    Fault,
    WikimediaServer,
    answer,
    content,
    drop,
    ignore_range,
    other_range,
    redirect,
    refuse,
    stall,
    trickle,
    web_page,
)
from wikixlm.errors import UserError

HALF = len(DUMP) // 2
OTHER = b"BZh91AY&SY" + bytes(len(DUMP) - 10)

RECOVERED = {
    "drops the connection at byte n": [drop(HALF)],
    "drops it at once, then a little later": [drop(0), drop(1), drop(2), drop(HALF)],
    "ignores Range": [drop(HALF), ignore_range()],
    "ignores Range and drops again": [drop(HALF), content(DUMP, ranges=False, stop=HALF + 9)],
    "429 with Retry-After": [answer(429, Retry_After="1")],
    "503 with Retry-After": [drop(HALF), answer(503, Retry_After="1")],
    "500, 502 and 504": [answer(500), answer(502), answer(504)],
    "stalls": [stall(HALF)],
    "trickles, then behaves": [trickle()],
    "ends early without declaring a length": [content(DUMP[:HALF], declare=-1)],
    "refuses the connection": [refuse(), refuse()],
    "wrong hash once": [content(OTHER)],
    "redirects": [redirect("/elsewhere/" + NAME)],
    "another ETag after a break, the same content": [drop(HALF), content(DUMP, etag='"other"')],
}

REFUSED = {
    "403": ([answer(403)], "403 Forbidden: the server refuses this client.*wikixlm/.*dumps.contact"),
    "web page with status 200": ([web_page()], "answers with a web page instead of the file"),
    "web page that claims to be the file": ([content(b"<html>no" + bytes(len(DUMP) - 8))], "is not a bzip2 file"),
    "truncated file": ([content(DUMP[:HALF])], f"has {HALF} bytes, the published size is {len(DUMP)}"),
    "truncated file after a break": ([drop(9), content(DUMP[:HALF])], f"has {HALF} bytes, the published size"),
    "truncated below what is there": ([drop(HALF), content(DUMP[:9])], "has 9 bytes, the published size is"),
    "longer file": ([content(DUMP + b"x", declare=-1)], "has more than the published"),
    "another range than asked for": ([drop(HALF), other_range()], "was asked for the bytes from"),
    "stalls again and again": ([stall(0)] * 4, r"no data in time \(ReadTimeout\) \(4 attempts"),
    "503 again and again": ([answer(503)] * 4, r"503 Service Unavailable \(4 attempts without progress"),
    "asks to come back tomorrow": ([answer(429, Retry_After="86400")], "asks to come back in 24.0 hours"),
    "redirects in circles": ([redirect(f"/dewiki/20261101/{NAME}")] * 6, "is redirected more than 5 times"),
    "wrong hash twice": ([content(OTHER)] * 2, "was downloaded twice and is wrong: sha1 is .{40}, expected .{40}; md5"),
}


@pytest.mark.parametrize("faults", RECOVERED.values(), ids=RECOVERED.keys())
def test_recovered(server: WikimediaServer, download: Download, folder: Path, faults: list[Fault]) -> None:
    server.files[f"elsewhere/{NAME}"] = DUMP
    server.faults[NAME] += faults
    manifest = download()
    assert (folder / NAME).read_bytes() == DUMP
    assert manifest["files"][0]["size"] == len(DUMP)
    assert not server.faults[NAME], "the fault was never met"
    assert not (folder / f".{NAME}.part").exists()


@pytest.mark.parametrize(("faults", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_then_recovered(
    server: WikimediaServer, download: Download, folder: Path, faults: list[Fault], message: str
) -> None:
    server.faults[NAME] += faults
    with pytest.raises(UserError, match=message) as failure:
        download()
    assert "\n" not in str(failure.value) and NAME in str(failure.value)
    assert not server.faults[NAME], "the fault was never met"
    assert not (folder / NAME).exists() and not (folder / "manifest.json").exists()
    download()
    assert (folder / NAME).read_bytes() == DUMP


@pytest.mark.parametrize(("faults", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_by_one_mirror_given_by_the_next(
    server: WikimediaServer,
    mirror: WikimediaServer,
    download: Download,
    folder: Path,
    faults: list[Fault],
    message: str,
) -> None:
    server.faults[NAME] += faults
    manifest = download(mirrors=[server.url, mirror.url])
    assert (folder / NAME).read_bytes() == DUMP
    assert manifest["files"][0]["mirror"] == mirror.url
    assert not [path for path in mirror.requests if not path[1].endswith(NAME)], "hashes come from the primary alone"


def test_generic_clients_are_refused_and_we_are_not_one(server: WikimediaServer, download: Download) -> None:
    assert httpx.get(f"{server.url}/dewiki/").status_code == 403
    download()
    agents = {headers["User-Agent"] for _, _, headers in server.requests[1:]}
    assert len(agents) == 1
    assert re.fullmatch(r"wikixlm/\S+ \(tests@example\.org\)", agents.pop())


@pytest.mark.parametrize("contact", ["", "  ", "Jane Doe", "jané@example.org", "a@b\nX: y"])
def test_no_contact_no_request(server: WikimediaServer, download: Download, contact: str) -> None:
    with pytest.raises(UserError, match=r"^dumps\.contact is "):
        download(contact=contact)
    assert server.requests == []


def test_a_break_costs_no_byte_twice(server: WikimediaServer, download: Download) -> None:
    server.faults[NAME] += [drop(HALF), drop(100_000)]
    manifest = download()
    assert server.sent[f"/dewiki/20261101/{NAME}"] == len(DUMP)
    assert manifest["files"][0]["resumes"] == 2
    first, second, third = server.of(NAME)
    assert "Range" not in first
    assert second["Range"] == f"bytes={HALF}-" and third["Range"] == f"bytes={HALF + 100_000}-"
    assert second["If-Range"] == third["If-Range"] and second["If-Range"].startswith('"')


def test_a_mirror_goes_on_where_the_primary_broke(
    server: WikimediaServer, mirror: WikimediaServer, download: Download, folder: Path
) -> None:
    server.faults[NAME] += [drop(HALF), *[answer(503)] * 4]
    download(mirrors=[server.url, mirror.url])
    assert (folder / NAME).read_bytes() == DUMP
    assert mirror.of(NAME)[0]["Range"] == f"bytes={HALF}-"
    assert "If-Range" not in mirror.of(NAME)[0], "an ETag is valid for its own server only"


def test_a_file_replaced_on_the_way_is_not_glued_to_the_old_half(
    server: WikimediaServer, download: Download, folder: Path
) -> None:
    """The run's job is repeated while we download: new content, new size, new hashes under the same date."""
    new = DUMP[:-500]

    async def drop_and_replace(running, request, body):  # type: ignore[no-untyped-def]
        response = await running.serve(request, body, stop=HALF)
        running.add_multistream("dewiki", "20261101", new)
        return response

    server.faults[NAME] += [drop_and_replace]
    manifest = download()
    assert (folder / NAME).read_bytes() == new
    assert manifest["files"][0]["size"] == len(new)


def test_a_file_replaced_by_one_of_the_same_size(server: WikimediaServer, download: Download, folder: Path) -> None:
    server.faults[NAME] += [content(OTHER, stop=HALF)]
    download()
    assert (folder / NAME).read_bytes() == DUMP
    assert server.sent[f"/dewiki/20261101/{NAME}"] == HALF + len(DUMP), "the old half was dropped at once"


def test_a_wrong_file_is_set_aside_not_deleted(
    server: WikimediaServer, download: Download, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server.faults[NAME] += [content(OTHER)]
    download()
    (aside,) = folder.glob("*.bad-*")
    assert aside.read_bytes() == OTHER
    assert re.search(
        rf"warning: {NAME}: sha1 is .*kept as .*{aside.name}; downloading it again", capfd.readouterr().err
    )


def test_retry_after_is_honoured(server: WikimediaServer, download: Download, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("wikixlm.download.client.time.sleep", slept.append)
    server.faults[NAME] += [answer(429, Retry_After="7"), answer(503, Retry_After="Sun, 06 Nov 1994 08:49:37 GMT")]
    download(backoff=0.5)
    assert slept[0] == 7
    assert 0.25 <= slept[1] <= 1, "a date that has passed asks for nothing beyond the usual pause"


def test_pauses_double_with_jitter(
    server: WikimediaServer, download: Download, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("wikixlm.download.client.time.sleep", slept.append)
    server.faults[NAME] += [answer(503)] * 6
    download(retries=6, backoff=1)
    for number, seconds in enumerate(slept):
        assert 0.5 * 2**number <= seconds <= 2**number
    assert len(set(slept)) == 6


@pytest.mark.parametrize(
    "faults",
    [[web_page()], [answer(503)], [refuse()], [content(b"{")], [content(b"[]")]],
    ids=["web page", "503", "refused", "cut", "list"],
)
def test_faults_of_the_status_file(
    server: WikimediaServer, download: Download, folder: Path, faults: list[Fault]
) -> None:
    server.faults["dumpstatus.json"] += faults
    download()
    server.faults["dumpstatus.json"] += faults * 4
    (folder / "resolved.yaml").unlink()
    with pytest.raises(UserError, match=r"^cannot list the dumps of dewiki: .*dumpstatus.json.*4 attempts"):
        download()
    assert no_bad_file(folder)


def test_nobody_answers(server: WikimediaServer, download: Download) -> None:
    with pytest.raises(UserError, match=r"^cannot list the dumps of dewiki: .*onnection refused"):
        download(mirrors=["http://127.0.0.1:9"])
    with pytest.raises(UserError, match="must begin with https:// or http://"):
        download(mirrors=["ftp://127.0.0.1"])
