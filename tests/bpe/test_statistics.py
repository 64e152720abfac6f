"""The table of how languages split, from the counts of real segmentations."""

import csv

import pytest

from wikixlm.bpe.codes import Merge, write_codes
from wikixlm.cli import main
from wikixlm.documents import Document, write_document
from wikixlm.files import atomic_text

TEXT = {"en": ["low lower", "lower low low"], "bg": ["нисък low"]}


def run(*words):
    main([str(word) for word in words])


@pytest.fixture
def counted(tmp_path):
    """A folder with the counts of two languages, segmented with codes that know Latin letters only."""
    write_codes(tmp_path / "codes", [Merge("l", "o"), Merge("lo", "w</w>"), Merge("lo", "w"), Merge("e", "r</w>")])
    (tmp_path / "held_out").write_text('{"documents": [], "lines": []}')
    for lang, lines in TEXT.items():
        for number, line in enumerate(lines):  # a shard for each line
            with atomic_text(tmp_path / "shard.jsonl.zst") as stream:
                write_document(stream, Document("1", [line]))
            source = ["--tokenized", tmp_path / "shard.jsonl.zst", "--held-out", tmp_path / "held_out"]
            segment(tmp_path, f"{number}.{lang}", *source)
        shards = [tmp_path / f"{number}.{lang}" for number in range(len(lines))]
        run("concatenate", "--inputs", *shards, "--input-counts", *(f"{shard}.json" for shard in shards),
            "--output", tmp_path / f"train.{lang}", "--counts", tmp_path / f"train.{lang}.json")  # fmt: skip
        for split in ("valid", "test"):
            (tmp_path / "lines").write_text("low\n\n" if split == "valid" else "")
            segment(tmp_path, f"{split}.{lang}", "--lines", tmp_path / "lines")
    return tmp_path


def segment(folder, name, *source):
    run("apply-bpe", "--codes", folder / "codes", *source, "--output", folder / name,
        "--counts", folder / f"{name}.json")  # fmt: skip


def table(folder, **files):
    splits = {split: [folder / f"{split}.{lang}.json" for lang in TEXT] for split in ("train", "valid", "test")} | files
    options = [word for split, paths in splits.items() for word in (f"--{split}", *paths)]
    run("segmentation", "--languages", *TEXT, *options, "--output", folder / "evaluation" / "segmentation.tsv")
    with open(folder / "evaluation" / "segmentation.tsv", encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream, delimiter="\t"))


def test_each_language_and_split_has_a_row_and_shards_are_summed(counted):
    header, *rows = table(counted)
    assert header == [
        *("language", "split", "lines", "words", "tokens", "tokens_per_word", "whole_words", "unknown_characters"),
        "tokens_per_character",
    ]
    assert rows == [
        ["en", "train", "2", "5", "7", "1.4", "0.6", "0.0", "0.3684"],  # low low@@ er; low@@ er low low
        ["en", "valid", "2", "1", "1", "1.0", "1.0", "0.0", "0.3333"],
        ["en", "test", "0", "0", "0", "0.0", "0.0", "0.0", "0.0"],
        ["bg", "train", "1", "2", "6", "3.0", "0.5", "0.625", "0.75"],  # five of eight characters are not in the codes
        ["bg", "valid", "2", "1", "1", "1.0", "1.0", "0.0", "0.3333"],
        ["bg", "test", "0", "0", "0", "0.0", "0.0", "0.0", "0.0"],
    ]


def test_files_that_do_not_fit_are_one_clear_line_and_no_table(counted, capfd):
    (counted / "train.bg.json").write_text('{"lines_in": 1}')
    for mistake, message in (({}, "train.bg.json has no number lines_out"), ({"valid": ["x"]}, "--valid has 1 files")):
        with pytest.raises(SystemExit):
            table(counted, **mistake)
        errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1 and message in errors[0]
    assert not (counted / "evaluation" / "segmentation.tsv").exists()
