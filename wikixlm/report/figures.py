"""The figures of the report, drawn from its tables, as SVG for a page in light or dark, on a desk or a phone.

Figures are drawn small, so that their text stays readable on a phone, and in stand-in colours that become CSS
variables of the page (`--series-1`, …) or the colour of its text. Text stays text, in the page's font.
"""

import io
import re
from collections.abc import Callable, Mapping, Sequence
from xml.sax.saxutils import quoteattr

import matplotlib
import numpy as np
import pandas as pd
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from wikixlm import formatting

WIDTH = 3.7  # inches, of 72 units each; text of 8.5 units is about 12 pixels where a figure is 370 pixels wide
SERIES = 8
_NAMES = ["ink", "muted", "grid", "surface", "heat", *(f"series-{number + 1}" for number in range(SERIES))]
_STAND_INS = {name: f"#fa57{number:02x}" for number, name in enumerate(_NAMES)}
INK, MUTED, GRID, SURFACE, HEAT, *COLOURS = _STAND_INS.values()
# After the eighth line the colours come again, each time with another dash.
DASHES = ["-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5))]

STYLE = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # labels come from files: a $ is a $
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.color": GRID,
    "ytick.color": GRID,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.5,
}

# What draws is decorated with this: matplotlib's settings are those of the page, until it returns.
styled = matplotlib.rc_context(STYLE)  # type: ignore[arg-type]


class Drawing:
    """A figure of one panel, and the SVG made of it; drawn by a function that is `styled`.

    Args:
        name: unique on the page: ids inside the SVG begin with it.
        title: what the panel shows, printed over it.
        description: for those who can't see it; the table beside it has the numbers.
        height: in inches.
    """

    def __init__(self, name: str, title: str, description: str, height: float = 2.3) -> None:
        self.name = name
        self.description = description
        self._figure = Figure(figsize=(WIDTH, height), layout="constrained")
        self.axes: Axes = self._figure.add_subplot()
        self._figure.suptitle(title, x=0.01, ha="left", fontsize=9, fontweight="bold")

    def legend(self, columns: int = 3) -> None:
        """The legend, below the panel; none for a single series."""
        handles, labels = self.axes.get_legend_handles_labels()
        if len(handles) > 1:
            self._figure.legend(handles, labels, loc="outside lower left", ncols=columns, handlelength=1.6)

    def svg(self) -> Markup:
        """The figure as an element of the page."""
        stream = io.StringIO()
        with matplotlib.rc_context({"svg.hashsalt": self.name}):
            self._figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Type": None})
        return Markup(_for_page(stream.getvalue(), self.name, self.description))


def _for_page(text: str, name: str, description: str) -> str:
    """What matplotlib wrote, as one `<svg>` whose ids are its own and whose colours are the page's."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    # The name may come from a file: it must not end the attribute.
    prefix = re.sub(r"[^a-z0-9-]", lambda match: f"_{ord(match[0]):x}_", name)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", text)
    for variable, stand_in in _STAND_INS.items():
        text = text.replace(stand_in, "currentColor" if variable == "ink" else f"var(--{variable})")
    text = re.sub(r"(font: [^;\"]*?px) [^;\"]*", r"\1 var(--sans)", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--sans)", text)
    text = re.sub(
        r'width="[\d.]+pt" height="[\d.]+pt"', f'role="img" aria-label={quoteattr(description)}', text, count=1
    )
    return "\n".join(line.rstrip() for line in text.splitlines())


def bar_height(bars: int) -> float:
    """Inches for a panel of so many horizontal bars, its title, axis and legend."""
    return 0.95 + 0.24 * bars


def colour(number: int) -> str:
    """The colour of series `number`, from 0."""
    return COLOURS[number % SERIES]


def dash(number: int) -> str | tuple[int, Sequence[float]]:
    """The dash of line `number`, from 0."""
    return DASHES[number // SERIES % len(DASHES)]  # type: ignore[return-value]


POINTS = 400  # of a curve; a long training has more rows, which are averaged
_ANNOTATED = 12  # languages up to which the cells of the heat map show their numbers
_COUNTS = FuncFormatter(lambda value, _: formatting.abbreviated(value))


@styled
def parts(name: str, title: str, frame: pd.DataFrame, whole: str, columns: Mapping[str, str]) -> Markup | None:
    """Stacked bars, one a language: which share of `whole` each column is.

    Args:
        columns: column to its name in the legend; columns that are 0 everywhere are not drawn.
    """
    frame = frame[frame[whole].notna() & (frame[whole] > 0)]
    shown = [column for column in columns if frame[column].sum()]
    if frame.empty:
        return None
    said = f"{title}: {', '.join(columns[column] for column in shown)}, as shares for each language."
    drawing = Drawing(name, title, said, bar_height(len(frame)) + 0.16 * ((len(shown) + 1) // 2))
    left = np.zeros(len(frame))
    for column in shown:
        share = (frame[column] / frame[whole]).astype(float).to_numpy()
        number = list(columns).index(column)
        drawing.axes.barh(frame["language"], share, left=left, height=0.68, color=colour(number), label=columns[column],
                          edgecolor=SURFACE, linewidth=0.6)  # fmt: skip
        left += share
    _bars(drawing)
    drawing.axes.set_xlim(0, 1)
    drawing.axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    drawing.legend(2)
    return drawing.svg()


@styled
def amounts(
    name: str,
    title: str,
    frame: pd.DataFrame,
    column: str,
    label: str,
    write: Callable[[float], str] = formatting.abbreviated,
) -> Markup | None:
    """Bars, one a row of the table, with their values as `write` puts them."""
    frame = frame[frame[column].notna()]
    if frame.empty:
        return None
    names, values = frame.iloc[:, 0], frame[column].astype(float)
    drawing = Drawing(name, title, f"{title}: {label} for each {names.name}.", bar_height(len(frame)))
    bars = drawing.axes.barh(names, values, height=0.68, color=colour(0))
    drawing.axes.bar_label(bars, [write(value) for value in values], padding=3, fontsize=8, color=INK)
    _bars(drawing)
    drawing.axes.set_xlim(0, (values.max() or 1) * 1.25)
    drawing.axes.xaxis.set_major_formatter(_COUNTS)
    drawing.axes.set_xlabel(label)
    return drawing.svg()


@styled
def before_and_after(name: str, title: str, frame: pd.DataFrame, before: str, after: str, label: str) -> Markup:
    """A ring for what a language is of the whole and a disc for what is drawn of it, joined."""
    drawing = Drawing(
        name, title, f"{title}: share before and after alpha for each language.", bar_height(len(frame)) + 0.15
    )
    rows = np.arange(len(frame))
    drawing.axes.hlines(rows, frame[before], frame[after], color=GRID, linewidth=2.5)
    drawing.axes.scatter(frame[before], rows, s=34, zorder=3, label="share of the text", facecolors=SURFACE,
                         edgecolors=MUTED, linewidths=1.3)  # fmt: skip
    drawing.axes.scatter(frame[after], rows, s=34, zorder=4, color=colour(0), label=label)
    drawing.axes.set_yticks(rows, frame["language"])
    _bars(drawing)
    drawing.axes.set_ylim(len(frame) - 0.4, -0.6)
    drawing.axes.set_xlim(left=0)
    drawing.axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    drawing.legend(2)
    return drawing.svg()


@styled
def heat_map(name: str, title: str, frame: pd.DataFrame) -> Markup:
    """Rows: a language; columns: another; the stronger the colour, the more of the row's tokens the other shares."""
    matrix = frame.pivot(index="language", columns="other", values="shared_tokens")
    names = list(dict.fromkeys(frame["language"]))
    matrix = matrix.reindex(index=names, columns=names)
    few = len(names) <= _ANNOTATED
    drawing = Drawing(name, title, f"{title}; the numbers are in the table.", min(WIDTH, 1.3 + 0.3 * len(names)))
    drawing.axes.grid(visible=False)
    for row, language in enumerate(names):
        for column, other in enumerate(names):
            value = 1.0 if language == other else float(matrix.loc[language, other])
            # So light that text on it keeps its contrast.
            drawing.axes.add_patch(_cell(column, row, alpha=0.04 + 0.56 * value))
            if few:
                drawing.axes.text(column, row, f"{value:.0%}", ha="center", va="center", fontsize=8)
    drawing.axes.set_xlim(-0.5, len(names) - 0.5)
    drawing.axes.set_ylim(len(names) - 0.5, -0.5)
    drawing.axes.set_xticks(range(len(names)), names, rotation=0 if few else 90)
    drawing.axes.set_yticks(range(len(names)), names)
    drawing.axes.set_xlabel("uses the same symbols")
    drawing.axes.set_ylabel("tokens of")
    drawing.axes.spines[:].set_visible(False)
    drawing.axes.tick_params(length=0)
    return drawing.svg()


def _cell(column: int, row: int, alpha: float) -> Rectangle:
    return Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=HEAT, alpha=alpha, linewidth=0)


@styled
def loss(frame: pd.DataFrame, held_out: pd.DataFrame | None) -> Markup:
    """The training loss, and the mean of the languages' validation losses."""
    drawing = Drawing("loss", "Loss", "Training and validation loss in nats per masked token over updates.")
    thin = _thinned(frame, "loss")
    drawing.axes.plot(thin["update"], thin["loss"], color=colour(0), label="training", linewidth=1.2)
    if held_out is not None:
        mean = held_out[held_out["language"] == "mean"]
        drawing.axes.plot(mean["update"], mean["loss"], "o-", color=colour(1), markersize=3, label="validation")
    drawing.axes.set_ylabel("nats per masked token")
    _updates(drawing)
    drawing.legend()
    return drawing.svg()


@styled
def perplexities(frame: pd.DataFrame, baselines: Mapping[str, float]) -> Markup:
    """Validation perplexity by language; a dashed line of the same colour is its unigram baseline."""
    names = [name for name in dict.fromkeys(frame["language"]) if name != "mean"] or ["mean"]
    said = "Validation perplexity of each language over updates, with its unigram baseline."
    drawing = Drawing("validation-perplexity", "Validation perplexity", said, 2.3 + 0.16 * (len(names) // 5))
    for number, language in enumerate(names):
        rows = frame[frame["language"] == language]
        drawing.axes.plot(rows["update"], rows["perplexity"], linestyle=dash(number), marker="o", markersize=2.5,
                          color=colour(number), label=language)  # fmt: skip
        if language in baselines:
            drawing.axes.axhline(baselines[language], color=colour(number), linestyle=(0, (2, 2)), linewidth=0.9)
    if baselines:
        drawing.axes.plot([], [], color=MUTED, linestyle=(0, (2, 2)), linewidth=0.9, label="unigram baseline")
    drawing.axes.set_yscale("log")
    drawing.axes.yaxis.set_major_formatter(_COUNTS)
    drawing.axes.yaxis.set_minor_formatter(
        FuncFormatter(lambda value, _: formatting.abbreviated(value) if f"{value:.0e}"[0] in "25" else "")
    )
    drawing.axes.tick_params(axis="y", which="minor", labelsize=7.5, length=2)
    _updates(drawing)
    drawing.legend(5)
    return drawing.svg()


@styled
def curve(name: str, title: str, frame: pd.DataFrame, column: str, label: str) -> Markup:
    """One figure of the training over its updates."""
    drawing = Drawing(name, title, f"{title} over updates.")
    thin = _thinned(frame, column)
    drawing.axes.plot(thin["update"], thin[column], color=colour(0), linewidth=1.2)
    drawing.axes.set_ylim(bottom=0)
    drawing.axes.yaxis.set_major_formatter(_COUNTS)
    if column == "lr":
        drawing.axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    drawing.axes.set_ylabel(label)
    _updates(drawing)
    return drawing.svg()


@styled
def beside_baseline(name: str, title: str, frame: pd.DataFrame) -> Markup:
    """Bars of perplexity by language; a mark at the unigram baseline, which a model must get well below."""
    said = f"{title}: perplexity of each language, and its unigram baseline."
    drawing = Drawing(name, title, said, bar_height(len(frame)) + 0.15)
    rows = np.arange(len(frame))
    bars = drawing.axes.barh(rows, frame["perplexity"], height=0.6, color=colour(0), label="this model")
    drawing.axes.bar_label(bars, [f"{value:,.0f}" for value in frame["perplexity"]], padding=3, fontsize=8, color=INK)
    drawing.axes.scatter(frame["unigram"], rows, marker="|", s=150, linewidths=2.2, color=colour(1), zorder=3,
                         label="unigram baseline")  # fmt: skip
    drawing.axes.set_yticks(rows, frame["language"])
    _bars(drawing)
    drawing.axes.set_xlim(0, max(frame["unigram"].max(), frame["perplexity"].max()) * 1.08)
    drawing.axes.xaxis.set_major_formatter(_COUNTS)
    drawing.axes.set_xlabel("perplexity (lower is better)")
    drawing.legend(2)
    return drawing.svg()


@styled
def retrieval(name: str, title: str, frame: pd.DataFrame) -> Markup:
    """Bars of accuracy by direction with their 95 % interval; marks at the baselines that need no model."""
    drawing = Drawing(name, title, f"{title}: accuracy of each direction, and baselines.", bar_height(len(frame)) + 0.3)
    rows, share = np.arange(len(frame)), frame["accuracy"]
    reach = np.maximum([share - frame["lowest"], frame["highest"] - share], 0)
    drawing.axes.barh(rows, share, height=0.6, color=colour(0), label="this model", xerr=reach, ecolor=INK)
    for number, (column, label) in enumerate({"length": "length only", "surface": "shared symbols only"}.items(), 1):
        drawing.axes.scatter(frame[column], rows, marker="|", s=150, linewidths=2.2, color=colour(number), zorder=3,
                             label=label)  # fmt: skip
    drawing.axes.set_yticks(rows, frame["pair"])
    _bars(drawing)
    drawing.axes.set_xlim(0, max(frame["highest"].max(), frame["best_baseline"].max()) * 1.08 or 1)
    drawing.axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    drawing.axes.set_xlabel("translations found")
    drawing.legend(2)
    return drawing.svg()


@styled
def accuracies(name: str, title: str, frame: pd.DataFrame, chance: float) -> Markup:
    """Bars of accuracy by language; the dashed line is chance."""
    drawing = Drawing(name, title, f"{title} of each language.", bar_height(len(frame)))
    bars = drawing.axes.barh(frame["language"], frame["accuracy"], height=0.68, color=colour(0))
    drawing.axes.bar_label(bars, [f"{value:.1%}" for value in frame["accuracy"]], padding=3, fontsize=8, color=INK)
    drawing.axes.axvline(chance, color=MUTED, linestyle=(0, (2, 2)), linewidth=0.9)
    _bars(drawing)
    drawing.axes.set_xlim(0, 1)
    drawing.axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    drawing.axes.set_xlabel("accuracy (dashed: chance)")
    return drawing.svg()


def _bars(drawing: Drawing) -> None:
    """Horizontal bars: the first on top, lines along the values only."""
    drawing.axes.grid(visible=False, axis="y")
    drawing.axes.spines["left"].set_visible(False)
    drawing.axes.tick_params(axis="y", length=0, labelcolor=INK)
    drawing.axes.xaxis.set_major_locator(MaxNLocator(5))
    if not drawing.axes.yaxis_inverted():
        drawing.axes.invert_yaxis()


def _updates(drawing: Drawing) -> None:
    drawing.axes.set_xlim(left=0)
    drawing.axes.xaxis.set_major_locator(MaxNLocator(5))
    drawing.axes.xaxis.set_major_formatter(_COUNTS)
    drawing.axes.set_xlabel("updates")


def _thinned(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """A curve of at most `POINTS` points: means over stretches of equally many rows."""
    rows = frame[["update", column]].dropna()
    if len(rows) <= POINTS:
        return rows
    return rows.groupby(np.arange(len(rows)) * POINTS // len(rows)).mean()
