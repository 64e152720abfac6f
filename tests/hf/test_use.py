"""fill, embed and retrieve on a trained model, as a user types them."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM

from tests.support.exports import LANGUAGES
from tests.support.reports import perplexities
from wikixlm import hf
from wikixlm.cli import STAGES, main
from wikixlm.errors import UserError
from wikixlm.hf.embed import embed_file
from wikixlm.hf.retrieve import accuracy, length_accuracy, nearest, percent, surface_accuracy
from wikixlm.hf.sentence_vectors import SentenceEmbedder


def wikixlm(*words):
    main([str(word) for word in words])


def failure(capsys, *words):
    with pytest.raises(SystemExit):
        wikixlm(*words)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


# --- fill ---


def test_fill_prints_the_best_symbols_for_each_mask(run, capsys):
    words = ["fill", "The [MASK] of the [MASK] is here.", "--lang", "en", "--device", "cpu", "--top", 4]
    wikixlm(*words, "--directory", run.export.parent)
    blocks = [block.splitlines() for block in capsys.readouterr().out.split("\n\n")]
    assert [len(block) for block in blocks] == [4, 4]
    tokenizer = hf.load(run.export, "en")
    inputs = tokenizer("The <mask> of the <mask> is here.", return_tensors="pt")
    with torch.inference_mode():
        logits = AutoModelForMaskedLM.from_pretrained(run.export)(**inputs).logits
    best = logits[inputs["input_ids"] == tokenizer.mask_token_id].softmax(-1).topk(4)
    for block, values, numbers in zip(blocks, best.values.tolist(), best.indices.tolist(), strict=True):
        shown = [line.split("  ") for line in block]
        assert [float(value) for value, _ in shown] == pytest.approx(values, abs=1e-4)
        names = [symbol.replace("</w>", "") if symbol.endswith("</w>") else f"{symbol}@@"
                 for symbol in tokenizer.convert_ids_to_tokens(numbers)]  # fmt: skip
        assert [symbol for _, symbol in shown] == names


def test_either_way_to_write_a_mask(run, capsys):
    printed = []
    for text in ("The [MASK] of the [MASK] is here.", "The <mask> of the [MASK] is here."):
        wikixlm("fill", text, "--lang", "en", "--device", "cpu", "--top", 4, "--export", run.export)
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    assert printed[0].count("\n\n") == 1


@pytest.mark.parametrize(
    ("text", "lang", "message"),
    [
        ("no mask", "en", r"there is no [MASK] (or <mask>) in the text"),
        ("[MASK]", "de", "not trained on de; accepted as lang: en, bg"),
        ("[MASK]" + " word" * 40, "en", "the model 32 positions: shorten it"),
    ],
)
def test_fill_says_what_is_wrong(run, capsys, text, lang, message):
    assert message in failure(capsys, "fill", text, "--lang", lang, "--export", run.export, "--device", "cpu")


def test_without_an_export_the_next_command_is_named(tmp_path, capsys):
    line = failure(capsys, "fill", "[MASK]", "--lang", "en", "--directory", tmp_path)
    assert f"no exported model at {tmp_path / 'export'}" in line and "snakemake export_hf" in line


# --- embed ---


@pytest.fixture(scope="module")
def embedder(run):
    return SentenceEmbedder(run.export, "en")


def slow_vector(run, text, lang="en"):
    """One sentence by itself, by the model's own words."""
    tokenizer = hf.load(run.export, lang)
    inputs = tokenizer(text, return_tensors="pt")
    with torch.inference_mode():
        states = AutoModelForMaskedLM.from_pretrained(run.export).bert(**inputs).last_hidden_state
    return states[0, 1:-1].mean(dim=0).numpy()


def test_rows_are_in_the_order_of_the_lines(run, tmp_path):
    """Long and short lines in turn, in batches sorted by length."""
    texts = ["a b c d e f g h", "It's.", "the city of Rome in Italy", "a", "Rome", "a b c d e f g h"]
    (tmp_path / "text").write_text("\n".join(texts))  # no line end behind the last
    wikixlm("embed", tmp_path / "text", "--lang", "en", "--export", run.export, "--max-tokens", 12, "--device", "cpu",
            "--output", tmp_path / "out.npy")  # fmt: skip
    rows = np.load(tmp_path / "out.npy", allow_pickle=False)
    assert rows.dtype == np.float32
    assert rows.shape == (6, 32)
    for row, text in zip(rows, texts, strict=True):
        np.testing.assert_allclose(row, slow_vector(run, text), atol=1e-5)


def test_the_language_reaches_the_model(run, embedder):
    (english,), _ = embedder.embed(["Rome"])
    (bulgarian,), _ = SentenceEmbedder(run.export, "bg").embed(["Rome"])
    np.testing.assert_allclose(bulgarian, slow_vector(run, "Rome", "bg"), atol=1e-5)
    assert np.abs(english - bulgarian).max() > 1e-3


def test_a_long_line_counts_whole(run, embedder):
    """In pieces of 30 symbols; the mean over all of them."""
    first, second = " ".join(["a"] * 30), " ".join(["b"] * 10)
    (whole, one, two), _ = embedder.embed([f"{first} {second}", first, second])
    np.testing.assert_allclose(whole, (one * 30 + two * 10) / 40, atol=1e-5)


def test_more_lines_than_are_sorted_at_a_time(run, embedder, tmp_path, monkeypatch):
    monkeypatch.setattr("wikixlm.hf.embed.LINES_PER_GROUP", 3)
    texts = [f"{'a ' * (number % 5)}b{number}" for number in range(10)]
    (tmp_path / "text").write_text("".join(f"{text}\n" for text in texts))
    assert embed_file(tmp_path / "text", embedder, tmp_path / "out.npy", allow_empty=False) == 10
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), embedder.embed(texts)[0], atol=1e-5)


def test_empty_lines_are_named_or_become_zeros(run, embedder, tmp_path, capsys):
    (tmp_path / "text").write_text("one\n\ntwo\n \u200b\n")
    with pytest.raises(UserError, match=r"text: 2 lines have no text that a model can read: 2, 4"):
        embed_file(tmp_path / "text", embedder, tmp_path / "out.npy", allow_empty=False)
    assert [entry.name for entry in tmp_path.iterdir()] == ["text"]
    assert embed_file(tmp_path / "text", embedder, tmp_path / "out.npy", allow_empty=True) == 4
    assert "warning: " in capsys.readouterr().err
    assert np.load(tmp_path / "out.npy").any(axis=1).tolist() == [True, False, True, False]
    (tmp_path / "text").write_text("")
    with pytest.raises(UserError, match="text is empty"):
        embed_file(tmp_path / "text", embedder, tmp_path / "out.npy", allow_empty=True)


# --- retrieve ---


def test_a_language_finds_itself_and_counts_must_agree(run, tmp_path, capsys):
    lines = run.raw["en"][:40]
    for name in ("a", "b"):
        (tmp_path / name).write_text("".join(f"{line}\n" for line in lines))
    words = ["retrieve", tmp_path / "a", tmp_path / "b", "--export", run.export, "--device", "cpu"]
    for option in ([], ["--csls"]):
        wikixlm(*words, "--langs", "en", "en", "--output", tmp_path / "table.tsv", *option)
        printed = capsys.readouterr().out.splitlines()
        assert printed[0].split() == ["accuracy", "chance", "sentence", "length", "only", "shared", "symbols", "only"]
        for line in printed[1:4]:
            assert line.split(" %")[0].endswith(" 100.0") and line.endswith(" 100.0 %"), "the vectors, the symbols"
        header, *rows = [line.split("\t") for line in (tmp_path / "table.tsv").read_text().splitlines()]
        assert header == ["source", "target", "sentences", "score", "accuracy", "chance", "length", "surface"]
        score = "csls" if option else "cosine"
        assert rows[0][:6] == ["en", "en", str(len(lines)), score, "1.000000", f"{1 / len(lines):.6f}"]
        assert rows[2][:2] == ["mean", "mean"]
    (tmp_path / "b").write_text("".join(f"{line}\n" for line in lines[1:]))
    line = failure(capsys, *words, "--langs", "en", "en")
    assert f"{tmp_path / 'a'} {len(lines)} and {tmp_path / 'b'} {len(lines) - 1}" in line
    assert "not trained on de" in failure(capsys, *words[:2], tmp_path / "a", *words[3:], "--langs", "en", "de")


def test_both_directions_by_a_plain_loop():
    rng = np.random.default_rng(0)
    source = rng.standard_normal((30, 8)).astype(np.float32)
    target = source + rng.standard_normal((30, 8)).astype(np.float32)
    cosine = np.array([[s @ t / np.linalg.norm(s) / np.linalg.norm(t) for t in target] for s in source])
    assert nearest(source, target) == cosine.argmax(axis=1).tolist()
    near = np.sort(cosine, axis=0)[-10:].mean(axis=0)
    csls = [[2 * cosine[i, j] - near[j] for j in range(30)] for i in range(30)]
    assert nearest(source, target, csls=True) == np.argmax(csls, axis=1).tolist()
    assert nearest(source, target, csls=True) != nearest(source, target)


def test_the_baselines_by_hand():
    """Symbols 1 to 5; the third line is the only one of its length, the first two share a length."""
    source, target = [[1, 2], [1, 3], [4, 1, 5, 5]], [[2, 2], [3, 1], [5, 1, 1, 1]]
    lines = ["a", "b", "c"]
    assert length_accuracy(source, target, lines) == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)
    assert surface_accuracy(source, target, lines) == 1
    # A line that shares nothing is a guess; 1 is more of the third sentence than of the second.
    assert surface_accuracy([[9], [1], [5]], target, lines) == pytest.approx((1 / 3 + 0 + 1) / 3)


@pytest.mark.parametrize(
    ("share", "printed"),
    [(1 / 1997, "0.05 %"), (0.003, "0.3 %"), (0.24, "24.0 %"), (1.0, "100.0 %"), (0.0, "0.0 %"), (0.0123, "1.2 %")],
)
def test_small_shares_are_not_rounded_away(share, printed):
    assert percent(share) == printed


def test_a_line_that_is_there_twice_counts_with_either():
    assert accuracy([1, 0, 1], ["a", "a", "b"]) == pytest.approx(2 / 3)


def test_the_summary_names_the_export(tmp_path, capsys):
    for path in ("models/mlm/model.pt", "export/config.json"):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).touch()
    perplexities(tmp_path, {"en": (40.0, 600.0)})
    wikixlm("summary", "--directory", tmp_path)
    assert f"export       {tmp_path / 'export'}\n" in capsys.readouterr().out


# --- the extra ---

TRAINING = ["tokenize", "learn-bpe", "binarize", "train", "evaluate", "provenance", "summary"]


def test_the_path_of_the_training_imports_nothing_of_the_extra():
    """The fixture trains where the extra can't be imported at all; this looks at every stage's module."""
    modules = [STAGES[name][0] for name in TRAINING]
    program = (
        f"import importlib, sys\nfor name in {modules}: importlib.import_module(name)\n"
        "from wikixlm.train.fairseq import compat, user_dir\n"
        "print(sorted({'transformers', 'accelerate', 'sklearn', 'safetensors'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_missing_extra_is_one_line_that_says_what_to_install(run, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(run.folder / "without_extra")}
    words = [sys.executable, "-m", "wikixlm", "fill", "[MASK]", "--lang", "en", "--export", str(run.export)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: this needs transformers") and line.endswith("pip install 'wikixlm[hf]'")


def test_languages_of_the_run_are_all_there(run):
    assert [hf.load(run.export, code).language_id for code in LANGUAGES] == list(range(len(LANGUAGES)))
