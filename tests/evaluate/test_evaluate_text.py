"""Raw text, the binarized data and the exported model: the same figures, whichever way text and model come in."""

import bz2
import csv
import io
import math
import shutil
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.support import fairseq_data as factory
from tests.support.blocks_data import load_recipe
from tests.support.stages import run_stage
from wikixlm.bpe.codes import SPECIALS, read_codes
from wikixlm.bpe.encoder import BPEEncoder
from wikixlm.bpe.vocabulary import write_symbols
from wikixlm.documents import Document
from wikixlm.errors import UserError
from wikixlm.evaluate import texts
from wikixlm.tokenize import tokenize
from wikixlm.tokenize.line_tokenizer import LineTokenizer

LANGUAGES = ["en", "fr"]
SEED = 5
CODES = "t h 9\nth e</w> 8\na n 7\nan d</w> 6\no f</w> 5\ni n 4\nl e</w> 3\nd e</w> 3\ne s</w> 2\n"
RAW = {
    "en": "The capital of “Nowhere” is small, and it's 1,234 years old.\r\n\n  \nAnd the band in the inn…\n\u200b\n"
    "Then they sang of an end:\ta thin and handsome one, the last of the land & of the <mask> men.\n" * 4,
    "fr": "Le café de l'île n'est pas « là », dit Zoé.\nDes idées, des îles, et les années de le père Noël.\n" * 5,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run's folder: raw text, codes, binarized data made by the stages' own functions and fairseq's, a model."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "codes").write_text(CODES)
    (folder / "raw.en").write_bytes(RAW["en"].encode())
    (folder / "raw.fr").write_bytes(bz2.compress(RAW["fr"].encode()))
    segmented = {language: pipeline(language, RAW[language]) for language in LANGUAGES}
    symbols = Counter(" ".join(line for lines in segmented.values() for line in lines).split())
    del symbols["z@@"]  # so that there is something unknown
    data = folder / "data"
    data.mkdir()
    write_symbols(data / "dict.txt", symbols)
    for language, lines in segmented.items():
        for split in ("train", "valid", "test"):
            binarize(data, f"{split}.{language}", lines)
    changes = {"recipe": "wikixlm", "max_update": 30, "save_interval_updates": 100, "lr": 0.01}
    run_stage(*factory.train_arguments(data, folder, LANGUAGES, **changes))
    return folder


def pipeline(language, raw):
    """Segmented lines, by the tokenize stage's function and the encoder."""
    paragraphs = [line.strip() for line in raw.split("\n") if line.strip()]
    document = Document("1", paragraphs)
    tokenized = tokenize.tokenize_document(document, LineTokenizer(language, True), tokenize.TokenizeCounts(language))
    encoder = BPEEncoder(read_codes_of(CODES))
    return [encoder.encode(line) for line in tokenized.lines]


def read_codes_of(content):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "codes").write_text(content)
        return read_codes(Path(folder, "codes"))


def binarize(data, name, lines):
    """What fairseq-preprocess does with each line."""
    from wikixlm.train.fairseq import compat

    compat.apply()
    from fairseq.data.legacy.masked_lm_dictionary import MaskedLMDictionary

    dictionary = MaskedLMDictionary.load(str(data / "dict.txt"))
    ids = [dictionary.encode_line(line, add_if_not_exist=False, append_eos=True) for line in lines]
    factory.write_ids(data / name, ids, symbols=len(dictionary))


def scored(*words):
    """The table that `wikixlm evaluate` prints, by language and split."""
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", output)
        options = ["--seed", str(SEED), "--threads", "1", "--device", "cpu"]
        run_stage("evaluate", *words, *options)
    rows = csv.DictReader(io.StringIO(output.getvalue()), delimiter="\t")
    return {(row.pop("language"), row.pop("split")): {key: float(value) for key, value in row.items()} for row in rows}


@pytest.fixture(scope="module")
def reference(run):
    """The figures of the binarized data."""
    return scored("--checkpoint", run / "model.pt", "--data", run / "data", "--pseudo", 3, "--splits", "test")


def raw(run):
    return [f"{language}={run / f'raw.{language}'}" for language in LANGUAGES]


def assert_same(found, reference, unigram=True):
    for language in [*LANGUAGES, "mean"]:
        for name, value in reference[language, "test"].items():
            if name != "unigram" or unigram:
                assert found[language, "text"][name] == pytest.approx(value, abs=1e-4), (language, name)


def test_raw_text_gives_the_figures_of_the_binarized_data(run, reference):
    assert reference["en", "test"]["tokens"] > 20
    model = ["--checkpoint", run / "model.pt", "--codes", run / "codes", "--lowercase-and-remove-accent"]
    model += ["--pseudo", 3, "--text", *raw(run)]
    assert_same(scored(*model, "--data", run / "data"), reference)
    without = scored(*model)
    assert_same(without, reference, unigram=False)
    assert math.isnan(without["en", "text"]["unigram"])
    cased = scored(*model, "--no-lowercase-and-remove-accent")
    assert cased["fr", "text"]["loss"] != pytest.approx(reference["fr", "test"]["loss"], abs=1e-3)


def test_any_checkpoint_can_be_scored(run, reference):
    last = run / "checkpoints" / "checkpoint_last.pt"
    again = scored("--model", last, "--data", run / "data", "--splits", "test", "--languages", "fr")
    assert again["fr", "test"]["loss"] == pytest.approx(reference["fr", "test"]["loss"], abs=1e-6)


def test_the_exported_model_gives_the_same_figures(run, reference, tmp_path):
    folder = tmp_path / "export"
    words = ["export", "--model", run / "model.pt", "--codes", run / "codes", "--vocabulary", run / "data" / "dict.txt"]
    words = [*map(str, words), "--lowercase-and-remove-accent"]
    run_stage(*words, "--output", folder)
    splits = scored("--export", folder, "--data", run / "data", "--splits", "test", "--pseudo", 3)
    assert_same({(language, "text"): row for (language, _), row in splits.items()}, reference)
    assert_same(scored("--export", folder, "--text", *raw(run), "--pseudo", 3), reference, unigram=False)
    run_stage(*words, "--data", run / "data", "--output", folder)
    assert_same(
        scored("--export", folder, "--text", *raw(run)), {key: drop_pseudo(row) for key, row in reference.items()}
    )


def test_examples_of_another_length(run, reference):
    words = ["--checkpoint", run / "model.pt", "--data", run / "data", "--splits", "test", "--tokens-per-sample"]
    assert scored(*words, 16) == {key: drop_pseudo(row) for key, row in reference.items()}
    assert scored(*words, 8)["en", "test"]["loss"] != reference["en", "test"]["loss"]
    for length in (1, 17):
        with pytest.raises(UserError, match="accepts 2 to 16 tokens"):
            scored(*words, length)


def drop_pseudo(row):
    return {name: value for name, value in row.items() if not name.startswith("pseudo")}


def test_bits_per_character_by_hand(run, reference):
    for language in LANGUAGES:
        lines = pipeline(language, RAW[language])
        tokens = sum(len(line.split()) + 1 for line in lines)
        characters = sum(len(line.replace("@@ ", "")) + 1 for line in lines)  # each ends in its line end
        unknown = sum(line.split().count("z@@") for line in lines)  # counts as one character and a space
        row = reference[language, "test"]
        expected = row["loss"] / math.log(2) * tokens / (characters + unknown)
        assert row["bits_per_character"] == pytest.approx(expected, rel=1e-5)


WORDS = st.lists(st.text("thanofidelsxé", min_size=1, max_size=9), min_size=1, max_size=12)


@given(WORDS)
def test_the_symbols_characters_add_up_to_the_line(words):
    line = " ".join(words)
    symbols = BPEEncoder(read_codes_of(CODES)).encode(line).split(" ")
    assert int(texts.symbol_lengths([*SPECIALS, *symbols])[len(SPECIALS) :].sum()) == len(line) + 1


def slow_pseudo(run, language, count):
    """Salazar et al.'s sum, a token at a time, by fairseq's model and its plain forward."""
    load_recipe()
    from fairseq import checkpoint_utils

    (network,), _, task = checkpoint_utils.load_model_ensemble_and_task([str(run / "model.pt")])
    network.eval()
    mask, eos = task.dictionary.mask(), task.dictionary.eos()
    total, tokens = 0.0, 0
    for line in pipeline(language, RAW[language])[:count]:
        ids = task.dictionary.encode_line(line, add_if_not_exist=False, append_eos=True).long()
        for piece in ids.split(15):
            for place in range(len(piece)):
                source = torch.cat([torch.tensor([eos]), piece])
                source[1 + place] = mask
                labels = torch.full((1, len(source)), LANGUAGES.index(language))
                with torch.no_grad():
                    logits = network(source[None], labels)[0][0, 1 + place]
                total -= float(torch.log_softmax(logits, -1)[piece[place]])
                tokens += 1
    return math.exp(total / tokens)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pseudo_perplexity_is_that_of_a_plain_loop(run, reference, language):
    row = reference[language, "test"]
    assert row["pseudo_lines"] == 3
    assert row["pseudo_perplexity"] == pytest.approx(slow_pseudo(run, language, 3), rel=1e-4)
    assert row["pseudo_bits_per_character"] > 0


def test_batches_of_any_size_give_the_same_pseudo_perplexity(run, reference):
    words = ["--checkpoint", run / "model.pt", "--data", run / "data", "--splits", "test", "--pseudo", 3]
    small = scored(*words, "--max-tokens", 1)
    for name in ("pseudo_perplexity", "pseudo_bits_per_character"):
        assert small["en", "test"][name] == pytest.approx(reference["en", "test"][name], rel=1e-5)


def test_progress_is_said(run, monkeypatch, capsys):
    monkeypatch.setattr("wikixlm.evaluate.pseudo_likelihood.SECONDS_BETWEEN_REPORTS", 0)
    scored("--checkpoint", run / "model.pt", "--data", run / "data", "--splits", "test", "--pseudo", 2)
    assert "pseudo-log-likelihood of 2 lines in fr: " in capsys.readouterr().err


@pytest.mark.parametrize("text", ["the", "the and the"])
def test_a_split_of_one_line_is_scored(run, tmp_path, text):
    """Even of one word: of its two tokens one is masked."""
    data = tmp_path / "data"
    shutil.copytree(run / "data", data)
    binarize(data, "valid.en", [text])
    row = scored("--checkpoint", run / "model.pt", "--data", data, "--splits", "valid", "--languages", "en")
    assert row["en", "valid"]["tokens"] == 1
    assert all(math.isfinite(value) for value in row["en", "valid"].values())


def test_lines_are_cut_where_they_end(tmp_path):
    factory.write_dictionary(tmp_path, symbols=3)
    factory.binarize(tmp_path / "test.en", [[0, 1], [2], [1, 1, 1]])
    for count, expected in ((1, 1), (2, 2), (9, 3)):
        lines = texts.first_lines(tmp_path / "test.en", count)
        assert [line.tolist() for line in lines] == [[5, 6, 2], [7, 2], [6, 6, 6, 2]][:expected]


def test_what_goes_wrong_is_said(run, tmp_path):
    model = ["--checkpoint", run / "model.pt"]
    with pytest.raises(UserError, match="nothing to evaluate"):
        scored(*model)
    with pytest.raises(UserError, match="--text needs --codes"):
        scored(*model, "--text", *raw(run))
    with pytest.raises(UserError, match="was trained on en, fr, not on de"):
        scored(*model, "--codes", run / "codes", "--text", f"de={run / 'raw.en'}")
    (tmp_path / "blank").write_text("\n \n\u200b\n")
    with pytest.raises(UserError, match="no text in 3 lines"):
        scored(*model, "--codes", run / "codes", "--text", f"en={tmp_path / 'blank'}")
    with pytest.raises(UserError, match="is not an exported model"):
        scored("--export", tmp_path, "--data", run / "data")
    with pytest.raises(SystemExit):
        scored(*model, "--text", "file.txt")


def test_numbers_are_those_of_the_dictionary(run, tmp_path):
    dictionary = [*SPECIALS, "the", "an@@", "d"]
    (tmp_path / "text").write_text("the and\n")
    texts.binarize_raw(
        tmp_path / "text",
        tmp_path / "ids",
        LineTokenizer("en", True),
        BPEEncoder(read_codes(run / "codes")),
        dictionary,
    )
    (line,) = texts.first_lines(tmp_path / "ids", 5)
    assert line.tolist() == [5, SPECIALS.index("<unk>"), SPECIALS.index("</s>")], "`and` is one symbol of the codes"
    assert np.fromfile(tmp_path / "ids.bin", dtype="<i4").tolist() == line.tolist()
