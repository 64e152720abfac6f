"""Comparing a run with its manifest."""

import json

import pytest

from wikixlm.cli import main
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
