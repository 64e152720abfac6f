"""`snakemake download`: what runs when, and what survives a failure."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.downloading import DUMP, NAME
from tests.support.wikimedia_server import WikimediaServer, answer, multistream

ROOT = Path(__file__).parents[2]
PATH = f"/dewiki/20261101/{NAME}"


def snakemake(directory: Path, server: WikimediaServer, *arguments: str, **dumps: object) -> "subprocess.Popen[str]":
    """Start `snakemake download` for the languages that the server has."""
    directory.mkdir(exist_ok=True)
    overlay = {
        "languages": sorted({path[:2] for path in server.files if path[2:6] == "wiki"}),
        "dumps": {"mirrors": [server.url], "contact": "tests@example.org", **dumps},
    }
    (directory / "overlay.yaml").write_text(json.dumps(overlay))
    command = [sys.executable, "-m", "snakemake", "download", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(directory), "--configfile", str(directory / "overlay.yaml"), "--cores", "2"]
    return subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def output_of(process: "subprocess.Popen[str]", *, succeeds: bool = True) -> str:
    """What it printed, once it has ended as expected."""
    said, _ = process.communicate(timeout=120)
    assert (process.returncode == 0) == succeeds, said
    return said


def jobs(said: str) -> list[str]:
    """The jobs that a run or dry run announced, without the target."""
    rules = {"Choose": "resolve_dump", "Download": "download_dump"}
    found = re.findall(r"Job \d+: (Choose|Download) the dump of (\w+)", said)
    return sorted(f"{rules[verb]} {lang}" for verb, lang in found)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_the_plan_needs_no_server(server: WikimediaServer, directory: Path) -> None:
    said = output_of(snakemake(directory, server, "--dry-run"))
    assert jobs(said) == ["download_dump de", "resolve_dump de"]
    assert server.requests == []
    for dry in ([], ["--dry-run"]):
        said = output_of(snakemake(directory, server, *dry, contact=""), succeeds=False)
        assert said.count("error: dumps.contact is empty") == 1 and "Traceback" not in said
    assert server.requests == []


def test_what_triggers_a_download(server: WikimediaServer, directory: Path) -> None:
    output_of(snakemake(directory, server))
    target = directory / "dumps" / "de" / NAME
    assert target.read_bytes() == DUMP

    newer = multistream(40, seed=3)
    (name,) = server.add_multistream("dewiki", "20261120", newer)
    server.add_multistream("frwiki", "20261120", multistream(40, seed=4))
    said = output_of(snakemake(directory, server, contact="other@example.org", mirrors=[f"{server.url}/"]))
    assert jobs(said) == ["download_dump fr", "resolve_dump fr"], "de keeps its date, operational keys trigger nothing"
    (directory / "dumps" / "de" / "resolved.yaml").unlink()
    assert jobs(output_of(snakemake(directory, server))) == ["download_dump de", "resolve_dump de"]
    assert (target.parent / name).read_bytes() == newer

    said = output_of(snakemake(directory, server, "--keep-going", date="20261101"), succeeds=False)
    assert "warning: de: dumps.date is 20261101, it was 20261120" in said
    assert re.search(r"error: .* has no complete dump of 20261101 for frwiki: .*available dates: 20261120", said)
    manifest = json.loads((target.parent / "manifest.json").read_bytes())
    assert manifest["date"] == "20261101" and target.read_bytes() == DUMP


@pytest.mark.slow
def test_a_failed_job_leaves_its_half(server: WikimediaServer, directory: Path) -> None:
    server.rate = 200_000
    process = snakemake(directory, server)
    while server.sent[PATH] < len(DUMP) // 2:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    before, server.rate = server.sent[PATH], 0
    server.faults[NAME] += [answer(403)]
    subprocess.run([*process.args, "--unlock"], check=True, capture_output=True)  # type: ignore[misc]
    said = output_of(snakemake(directory, server), succeeds=False)
    assert re.search(r"^error: cannot download .*403 Forbidden", said, re.M)
    assert (directory / "dumps" / "de" / f".{NAME}.part").exists()
    output_of(snakemake(directory, server))
    assert (directory / "dumps" / "de" / NAME).read_bytes() == DUMP
    assert before > 0 and server.sent[PATH] < len(DUMP) * 1.2
    shutil.rmtree(directory)
