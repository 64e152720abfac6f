"""Snakemake as a user types it: unactivated, on this checkout, in a directory of its own."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")


class Workflow:
    """A run: its directory, its configuration, and calls of snakemake on it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.overlay = directory / "overlay.yaml"

    def configure(self, **settings: object) -> None:
        """Write the overlay that the next call uses."""
        self.overlay.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")

    def __call__(self, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run snakemake with two cores; standard error is in `stdout` too."""
        command = [str(SNAKEMAKE), "--snakefile", str(ROOT / "Snakefile"), "--directory", str(self.directory)]
        if self.overlay.exists():
            command += ["--configfile", str(self.overlay)]
        return subprocess.run(
            [*command, "--cores", "2", *arguments],
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.directory)},
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
            lang = re.search(r"wildcards: lang=([\w-]+)", block[1])
            jobs[f"{block[0]}:{lang[1]}" if lang else block[0]] += 1
        return jobs


@pytest.fixture
def workflow(tmp_path: Path) -> Workflow:
    """A run in an empty directory."""
    return Workflow(tmp_path)


@pytest.fixture
def own_text(tmp_path: Path) -> Callable[[str, int], str]:
    """A maker of plain-text corpora of different lines in made-up words of a language."""

    def write(lang: str, lines: int) -> str:
        path = tmp_path / f"{lang}.txt"
        words = [f"{lang}{chr(97 + a)}{chr(97 + b)}" for a in range(6) for b in range(6)]
        text = "".join(
            " ".join(words[(line * step + line) % len(words)] for step in range(3, 20)) + f" {line}\n"
            for line in range(lines)
        )
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write
