"""Snakemake as a user types it: unactivated, on this checkout, in a directory of its own."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
# A run of seconds a stage, without its languages and their text.
SMALL: dict[str, Any] = {
    "extract": {"shards": 2},
    "split": {"valid": 5, "test": 5},
    "bpe": {"codes": 100, "sample_lines": 1000},
    "binarize": {"workers": 1},
    "train": {
        "encoder_layers": 1,
        "encoder_embed_dim": 16,
        "encoder_ffn_embed_dim": 16,
        "encoder_attention_heads": 2,
        "max_update": 2,
        "max_tokens": 256,
        "tokens_per_sample": 16,
        "lr": 0.001,
        "device": "cpu",
    },
}


# Runs snakemake, and appends to a file what it logs of each job as JSON: the terminal shows a sentence only.
SPY = """
import json, os, sys
from snakemake.cli import main
from snakemake.logging import logger

def note(record):
    if getattr(record, "event", None) == "job_info":
        job = {"rule": record.rule_name, "wildcards": dict(record.wildcards)}
        job["resources"] = {name: str(value) for name, value in record.resources.items()}
        with open(os.environ["JOBS"], "a") as stream:
            print(json.dumps(job), file=stream)
    return True

logger.addFilter(note)
main(sys.argv[1:])
"""


class Workflow:
    """A run: its directory, its configuration, and calls of snakemake on it."""

    def __init__(self, directory: Path, checkout: Path = ROOT) -> None:
        self.directory = directory
        self.checkout = checkout
        self.overlay = directory / "overlay.yaml"

    def configure(self, **settings: object) -> None:
        """Write the overlay that the next call uses."""
        self.overlay.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")

    def __call__(
        self, *arguments: str, timeout: float = 300, jobs: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run snakemake with two cores; standard error is in `stdout` too, its jobs as JSON in the file `jobs`."""
        command = [sys.executable, "-c", SPY] if jobs else [str(SNAKEMAKE)]
        command += ["--snakefile", str(self.checkout / "Snakefile"), "--directory", str(self.directory)]
        if self.overlay.exists():
            command += ["--configfile", str(self.overlay)]
        return subprocess.run(
            [*command, "--cores", "2", *arguments],
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), "JOBS": str(jobs)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def jobs(self, *arguments: str) -> list[dict[str, Any]]:
        """Rule, wildcards and resources of the jobs of a call that succeeds."""
        with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
            done = self(*arguments, jobs=Path(file.name))
            assert done.returncode == 0, done.stdout
            return [json.loads(line) for line in file]

    def planned(self, *arguments: str) -> Counter[str]:
        """What a dry run would do: rule name, with the language after a colon where there is one, to number of jobs."""
        return Counter(
            ":".join(filter(None, [job["rule"], job["wildcards"].get("lang")]))
            for job in self.jobs("--dry-run", *arguments)
        )


@pytest.fixture
def workflow(tmp_path: Path) -> Workflow:
    """A run in an empty directory."""
    return Workflow(tmp_path)
