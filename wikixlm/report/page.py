"""The page: tables with their columns, sections, and templates/report.html filled with them."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jinja2
import pandas as pd
from markupsafe import Markup

from wikixlm import __version__, formatting
from wikixlm.report import answers
from wikixlm.report.run_files import RunFiles
from wikixlm.report.text_tables import LOST, NOT_TAKEN


class Column(NamedTuple):
    """A heading and how a value is written; columns of `text` are left-aligned, numbers right-aligned."""

    heading: str
    write: Callable[[Any], str]
    text: bool = False


def text(value: Any) -> str:
    return str(value)


def decimal(digits: int) -> Callable[[Any], str]:
    """With so many digits after the point."""
    return lambda value: f"{value:,.{digits}f}"


def figure(value: Any) -> str:
    """A number of any size: whole as such, otherwise three digits after the point, or as many as it takes."""
    if isinstance(value, str):
        return value
    if float(value).is_integer():
        return formatting.count(value)
    return f"{value:.3f}" if abs(value) >= 0.001 else f"{value:.2e}"


COLUMNS = {
    "language": Column("language", text, text=True),
    "other": Column("other language", text, text=True),
    "split": Column("split", text, text=True),
    "source": Column("source", text, text=True),
    "shards_done": Column("shards done", formatting.count),
    "shards": Column("of", formatting.count),
    "pages": Column("pages", formatting.count),
    "redirects": Column("redirects", formatting.count),
    "other_namespaces": Column("other namespaces", formatting.count),
    "other_models": Column("no wikitext", formatting.count),
    "duplicates": Column("twice in the dump", formatting.count),
    "articles": Column("articles", formatting.count),
    "empty": Column("without text", formatting.count),
    "dropped_short": Column("too short", formatting.count),
    "skipped": Column("failed", formatting.count),
    "documents": Column("articles with text", formatting.count),
    "unaccounted": Column("unaccounted for", formatting.count),
    "page": Column("page id", lambda value: str(value)),
    "title": Column("title", text, text=True),
    "items_kept": Column("list items kept", formatting.count),
    "items_dropped_short": Column("too short", formatting.count),
    "items_dropped_reference": Column("references and links", formatting.count),
    "items_dropped": Column("all, by the setting", formatting.count),
    "headings_kept": Column("headings kept", formatting.count),
    "headings_dropped": Column("headings dropped", formatting.count),
    "template": Column("template", text, text=True),
    "times": Column("times", formatting.count),
    "example": Column("first sentence with the hole", text, text=True),
    "lines": Column("paragraphs", formatting.count),
    "lines_kept": Column("paragraphs kept", formatting.count),
    "emptied": Column("without a token", formatting.count),
    "repeats_held_out": Column("in train, repeats valid or test", formatting.count),
    "repeated_in_held_out": Column("repeated in valid or test", formatting.count),
    "repeated_in_train": Column("repeated in train", formatting.count),
    "differ_in_digits": Column("in train, equal to another but for digits", formatting.count),
    "train": Column("train", formatting.count),
    "valid": Column("valid", formatting.count),
    "test": Column("test", formatting.count),
    "words": Column("words", formatting.count),
    "tokens": Column("BPE tokens", formatting.count),
    "tokens_per_word": Column("tokens per word", decimal(2)),
    "whole_words": Column("words left whole", formatting.percent),
    "unknown_characters": Column("characters unknown to the codes", formatting.percent),
    "share_of_lines": Column("share of paragraphs", formatting.percent),
    "bpe_probability": Column("wanted in the BPE sample", formatting.percent),
    "bpe_lines": Column("sampled for BPE", formatting.count),
    "share_of_bpe_lines": Column("share of the BPE sample", formatting.percent),
    "blocks": Column("training blocks", formatting.count),
    "share_of_blocks": Column("share of blocks", formatting.percent),
    "training_probability": Column("share of the training", formatting.percent),
    "shared_tokens": Column("tokens shared", formatting.percent),
    "shared_symbols": Column("symbols shared", formatting.count),
    "common_mass": Column("common mass", formatting.percent),
    "update": Column("update", formatting.count),
    "epoch": Column("epoch", formatting.count),
    "loss": Column("loss (nats)", decimal(3)),
    "perplexity": Column("perplexity", decimal(1)),
    "accuracy": Column("accuracy", formatting.percent),
    "unigram": Column("unigram baseline", decimal(1)),
    "lowest": Column("95 %: from", decimal(1)),
    "highest": Column("95 %: to", decimal(1)),
    "share_of_baseline": Column("perplexity ÷ baseline", decimal(2)),
    "seed": Column("seed", text, text=True),
    "examples": Column("examples", formatting.count),
    "gap": Column("gap to English", lambda value: f"{100 * value:.1f} points"),
    "key": Column("key", text, text=True),
    "default": Column("default", text, text=True),
    "run": Column("this run", text, text=True),
    "wiki": Column("wiki", text, text=True),
    "date": Column("dump of", text, text=True),
    "file": Column("file", text, text=True),
    "hash": Column("hash", lambda value: f"{value[:19]}…" if len(value) > 20 else value, text=True),
    "what": Column("what", text, text=True),
    "version": Column("version", text, text=True),
    "stage": Column("stage", text, text=True),
    "jobs": Column("jobs", formatting.count),
    "wall_seconds": Column("time, all jobs", formatting.duration),
    "longest_seconds": Column("longest job", formatting.duration),
    "cpu_seconds": Column("CPU time", formatting.duration),
    "retries": Column("retries", formatting.count),
    "asked_seconds": Column("time asked for", formatting.duration),
    "asked_cores": Column("cores asked for", formatting.count),
    "efficiency": Column("cores in use", formatting.percent),
    "asked_mb": Column("memory asked for", lambda value: formatting.size(value * 1e6)),
    "used_mb": Column("peak memory of a job", lambda value: formatting.size(value * 1e6)),
    "suggestion": Column("better asked for", text, text=True),
    "peak_mb": Column("peak memory of a job", lambda value: formatting.size(value * 2**20)),
    "folder": Column("folder", text, text=True),
    "holds": Column("holds", text, text=True),
    "files": Column("files", formatting.count),
    "size": Column("size", formatting.size),
}


def column(name: str) -> Column:
    """How the column `name` is shown; one that is not known here under its own name."""
    return COLUMNS.get(name) or Column(name.replace("_", " "), figure)


def cell(name: str, value: Any) -> str:
    """A value of the column `name`, `–` where there is none."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)) or value == "":
        return "–"
    return column(name).write(value)


# Columns that the row of sums adds up.
_SUMMED = frozenset(
    f"pages {' '.join(NOT_TAKEN)} articles {' '.join(LOST)} documents unaccounted lines lines_kept "
    "emptied repeats_held_out repeated_in_held_out repeated_in_train differ_in_digits train valid test words tokens "
    "jobs retries wall_seconds cpu_seconds files size".split()
)


@dataclass(frozen=True)
class Table:
    """A table of the report: written whole to `{name}.tsv`, and shown on the page.

    Attributes:
        hidden: columns that only the file has.
        headings: other headings than COLUMNS has.
        total: whether the page adds a row of sums.
        shown: False for a table that is too long to read: the page only links to it.
    """

    name: str
    title: str
    frame: pd.DataFrame
    hidden: tuple[str, ...] = ()
    headings: Mapping[str, str] = field(default_factory=dict)
    total: bool = False
    shown: bool = True

    @property
    def names(self) -> list[str]:
        return [str(name) for name in self.frame if name not in self.hidden]

    @property
    def head(self) -> list[tuple[str, bool]]:
        """Headings, and whether the column is text."""
        return [(self.headings.get(name) or column(name).heading, column(name).text) for name in self.names]

    @property
    def rows(self) -> list[list[str]]:
        """The cells, as they are shown."""
        return [
            [cell(name, value) for name, value in zip(self.names, row, strict=True)]
            for row in self.frame[self.names].itertuples(index=False, name=None)
        ]

    @property
    def foot(self) -> list[str]:
        """The sums of what can be summed."""
        if not self.total or len(self.frame) < 2:
            return []
        sums = [cell(name, self.frame[name].sum()) if name in _SUMMED else "" for name in self.names]
        return ["all", *sums[1:]]


@dataclass(frozen=True)
class Section:
    """A part of the page; where there is nothing to show yet, `missing` says why, and `target` what to run."""

    id: str
    title: str
    sentences: str = ""
    figures: list[Markup] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    missing: str = ""
    target: str = ""


def breakable(value: str) -> Markup:
    """A cell that breaks into lines after the separators of keys and file names, and not in the middle of a word."""
    return Markup("<wbr>").join(re.split(r"(?<=[._:-])(?=[^\W\d])", value))


def render(run: RunFiles, parts: list[Section], tables: str) -> str:
    """The page as HTML.

    Args:
        parts: its sections.
        tables: where their tables lie, relative to the page.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("wikixlm.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = breakable
    manifest = run.manifest or {}
    html = environment.get_template("report.html").render(
        title=f"wikixlm: {formatting.listed(run.languages)}",
        languages=run.languages,
        answers=answers.answers(run),
        sections=parts,
        tables=tables,
        made=manifest.get("made", ""),
        commit=manifest.get("git_commit") or "",
        version=manifest.get("wikixlm") or __version__,
    )
    return formatting.visible(html)
