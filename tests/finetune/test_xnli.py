"""XNLI's files to examples: none lost, none invented, the bad ones named."""

import json
from pathlib import Path

import pytest

from tests.support import xnli as factory
from tests.support.stages import run_stage
from wikixlm.errors import UserError
from wikixlm.files import open_text


def prepare(source: Path, output: Path, languages: str = "en bg") -> dict:
    words = ["--source", source, "--languages", *languages.split(), "--output-dir", output]
    run_stage("prepare-xnli", *words, "--counts", output / "counts.json")
    return json.loads((output / "counts.json").read_text())


def examples(path: Path) -> list[dict]:
    with open_text(path) as stream:
        return [json.loads(line) for line in stream]


def test_every_row_is_an_example_or_accounted_for(tmp_path):
    source = factory.write(tmp_path / "xnli", train=30, held_out=6)
    counts = prepare(source, tmp_path / "out")
    train, valid, test = (examples(tmp_path / "out" / f"{split}.jsonl.zst") for split in ("train", "valid", "test"))
    assert [(each["language"], each["label"]) for each in train] == [
        ("en", label) for *_, label in factory.pairs("en", 30, 0)
    ]
    for found, seed in ((valid, 1), (test, 2)):
        expected = [(lang, *pair) for lang in ("en", "bg") for pair in factory.pairs(lang, 6, seed)]
        assert [(each["language"], each["premise"], each["hypothesis"], each["label"]) for each in found] == expected
    assert counts["test"]["rows"] == 18
    assert counts["test"]["kept"] == {"en": 6, "bg": 6}
    assert counts["test"]["left_out"] == {"sw": 6}


def test_archives_give_what_the_unpacked_files_give(tmp_path):
    source = factory.write(tmp_path / "xnli", train=30, held_out=6)
    prepare(source, tmp_path / "unpacked")
    prepare(factory.pack(source, tmp_path / "packed"), tmp_path / "out")
    for split in ("train", "valid", "test"):
        name = f"{split}.jsonl.zst"
        assert examples(tmp_path / "unpacked" / name) == examples(tmp_path / "out" / name)


def test_skipped_languages_are_reported(tmp_path, capfd):
    source = factory.write(tmp_path / "xnli", train=30, held_out=6)
    prepare(source, tmp_path / "out", languages="en bg ka")
    said = capfd.readouterr().err
    assert "xnli.test.tsv: skipped, because the model was not trained on them: sw (6 rows)" in said
    assert "XNLI has no examples in ka: not scored" in said


def test_bad_rows_are_named_by_their_lines(tmp_path, capfd):
    source = factory.write(tmp_path / "xnli", train=30, held_out=6)
    path = source / "XNLI-1.0" / "xnli.dev.tsv"
    lines = path.read_text().splitlines(keepends=True)
    bad = [
        factory.row("en", "A house.", "A river.", "-"),
        factory.row("en", "", "A river.", "neutral"),
        factory.row("xx", "A house.", "A river.", "neutral"),
        factory.row("en", "A house.", "A river.", "maybe"),
        "en\tneutral\tA house.\n",
        factory.row("en", "A house.", " ", "neutral"),
    ]
    path.write_text("".join([lines[0], *bad, *lines[1:]]))
    counts = prepare(source, tmp_path / "out")["valid"]
    assert counts["bad"] == {
        "no label": [2],
        "empty text": [3, 7],
        "unknown language 'xx'": [4],
        "unknown label 'maybe'": [5],
        "not the header's 19 columns": [6],
    }
    assert counts["rows"] == sum(counts["kept"].values()) + 6 + sum(counts["left_out"].values())
    said = capfd.readouterr().err
    assert "6 of 24 rows are bad and were skipped: no label: line 2; empty text: lines 3, 7; " in said


def test_a_language_without_an_example_is_an_error(tmp_path):
    source = factory.write(tmp_path / "xnli", train=30, held_out=6, languages="en")
    with pytest.raises(UserError, match=r"xnli.dev.tsv has no example in bg"):
        prepare(source, tmp_path / "out")
    assert not (tmp_path / "out" / "valid.jsonl.zst").exists()


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda folder: (folder / "XNLI-1.0.zip").unlink(), "has neither XNLI-1.0.zip nor XNLI-1.0/xnli.dev.tsv"),
        (lambda folder: _cut(folder / "XNLI-1.0.zip"), "XNLI-1.0.zip is damaged"),
        (lambda folder: _flip(folder / "XNLI-MT-1.0.zip"), "XNLI-MT-1.0.zip is damaged"),
    ],
    ids=["missing", "cut", "flipped"],
)
def test_a_missing_or_damaged_archive_is_one_line(tmp_path, break_it, message):
    packed = factory.pack(factory.write(tmp_path / "xnli", train=300, held_out=6), tmp_path / "packed")
    break_it(packed)
    with pytest.raises(UserError, match=message):
        prepare(packed, tmp_path / "out")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[600] ^= 0xFF
    path.write_bytes(data)


def test_a_model_without_english_is_refused(tmp_path):
    with pytest.raises(UserError, match="the model's languages are bg, de: en must be one"):
        prepare(tmp_path, tmp_path / "out", languages="bg de")
