"""Files of the user whose names need quoting."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.attack(
    "configuration",
    "file names with spaces, quotes, `$`, backticks, `%`, `#`, `*`, a leading dash, other scripts",
    "they work as any others",
)
@pytest.mark.parametrize("name", ['it\'s "50 %" of $HOME; ünï ไทย.txt', "a&b (1) [x]*?.txt", "`id` | ~ #.txt", " -x"])
def test_any_name_without_braces_and_control_characters_works(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("One paragraph.\n")
    (tmp_path / "mine.yaml").write_text(
        json.dumps({"languages": ["en"], "corpora": {"local": {"en": [name]}}, "extract": {"shards": 1}})
    )
    target = "work/counts/extract/en/00000-of-00001.json"
    command = [sys.executable, "-m", "snakemake", target, "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    done = subprocess.run(
        [*command, "--configfile", "mine.yaml"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts = json.loads((tmp_path / target).read_text())
    assert counts["files"] == [name] and counts["documents"] == 1
