"""Snakemake as a user types it: unactivated, on this checkout, in a directory of its own."""

import re
import subprocess
import sys
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


class Workflow:
    """A run: its directory, its configuration, and calls of snakemake on it."""

    def __init__(self, directory: Path, checkout: Path = ROOT) -> None:
        self.directory = directory
        self.checkout = checkout
        self.overlay = directory / "overlay.yaml"

    def configure(self, **settings: object) -> None:
        """Write the overlay that the next call uses."""
        self.overlay.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")

    def __call__(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run snakemake with two cores; standard error is in `stdout` too."""
        command = [str(SNAKEMAKE), "--snakefile", str(self.checkout / "Snakefile"), "--directory", str(self.directory)]
        if self.overlay.exists():
            command += ["--configfile", str(self.overlay)]
        return subprocess.run(
            [*command, "--cores", "2", *arguments],
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "HOME": str(Path.home())},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def planned(self, *arguments: str) -> Counter[str]:
        """What a dry run would do: rule name, with the language after a colon where there is one, to number of jobs."""
        done = self("--dry-run", *arguments)
        assert done.returncode == 0, done.stdout
        jobs: Counter[str] = Counter()
        for block in re.findall(r"(?m)^(?:local)?rule (\w+):\n((?: {4}.*\n)*)", done.stdout):
            lang = re.search(r"wildcards: .*?\blang=([\w-]+)", block[1])
            jobs[f"{block[0]}:{lang[1]}" if lang else block[0]] += 1
        return jobs


@pytest.fixture
def workflow(tmp_path: Path) -> Workflow:
    """A run in an empty directory."""
    return Workflow(tmp_path)
