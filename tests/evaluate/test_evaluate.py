"""The table of perplexities, against slower ways to the same figures."""

import csv
import math
import shutil
import statistics

import numpy as np
import pytest
import torch

from tests.support import fairseq_data as factory
from tests.support.stages import run_stage
from wikixlm.errors import UserError
from wikixlm.evaluate import scoring
from wikixlm.model import unigram
from wikixlm.model.masking import Masking, mask_tokens
from wikixlm.train import checkpoints

LANGUAGES = ["en", "bg"]
SEED = 3


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return factory.make_data(tmp_path_factory.mktemp("data"), LANGUAGES)


@pytest.fixture(scope="module")
def model(data, tmp_path_factory):
    """The path of a model that was trained a little."""
    folder = tmp_path_factory.mktemp("model")
    words = factory.train_arguments(data, folder, LANGUAGES, max_update=20, save_interval_updates=100, lr=0.01)
    run_stage(*words)
    return folder / "model.pt"


def table(path):
    with open(path, encoding="utf-8", newline="") as stream:
        return {(row["language"], row["split"]): row for row in csv.DictReader(stream, delimiter="\t")}


def evaluated(model, data, folder, *options, languages=LANGUAGES):
    words = ["evaluate", "--checkpoint", str(model), "--data", str(data), "--languages", *languages, "--device", "cpu"]
    output = folder / "table.tsv"
    run_stage(*words, "--seed", str(SEED), "--threads", "1", "--output", str(output), *options)
    return output


@pytest.fixture(scope="module")
def rows(model, data, tmp_path_factory):
    return table(evaluated(model, data, tmp_path_factory.mktemp("table")))


def slow_figures(model, data, language, split):
    """Tokens, loss, accuracy: fairseq's stock task, model and criterion, one example at a time, all positions."""
    from fairseq import checkpoint_utils
    from fairseq.criterions.legacy_masked_lm import LegacyMaskedLmLoss

    networks, _, task = checkpoint_utils.load_model_ensemble_and_task([str(model)], {"data": str(data)})
    network = networks[0].eval()
    criterion = LegacyMaskedLmLoss(task, masked_lm_only=True, nsp_loss_weight=1.0)
    task.load_dataset(split)
    blocks = task.datasets[split].datasets[language].dataset
    pad, eos = task.dictionary.pad(), task.dictionary.eos()
    masking = Masking(task.dictionary.mask(), task.dictionary.nspecial, len(task.dictionary))
    tokens, loss, correct = 0, 0.0, 0
    for number in range(len(blocks)):
        block = blocks[number].numpy()
        source, chosen = mask_tokens(block[None], np.array([len(block)]), np.array([number]), SEED, 0, masking)
        source = torch.tensor([[eos, *source[0]]])
        target = torch.tensor([[pad, *np.where(chosen[0], block, pad)]])
        labels = torch.full_like(source, LANGUAGES.index(language))
        sample = {"net_input": {"src_tokens": source, "segment_labels": labels}, "lm_target": target, "nsentences": 1}
        with torch.no_grad():
            _, _, log = criterion(network, sample)
            guesses = network(source, labels)[0].argmax(-1)
        tokens += log["ntokens"]
        loss += log["lm_loss"]
        correct += int((guesses == target)[target != pad].sum())
    return tokens, loss / tokens, correct / tokens


@pytest.mark.parametrize("split", ["valid", "test"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_figures_are_those_of_a_plain_loop_over_all_examples(rows, model, data, language, split):
    row = rows[language, split]
    tokens, loss, accuracy = slow_figures(model, data, language, split)
    assert int(row["tokens"]) == tokens > 10
    assert float(row["loss"]) == pytest.approx(loss, abs=1e-5)
    assert float(row["perplexity"]) == pytest.approx(math.exp(loss), rel=1e-4)
    assert float(row["accuracy"]) == pytest.approx(accuracy, abs=1e-6)


def test_the_table_has_the_contracts_columns_and_rows(rows):
    contract = ["language", "split", "tokens", "loss", "perplexity", "accuracy", "unigram"]
    assert list(rows["en", "valid"]) == [*contract, "bits_per_character", "loss_error"]
    assert list(rows) == [(language, split) for split in ("valid", "test") for language in [*LANGUAGES, "mean"]]


def test_the_mean_is_that_of_each_column(rows):
    for column in ("loss", "perplexity", "accuracy", "unigram", "bits_per_character"):
        values = [float(rows[language, "test"][column]) for language in LANGUAGES]
        assert float(rows["mean", "test"][column]) == pytest.approx(sum(values) / 2, abs=1e-4)


def test_the_standard_error_is_that_of_the_mean():
    values = [1.0, 2.0, 4.0, 9.0]
    error = scoring.standard_error(4, sum(values), sum(value**2 for value in values))
    assert error == pytest.approx(statistics.stdev(values) / 2)
    assert scoring.standard_error(1, 3.0, 9.0) == 0.0


@pytest.mark.parametrize("max_tokens", ["1", "48", "100000"])
def test_batches_of_any_size_give_the_same_figures(rows, model, data, tmp_path, max_tokens):
    again = table(evaluated(model, data, tmp_path, "--max-tokens", max_tokens))
    for key, row in rows.items():
        for column in scoring.COLUMNS:
            assert float(again[key][column]) == pytest.approx(float(row[column]), rel=1e-5), (key, column)


def test_the_masks_depend_on_the_seed_alone(rows, model, data, tmp_path):
    same = table(evaluated(model, data, tmp_path, languages=["bg"]))
    assert same["bg", "test"] == rows["bg", "test"], "whatever other languages are evaluated"
    other = table(evaluated(model, data, tmp_path, "--seed", "4"))
    assert other["bg", "test"]["loss"] != rows["bg", "test"]["loss"]


def test_lazy_data_gives_the_same_figures(rows, model, tmp_path):
    lazy = factory.make_data(tmp_path / "lazy", LANGUAGES, dataset_impl="lazy")
    assert table(evaluated(model, lazy, tmp_path)) == rows


def test_unigrams_of_a_corpus_that_can_be_counted_by_hand(tmp_path):
    factory.write_dictionary(tmp_path, symbols=3)
    factory.binarize(tmp_path / "train.en", [[0, 0, 1], [0]])
    # ids: five special symbols (line end is 2), then w0, w1, w2. Tokens: 3 w0, 1 w1, 2 line ends; 6 in all.
    logs = unigram.log_probabilities(unigram.symbol_counts([tmp_path / "train.en"], 8))
    expected = np.array([1, 1, 3, 1, 1, 4, 2, 1]) / (6 + 8)
    assert np.exp(logs) == pytest.approx(expected)
    assert np.exp(logs).sum() == pytest.approx(1)


def test_the_unigram_column_is_the_perplexity_of_the_masked_tokens(rows, data):
    logs = unigram.log_probabilities(unigram.symbol_counts([data / "train.en"], factory.SYMBOLS + 5))
    from wikixlm.model.blocks import Blocks

    blocks, total, count = Blocks(data / "test.en", 15), 0.0, 0
    for number in range(len(blocks)):
        tokens, lengths = blocks.read(np.array([number]), pad=1)
        masking = Masking(4, 5, factory.SYMBOLS + 5)
        _, chosen = mask_tokens(tokens, lengths, np.array([number]), SEED, 0, masking)
        total += logs[tokens[chosen]].sum()
        count += int(chosen.sum())
    assert float(rows["en", "test"]["unigram"]) == pytest.approx(math.exp(-total / count), rel=1e-5)


def test_a_language_the_model_does_not_know_is_an_error(model, data, tmp_path):
    with pytest.raises(UserError, match=r"model\.pt was trained on en, bg, not on fr"):
        evaluated(model, data, tmp_path, languages=["en", "fr"])


def test_another_dictionary_is_an_error(model, data, tmp_path):
    shutil.copytree(data, tmp_path / "data")
    factory.write_dictionary(tmp_path / "data", symbols=100)
    with pytest.raises(UserError, match=r"does not fit .*dict\.txt"):
        evaluated(model, tmp_path / "data", tmp_path)
    symbols = (data / "dict.txt").read_text().splitlines()
    (tmp_path / "data" / "dict.txt").write_text("\n".join([*symbols[1:], symbols[0], ""]))
    with pytest.raises(UserError, match=r"trained with another dictionary than .*dict\.txt"):
        evaluated(model, tmp_path / "data", tmp_path)


def test_missing_files_are_errors_that_name_them(model, data, tmp_path):
    with pytest.raises(UserError, match=r"nothing\.pt does not exist"):
        evaluated(tmp_path / "nothing.pt", data, tmp_path)
    with pytest.raises(UserError, match=r"dict\.txt is missing"):
        evaluated(model, tmp_path, tmp_path)
    assert not (tmp_path / "table.tsv").exists()


def test_a_damaged_model_is_an_error(model, data, tmp_path):
    (tmp_path / "model.pt").write_bytes(model.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"model\.pt is damaged"):
        evaluated(tmp_path / "model.pt", data, tmp_path)
    torch.save({"weights": 1}, tmp_path / "model.pt")
    with pytest.raises(UserError, match="is not a checkpoint of fairseq-train"):
        checkpoints.load(tmp_path / "model.pt")
