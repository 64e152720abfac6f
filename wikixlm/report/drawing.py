"""Drawing for a page that is read in light and in dark, on a desk and on a phone: matplotlib's SVG, inlined.

Figures are drawn small, so that their text stays readable on a phone, and in stand-in colours that become CSS
variables of the page (`--series-1`, …) or the colour of its text. Text stays text, in the page's font.
"""

import io
import re
from collections.abc import Sequence
from xml.sax.saxutils import quoteattr

import matplotlib
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 3.7  # inches, of 72 units each; text of 8.5 units is about 12 pixels where a figure is 370 pixels wide
SERIES = 8
_NAMES = ["ink", "muted", "grid", "surface", "heat", *(f"series-{number + 1}" for number in range(SERIES))]
_STAND_INS = {name: f"#fa57{number:02x}" for number, name in enumerate(_NAMES)}
INK, MUTED, GRID, SURFACE, HEAT, *COLOURS = _STAND_INS.values()
# After the eighth line the colours come again, each time with another dash.
DASHES = ["-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5))]

STYLE = {
    "svg.fonttype": "none",
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
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
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
