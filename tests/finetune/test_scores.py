"""The tables: accuracy and F1 per language, and XNLI's over seeds with the zero-shot gap."""

import numpy as np
import pandas as pd
import pytest

from tests.support.stages import run_stage
from wikixlm.errors import UserError
from wikixlm.finetune import scores
from wikixlm.finetune.scores import Score


def test_accuracy_and_f1_by_hand():
    # Label 0: precision 1/2, recall 1; label 1: nothing found; label 2: precision 1, recall 1.
    found = scores.score("de", "test", np.array([0, 1, 2, 2]), np.array([0, 0, 2, 2]))
    assert (found.language, found.split, found.examples) == ("de", "test", 4)
    assert found.accuracy == pytest.approx(3 / 4)
    assert found.f1 == pytest.approx((2 / 3 + 0 + 1) / 3)


def test_a_table_comes_back_as_it_was_written(tmp_path):
    rows = [Score("en", "valid", 4, 0.75, 0.5), Score("de", "valid", 4, 0.25, 0.125), Score("en", "test", 8, 0.5, 0.5)]
    scores.write_table(tmp_path / "metrics.tsv", rows)
    assert scores.read_table(tmp_path / "metrics.tsv") == rows
    table = pd.read_csv(tmp_path / "metrics.tsv", sep="\t")
    assert list(table.columns) == ["language", "split", "examples", "accuracy", "f1"]
    assert table[table.language == "mean"].accuracy.tolist() == [0.5, 0.5]


def write(folder, accuracies: dict[str, dict[str, float]]) -> list[str]:
    """metrics.tsv for each seed; the words behind `wikixlm score-xnli`."""
    paths = []
    for seed, by_language in accuracies.items():
        paths.append(str(folder / f"seed-{seed}.tsv"))
        rows = [
            Score(lang, split, 100, accuracy, 0.5)
            for split in ("valid", "test")
            for lang, accuracy in by_language.items()
        ]
        scores.write_table(folder / f"seed-{seed}.tsv", rows)
    return ["--seeds", *accuracies, "--metrics", *paths, "--output", str(folder / "xnli.tsv")]


def run(words: list[str]) -> None:
    run_stage("score-xnli", *words)


def test_means_spread_and_the_gap_to_english(tmp_path, capfd):
    run(write(tmp_path, {"3": {"en": 0.8, "de": 0.7, "sw": 0.4}, "5": {"en": 0.7, "de": 0.7, "sw": 0.5}}))
    table = pd.read_csv(tmp_path / "xnli.tsv", sep="\t").set_index(["split", "language", "seed"])
    assert list(table.columns) == ["examples", "accuracy", "gap"]
    assert len(table) == 2 * 4 * 4

    def figures(language, seed):
        return table.loc[("test", language, seed), ["accuracy", "gap"]].tolist()

    assert figures("de", "3") == pytest.approx([0.7, 0.1])
    assert figures("mean", "3") == pytest.approx([1.9 / 3, 0.25], abs=1e-6)
    assert figures("en", "mean") == pytest.approx([0.75, 0])
    assert figures("sw", "mean") == pytest.approx([0.45, 0.3])
    assert figures("en", "std") == pytest.approx([0.005**0.5, 0], abs=1e-6)
    assert figures("sw", "std") == pytest.approx([0.005**0.5, 0.02**0.5], abs=1e-6)
    assert "XNLI test: mean accuracy 0.633, zero-shot gap to English 0.175" in capfd.readouterr().err


def test_one_seed_has_no_spread_and_english_alone_no_gap(tmp_path):
    run(write(tmp_path, {"0": {"en": 0.8}}))
    table = pd.read_csv(tmp_path / "xnli.tsv", sep="\t")
    assert set(table.seed) == {"0", "mean"}
    assert set(table.gap) == {0.0}


def test_seeds_of_other_languages_do_not_make_one_table(tmp_path):
    for other in ({"en": 0.8}, {"en": 0.8, "sw": 0.7}):
        words = write(tmp_path, {"0": {"en": 0.8, "de": 0.7}, "1": other})
        with pytest.raises(UserError, match="the seeds were scored on other languages"):
            run(words)
    with pytest.raises(UserError, match="no score in en"):
        run(write(tmp_path, {"0": {"de": 0.8}}))


def test_a_file_that_is_no_table_is_one_line(tmp_path):
    (tmp_path / "metrics.tsv").write_text("a\tb\n1\t2\n")
    with pytest.raises(UserError, match=r"metrics.tsv is not a table of `wikixlm finetune`"):
        scores.read_table(tmp_path / "metrics.tsv")
