"""Downloads that are killed, told to stop, or meet each other."""

import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.downloading import DUMP, NAME, Download, start
from tests.support.waiting import wait_for
from tests.support.wikimedia_server import WikimediaServer, multistream
from wikixlm.download import connection_slots
from wikixlm.errors import UserError

PATH = f"/dewiki/20261101/{NAME}"
CHUNK = 1 << 14  # bytes that may be on their way when a process dies: the client takes up to 64 KB at once


def until_sent(server: WikimediaServer, size: int) -> None:
    """Wait until the server has sent that much of the dump."""
    wait_for(lambda: server.sent[PATH] >= size, 20, "the download to begin", interval=0.005)


def test_killed_twenty_times(server: WikimediaServer, folder: Path) -> None:
    dump = multistream(2500, seed=2)
    server.add_multistream("dewiki", "20261101", dump)
    server.rate = 500_000
    moments = random.Random(7)
    kills = 20
    for number in range(kills):
        before = server.sent[PATH]
        process = start(server, folder)
        if number % 4:  # else it may be killed before the first byte
            until_sent(server, before + 1)
        time.sleep(moments.uniform(0, 0.3))
        process.kill()
        process.wait(10)
        assert process.stderr is not None
        process.stderr.close()
        assert not (folder / NAME).exists() and not (folder / "manifest.json").exists()
    server.rate = 0
    process = start(server, folder)
    _, output = process.communicate(timeout=60)
    assert process.returncode == 0, output
    assert (folder / NAME).read_bytes() == dump
    assert server.sent[PATH] <= len(dump) + kills * CHUNK
    assert len([headers for headers in server.of(NAME) if "Range" in headers]) >= kills // 2, "nothing was resumed"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_stop(server: WikimediaServer, folder: Path, number: signal.Signals) -> None:
    server.rate = 200_000
    process = start(server, folder)
    until_sent(server, len(DUMP) // 3)
    process.send_signal(number)
    _, output = process.communicate(timeout=10)
    assert process.returncode != 0 and "Traceback" not in output
    if number == signal.SIGINT:
        assert re.search(r"^error: de: interrupted; what has arrived is kept, run again to resume$", output, re.M)
    assert not (folder / NAME).exists() and not (folder / "manifest.json").exists()
    there = (folder / f".{NAME}.part").stat().st_size
    assert there >= len(DUMP) // 3 - CHUNK
    server.rate = 0
    assert start(server, folder).wait(30) == 0
    assert (folder / NAME).read_bytes() == DUMP
    assert server.of(NAME)[-1]["Range"] == f"bytes={there}-"


def test_a_second_download_of_the_same_file_is_refused(
    server: WikimediaServer, download: Download, folder: Path
) -> None:
    server.rate = 200_000
    process = start(server, folder)
    until_sent(server, 1)
    with pytest.raises(UserError, match=r"is being downloaded by another process; let it finish, or end it$"):
        download()
    server.rate = 0
    assert process.wait(30) == 0
    assert (folder / NAME).read_bytes() == DUMP


def test_six_processes_three_connections(server: WikimediaServer, folder: Path) -> None:
    """The server would refuse a fourth connection; nobody ever opens one, whatever the number of downloads."""
    languages = ["de", "fr", "en", "ru", "sv", "bg"]
    for number, lang in enumerate(languages):
        server.add_multistream(f"{lang}wiki", "20261101", multistream(120, number))
    server.rate = 100_000
    processes = [start(server, folder.parent / lang) for lang in languages]
    assert [process.wait(60) for process in processes] == [0] * len(languages)
    assert server.most_open == connection_slots.SLOTS and server.refused == 0


def test_a_server_that_refuses_a_connection_is_tried_again(server: WikimediaServer, folder: Path) -> None:
    server.connections = 0
    process = start(server, folder, "--retries", "1000")
    give_up = time.monotonic() + 20
    while server.refused < 3 and time.monotonic() < give_up:
        time.sleep(0.01)
    server.connections = 1
    assert process.wait(30) == 0
    assert server.refused >= 3 and (folder / NAME).read_bytes() == DUMP


def test_a_killed_process_frees_its_slot(tmp_path: Path) -> None:
    host = f"{tmp_path.name}.test:{random.randrange(10**6)}"
    hold = (
        "from wikixlm.download.connection_slots import slot\n"
        f"with slot({host!r}):\n    print('held', flush=True)\n    input()"
    )
    holders = [
        subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(connection_slots.SLOTS)
    ]
    for holder in holders:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    assert connection_slots._acquire(host) is None
    with connection_slots.slot(f"other-{host}"):
        pass
    holders[0].kill()
    holders[0].wait(10)
    with connection_slots.slot(host):
        assert connection_slots._acquire(host) is None
    for holder in holders[1:]:
        holder.kill()
        holder.wait(10)
    for path in connection_slots.slots_folder().glob(f"*{tmp_path.name}*"):
        path.unlink()


def test_the_slots_are_the_machines_not_the_jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = connection_slots.slots_folder()
    for name in ("TMPDIR", "XDG_RUNTIME_DIR", "HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert connection_slots.slots_folder() == before
    assert before.stat().st_mode & 0o1777 == 0o1777, "every user of the machine must be able to use it"
