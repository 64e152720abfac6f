"""A user's own files: every row is an example, in another language, or bad with its line number."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wikixlm.errors import UserError
from wikixlm.files import atomic_text
from wikixlm.finetune.examples import Columns, Example, ExampleReader, read_files

PAIR = Columns(("a", "b"), "label", "language")
ONE = Columns(("text",), fixed="de")


def read(path: Path, columns: Columns = PAIR, languages=("en", "de"), labels=None):
    return read_files([path], columns, ExampleReader(columns, languages, labels))


def test_tsv_and_json_lines_of_the_same_rows_are_the_same_examples(tmp_path):
    rows = [("en", 'She said "no".', "x\u2028y", "1"), ("de", "Straße ", "ü", "0")]
    tsv, jsonl = tmp_path / "a.tsv", tmp_path / "a.jsonl.zst"
    tsv.write_text("language\ta\tb\tlabel\r\n" + "".join("\t".join(row) + "\r\n" for row in rows), encoding="utf-8-sig")
    with atomic_text(jsonl) as stream:
        for lang, a, b, label in rows:
            stream.write(json.dumps({"language": lang, "a": a, "b": b, "label": int(label), "more": [1]}) + "\n")
    expected = [Example(lang, label, (a.strip(), b)) for lang, a, b, label in rows]
    assert read(tsv)[0] == read(jsonl)[0] == expected


def test_bad_rows_of_json_lines_are_named_by_their_lines(tmp_path, capfd):
    path = tmp_path / "a.jsonl"
    good = {"language": "en", "a": "x", "b": "y", "label": True}
    lines = [
        json.dumps(good),
        "{",
        "[1]",
        "",
        *(json.dumps({**good, **change}) for change in ({"label": None}, {"b": ["y"]}, {"language": "EN"})),
        json.dumps({key: value for key, value in good.items() if key != "language"}),
        json.dumps({**good, "language": "fr"}),
    ]
    path.write_text("\n".join(lines))
    examples, (counts,) = read(path)
    assert examples == [Example("en", "true", ("x", "y"))]
    assert counts.bad == {
        "not JSON": [2],
        "not a JSON object": [3],
        "empty line": [4],
        "no label": [5],
        "empty text": [6],
        "unknown language 'EN'": [7],
        "no language": [8],
    }
    assert counts.left_out == {"fr": 1}
    assert "warning: " in capfd.readouterr().err


def test_many_bad_lines_are_shortened_on_the_terminal(tmp_path, capfd):
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\n" + "\tx\n" * 9 + "ja\ty\n")
    _, (counts,) = read(path, ONE)
    assert counts.bad == {"empty text": list(range(2, 11))}
    assert "9 of 10 rows are bad and were skipped: empty text: lines 2, 3, 4, 5, 6 and 4 more" in capfd.readouterr().err


def test_a_language_by_another_name_of_its_wikipedia_is_found(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\tlanguage\nhei\tx\tnb\nheisan\ty\tno\n")
    examples, _ = read(path, Columns(("text",), language="language"), languages=["no"])
    assert [example.language for example in examples] == ["no", "no"]


def test_a_minus_is_a_label_where_the_user_says_so(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\ngut\t+\nschlecht\t-\n")
    assert [example.label for example in read(path, ONE)[0]] == ["+"]
    assert [example.label for example in read(path, Columns(("text",), fixed="de", no_label=()))[0]] == ["+", "-"]


def test_a_label_that_training_has_not_is_bad(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("text\tlabel\ngut\t1\nschlecht\t2\n")
    _, (counts,) = read(path, ONE, labels=["1"])
    assert counts.bad == {"unknown label '2'": [3]}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"text,label\n", r"a.csv: accepted are files whose names end in .tsv or .jsonl"),
        ("a.tsv", b"", r"a.tsv has no column text or label"),
        ("a.tsv", b"txt\tlabel\n", r"a.tsv has no column text; its header has: txt, label"),
        ("a.tsv", b"text\tlabel\n", r"none of its 0 rows is an example"),
        ("a.tsv", b"text\tlabel\nja\tx\n\xff\tx\n", r"not UTF-8"),
    ],
)
def test_a_file_that_is_no_set_of_examples_is_one_line(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read(tmp_path / name, ONE)


def test_a_missing_file_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*nowhere.tsv"):
        read(tmp_path / "nowhere.tsv", ONE)


LINES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"))


@given(st.lists(LINES, max_size=20))
def test_no_line_whatever_it_holds_is_lost(tmp_path_factory, lines):
    path = tmp_path_factory.mktemp("lines") / "a.tsv"
    path.write_text("\n".join(["text\tlabel\tlanguage", "ja\tx\tde", *lines]), encoding="utf-8", newline="")
    columns = Columns(("text",), language="language")
    examples, (counts,) = read(path, columns)
    rows = len(lines) - (bool(lines) and not lines[-1]) + 1
    assert counts.rows == rows == len(examples) + sum(map(len, counts.bad.values())) + sum(counts.left_out.values())
    assert all(2 <= line <= rows + 1 for numbers in counts.bad.values() for line in numbers)
