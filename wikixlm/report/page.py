"""The page: sections of sentences, figures and tables, filled into templates/report.html."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import jinja2
import pandas as pd
from markupsafe import Markup

from wikixlm import __version__, formatting
from wikixlm.report import answers, columns, text
from wikixlm.report.run import Run

# Columns that the row of sums adds up.
_SUMMED = frozenset(
    f"pages {' '.join(text.NOT_TAKEN)} articles {' '.join(text.LOST)} documents unaccounted lines lines_kept "
    "emptied repeats_held_out repeated_in_held_out train valid test words tokens jobs wall_seconds cpu_seconds files "
    "size".split()
)


@dataclass(frozen=True)
class Table:
    """A table of the report: written whole to `{name}.tsv`, and shown on the page.

    Attributes:
        hidden: columns that only the file has.
        headings: other headings than columns.py has.
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
        return [
            (self.headings.get(name) or columns.column(name).heading, columns.column(name).text) for name in self.names
        ]

    @property
    def rows(self) -> list[list[str]]:
        """The cells, as they are shown."""
        return [
            [columns.cell(name, value) for name, value in zip(self.names, row, strict=True)]
            for row in self.frame[self.names].itertuples(index=False, name=None)
        ]

    @property
    def foot(self) -> list[str]:
        """The sums of what can be summed."""
        if not self.total or len(self.frame) < 2:
            return []
        sums = [columns.cell(name, self.frame[name].sum()) if name in _SUMMED else "" for name in self.names]
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


def render(run: Run, parts: list[Section], tables: str) -> str:
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
    manifest = run.manifest or {}
    return environment.get_template("report.html").render(
        title=f"wikixlm: {formatting.listed(run.languages)}",
        languages=run.languages,
        answers=answers.answers(run),
        sections=parts,
        tables=tables,
        made=manifest.get("made", ""),
        commit=manifest.get("git_commit") or "",
        version=manifest.get("wikixlm") or __version__,
    )
