"""Joining shards: every line arrives, and the lines are compared with what came before."""

import json
from collections import Counter

import pytest

from wikixlm.bpe.statistics import COUNTED
from wikixlm.bpe.vocabulary import read_symbols, write_symbols
from wikixlm.cli import main
from wikixlm.files import atomic_text, write_json

SHARDS = ["a b\u2028c\n\nd\n", "", "e\x85f\rg\n"]


def counts(lines, words=7):
    """What apply-bpe would have counted in a shard of so many lines."""
    numbers = (lines, lines, words, 2 * words, 3, 10 * words, 1)
    return {**dict(zip(COUNTED, numbers, strict=True)), "symbols": 5, "tokens_per_word": 2.0}


@pytest.fixture
def work(tmp_path):
    for number, text in enumerate(SHARDS):
        with atomic_text(tmp_path / f"{number}.zst") as stream:
            stream.write(text)
        write_json(tmp_path / f"{number}.json", counts(text.count("\n")))
        write_symbols(tmp_path / f"{number}.symbols.zst", Counter(text.split()))
    write_json(tmp_path / "split.json", {"lines": {"train": 4}})
    return tmp_path


def concatenate(work, *arguments):
    inputs = [work / f"{number}.zst" for number in range(3)]
    files = [work / f"{number}.json" for number in range(3)]
    command = ["concatenate", "--inputs", *inputs, "--input-counts", *files, "--output", work / "train.en", *arguments]
    main([str(each) for each in command])


def failing(capfd, work, *arguments):
    with pytest.raises(SystemExit):
        concatenate(work, *arguments)
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert not (work / "train.en").exists() and not (work / "symbols.zst").exists()
    return errors[0]


def test_shards_are_joined_in_order_with_their_symbols(work):
    symbols = [work / f"{number}.symbols.zst" for number in range(3)]
    concatenate(work, "--split", work / "split.json", "--symbols", *symbols, "--output-symbols", work / "symbols.zst")
    assert (work / "train.en").read_bytes() == "".join(SHARDS).encode()
    assert dict(read_symbols(work / "symbols.zst")) == Counter("".join(SHARDS).split())


def test_the_shards_counts_are_added_up(work):
    concatenate(work, "--counts", work / "sum.json")
    assert json.loads((work / "sum.json").read_text()) == {
        **{"lines_in": 4, "lines_out": 4, "words": 21, "tokens": 42, "whole_words": 9},
        **{"characters": 210, "unknown_characters": 3},
        **{"tokens_per_word": 2.0, "share_whole_words": 0.4286, "share_unknown_characters": 0.014286},
        "tokens_per_character": 0.2,
    }


def test_a_shard_that_lost_a_line_is_an_error(work, capfd):
    with atomic_text(work / "0.zst") as stream:
        stream.write("a b\nd\n")
    error = failing(capfd, work)
    assert "0.zst has 2 lines" in error and "say 3" in error


def test_a_shard_that_ends_within_a_line_is_an_error(work, capfd):
    with atomic_text(work / "2.zst") as stream:
        stream.write("e\nf")
    assert "2.zst ends in the middle of a line" in failing(capfd, work)


def test_other_lines_than_the_split_has_is_an_error(work, capfd):
    write_json(work / "split.json", {"lines": {"train": 5}})
    assert "4 lines" in (error := failing(capfd, work, "--split", work / "split.json")) and "train 5" in error


def test_counts_of_another_kind_are_an_error(work, capfd):
    write_json(work / "1.json", {"lines_out": 0})
    assert "1.json has no number lines_in" in failing(capfd, work)
    write_json(work / "1.json", counts(0))
    write_json(work / "split.json", {"documents": {}})
    assert "split.json does not come from `wikixlm split`" in failing(capfd, work, "--split", work / "split.json")


def test_a_language_without_text_is_an_error(work, capfd):
    for number in range(3):
        with atomic_text(work / f"{number}.zst"):
            pass
        write_json(work / f"{number}.json", counts(0, words=0))
    assert "train.en would be empty" in failing(capfd, work)
