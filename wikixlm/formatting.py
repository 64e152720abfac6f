"""Bytes, durations, numbers, lists and tables as people read them."""

import re
from collections.abc import Collection, Sequence

_BYTES = ((1e3, "kB"), (1e6, "MB"), (1e9, "GB"), (1e12, "TB"))
_COUNTS = ((1e3, "k"), (1e6, "M"), (1e9, "G"), (1e12, "T"))
_WORDS = ((1e6, "million"), (1e9, "billion"))
# Control characters, and those that change the direction of the text around them.
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_MARKUP = re.compile(r"[\\`*_\[\]|~$&]")
# A unit of time in seconds, and the next smaller one.
_DURATIONS = ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def size(value: float) -> str:
    """Bytes, by powers of 1000: `512 bytes`, `960 kB`, `73.8 kB`, `7.1 GB`."""
    rounded = float(f"{value:.3g}")
    for factor, unit in reversed(_BYTES):
        if rounded >= factor:
            scaled = value / factor
            return f"{scaled:.0f} {unit}" if rounded >= 100 * factor else f"{scaled:.1f} {unit}"
    return f"{value:.0f} bytes"


def abbreviated(value: float) -> str:
    """A number with three digits, for the axis of a figure: `1.23 M`, `40`."""
    return _scaled(value, _COUNTS) or f"{value:.3g}"


def large(value: float) -> str:
    """A number in a sentence: `1.23 million`, `40,000`."""
    return _scaled(value, _WORDS) or count(value)


def _scaled(value: float, units: Sequence[tuple[float, str]]) -> str:
    """`value` in the largest unit that it reaches once rounded to three digits; empty if it reaches none."""
    rounded = float(f"{value:.3g}")
    for factor, unit in reversed(units):
        if abs(rounded) >= factor:
            return f"{rounded / factor:.4g} {unit}"
    return ""


def count(value: float) -> str:
    """A whole number with separated thousands: `1,234,567`."""
    return f"{value:,.0f}"


def percent(value: float) -> str:
    """A share as `12.3 %`; more than nothing is never shown as 0, less than all never as 100."""
    if 0 < value < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= value < 1:
        return "> 99.9 %"
    return f"{100 * value:.1f} %"


def duration(seconds: float) -> str:
    """Seconds in the two largest units: `2 d 3 h`, `1 h 5 min`, `3 min 20 s`, `20 s`, `1.4 s`."""
    if seconds < 9.95:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    for unit, name, smaller, smaller_name in _DURATIONS:
        if whole >= unit:
            rest = whole % unit // smaller
            return f"{whole // unit} {name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{whole} s"


def listed(names: Sequence[str]) -> str:
    """`a, b and c`; of more than twelve the first ten."""
    if len(names) > 12:
        return f"{', '.join(names[:10])} and {len(names) - 10} more"
    return " and ".join([*([", ".join(names[:-1])] if names[:-1] else []), *names[-1:]])


def visible(text: str) -> str:
    """Text from a file whose control characters, but for line ends and tabs, are written as `\\x1b`."""
    return _INVISIBLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def markdown(value: object) -> str:
    """A value from a file as text in one line of Markdown: markup and HTML in it are shown, not followed."""
    return _MARKUP.sub(r"\\\g<0>", visible(" ".join(str(value).split()))).replace("<", "&lt;")


def table(rows: Sequence[Sequence[str]], left: Collection[int] = (0,)) -> str:
    """Rows in aligned columns, the headings first; the columns `left` are left-aligned, the others right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )
