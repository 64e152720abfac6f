"""Parser functions and variables whose result follows from the page: numbers, letter case, conditions, the title."""

import re
from collections.abc import Callable

from wikixlm.extract.wiki_names import NumberFormat, WikiNames

_NUMBER = re.compile(r"([+\-−]?)(\d+)(\.\d+)?")
_EXPRESSION = re.compile(r"[\d\s.+*/()^<>=eE-]{1,60}")


def format_number(text: str, numbers: NumberFormat | None) -> str:
    """A number as the language writes it, all digits kept; anything else as it is."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None or numbers is None:
        return text.strip()
    sign, whole, fraction = match[1], match[2], match[3] or ""
    if numbers.group and len(whole) >= numbers.smallest:
        step, last = (2, 3) if numbers.indian else (3, 3)
        groups = [whole[-last:]]
        whole = whole[:-last]
        while whole:
            groups.append(whole[-step:])
            whole = whole[:-step]
        whole = numbers.group.join(reversed(groups))
    return f"{sign}{whole}{fraction.replace('.', numbers.decimal)}"


def call_function(head: str, rest: list[str], title: str, names: WikiNames) -> str | None:
    """The result of `{{head|rest…}}` if it is a parser function or a variable of the page; None for all others.

    Functions that depend on the day, or on other pages, are not known here, and so are dropped with their values.
    """
    name, colon, argument = head.partition(":")
    name = name.strip().lower()
    key = names.functions.get(name, name)
    if not colon:
        return {"pagename": title.rpartition(":")[2], "fullpagename": title, "!": "|", "=": "="}.get(key)
    if key == "formatnum":
        raw = rest and rest[0].strip().upper() in ("R", "NOSEP")
        return argument.strip() if raw else format_number(argument, names.numbers)
    if key in _LETTER_CASE:
        return _LETTER_CASE[key](argument.strip())
    if key == "#if":
        return _pick(rest, 0 if argument.strip() else 1)
    if key == "#ifeq":
        return _pick(rest[1:], 0 if rest and argument.strip() == rest[0].strip() else 1)
    if key == "#switch":
        return _switch(argument.strip(), rest)
    if key == "#expr" and _EXPRESSION.fullmatch(argument):
        return f"{{{{#expr:{argument}}}}}"  # WikiExtractor's to compute
    return None


_LETTER_CASE: dict[str, Callable[[str], str]] = {
    "lc": str.lower,
    "uc": str.upper,
    "lcfirst": lambda text: text[:1].lower() + text[1:],
    "ucfirst": lambda text: text[:1].upper() + text[1:],
}


def _pick(values: list[str], at: int) -> str:
    return values[at].strip() if at < len(values) else ""


def _switch(value: str, cases: list[str]) -> str:
    matched = False
    default = ""
    for number, case in enumerate(cases):
        key, equals, result = case.partition("=")
        if not equals:
            matched |= key.strip() == value
            if number == len(cases) - 1:
                default = key.strip()
            continue
        if matched or key.strip() == value:
            return result.strip()
        if key.strip() == "#default":
            default = result.strip()
    return default
