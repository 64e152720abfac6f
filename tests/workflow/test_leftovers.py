"""Temporary files that killed jobs left, and files that only look like them."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.support.waiting import wait_for
from wikixlm.files import atomic_path, output_of_temporary, work_folder
from wikixlm.workflow import events, leftovers

OUTPUTS = [Path("work/bpe/en/00000-of-00002.zst"), Path("work/codes"), Path("export/config.json")]
# The command of a writer that never ends, of which only its temporary file is there.
WRITER = "from wikixlm.files import *; import time; c = {}(Path('work/codes')); c.__enter__(); time.sleep(600)"


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(*names: str) -> list[Path]:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x" * 1000)
    return [Path(name) for name in names]


def clean(outputs=OUTPUTS, locked=True):
    job = SimpleNamespace(output=[str(path) for path in outputs])
    dag = SimpleNamespace(needrun_jobs=lambda: [job])
    workflow = SimpleNamespace(persistence=SimpleNamespace(locked=locked), dag=dag)
    leftovers.clean(workflow, ["en", "bg"])


OWN = [
    *(
        "work/bpe/en/.00000-of-00002.zst.ab3_de7h.tmp",
        "work/.codes.work/sample.txt",
        "work/..codes.sha256.abcdefgh.tmp",
    ),
    *(".export.work/model.safetensors", "work/.en.work/train.bin", "work/.run.json.abcdefgh.tmp"),
]
FOREIGN = [
    *("work/.codes.abcdefg.tmp", "work/.codes.ABCDEFGH.tmp", "work/codes.abcdefgh.tmp", "work/.mine.abcdefgh.tmp"),
    *("work/bpe/en/.00001-of-00002.zst.ab3_de7h.tmp", ".mine.work/a", "work/.codes.old/a", "work/.codes.work.txt"),
    *("work/.codes.sha256", "work/codes", "export/config.json"),
]


def test_what_killed_jobs_left_goes_and_is_counted_in_a_line(capsys):
    own, foreign = write(*OWN), write(*FOREIGN)
    clean()
    assert [path for path in own if path.exists()] == []
    assert [path for path in foreign if not path.exists()] == []
    assert capsys.readouterr().err == "removed 6 temporary files that killed jobs left (6.0 kB)\n"
    clean()
    assert capsys.readouterr().err == ""


def test_nothing_goes_without_snakemakes_lock():
    own = write(*OWN)
    clean(locked=False)
    assert all(path.exists() for path in own)


@pytest.mark.attack(
    "kill",
    "temporary files of killed jobs, beside files of a user's with such names and files that a process still writes",
    "the next call removes those of its own outputs that nobody has locked, and says how many",
)
@pytest.mark.parametrize("how", ["atomic_path", "work_folder"])
def test_what_a_process_still_writes_stays_until_it_is_killed(how, capsys):
    writer = subprocess.Popen([sys.executable, "-c", WRITER.format(how)])
    try:
        (path,) = wait_for(lambda: list(Path("work").glob(".codes.*")) if Path("work").exists() else [])
        wait_for(lambda: Path(f"/proc/{writer.pid}/fdinfo").is_dir() and locks(path))
        clean()
        assert path.exists() and capsys.readouterr().err == ""
    finally:
        writer.kill()
        writer.wait()
    clean()
    assert not path.exists()


def locks(path: Path) -> bool:
    """Whether a process has locked it."""
    return f":{path.stat().st_ino} " in Path("/proc/locks").read_text()


def test_links_fifos_and_files_of_others_stay():
    (target,) = write("mine.txt")
    Path("work").mkdir()
    Path("work/.codes.abcdefgh.tmp").symlink_to(target.absolute())
    Path("work/.codes.work").symlink_to("/")
    os.mkfifo("work/.codes.ijklmnop.tmp")
    if os.geteuid() == 0:
        os.chown(*write("work/.codes.qrstuvwx.tmp"), 12345, 12345)
    before = sorted(Path("work").iterdir())
    clean()
    assert sorted(Path("work").iterdir()) == before and target.exists()


def test_after_a_call_on_a_cluster_what_has_just_changed_stays():
    """Its job may still run, where its lock is not seen."""
    own = write(*OWN)
    Path("work/events.jsonl").write_text(
        '{"event": "run_started", "time": 1, "command": "", "host": "login", "slurm_run_id": "abc"}\n'
    )
    assert [type(event) for event in events.read(Path())] == [events.RunStarted]
    clean()
    assert all(path.exists() for path in own)
    for path in [*own, *(path.parent for path in own if path.parent.suffix == ".work")]:
        os.utime(path, (1e9, 1e9))
    clean()
    assert not any(path.exists() for path in own)


def test_the_names_are_those_that_are_written():
    with atomic_path(Path("a.b")) as path:
        assert output_of_temporary(path.name) == "a.b"
        path.touch()
    with work_folder(Path("a.b")) as path:
        assert output_of_temporary(path.name) == "a.b"
    assert output_of_temporary(".a.b.old") is None
