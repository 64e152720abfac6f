"""A mirror that means harm: a bounded wait, one error line, nothing outside dumps/{lang}/."""

import fcntl
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.support.downloading import CONTACT, DUMP, NAME, Download
from tests.support.hostile_server import Answer, HostileServer, plain, repeat, trickle
from tests.support.wikimedia_server import WikimediaServer, content, redirect
from wikixlm import console
from wikixlm.config.fields import check_mirror
from wikixlm.download import connection_slots
from wikixlm.download.client import (
    Client,
    PermanentError,
    RetryPolicy,
    _checked_redirect,
    _retry_after,
    plain_number,
)
from wikixlm.errors import UserError

STATUS = "dewiki/20261101/dumpstatus.json"
OK = b"HTTP/1.1 200 OK\r\n"
SHORT = RetryPolicy(retries=0, backoff=0.01, stall_timeout=0.5)

ENDLESS: dict[str, Answer] = {
    "slow headers": trickle(OK + b"X-Header: " + b"x" * 10_000),
    "headers without end": repeat(b"X-Header: x\r\n", OK),
    "a header without end": repeat(b"x" * 1000, OK + b"X-Header: "),
    "100 Continue for ever": repeat(b"HTTP/1.1 100 Continue\r\n\r\n", seconds=0.01),
    "a slow status file": trickle(OK + b"Content-Length: 10000\r\n\r\n" + b"x" * 10_000, 0.02),
    "a status file without end": repeat(b"x" * 65536, OK + b"\r\n"),
    "a slow chunk header": repeat(b"x", OK + b"Transfer-Encoding: chunked\r\n\r\n1;", seconds=0.1),
}


@pytest.mark.attack(
    "mirror",
    "slow or endless headers, chunk headers, `100 Continue` and status files",
    "given up after the retries' patience, with the address",
)
@pytest.mark.parametrize("hostile", ENDLESS.values(), ids=ENDLESS.keys())
def test_an_answer_without_end_is_given_up(hostile: Answer) -> None:
    with HostileServer(hostile) as server, Client(CONTACT, SHORT) as client:
        begun = time.monotonic()
        with pytest.raises(PermanentError, match=re.escape(server.url)):
            client.document(f"{server.url}/{STATUS}", bytes)
        assert time.monotonic() - begun < 20 * SHORT.stall_timeout


def test_a_dump_in_slow_chunk_headers_is_given_up() -> None:
    slow = repeat(b"x", OK + b"Transfer-Encoding: chunked\r\n\r\n1;", seconds=0.1)
    with HostileServer(slow) as server, Client(CONTACT, SHORT) as client:
        begun = time.monotonic()
        with pytest.raises(Exception, match="no complete answer in 1 s"), client.stream(server.url) as response:
            list(response.iter_raw())
        assert time.monotonic() - begun < 20 * SHORT.stall_timeout


@pytest.mark.attack(
    "mirror",
    "redirects to another host, `file:` or `gopher:`",
    "refused",
)
@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("http://other.invalid/x", "name it in dumps.mirrors"),
        ("file:///etc/passwd", "would not be encrypted"),
        ("gopher://127.0.0.1/", "would not be encrypted"),
    ],
)
def test_redirects_elsewhere_are_refused(
    server: WikimediaServer, download: Download, location: str, message: str
) -> None:
    server.faults[NAME] += [redirect(location)]
    with pytest.raises(UserError, match=message):
        download()


@pytest.mark.attack(
    "mirror",
    "a redirect from https to http, for the hashes too",
    "refused: the connection would not be encrypted",
)
def test_a_redirect_from_https_to_http_is_refused() -> None:
    old, new = httpx.Request("GET", "https://host/x"), httpx.Request("GET", "http://host/x")
    with pytest.raises(PermanentError, match="the connection would not be encrypted"):
        _checked_redirect(old, new)
    assert _checked_redirect(new, old) is old


@pytest.mark.attack(
    "mirror",
    "`Content-Encoding: gzip`, which may unpack to any size",
    "refused",
)
@pytest.mark.parametrize("encoding", ["gzip", "br", "x\x1b"])
def test_a_content_encoding_is_refused(encoding: str) -> None:
    head = f"Content-Encoding: {encoding}\r\nContent-Length: 3\r\n\r\nabc".encode()
    with HostileServer(plain(OK + head)) as hostile, Client(CONTACT, SHORT) as client, pytest.raises(PermanentError):
        client.document(hostile.url, bytes)


@pytest.mark.attack(
    "mirror",
    "headers whose numbers are `²`, `٣`, negative or of 5,000 digits",
    "taken as not given",
)
@pytest.mark.parametrize("value", ["²", "٣", "-1", "1e9", "9" * 5000, "Fri, 99 Foo 9999999 99:99:99 GMT", "\udcff"])
def test_headers_that_are_no_numbers(value: str) -> None:
    assert plain_number(value) is None
    assert _retry_after(value) == 0


@pytest.mark.parametrize("header", ["Retry-After", "Content-Range"])
def test_a_superscript_two_in_a_header(header: str) -> None:
    status = "503 X" if header == "Retry-After" else "416 X"
    raw = f"HTTP/1.1 {status}\r\n{header}: bytes */\u00b2\r\nContent-Length: 0\r\n\r\n".encode("latin-1")
    with HostileServer(plain(raw)) as hostile, Client(CONTACT, SHORT) as client, pytest.raises(PermanentError):
        client.document(hostile.url, json.loads)


ENTRIES = {
    "null": None,
    "string": "../../x",
    "list": [1],
    "size null": {"size": None, "sha1": "0" * 40},
    "size true": {"size": True, "sha1": "0" * 40},
    "size below 0": {"size": -1, "sha1": "0" * 40},
    "hash of another kind": {"size": 5, "sha1": ["x"]},
    "hash cut": {"size": 5, "sha1": "0" * 39},
    "hash with an escape": {"size": 5, "sha1": "\x1b[2J"},
}


@pytest.mark.attack(
    "mirror",
    "a dumpstatus.json whose entries are null, lists, text, or have no valid size or hash",
    "refused, and nothing is written",
)
@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())
def test_odd_entries_of_the_status_file(
    server: WikimediaServer, download: Download, folder: Path, entry: object
) -> None:
    status = json.loads(server.files[STATUS])
    status["jobs"]["articlesmultistreamdump"]["files"] = {NAME: entry}
    server.files[STATUS] = json.dumps(status).encode()
    with pytest.raises(UserError, match=r"no complete dump|no valid sha1"):
        download()
    assert not list(folder.parent.rglob("*"))


@pytest.mark.attack(
    "mirror",
    "file names with `../` or from the root, in dumpstatus.json",
    "refused, and nothing is written",
)
@pytest.mark.parametrize(
    "name", ["../../x.bz2", "/etc/x.bz2", f"../{NAME}", f"{NAME}/..", NAME.replace("20261101", "20261101/../x")]
)
def test_names_that_lead_elsewhere(server: WikimediaServer, download: Download, folder: Path, name: str) -> None:
    status = json.loads(server.files[STATUS])
    files = status["jobs"]["articlesmultistreamdump"]["files"]
    files[name] = files.pop(NAME)
    server.files[STATUS] = json.dumps(status).encode()
    with pytest.raises(UserError, match="its multistream job lists no dump"):
        download(date="20261101")
    assert not list(folder.parent.rglob("*"))


@pytest.mark.attack(
    "mirror",
    "JSON nested a million levels",
    "refused in one line",
)
def test_a_deep_status_file(server: WikimediaServer, download: Download) -> None:
    server.files[STATUS] = b'{"jobs":' + b"[" * 1_000_000
    with pytest.raises(UserError, match="nested too deeply"):
        download()


@pytest.mark.attack(
    "run",
    "a resolved.yaml whose names lead out of dumps/",
    "refused as damaged",
)
def test_a_record_that_leads_elsewhere(download: Download, folder: Path) -> None:
    download()
    record = folder / "resolved.yaml"
    record.write_text(record.read_text().replace(f"name: {NAME}", f"name: ../{NAME}"))
    with pytest.raises(UserError, match=r"resolved\.yaml is damaged \(a name or path leads elsewhere\)"):
        download()


@pytest.mark.attack(
    "mirror",
    "a size that is not the file's",
    "refused; no file has the dump's name",
)
@pytest.mark.parametrize("size", [1, len(DUMP) - 1, len(DUMP) + 1])
def test_a_size_that_lies(server: WikimediaServer, download: Download, folder: Path, size: int) -> None:
    server.files[STATUS] = server.files[STATUS].replace(b'"size": %d' % len(DUMP), b'"size": %d' % size)
    with pytest.raises(UserError, match=r"the published size is|more than the published"):
        download()
    assert not (folder / NAME).exists()


@pytest.mark.attack(
    "mirror",
    "a body without end",
    "cut off at the published size",
)
def test_a_body_without_end(server: WikimediaServer, download: Download, folder: Path) -> None:
    server.faults[NAME] += [content(DUMP + bytes(1 << 20), declare=-1)]
    with pytest.raises(UserError, match="has more than the published"):
        download()
    assert sum(path.stat().st_size for path in folder.iterdir()) < len(DUMP)


@pytest.mark.attack(
    "mirror",
    "a password or a token in a mirror's address",
    "refused, and not repeated; `~/.netrc` is the place for it",
)
@pytest.mark.parametrize(
    "mirror", ["https://user:secret@host", "https://secret@host", "https://host/?token=secret", "ftp://u:secret@host"]
)
def test_credentials_in_an_address_are_refused_unseen(download: Download, mirror: str) -> None:
    with pytest.raises(ValueError, match="a mirror's address") as failure:
        check_mirror(mirror)
    assert "secret" not in str(failure.value)
    with pytest.raises(UserError) as refused:
        download(mirrors=[mirror])
    assert "secret" not in str(refused.value)


def test_credentials_come_from_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login user password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with HostileServer(plain(OK + b"Content-Length: 2\r\n\r\n{}")) as server, Client(CONTACT, SHORT) as client:
        client.document(server.url, json.loads)
    assert b"Authorization: Basic dXNlcjpzZWNyZXQ=" in server.requests[0]


@pytest.mark.attack(
    "report",
    "control characters in what a server or a file says",
    "escaped on the terminal and in logs",
)
def test_control_characters_do_not_reach_the_terminal(
    server: WikimediaServer, download: Download, capfd: pytest.CaptureFixture[str]
) -> None:
    server.files[STATUS] = server.files[STATUS].replace(b'"done"', b'"\\u001b[2J\\u202e"')
    with pytest.raises(UserError) as failure:
        download(date="20261101")
    console.error(str(failure.value))
    console.warn("a\x9b31mb\rc\udc80")
    shown = capfd.readouterr().err
    assert "\\x1b[2J" in shown and "\\x9b31mb c\\udc80" in shown
    assert all(char.isprintable() for char in shown.replace("\n", ""))
    assert console.printable("Ünïcode ไทย\t|\n") == "Ünïcode ไทย\t|\n"


def test_a_log_line_has_no_control_characters_either() -> None:
    program = "import logging; from wikixlm import console; console.start_logging(); logging.info('a\\x1b[2Jb')"
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stderr
    assert "\\x1b[2Jb" in shown and "\x1b" not in shown


@pytest.fixture
def slots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(connection_slots, "slots_folder", lambda: tmp_path)
    return tmp_path


@pytest.mark.attack(
    "machine",
    "a FIFO in the shared folder of download slots",
    "refused by name",
)
def test_a_fifo_in_the_folder_of_slots_is_named(slots: Path) -> None:
    os.mkfifo(slots / "host.0")
    with pytest.raises(UserError, match=r"host\.0, a slot for downloads, is not a file"), connection_slots.slot("host"):
        pass


@pytest.mark.attack(
    "machine",
    "another user's process that holds every download slot",
    "a warning says what is waited for, and where",
)
def test_held_slots_are_a_warning(
    slots: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    held = [os.open(slots / f"host.{number}", os.O_CREAT | os.O_RDONLY) for number in range(connection_slots.SLOTS)]
    for handle in held:
        fcntl.flock(handle, fcntl.LOCK_EX)
    monkeypatch.setattr(connection_slots, "PATIENCE_SECONDS", 0.0)
    real = console.warn

    def warn(message: str) -> None:
        real(message)
        os.close(held.pop())

    monkeypatch.setattr(console, "warn", warn)
    with connection_slots.slot("host"):
        pass
    assert "warning: waiting for a connection to host: other processes" in capfd.readouterr().err
    for handle in held:
        os.close(handle)
