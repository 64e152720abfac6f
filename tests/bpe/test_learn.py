"""Learning codes: the same from any shards, order and thread count; true counts; clear ends for poor input."""

import itertools
import json
import os
import random
import subprocess
import sys
from collections import Counter

import pytest

from wikixlm.bpe.codes import read_codes
from wikixlm.cli import main
from wikixlm.documents import Document, write_document
from wikixlm.files import atomic_text, write_json


def text(seed, documents=60):
    """Documents of a made-up language whose words share stems and endings, with many ties."""
    rng = random.Random(seed)
    stems = ["".join(rng.choices("abcdefghijklmn", k=rng.randint(2, 6))) for _ in range(80)]
    endings = ["", "s", "ed", "ing", "ä", "ов"]

    def line():
        return " ".join(rng.choice(stems) + rng.choice(endings) for _ in range(rng.randint(3, 12)))

    return [Document(str(number), [line() for _ in range(rng.randint(1, 5))]) for number in range(documents)]


def write_language(folder, language, documents, shards, held_out=()):
    """The tokenized shards and the split files of a language; returns the split.json."""
    paths = [folder / "tokenized" / language / f"{shard}.jsonl.zst" for shard in range(shards)]
    lines = []
    for number, path in enumerate(paths):
        with atomic_text(path) as stream:
            for document in documents[number::shards]:
                write_document(stream, document)
        lines.append(sum(len(each.lines) for each in documents[number::shards] if each.id not in held_out))
    split = folder / "split" / language
    write_json(split / "held_out.json.zst", {"documents": list(held_out), "lines": []})
    summary = {"language": language, "shards": [str(path) for path in paths], "train_lines": lines}
    write_json(split / "split.json", summary)
    return split / "split.json"


def learn(folder, splits, *arguments):
    main(["learn-bpe", "--splits", *map(str, splits), "--output", str(folder / "codes"), *arguments])
    return (folder / "codes").read_text(encoding="utf-8")


def test_codes_do_not_depend_on_shards_or_order(tmp_path):
    english, other = text(1), text(2, documents=10)
    arguments = ("--codes", "150", "--sample-lines", "100")
    results = set()
    for number, (shards, order) in enumerate([(1, 1), (3, 1), (4, -1)]):
        folder = tmp_path / str(number)
        splits = [write_language(folder, "en", english[::order], shards), write_language(folder, "xx", other, shards)]
        results.add(learn(folder, splits[::order], *arguments))
    assert len(results) == 1
    assert learn(tmp_path, splits, *arguments, "--seed", "7") not in results


def test_codes_do_not_depend_on_threads_or_process(tmp_path):
    split = write_language(tmp_path, "en", text(3), 2)
    expected = learn(tmp_path, [split], "--codes", "300")
    for threads in ("1", "4"):
        command = ["learn-bpe", "--splits", str(split), "--codes", "300", "--output", str(tmp_path / threads)]
        environment = {**os.environ, "RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        subprocess.run([sys.executable, "-m", "wikixlm", *command], check=True, env=environment)
        assert (tmp_path / threads).read_text(encoding="utf-8") == expected


def test_each_merge_is_the_most_frequent_pair_and_has_its_true_count(tmp_path):
    documents = text(4)
    learn(tmp_path, [write_language(tmp_path, "en", documents, 2)], "--codes", "120", "--alpha", "1")
    merges = read_codes(tmp_path / "codes")
    assert len(merges) == 120
    words = Counter(word for each in documents for line in each.lines for word in line.split(" "))
    symbols = {word: [*word[:-1], word[-1] + "</w>"] for word in words}
    for left, right, count in merges:
        pairs = Counter()
        for word, parts in symbols.items():
            for pair in itertools.pairwise(parts):
                pairs[pair] += words[word]
        best = pairs.most_common(1)[0][1]
        assert pairs[left, right] == best
        made = 0
        for word, parts in symbols.items():
            merged = merge(parts, left, right)
            made += words[word] * (len(parts) - len(merged))
            symbols[word] = merged
        assert count == made


def merge(parts, left, right):
    merged, position = [], 0
    while position < len(parts):
        if parts[position : position + 2] == [left, right]:
            merged.append(left + right)
            position += 2
        else:
            merged.append(parts[position])
            position += 1
    return merged


def test_held_out_articles_are_not_learned_from(tmp_path):
    documents = [*text(5), Document("test", ["zzzz zzzz zzzz"] * 50)]
    codes = learn(tmp_path, [write_language(tmp_path, "en", documents, 2, held_out=["test"])], "--codes", "100")
    assert "z" not in codes


def test_no_code_is_learned_that_a_joint_or_an_end_mark_could_be_taken_for(tmp_path, capfd):
    odd = Document("odd", ["ab@@ c</w>d </w> x<mask> <s> @@ ab@@"] * 50)
    split = write_language(tmp_path, "en", [odd, *text(6)], 1)
    learn(tmp_path, [split], "--codes", "400", "--counts", str(tmp_path / "counts.json"))
    codes = read_codes(tmp_path / "codes")
    assert not any(character in left + right.removesuffix("</w>") for left, right, _ in codes for character in "@<>/")
    assert json.loads((tmp_path / "counts.json").read_text())["words_left_out"] == 50 * 7


def failing(capfd, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(["learn-bpe", *map(str, arguments)])
    assert stop.value.code == 1
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    return errors[0]


def test_fewer_codes_than_characters_is_an_error_that_names_both(tmp_path, capfd):
    split = write_language(tmp_path, "en", text(7), 1)
    characters = len(set("".join(line for document in text(7) for line in document.lines)) - {" "})
    error = failing(capfd, "--splits", split, "--codes", characters - 1, "--output", tmp_path / "out" / "codes")
    assert f"bpe.codes is {characters - 1}" in error and f"{characters} different characters" in error
    assert list((tmp_path / "out").iterdir()) == []
    learn(tmp_path, [split], "--codes", str(characters))


def test_codes_that_apply_bpe_would_refuse_are_not_written(tmp_path, capfd):
    documents = [Document("1", ["abab" + letter for letter in "cdefghij"])]
    split = write_language(tmp_path, "en", documents, 1)
    error = failing(capfd, "--splits", split, "--codes", "10", "--output", tmp_path / "codes")
    assert "gives codes that can't be applied" in error and "raise bpe.codes" in error
    assert not (tmp_path / "codes").exists()


def test_a_text_too_small_for_the_codes_is_a_warning(tmp_path, capfd):
    learn(tmp_path, [write_language(tmp_path, "en", text(8, documents=5), 1)], "--codes", "5000")
    found = len(read_codes(tmp_path / "codes"))
    warnings = [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1 and "5000" in warnings[0] and str(found) in warnings[0]


def test_a_shard_with_other_lines_than_split_counted_is_an_error(tmp_path, capfd):
    split = write_language(tmp_path, "en", text(9), 2)
    summary = json.loads(split.read_text())
    summary["train_lines"][1] += 1
    write_json(split, summary)
    assert summary["shards"][1] in failing(capfd, "--splits", split, "--output", tmp_path / "codes")


def test_a_split_file_of_another_kind_is_an_error(tmp_path, capfd):
    (tmp_path / "split.json").write_text("{}")
    error = failing(capfd, "--splits", tmp_path / "split.json", "--output", tmp_path / "codes")
    assert "split.json" in error


def test_no_pair_that_comes_twice_is_an_error(tmp_path, capfd):
    split = write_language(tmp_path, "en", [Document("1", ["a b c"])], 1)
    assert "no BPE codes" in failing(capfd, "--splits", split, "--codes", 10, "--output", tmp_path / "codes")


def test_a_codes_file_is_taken_over_unchanged_and_checked(tmp_path, capfd):
    codes = tmp_path / "frozen"
    codes.write_text("a b</w> 3\nc ab</w> 1\n")
    main(["learn-bpe", "--codes-file", str(codes), "--output", str(tmp_path / "codes")])
    assert (tmp_path / "codes").read_bytes() == codes.read_bytes()
    codes.write_text("a b</w> 3\nc ab</w>\n")
    assert f"{codes}, line 2" in failing(capfd, "--codes-file", codes, "--output", tmp_path / "other")
    assert f"{tmp_path}/missing" in failing(capfd, "--codes-file", tmp_path / "missing", "--output", tmp_path / "other")
    assert not (tmp_path / "other").exists()
