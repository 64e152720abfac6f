"""What a person sees at a terminal, and what a log file gets."""

import logging
import os
import re
from pathlib import Path

import pytest

from tests.support.downloading import DUMP, NAME, start
from tests.support.wikimedia_server import WikimediaServer
from wikixlm.download.progress import Progress, describe_progress


def test_a_line_says_how_far_how_fast_how_long() -> None:
    assert describe_progress(500_000_000, 2_000_000_000, 5e6) == "0.50 of 2.00 GB (25 %), 5.00 MB/s, 0:05:00 left"
    assert describe_progress(0, 2_000_000_000, 0) == "0.00 of 2.00 GB (0 %), 0.00 MB/s"


def test_a_line_every_interval(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with Progress("dump", 100, interval=3600) as progress:
        for position in range(100):
            progress.update(position)
    assert caplog.messages == []
    with Progress("dump", 100, start=50, interval=0) as progress:
        progress.update(60)
        progress.update(70)
    assert [message.split(" (")[1][:4] for message in caplog.messages] == ["60 %", "70 %"]


@pytest.mark.parametrize("log", [False, True])
def test_a_bar_on_a_terminal(server: WikimediaServer, folder: Path, log: bool) -> None:
    server.rate = 300_000
    ours, theirs = os.openpty()
    options = ["--log", str(folder.parent / "de.log")] if log else []
    process = start(server, folder, *options, stderr=theirs, TERM="xterm", COLUMNS="160")
    os.close(theirs)
    seen = b""
    try:
        while data := os.read(ours, 4096):
            seen += data
    except OSError:  # how Linux reports that the other end is closed
        pass
    os.close(ours)
    assert process.wait(30) == 0 and (folder / NAME).read_bytes() == DUMP
    shown = seen.decode()
    assert NAME in shown and re.search(r"\d+(\.\d+)?/\d+(\.\d+)? [kM]B", shown) and re.search(r"\d+:\d\d:\d\d", shown)
    assert ("INFO" in shown) != log, "with a log file, the details go there alone"
    assert not log or "INFO de: multistream of 20261101" in (folder.parent / "de.log").read_text()
