"""The programs, as a new user calls them; each gives its output, and fails the test where it succeeds."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from snakemake_interface_common.exceptions import WorkflowError

from tests.support import dumps
from tests.workflow.conftest import ROOT, SNAKEMAKE
from wikixlm.workflow.preflight import load_or_refuse

TOOLS = ("sh", "grep", "awk", "touch", "mkdir")


def failing(command: list[str | Path], **options: Any) -> str:
    """The output of a command that must fail, both streams; the `make` that runs the tests is not its parent."""
    given = options.pop("env", None) or os.environ
    options["env"] = {key: value for key, value in given.items() if not key.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
        **options,
    )
    assert done.returncode != 0, done.stdout
    return done.stdout


class User:
    """Somebody with a folder, who makes mistakes in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys

    def write(self, name: str, content: str | bytes) -> Path:
        """A file of the user's."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def configures(self, **overlay: Any) -> str:
        """What snakemake says to an overlay when it loads the configuration."""
        with pytest.raises(WorkflowError):
            load_or_refuse(ROOT / "config.yaml", overlay, stages_run_here=True)
        return self._capsys.readouterr().err

    def calls_snakemake(self, *arguments: str, cwd: Path = ROOT, python: Path | None = None, **overlay: Any) -> str:
        """What a call ends with; with an overlay, in the user's folder; with a Python, run by that one."""
        if overlay:
            self.write("overlay.yaml", json.dumps(overlay))
            arguments = ("--configfile", str(self.folder / "overlay.yaml"), "--directory", str(self.folder), *arguments)
        return failing([*([python] if python else []), SNAKEMAKE, *arguments], cwd=cwd)

    def runs(self, *arguments: str | Path, fails: bool = True) -> str:
        """What a stage's command says."""
        command = [sys.executable, "-m", "wikixlm", *arguments]
        if fails:
            return failing(command, cwd=self.folder)
        done = subprocess.run(list(map(str, command)), cwd=self.folder, capture_output=True, text=True, check=True)
        return done.stderr

    def sets_up(self, python: str = "python3", **environment: str) -> str:
        """What `make` says in a fresh checkout, of which it needs three files."""
        for name in ("Makefile", "pyproject.toml", "requirements.txt"):
            shutil.copy(ROOT / name, self.folder)
        return failing(
            [shutil.which("make") or "make", ".venv/.complete", f"PYTHON={python}"],
            cwd=self.folder,
            env={**os.environ, **environment},
        )

    def has_python(self, program: str) -> str:
        """An interpreter: a few lines of shell, then this one."""
        path = self.write("bin/fake-python", f'#!/bin/sh\n{program}\nexec "{sys.executable}" "$@"\n')
        path.chmod(0o755)
        return str(path)

    def has_programs(self, *missing: str) -> str:
        """A PATH with a shell and a few tools, without `missing`."""
        folder = self.folder / "path"
        folder.mkdir()
        for name in TOOLS:
            if name not in missing and (found := shutil.which(name)):
                (folder / name).symlink_to(found)
        (folder / "python3").symlink_to(sys.executable)
        return str(folder)

    def has_dump(self, name: str = "wiki.xml.bz2", language: str = "en") -> Path:
        """A dump of 40 articles."""
        pages = [dumps.P(n, text=f"Page {n} has words.") for n in range(1, 41)]
        return dumps.write_multistream(self.folder / name, pages, 20, language)

    def extracts(self, dump: Path, *arguments: str, fails: bool = True) -> str:
        """`wikixlm extract` on an English dump, in one shard."""
        outputs = ["--output", "out.jsonl.zst", "--counts", "counts.json"]
        position = ["--language", "en", "--shard", "0", "--shards", "1"]
        return self.runs("extract", "--dump", dump, *position, *arguments, *outputs, fails=fails)

    def reads_text(self, content: bytes) -> str:
        """`wikixlm corpus` on a text file."""
        text = self.write("own.txt", content)
        outputs = ["--output", "out.jsonl.zst", "--counts", "counts.json"]
        return self.runs("corpus", "--text", text, "--language", "en", "--shard", "0", "--shards", "1", *outputs)


@pytest.fixture
def user(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> User:
    """A user in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return User(tmp_path, capsys)
