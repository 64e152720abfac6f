"""Examples for a classifier, made of rows; and what became of every row, with the line numbers of the bad ones."""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from wikixlm import console, languages
from wikixlm.errors import UserError
from wikixlm.files import open_text
from wikixlm.finetune.rows import Row, kind_of, read_rows

SHOWN = 5  # line numbers of one kind of bad row that the terminal shows; the log has all


class Example(NamedTuple):
    """A text, or a pair of them, and its class."""

    language: str
    """one of the model's"""
    label: str
    texts: tuple[str, ...]
    """one or two"""


@dataclass(frozen=True)
class Columns:
    """Where in a row things are.

    Attributes:
        texts: one or two columns of text.
        label: the column of the label.
        language: the column of the language; empty where all rows are in `fixed`.
        fixed: the language of all rows, where there is no column.
        no_label: what stands for a missing label, besides nothing at all; `-` in SNLI, MultiNLI and XNLI.
        renamed: labels that are written in another way here.
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
class Counts:
    """What became of the rows of a file: rows = the sum of `kept` + the lines in `bad` + the sum of `left_out`.

    Attributes:
        kept: examples per language.
        bad: what is wrong, to the numbers of the lines.
        left_out: rows per language that is none of the model's.
    """

    file: str
    rows: int = 0
    kept: dict[str, int] = field(default_factory=dict)
    bad: dict[str, list[int]] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    def report(self) -> None:
        """Tell the user what is left out and why."""
        if self.bad:
            for problem, lines in self.bad.items():
                logging.info("%s: %s: lines %s", self.file, problem, ", ".join(map(str, lines)))
            number = sum(map(len, self.bad.values()))
            reasons = "; ".join(f"{problem}: {_lines(lines)}" for problem, lines in self.bad.items())
            console.warn(f"{self.file}: {number:,} of {self.rows:,} rows are bad and left out: {reasons}")
        if self.left_out:
            which = ", ".join(f"{lang} ({rows:,} rows)" for lang, rows in sorted(self.left_out.items()))
            console.say(f"{self.file}: left out, because the model was not trained on them: {which}")

    def as_dict(self) -> dict[str, Any]:
        """For a file of counts."""
        return asdict(self)


def _lines(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:SHOWN]))
    more = f" and {len(numbers) - SHOWN:,} more, all in the log" if len(numbers) > SHOWN else ""
    return f"line{'s' if len(numbers) > 1 else ''} {shown}{more}"


class Sorter:
    """Tells good rows from bad ones, and the model's languages from others.

    Args:
        columns: where in a row things are.
        trained_on: the model's languages.
        labels: the labels there are; None accepts any.
    """

    def __init__(self, columns: Columns, trained_on: Iterable[str], labels: Iterable[str] | None = None) -> None:
        self._columns = columns
        # By Wikipedia, so that nb is found in a model of "no".
        self._model = {languages.wiki(lang).dbname: lang for lang in trained_on}
        self._labels = None if labels is None else frozenset(labels)

    def examples(self, rows: Iterable[Row], counts: Counts) -> Iterator[Example]:
        """The examples among the rows; counts them all."""
        for row in rows:
            counts.rows += 1
            found = row.problem or self._example(row.fields)
            if isinstance(found, Example):
                counts.kept[found.language] = counts.kept.get(found.language, 0) + 1
                yield found
            elif isinstance(found, _Elsewhere):
                counts.left_out[found.language] = counts.left_out.get(found.language, 0) + 1
            else:
                counts.bad.setdefault(found, []).append(row.line)

    def _example(self, fields: dict[str, str | None]) -> "Example | _Elsewhere | str":
        """The example of a row, or the language that it is in, or what is wrong with it."""
        where = self._columns
        code = where.fixed or (fields.get(where.language) or "").strip()
        if not languages.is_language(code):
            return f"unknown language {code!r}" if code else "no language"
        language = self._model.get(languages.wiki(code).dbname)
        if language is None:
            return _Elsewhere(code)
        label = (fields.get(where.label) or "").strip()
        if not label or label in where.no_label:
            return "no label"
        label = where.renamed.get(label, label)
        if self._labels is not None and label not in self._labels:
            return f"unknown label {label!r}"
        texts = tuple((fields.get(name) or "").strip() for name in where.texts)
        return Example(language, label, texts) if all(texts) else "empty text"


class _Elsewhere(NamedTuple):
    """A row in a language that is none of the model's."""

    language: str


def read_files(paths: Iterable[Path], columns: Columns, sorter: Sorter) -> tuple[list[Example], list[Counts]]:
    """The examples of some files, in order, and what became of their rows; tells the user of what is left out.

    Raises:
        UserError: a file is missing, of another kind, or has none of the columns; none of its rows is an example.
    """
    examples: list[Example] = []
    all_counts = []
    for path in paths:
        counts = Counts(str(path))
        with open_text(path) as stream:
            before = len(examples)
            examples += sorter.examples(read_rows(stream, kind_of(path), str(path), columns.names()), counts)
        counts.report()
        if len(examples) == before:
            raise UserError(f"{path}: none of its {counts.rows:,} rows is an example in a language of the model")
        all_counts.append(counts)
    return examples, all_counts
