"""A stage ends with its snakemake, even where that is killed: it would be in the way of its successor."""

import contextlib
import subprocess

import psutil
import pytest

from tests.support import waiting
from tests.workflow.conftest import ROOT, SNAKEMAKE


def stage_of(snakemake: psutil.Process) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):  # one that has just ended
        return next((child for child in snakemake.children(recursive=True) if "corpus" in child.cmdline()), None)
    return None


@pytest.mark.skipif(not psutil.LINUX, reason="the kernel's part is Linux's")
def test_a_stage_ends_with_its_killed_snakemake(workflow):
    text = workflow.directory / "en.txt"
    text.write_text("Some words in a line of text.\n" * 3_000_000)
    workflow.configure(languages=["en"], corpora={"local": {"en": ["en.txt"]}}, extract={"shards": 1})
    command = [SNAKEMAKE, "--snakefile", ROOT / "Snakefile", "--directory", workflow.directory, "--cores", "1"]
    target = ["--configfile", workflow.overlay, "--", "work/extracted/en/00000-of-00001.jsonl.zst"]
    with subprocess.Popen([*command, *target], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        stage = waiting.wait_for(lambda: stage_of(psutil.Process(process.pid)))
        waiting.wait_for(lambda: list((workflow.directory / "work").rglob("*.tmp")))
        process.kill()
    stage.wait(timeout=20)
    assert not list((workflow.directory / "work").rglob("*.tmp")), "it removed its temporary files"
