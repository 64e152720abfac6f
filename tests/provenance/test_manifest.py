"""The record of what a model was made of."""

import hashlib
import json
import subprocess

import pytest

from wikixlm.cli import main
from wikixlm.provenance import manifest


def test_sources_data_and_model_are_recorded_with_their_hashes(tmp_path):
    dump = tmp_path / "dumps" / "de" / "manifest.json"
    dump.parent.mkdir(parents=True)
    dump.write_text(json.dumps({"wiki": "dewiki", "date": "20261101", "files": [{"name": "a", "sha1": "00"}]}))
    files = {name: tmp_path / name for name in ("own.txt", "codes", "model.pt")}
    for name, path in files.items():
        path.write_text(name)
    output = tmp_path / "manifest.json"
    words = ["--model", files["model.pt"], "--data", files["codes"], "--output", output]
    words += ["--source", f"de={dump}", "--source", f"en={files['own.txt']}"]
    main(["provenance", *map(str, words), "--configuration", '{"languages": ["de", "en"]}'])
    found = json.loads(output.read_text())
    assert found["sources"]["de"][0]["date"] == "20261101"
    assert found["sources"]["en"][0]["sha256"] == hashlib.sha256(b"own.txt").hexdigest()
    assert found["data"] == [{"path": str(files["codes"]), "size": 5, "sha256": hashlib.sha256(b"codes").hexdigest()}]
    assert found["model"]["sha256"] == hashlib.sha256(b"model.pt").hexdigest()
    assert found["configuration"] == {"languages": ["de", "en"]}
    assert {"fairseq", "torch", "sacremoses"} <= set(found["packages"])


@pytest.mark.parametrize("pair", ["en", "en=gone.txt"])
def test_a_source_that_is_not_there_is_an_error(pair, capsys):
    with pytest.raises(SystemExit):
        main(["provenance", "--model", "m", "--data", "d", "--source", pair, "--configuration", "{}", "--output", "o"])
    assert f"error: --source {pair}" in capsys.readouterr().err


def test_whom_to_ask_about_a_download_stays_out(tmp_path):
    log = tmp_path / "de.log"
    words = ["wikixlm", "download", "--contact", "me@example.org", "--language", "de"]
    log.write_text(json.dumps({"command": words}) + "\nthen\n")
    assert manifest.command_in(log) == "wikixlm download --contact '…' --language de"
    assert "example.org" not in manifest.command_in(log)


def test_a_changed_checkout_is_marked(tmp_path):
    def git(*words):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True)

    assert manifest.git_commit(tmp_path) is None
    git("init", "-q")
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-qm", "one")
    clean = manifest.git_commit(tmp_path)
    assert len(clean) == 40
    (tmp_path / "file").write_text("two")
    assert manifest.git_commit(tmp_path) == f"{clean}+changes"


def test_commands_are_taken_from_the_logs_and_of_shards_the_first(tmp_path):
    def log(name, command):
        path = tmp_path / "logs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        line = json.dumps({"command": ["wikixlm", *command.split()], "version": "0.2.0"})
        path.write_text(f"{line}\nmore\n")

    log("learn_bpe.log", "learn-bpe --codes 2000")
    log("split/en.log", "split --language en")
    for shard in range(3):
        log(f"extract/en/{shard:05d}-of-00003.log", f"extract --shard {shard}")
    (tmp_path / "logs" / "benchmarks").mkdir()
    (tmp_path / "logs" / "other.log").write_text("no command\n")
    found = manifest.commands(tmp_path / "logs")
    assert {name.removeprefix(f"{tmp_path}/"): command for name, command in found.items()} == {
        "logs/learn_bpe.log": "wikixlm learn-bpe --codes 2000",
        "logs/split/en.log": "wikixlm split --language en",
        "logs/extract/en/00000-of-00003.log": "wikixlm extract --shard 0",
    }
    assert manifest.commands(tmp_path / "nowhere") == {}
