"""Comparing a run with its manifest."""

import json
import signal
import subprocess
import sys
import time

import pytest

from wikixlm.cli import main
from wikixlm.files import atomic_text, write_json
from wikixlm.provenance.manifest import describe_file, package_versions


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run with a downloaded dump, a file of one's own, data and a model; its manifest has relative paths."""
    monkeypatch.chdir(tmp_path)
    names = ["dumps/de/de.xml.bz2", "own.txt", "monolingual_data/processed/codes", "models/mlm/model.pt"]
    entries = []
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
        entries.append(describe_file(type(path)(name)))
    dump = {**entries[0], "name": "de.xml.bz2", "sha1": "0" * 40}
    manifest = {
        "packages": package_versions(),
        "sources": {"de": [{"date": "20261101", "files": [dump]}], "en": [entries[1]]},
        "data": [entries[2]],
        "model": entries[3],
    }
    (tmp_path / "models" / "mlm" / "manifest.json").write_text(json.dumps(manifest))
    monkeypatch.chdir("/")
    return tmp_path


def verify(run, capsys):
    status = 0
    try:
        main(["verify", "--directory", str(run)])
    except SystemExit as ended:
        status = ended.code
    shown = capsys.readouterr()
    return status, shown.out.splitlines(), shown.err


def test_an_unchanged_run(run, capsys):
    status, lines, _ = verify(run, capsys)
    assert status == 0
    assert len(lines) == 1
    assert lines[0].startswith("4 files, 0.00 GB: all as ")


@pytest.mark.attack(
    "run",
    "dumps, texts, data or a model that were changed after the training",
    "`verify` names each of them",
)
@pytest.mark.parametrize("name", ["dumps/de/de.xml.bz2", "own.txt", "monolingual_data/processed/codes"])
def test_each_changed_file_is_a_line(run, name, capsys):
    path = run / name
    path.write_text(path.read_text().replace("content", "CONTENT"))
    (run / "models" / "mlm" / "model.pt").write_text("longer than it was before")
    status, lines, errors = verify(run, capsys)
    assert status == 1
    assert [line.split(": ")[0] for line in lines] == [str(path), str(run / "models" / "mlm" / "model.pt")]
    assert "sha256 is " in lines[0]
    assert "25 bytes, the manifest says" in lines[1]
    assert "error: 2 of 4 files are not as" in errors


def test_a_missing_file_is_a_line(run, capsys):
    (run / "own.txt").unlink()
    status, lines, _ = verify(run, capsys)
    assert (status, lines) == (1, [f"{run / 'own.txt'}: no such file or directory"])


def test_other_versions_are_warnings_only(run, capsys):
    path = run / "models" / "mlm" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["packages"]["torch"] = "1.0"
    path.write_text(json.dumps(manifest))
    status, _, errors = verify(run, capsys)
    assert status == 0
    assert f"warning: torch is {package_versions()['torch']} here, it was 1.0" in errors


@pytest.mark.parametrize("text", [None, "{}", "[]", '{"sources": {}, "data": [{"path": "x"}], "model": {}}'])
def test_without_a_manifest_nothing_is_verified(run, text, capsys):
    path = run / "models" / "mlm" / "manifest.json"
    path.unlink() if text is None else path.write_text(text)
    status, lines, errors = verify(run, capsys)
    assert (status, lines) == (1, [])
    assert errors.splitlines()[-1].startswith("error: ")
    assert str(path) in errors


@pytest.mark.attack(
    "run",
    "a model's manifest that names `/dev/zero`",
    "`verify` does not open it",
)
def test_what_is_not_a_regular_file_is_never_read(run, capsys):
    path = run / "models" / "mlm" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["data"].append({"path": "/dev/zero", "size": 0, "sha256": "0" * 64})
    path.write_text(json.dumps(manifest))
    assert verify(run, capsys)[:2] == (1, ["/dev/zero: not a regular file"])


def test_a_file_that_was_damaged_before_the_manifest_was_written_is_found(run, capsys):
    codes = run / "monolingual_data" / "processed" / "codes"
    codes.with_name(".codes.sha256").write_text(f"{'1' * 64}  codes\n")
    codes.with_name(".train.de.sha256").write_text(f"{'2' * 64}  train.de\n")
    status, lines, _ = verify(run, capsys)
    assert status == 1
    assert lines[0].startswith(f"{codes}: sha256 is ") and lines[0].endswith(f"its seal says {'1' * 64}")
    assert lines[1] == f"{codes.with_name('train.de')}: no such file or directory"


@pytest.mark.attack(
    "run",
    "tokenized shards, held-out sets and vocabularies that were cut, changed or deleted",
    "`verify` names each of them",
)
@pytest.mark.parametrize("name", ["tokenized/de/0.jsonl.zst", "split/de/valid.zst", "vocabulary/de.zst"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "deleted"])
def test_damaged_shards_and_splits_are_found(run, name, damage, capsys):
    shard = "work/tokenized/de/0.jsonl.zst"
    names = [shard, *(f"work/split/de/{each}.zst" for each in ("valid", "test", "held_out.json")),
             "work/vocabulary/de.zst"]  # fmt: skip
    for each in names:
        with atomic_text(run / each) as stream:
            stream.write("a line of text\n" * 1000)
    write_json(run / "work" / "split" / "de" / "split.json", {"shards": [shard]})
    assert verify(run, capsys)[0] == 0
    path = run / "work" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "deleted":
        path.unlink()
    else:
        path.write_bytes(content if damage == "flipped" else content[: len(content) // 2])
    status, (line,), _ = verify(run, capsys)
    assert status == 1
    assert line.startswith(f"{path}: ")


def test_ctrl_c_ends_it_at_once(run):
    path = run / "monolingual_data" / "processed" / "codes"
    with open(path, "wb") as stream:
        stream.truncate(1 << 36)  # a sparse file, minutes of hashing
    manifest = json.loads((run / "models" / "mlm" / "manifest.json").read_text())
    manifest["data"][0]["size"] = 1 << 36
    (run / "models" / "mlm" / "manifest.json").write_text(json.dumps(manifest))
    process = subprocess.Popen(
        [sys.executable, "-m", "wikixlm", "verify", "--directory", run], stderr=subprocess.PIPE, text=True
    )
    time.sleep(5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == "error: verify was interrupted"
