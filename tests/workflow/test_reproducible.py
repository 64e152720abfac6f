"""Two runs of the same commit: the same data and, on a CPU, the same weights, wherever and on however many cores."""

import json
import random

import pytest

from tests.support.dumps import P, write_multistream
from tests.workflow.conftest import Workflow
from wikixlm import cli
from wikixlm.train import checkpoints

LANGUAGES = {"en": "abcdefgh", "bg": "абвгдежз"}


def dump(path, letters):
    """A dump of 60 articles of made-up words, the same at every call."""
    chance = random.Random(letters)
    words = ["".join(chance.choices(letters, k=chance.randint(2, 6))) for _ in range(80)]

    def paragraph():
        return " ".join(chance.choices(words, k=30)).capitalize() + "."

    pages = [P(number, text="\n\n".join(paragraph() for _ in range(3))) for number in range(1, 61)]
    write_multistream(path, pages, per_stream=10)


def finished(directory, cores):
    """A miniature of the demo: from two dumps to a model."""
    directory.mkdir()
    run = Workflow(directory)
    for language, letters in LANGUAGES.items():
        dump(directory / f"{language}.xml.bz2", letters)
    run.configure(
        languages=list(LANGUAGES),
        dumps={"local": {language: f"{language}.xml.bz2" for language in LANGUAGES}},
        extract={"shards": 3},
        split={"valid": 10, "test": 10},
        bpe={"codes": 200, "sample_lines": 1000},
        binarize={"workers": cores},
        train={
            **{"encoder_layers": 1, "encoder_embed_dim": 32, "encoder_ffn_embed_dim": 64, "encoder_attention_heads": 2},
            **{"max_update": 30, "max_tokens": 512, "tokens_per_sample": 32, "lr": 0.002, "warmup_updates": 5},
            **{"device": "cpu", "save_interval_updates": 10},
        },
    )
    # Sums in another order differ in their last digits, so the training has as many threads here and there.
    done = run("provenance", "--cores", str(cores), "--set-threads", "train_mlm=1")
    assert done.returncode == 0, done.stdout
    return run


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproducible")
    return finished(folder / "one", 1), finished(folder / "an other", 2)


def manifest(run):
    return json.loads((run.directory / "models" / "mlm" / "manifest.json").read_text())


@pytest.mark.slow
def test_the_data_are_the_same_to_the_byte(runs):
    one, other = map(manifest, runs)
    assert len(one["data"]) == 2 + 1 + 12, "codes and vocabulary, dict.txt, a .bin and an .idx a split and language"
    assert one["data"] == other["data"]
    assert one["sources"] == other["sources"]
    assert one["git_commit"] == other["git_commit"]


@pytest.mark.slow
def test_the_weights_are_the_same_to_the_bit(runs):
    one, other = (checkpoints.load(run.directory / "models" / "mlm" / "model.pt")["model"] for run in runs)
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)


@pytest.mark.slow
def test_the_manifest_tells_commands_hardware_and_when_the_training_ran(runs):
    found = manifest(runs[0])
    assert found["hardware"]["cores"] >= 1
    assert found["commands"]["logs/extract/en/00000-of-00003.log"].startswith("wikixlm extract --log ")
    assert {"logs/learn_bpe.log", "logs/binarize/bg.log", "logs/train_mlm.log"} <= set(found["commands"])
    training = found["training"]
    assert training["resumes"] == 0
    assert training["started"] <= training["ended"] <= found["made"].replace("+00:00", "Z")
    (session,) = training["sessions"]
    assert (session["from_update"], session["to_update"]) == (0, 30)
    assert "--max-update" in session["command"]
    assert session["hardware"]["cpu"]


@pytest.mark.slow
def test_verify_finds_nothing_in_a_run_and_every_change_in_another(runs, capsys):
    one, other = runs
    cli.main(["verify", "--directory", str(one.directory)])
    assert "40 files" in capsys.readouterr().out
    codes = other.directory / "monolingual_data" / "processed" / "codes"
    codes.write_text(codes.read_text() + "a b 1\n")
    (other.directory / "bg.xml.bz2").unlink()
    with pytest.raises(SystemExit) as ended:
        cli.main(["verify", "--directory", str(other.directory)])
    assert ended.value.code == 1
    shown = capsys.readouterr()
    assert [line.split(": ")[0] for line in shown.out.splitlines()] == [
        str(other.directory / "bg.xml.bz2"),
        str(codes),
    ]
    assert "error: 2 of 40 files are not as" in shown.err
