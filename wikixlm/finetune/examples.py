"""Read a classifier's examples from TSV and JSON-lines files, and account for every row."""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from wikixlm import console, languages
from wikixlm.errors import UserError
from wikixlm.files import open_text

SHOWN = 5  # line numbers per kind of bad row on the terminal; the log has all
KINDS = (".tsv", ".jsonl")


class DataRow(NamedTuple):
    """A line: its number, from 1; its fields by name, None for a missing one; or what is wrong with it."""

    line: int
    fields: dict[str, str | None]
    problem: str = ""


class Example(NamedTuple):
    """A text, or a pair of texts, and its label; the language is one of the model's."""

    language: str
    label: str
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Columns:
    """The columns of a file.

    Attributes:
        texts: one or two columns of text.
        language: the column of the language; empty if all rows are in `fixed`.
        fixed: the language of all rows, if there is no column.
        no_label: values that mean a missing label, besides the empty one; `-` in SNLI, MultiNLI and XNLI.
        renamed: labels of the file to those of the task.
    """

    texts: tuple[str, ...]
    label: str = "label"
    language: str = ""
    fixed: str = ""
    no_label: tuple[str, ...] = ("-",)
    renamed: dict[str, str] = field(default_factory=dict)

    def names(self) -> list[str]:
        """The columns that a file must have."""
        return [*self.texts, self.label, *([self.language] if self.language else [])]


@dataclass
class RowCounts:
    """An account of a file's rows: rows = the sum of `kept` + the lines in `bad` + the sum of `left_out`.

    Attributes:
        kept: examples per language.
        bad: line numbers per problem.
        left_out: rows per language that the model was not trained on.
    """

    file: str
    rows: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    bad: dict[str, list[int]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    def report(self) -> None:
        """Report the dropped rows and why they were dropped."""
        if self.bad:
            for problem, lines in self.bad.items():
                logging.info("%s: %s: lines %s", self.file, problem, ", ".join(map(str, lines)))
            number = sum(map(len, self.bad.values()))
            reasons = "; ".join(f"{problem}: {_lines(lines)}" for problem, lines in self.bad.items())
            console.warn(f"{self.file}: {number:,} of {self.rows:,} rows are bad and were skipped: {reasons}")
        if self.left_out:
            which = ", ".join(f"{lang} ({rows:,} rows)" for lang, rows in sorted(self.left_out.items()))
            console.say(f"{self.file}: skipped, because the model was not trained on them: {which}")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def _lines(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:SHOWN]))
    more = f" and {len(numbers) - SHOWN:,} more, all in the log" if len(numbers) > SHOWN else ""
    return f"line{'s' if len(numbers) > 1 else ''} {shown}{more}"


class ExampleReader:
    """Makes examples of rows.

    Args:
        trained_on: the model's languages.
        labels: the accepted labels; None accepts any.
    """

    def __init__(self, columns: Columns, trained_on: Iterable[str], labels: Iterable[str] | None = None) -> None:
        self._columns = columns
        # By Wikipedia, so that `nb` is found in a model of `no`.
        self._model = {languages.wiki(lang).dbname: lang for lang in trained_on}
        self._labels = None if labels is None else frozenset(labels)

    def examples(self, rows: Iterable[DataRow], counts: RowCounts) -> Iterator[Example]:
        """The examples among the rows; every row is counted."""
        for row in rows:
            counts.rows += 1
            found = row.problem or self._example(row.fields)
            if isinstance(found, Example):
                counts.kept[found.language] = counts.kept.get(found.language, 0) + 1
                yield found
            elif isinstance(found, _OtherLanguage):
                counts.left_out[found.language] = counts.left_out.get(found.language, 0) + 1
            else:
                counts.bad.setdefault(found, []).append(row.line)

    def _example(self, fields: dict[str, str | None]) -> "Example | _OtherLanguage | str":
        """The example of a row, or its language if the model does not have it, or what is wrong with the row."""
        where = self._columns
        code = where.fixed or (fields.get(where.language) or "").strip()
        if not languages.is_language(code):
            return f"unknown language {code!r}" if code else "no language"
        language = self._model.get(languages.wiki(code).dbname)
        if language is None:
            return _OtherLanguage(code)
        label = (fields.get(where.label) or "").strip()
        if not label or label in where.no_label:
            return "no label"
        label = where.renamed.get(label, label)
        if self._labels is not None and label not in self._labels:
            return f"unknown label {label!r}"
        texts = tuple((fields.get(name) or "").strip() for name in where.texts)
        return Example(language, label, texts) if all(texts) else "empty text"


class _OtherLanguage(NamedTuple):
    """A row in a language that the model was not trained on."""

    language: str


def read_files(paths: Iterable[Path], columns: Columns, reader: ExampleReader) -> tuple[list[Example], list[RowCounts]]:
    """The examples of some files, in order, and the account of their rows; skipped rows are reported.

    Raises:
        UserError: a file is missing, of another kind, or lacks a column, or none of its rows is an example.
    """
    examples: list[Example] = []
    all_counts = []
    for path in paths:
        counts = RowCounts(str(path))
        with open_text(path) as stream:
            before = len(examples)
            examples += reader.examples(read_rows(stream, file_kind(path), str(path), columns.names()), counts)
        counts.report()
        if len(examples) == before:
            raise UserError(f"{path}: none of its {counts.rows:,} rows is an example in a language of the model")
        all_counts.append(counts)
    return examples, all_counts


def file_kind(path: Path) -> str:
    """`.tsv` or `.jsonl`, whether compressed (`.zst`) or not.

    Raises:
        UserError: the name ends in something else.
    """
    kind = Path(path.name.removesuffix(".zst")).suffix.lower()
    if kind not in KINDS:
        raise UserError(f"{path}: accepted are files whose names end in {' or '.join(KINDS)} (or these and .zst)")
    return kind


def read_rows(lines: Iterable[str], kind: str, name: str, needed: Iterable[str]) -> Iterator[DataRow]:
    """Every row of a file, bad ones included.

    TSV is as in XNLI: a header, a row a line, fields separated by tabs, quotes not special. JSON lines are an object a
    line.

    Args:
        lines: of the file, split at `\\n` only.
        kind: one of KINDS.
        name: of the file, for messages.
        needed: columns that a TSV file must have.

    Raises:
        UserError: a TSV file has no header or lacks a needed column, or a byte is not UTF-8.
    """
    numbered = _decoded(lines, name)
    return _tsv(numbered, name, needed) if kind == ".tsv" else _jsonl(numbered)


def _decoded(lines: Iterable[str], name: str) -> Iterator[tuple[int, str]]:
    number = 0
    try:
        for number, line in enumerate(lines, start=1):
            yield number, (line.removeprefix("\ufeff") if number == 1 else line).rstrip("\r\n")
    except UnicodeDecodeError as failure:
        raise UserError(f"{name}, after line {number}: not UTF-8, which is accepted ({failure.reason})") from failure


def _tsv(lines: Iterator[tuple[int, str]], name: str, needed: Iterable[str]) -> Iterator[DataRow]:
    _, header = next(lines, (0, ""))
    columns = header.split("\t")
    if missing := [column for column in needed if column not in columns]:
        raise UserError(f"{name} has no column {' or '.join(missing)}; its header has: {', '.join(columns)}")
    for number, line in lines:
        if not line.strip():
            yield DataRow(number, {}, "empty line")
            continue
        fields = line.split("\t")
        if len(fields) != len(columns):
            yield DataRow(number, {}, f"not the header's {len(columns)} columns")
            continue
        yield DataRow(number, dict(zip(columns, fields, strict=True)))


def _jsonl(lines: Iterator[tuple[int, str]]) -> Iterator[DataRow]:
    for number, line in lines:
        if not line.strip():
            yield DataRow(number, {}, "empty line")
            continue
        try:
            value = json.loads(line)
        except ValueError:
            yield DataRow(number, {}, "not JSON")
            continue
        if not isinstance(value, dict):
            yield DataRow(number, {}, "not a JSON object")
            continue
        yield DataRow(number, {key: _text(field) for key, field in value.items()})


def _text(value: object) -> str | None:
    """A field as text: numbers and truth values are accepted, anything else but text counts as missing."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None
