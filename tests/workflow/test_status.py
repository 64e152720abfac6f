"""`wikixlm status` beside a real run: while it goes, after it was killed, and after its end."""

import os
import signal
import subprocess
import sys
import time

from tests.workflow.conftest import ROOT, SNAKEMAKE, Workflow
from wikixlm.workflow.status import show


def states(run: Workflow, language: str) -> list[str]:
    return [cell.state if cell else "" for cell in show.look(run.directory).languages[language]]


def test_a_run_that_goes_is_killed_and_ends(workflow):
    for lang in ("en", "bg"):
        words = [f"{lang}{chr(97 + a)}{chr(97 + b)}" for a in range(6) for b in range(6)]
        rows = (" ".join(words[(n * step + n) % 36] for step in range(3, 20)) + f" {n}\n" for n in range(20_000))
        (workflow.directory / f"{lang}.txt").write_text("".join(rows))
    workflow.configure(
        languages=["en", "bg"],
        corpora={"local": {"en": ["en.txt"], "bg": ["bg.txt"]}},
        extract={"shards": 2},
        split={"valid": 5, "test": 5},
        bpe={"codes": 100, "sample_lines": 1000},
        binarize={"workers": 1},
    )
    assert workflow.planned("work/split/en/split.json")
    assert not (workflow.directory / "work").exists(), "a dry run leaves no record"

    command = [SNAKEMAKE, "--snakefile", ROOT / "Snakefile", "--directory", workflow.directory, "--cores", "2"]
    target = ["--configfile", workflow.overlay, "--", "work/split/en/split.json", "work/split/bg/split.json"]
    # What the terminal and Snakemake's own log leave out is seen all the same.
    process = subprocess.Popen(
        [*command, "--quiet", "all", *target],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 120
        while time.monotonic() < end and not (workflow.directory / "work" / "run.json").exists():
            time.sleep(0.1)
        while time.monotonic() < end and "running" not in states(workflow, "en"):
            assert show.look(workflow.directory).state == "running"
            time.sleep(0.1)
        assert states(workflow, "en")[3:5] == ["waiting", "-"], "split was asked for, apply_bpe was not"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    status = show.look(workflow.directory)
    assert status.state == "killed"
    assert "--unlock" in status.line
    assert "running" not in states(workflow, "en")
    assert "stopped" in states(workflow, "en") + states(workflow, "bg")

    assert workflow("--unlock").returncode == 0
    assert show.look(workflow.directory).state == "ended"
    done = workflow("work/split/en/split.json", "--quiet")
    assert done.returncode == 0, done.stdout
    finished, planned = show.look(workflow.directory).steps
    assert finished == planned > 0
    command = [sys.executable, "-m", "wikixlm", "status", "--directory", workflow.directory]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "ended at" in shown.splitlines()[0]
    assert states(workflow, "en")[1:5] == ["done", "done", "done", "-"]
    changed = [
        line for line in workflow("work/split/en/split.json").stdout.splitlines() if "Nothing to be done" in line
    ]
    assert changed, "the record triggers nothing"
