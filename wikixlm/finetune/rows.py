"""The rows of a TSV or JSON-lines file, each with the number of its line and what is wrong with it.

TSV as XNLI's: a header, then a row a line; a tab ends a field and a line end a row, quotes are characters like others.
JSON lines: an object a line.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from wikixlm.errors import UserError

KINDS = (".tsv", ".jsonl")


class Row(NamedTuple):
    """One line: its number, from 1; its fields by name, text or None where there is none; or what is wrong."""

    line: int
    fields: dict[str, str | None]
    problem: str = ""


def kind_of(path: Path) -> str:
    """`.tsv` or `.jsonl`, with or without `.zst` behind it.

    Raises:
        UserError: the name ends in something else.
    """
    kind = Path(path.name.removesuffix(".zst")).suffix.lower()
    if kind not in KINDS:
        raise UserError(f"{path}: accepted are files whose names end in {' or '.join(KINDS)} (or these and .zst)")
    return kind


def read_rows(lines: Iterable[str], kind: str, name: str, needed: Iterable[str]) -> Iterator[Row]:
    """Every row of a file, the bad ones too.

    Args:
        lines: the file's, split at `\\n` alone.
        kind: one of KINDS.
        name: of the file, for messages.
        needed: columns that a TSV file must have.

    Raises:
        UserError: a TSV file has no header, or lacks a needed column; bytes that are not UTF-8.
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


def _tsv(lines: Iterator[tuple[int, str]], name: str, needed: Iterable[str]) -> Iterator[Row]:
    _, header = next(lines, (0, ""))
    columns = header.split("\t")
    if missing := [column for column in needed if column not in columns]:
        raise UserError(f"{name} has no column {' or '.join(missing)}; its header has: {', '.join(columns)}")
    for number, line in lines:
        if not line.strip():
            yield Row(number, {}, "empty line")
            continue
        fields = line.split("\t")
        if len(fields) != len(columns):
            yield Row(number, {}, f"not the header's {len(columns)} columns")
            continue
        yield Row(number, dict(zip(columns, fields, strict=True)))


def _jsonl(lines: Iterator[tuple[int, str]]) -> Iterator[Row]:
    for number, line in lines:
        if not line.strip():
            yield Row(number, {}, "empty line")
            continue
        try:
            value = json.loads(line)
        except ValueError:
            yield Row(number, {}, "not JSON")
            continue
        if not isinstance(value, dict):
            yield Row(number, {}, "not a JSON object")
            continue
        yield Row(number, {key: _text(field) for key, field in value.items()})


def _text(value: object) -> str | None:
    """A label may be a number or a truth value; what is no single value counts as missing."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None
