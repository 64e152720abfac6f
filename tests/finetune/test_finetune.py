"""Fine-tuning a tiny model: it learns, it transfers, it opens in transformers, it goes on after a kill."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, pipeline

from tests.support import tiny_model
from tests.support import xnli as factory
from tests.support.waiting import wait_for
from wikixlm import hf
from wikixlm.errors import UserError
from wikixlm.finetune import command as finetune


def test_the_model_learns_and_transfers_to_the_language_it_was_not_fine_tuned_on(finetuned):
    found = tiny_model.scores(finetuned)
    assert set(found) == {(lang, split) for lang in ("en", "bg") for split in ("valid", "test")}
    for each in found.values():
        assert each.examples == 30
        assert each.accuracy > 0.6, "chance is 1/3"


def test_the_folder_opens_in_transformers_and_classifies_as_the_table_says(finetuned):
    model = AutoModelForSequenceClassification.from_pretrained(finetuned)
    assert sorted(model.config.label2id) == sorted(factory.SIGNS)
    assert not list(finetuned.glob("*.bin"))
    for lang in ("en", "bg"):
        classify = pipeline("text-classification", model=model, tokenizer=hf.load(finetuned, lang=lang))
        rows = factory.pairs(lang, 30, 2)
        answers = classify([{"text": premise, "text_pair": hypothesis} for premise, hypothesis, _ in rows])
        right = sum(answer["label"] == label for answer, (*_, label) in zip(answers, rows, strict=True))
        assert right / len(rows) == pytest.approx(tiny_model.scores(finetuned)[lang, "test"].accuracy, abs=1e-6)


def test_what_the_model_is_made_of_is_recorded(finetuned, exported, data):
    record = json.loads((finetuned / finetune.RECORD).read_text())
    assert record["labels"] == sorted(factory.SIGNS)
    assert record["settings"]["seed"] == 0
    assert [(Path(each["file"]).name, each["rows"]) for each in record["rows"]] == [
        ("train.jsonl.zst", 300),
        ("valid.jsonl.zst", 60),
        ("test.jsonl.zst", 60),
    ]
    assert not list(finetuned.parent.glob("model.checkpoints/*")), "checkpoints go when the model is there"


def test_the_same_seed_gives_the_same_weights_and_another_one_others(finetuned, exported, data, tmp_path):
    tiny_model.run(tiny_model.words(exported, data, tmp_path / "again"))
    assert same(finetuned, tmp_path / "again")
    tiny_model.run(tiny_model.words(exported, data, tmp_path / "other", "--seed", "1"))
    assert not same(finetuned, tmp_path / "other")


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_in_the_same_weights(finetuned, exported, data, tmp_path, capfd):
    output = tmp_path / "model"
    command = [sys.executable, "-m", "wikixlm", "finetune", *tiny_model.words(exported, data, output)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        found = wait_for(
            lambda: [
                path  # once it is written to its end, the last file of a checkpoint
                for path in tmp_path.glob("model.checkpoints/*/checkpoint-30/trainer_state.json")
                if path.read_text().rstrip().endswith("}")
            ],
            240,
            "checkpoint 30",
            process,
            interval=0.01,
        )
        checkpoint = found[0]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not output.exists()
    capfd.readouterr()
    # As if the kill had come in the middle of the next one.
    broken = checkpoint.parents[1] / "checkpoint-999"
    broken.mkdir()
    (broken / "trainer_state.json").write_text('{"epoch":')
    tiny_model.run(tiny_model.words(exported, data, output))
    assert "resuming from" in capfd.readouterr().err
    assert not broken.exists()
    assert same(finetuned, output)
    assert (output / finetune.METRICS).read_text() == (finetuned / finetune.METRICS).read_text()


def test_checkpoints_of_other_settings_are_not_taken_up(exported, data, tmp_path, capfd):
    short = ["--epochs", "1", "--checkpoints", str(tmp_path / "checkpoints")]
    other = tmp_path / "checkpoints" / "0123abcd" / "checkpoint-30"
    other.mkdir(parents=True)
    (other / "trainer_state.json").write_text("{}")
    tiny_model.run([*tiny_model.words(exported, data, tmp_path / "model"), *short])
    assert "resuming" not in capfd.readouterr().err
    assert other.exists()


def same(one: Path, two: Path) -> bool:
    """Whether two models' weights are the same, bit for bit."""
    first, second = tiny_model.weights(one), tiny_model.weights(two)
    assert first.keys() == second.keys()
    return all(torch.equal(first[name], second[name]) for name in first)


def test_a_users_own_single_texts_in_one_language(exported, tmp_path, capfd):
    lines = ["Text\tKlasse\n", "\tfrage\n"]
    lines += [f"{hypothesis}\t{label}\n" for _, hypothesis, label in factory.pairs("bg", 60, 0)]
    (tmp_path / "a.tsv").write_text("".join(lines), encoding="utf-8")
    words = ["--model", exported, "--train", tmp_path / "a.tsv", "--test", tmp_path / "a.tsv", "--text", "Text"]
    words += ["--label", "Klasse", "--language", "bg", "--epochs", "1", "--batch-size", "8", "--device", "cpu"]
    tiny_model.run([*words, "--max-length", "8", "--threads", "1", "--output", tmp_path / "model"])
    assert set(tiny_model.scores(tmp_path / "model")) == {("bg", "test")}
    said = capfd.readouterr()
    assert "a.tsv: 1 of 61 rows are bad and were skipped: empty text: line 2" in said.err
    header, row, mean = said.out.splitlines()
    assert header.split() == ["split", "language", "examples", "accuracy", "F1", "majority", "class"]
    score = tiny_model.scores(tmp_path / "model")["bg", "test"]
    assert row.split() == ["test", "bg", "60", f"{score.accuracy:.3f}", f"{score.f1:.3f}", "0.333"]
    assert mean.split()[:3] == ["test", "mean", "60"]
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "model").config.num_labels == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--text", "a", "b", "c"], "--text a b c: one column, or two"),
        (["--epochs", "0"], "--epochs 0: 1 or more"),
        (["--seed", "4294967296"], "--seed 4294967296: at most"),
        (["--lr", "0"], "--lr 0.0: more than 0"),
        (["--max-length", "41"], "--max-length 41: accepted are 8 to 40"),
        (["--text", "nothing"], "has no example|is an example"),
        (["--language", "fr"], "none of its 300 rows is an example in a language of the model"),
        (["--model", "nowhere"], "nowhere is not an exported model"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_trained(exported, data, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        tiny_model.run([*tiny_model.words(exported, data, tmp_path / "model"), *options])
    assert not list(tmp_path.iterdir())


def test_a_folder_of_something_else_is_not_replaced(exported, data, tmp_path):
    (tmp_path / "thesis.txt").write_text("all my work")
    with pytest.raises(UserError, match="holds something else than a fine-tuned model"):
        tiny_model.run(tiny_model.words(exported, data, tmp_path))
    assert (tmp_path / "thesis.txt").exists()


def test_without_transformers_the_extra_is_named(exported, data, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"needs transformers.*pip install 'wikixlm\[hf\]'"):
        tiny_model.run(tiny_model.words(exported, data, tmp_path / "model"))
