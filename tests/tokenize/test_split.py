"""Whole articles, no leak, every line accounted for, whatever the shards and their order."""

import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wikixlm.documents import Document, read_documents, write_document
from wikixlm.errors import UserError
from wikixlm.files import atomic_text, open_text, write_json
from wikixlm.tokenize.repeats import RepeatFinder
from wikixlm.tokenize.split import SplitOutputs, choose, line_hash, load_held_out, split, train_lines

BOT_LINES = [
    f"this village number {n} is a village in the district of the same name , and it is small ." for n in "123"
]


def write_shards(folder, shards):
    paths = []
    for number, documents in enumerate(shards):
        paths.append(folder / f"{number:05d}-of-{len(shards):05d}.jsonl.zst")
        with atomic_text(paths[-1]) as stream:
            for document in documents:
                write_document(stream, document)
    return paths


def arguments(folder, shards, valid, test):
    outputs = ["--output-valid", "valid.zst", "--output-test", "test.zst"]
    outputs += ["--held-out", "held_out.json.zst", "--output", "split.json"]
    outputs = [word if word.startswith("--") else str(folder / word) for word in outputs]
    goals = ["--valid", str(valid), "--test", str(test), "--language", "xx"]
    return ["split", "--no-deduplicate", "--tokenized", *map(str, shards), *goals, *outputs]


def run_split(folder, shards, valid, test, **counts):
    """The stage, and all that it wrote: (split.json, valid lines, test lines, train lines per shard)."""
    outputs = SplitOutputs(*(folder / name for name in ("valid.zst", "test.zst", "held_out.json.zst", "split.json")))
    split("xx", shards, valid, test, 42, outputs, **counts)
    held_out = load_held_out(outputs.held_out)
    train = [list(train_lines(shard, held_out)) for shard in shards]
    return json.loads(outputs.counts.read_text()), lines_of(outputs.valid), lines_of(outputs.test), train


def lines_of(path):
    with open_text(path) as stream:
        return [line.removesuffix("\n") for line in stream]


def documents_like(shape):
    """Documents of 10 to 20 lines' worth of text, all lines different."""
    return [Document(str(n), [f"line {m} of article {n}" for m in range(lines)]) for n, lines in enumerate(shape)]


def long_lines(lines):
    return {line for line in lines if len(line) >= 50}


@st.composite
def corpora(draw):
    """Some documents (some page ids and some lines come twice) and two ways of cutting them into shards."""
    line = st.one_of(
        st.sampled_from(BOT_LINES),
        st.sampled_from(["see also", "1", "\u2028x y"]),
        st.integers().map("unique {}".format),
    )
    documents = [
        Document(str(draw(st.integers(0, 40))), lines)
        for lines in draw(st.lists(st.lists(line, min_size=1, max_size=5), min_size=1, max_size=25))
    ]
    cuts = []
    for _ in range(2):
        order = draw(st.permutations(documents))
        count = draw(st.integers(1, 4))
        cuts.append([order[start::count] for start in range(count)])
    return documents, cuts


@settings(max_examples=60, deadline=None)
@given(corpus=corpora(), valid=st.integers(1, 8), test=st.integers(1, 8))
def test_any_corpus(corpus, valid, test):
    documents, cuts = corpus
    seen = []
    for shards in cuts:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            paths = write_shards(folder, shards)
            try:
                summary, valid_text, test_text, train = run_split(folder, paths, valid, test)
            except UserError as failure:
                assert "left without" in str(failure)
                assert sorted(folder.iterdir()) == sorted(paths)  # nothing written
                seen.append(str(failure))
                continue
            seen.append((valid_text, test_text, load_held_out(folder / "held_out.json.zst")))
            assert len(valid_text) >= valid and len(test_text) >= test
            check_split(documents, summary, valid_text, test_text, train)
    assert seen[0] == seen[1]  # neither shards nor order matter


def check_split(documents, summary, valid_text, test_text, train):
    train_text = [line for shard in train for _, line in shard]
    assert valid_text and test_text and train_text
    assert not long_lines(train_text) & long_lines(valid_text + test_text)
    assert not long_lines(valid_text) & long_lines(test_text)
    assert summary["lines"] == {"train": len(train_text), "valid": len(valid_text), "test": len(test_text)}
    assert summary["train_lines"] == [len(shard) for shard in train]
    total = sum(len(document.lines) for document in documents)
    assert total == sum(summary["lines"].values()) + summary["dropped_duplicates"]
    assert summary["dropped_duplicates"] == sum(summary["dropped"].values())


@settings(max_examples=60, deadline=None)
@given(shape=st.lists(st.integers(1, 9), min_size=12, max_size=30), valid=st.integers(1, 9), test=st.integers(1, 9))
def test_articles_stay_whole_and_overshoot_by_less_than_one(shape, valid, test):
    documents = documents_like(shape)
    with tempfile.TemporaryDirectory() as name:
        paths = write_shards(Path(name), [documents[::2], documents[1::2]])
        try:
            summary, valid_text, test_text, train = run_split(Path(name), paths, valid, test)
        except UserError:
            assert sum(shape) - max(shape) < valid + test + 2 * max(shape)
            return
    train_text = [line for shard in train for _, line in shard]
    for document in documents:
        assert [text for text in (valid_text, test_text, train_text) if set(document.lines) & set(text)] in [
            [text] for text in (valid_text, test_text, train_text) if set(document.lines) <= set(text)
        ]
    assert summary["dropped_duplicates"] == 0
    assert sum(summary["documents"].values()) == len(documents)
    assert test <= len(test_text) < test + max(shape)
    assert valid <= len(valid_text) < valid + max(shape)


def test_five_articles_are_enough(tmp_path):
    paths = write_shards(tmp_path, [documents_like([5, 5, 6, 7, 30]), []])
    summary, *_ = run_split(tmp_path, paths, 5, 5)
    assert summary["documents"] == {"train": 3, "valid": 1, "test": 1}


def test_the_seed_and_the_language_choose(tmp_path):
    documents = documents_like([1] * 200)
    tests = {
        tuple(document.id for document in choose(documents, 10, language, seed))
        for language, seed in [("de", 1), ("de", 2), ("fr", 1), ("de", 1)]
    }
    assert len(tests) == 3


def test_a_page_that_comes_twice_is_held_out_once(tmp_path):
    documents = documents_like([2] * 30)
    summary, valid_text, test_text, train = run_split(tmp_path, write_shards(tmp_path, [documents] * 2), 10, 10)
    assert len(valid_text) == len(test_text) == 10
    assert summary["dropped"] == {"train": 0, "held_out": 20}
    assert sum(map(len, train)) == summary["lines"]["train"] == 80


def test_lines_shared_with_held_out_text_are_dropped(tmp_path):
    documents = [Document(str(n), [f"unique line {n}", BOT_LINES[0], "short ."]) for n in range(40)]
    summary, valid_text, test_text, train = run_split(tmp_path, write_shards(tmp_path, [documents]), 9, 9)
    assert test_text.count(BOT_LINES[0]) == 3
    assert BOT_LINES[0] not in valid_text
    assert len(valid_text) == 10  # five articles: what is dropped doesn't count
    assert summary["dropped"] == {"train": 32, "held_out": 5}
    assert {line for _, line in train[0]} == {*(f"unique line {n}" for n in range(40)), "short ."} - {
        line for line in valid_text + test_text if line.startswith("unique")
    }


def counts_file(tmp_path, **values):
    write_json(tmp_path / "counts.json", {"documents_in": 0, "documents_out": 0, "lines_out": 0} | values)
    return tmp_path / "counts.json"


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        (None, "none reached tokenize"),
        ({}, "none reached tokenize"),
        ({"documents_in": 7}, "7 documents reached tokenize, and none had a token left"),
    ],
)
def test_no_text_at_all(tmp_path, counts, reason):
    paths = write_shards(tmp_path, [[], []])
    files = [] if counts is None else [counts_file(tmp_path, **counts)]
    with pytest.raises(UserError, match=f"xx has no text at all: {reason}"):
        run_split(tmp_path, paths, 5, 5, tokenize_counts=files)


def test_a_shard_that_lost_text_since_it_was_written(tmp_path):
    paths = write_shards(tmp_path, [documents_like([2] * 30)])
    counts = counts_file(tmp_path, documents_in=31, documents_out=31, lines_out=62)
    with pytest.raises(UserError, match="tokenize wrote 31 documents and 62 lines, but its shards hold 30 and 60"):
        run_split(tmp_path, paths, 5, 5, tokenize_counts=[counts])


def test_without_training_text(tmp_path):
    paths = write_shards(tmp_path, [documents_like([4, 4, 4])])
    with pytest.raises(UserError, match=r"xx .* 3 articles with 12 lines.*split.test: 5 took 8.*split.valid: 5 took 4"):
        run_split(tmp_path, paths, 5, 5)


def test_only_repeated_lines(tmp_path):
    paths = write_shards(tmp_path, [[Document(str(n), BOT_LINES) for n in range(30)]])
    with pytest.raises(UserError, match="30 articles with 90 lines"):
        run_split(tmp_path, paths, 5, 5)


def test_the_same_shard_twice(tmp_path):
    [path] = write_shards(tmp_path, [documents_like([2] * 30)])
    with pytest.raises(UserError, match=r"--tokenized names the shard .* twice"):
        run_split(tmp_path, [path, path], 5, 5)


def test_held_out_file_of_another_kind(tmp_path):
    write_json(tmp_path / "held_out.json.zst", [1, 2])
    with pytest.raises(UserError, match=r"held_out.json.zst does not come from `wikixlm split`"):
        load_held_out(tmp_path / "held_out.json.zst")


def test_other_processes_choose_and_drop_the_same(tmp_path):
    documents = [Document(str(n), [f"{BOT_LINES[n % 3]} {n % 7}", f"line {n}"]) for n in range(60)]
    paths = write_shards(tmp_path, [documents])
    here = run_split(tmp_path, paths, 10, 10)
    (tmp_path / "there").mkdir()
    command = [sys.executable, "-m", "wikixlm", *arguments(tmp_path / "there", paths, 10, 10)]
    subprocess.run(command, check=True, env=os.environ | {"PYTHONHASHSEED": "7"}, cwd=Path(__file__).parents[2])
    assert json.loads((tmp_path / "there/split.json").read_text()) == here[0]
    assert lines_of(tmp_path / "there/valid.zst") == here[1]
    held_out = load_held_out(tmp_path / "there/held_out.json.zst")
    assert [list(train_lines(path, held_out)) for path in paths] == here[3]
    assert {line_hash(line) for line in long_lines(here[1] + here[2])} == held_out.lines


def test_memory_holds_the_held_out_articles_only():
    text = "x" * 1000
    documents = (Document(str(n), [f"{n} {text}"] * 5) for n in range(20_000))  # 100 MB in all
    tracemalloc.start()
    chosen = choose(documents, 50, "xx", 42)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(chosen) == 10
    assert peak < 2_000_000


def test_train_lines_keep_their_documents(tmp_path):
    documents = documents_like([3] * 20)
    paths = write_shards(tmp_path, [documents])
    *_, train = run_split(tmp_path, paths, 6, 6)
    of_document = {document.id: document.lines for document in read_documents(paths[0])}
    assert len({name for name, _ in train[0]}) == 16
    assert all(line in of_document[name] for name, line in train[0])


def deduplicated(folder, shards, valid=3, test=3):
    folder.mkdir()
    summary, *_, train = run_split(folder, write_shards(folder, shards), valid, test, deduplicate=True)
    assert summary["train_lines"] == [len(shard) for shard in train]
    assert summary["dropped_duplicates"] == sum(summary["dropped"].values())
    documents = [document for shard in shards for document in shard]
    assert sum(summary["lines"].values()) + summary["dropped_duplicates"] == sum(len(each.lines) for each in documents)
    return summary, sorted(line for shard in train for line in shard)


@settings(max_examples=40, deadline=None)
@given(corpus=corpora())
def test_a_long_training_line_is_there_once_whatever_the_shards_and_their_order(corpus):
    _, cuts = corpus
    results = []
    for number, shards in enumerate(cuts):
        with tempfile.TemporaryDirectory() as name:
            try:
                summary, train = deduplicated(Path(name) / str(number), shards, 1, 1)
            except UserError as failure:
                results.append(str(failure))
                continue
            results.append((summary["lines"], summary["dropped"], summary["differ_in_digits"], train))
            long = [line for _, line in train if len(line) >= 50]
            assert len(long) == len(set(long))
    assert results[0] == results[1]


def test_repeats_are_found_over_shards_and_within_a_document(tmp_path):
    twice = "a line of fifty characters or more that a bot wrote many times"
    numbered = [f"the village number {n} lies in the district of the same name ." for n in range(4)]
    documents = [Document("1", [twice, twice, numbered[0]]), Document("2", [numbered[1]]), Document("3", [twice])]
    documents += [Document(str(n), [f"held out {n}"]) for n in range(4, 60)]
    summary, train = deduplicated(tmp_path / "one", [documents[:2], documents[2:]], 2, 2)
    assert [line for _, line in train].count(twice) == 1
    assert summary["dropped"] == {"train": 0, "held_out": 0, "repeated": 2}
    assert summary["documents"]["train"] == len({name for name, _ in train})
    assert summary["differ_in_digits"] == 1


def test_memory_of_finding_repeats_does_not_hold_the_lines(tmp_path):
    finder = RepeatFinder(tmp_path)
    tracemalloc.start()
    for number in range(300_000):
        line = f"{number % 250_000} {'x' * 200}"
        finder.add(line, line_hash(line), number, number % 3, number // 3)
    found, differ = finder.find(3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(map(len, found)) == 50_000 and differ == 249_999
    assert peak < 45_000_000  # a batch of 100,000 lines as Python's numbers; the lines alone are 60 MB
    assert not list(tmp_path.iterdir())
