"""Templates in running text that carry some of it: their text is kept, where WikiExtractor would drop them.

A pattern describes the text that replaces a template: `{1}` is its first unnamed value, `{-1}` the last, `{*}` all of
them joined, `{lang}` the value of that name, `{text/1}` the first of these that is not empty; other characters are
literal; `@convert` and its kind name a function below. A name that ends in `-*` matches a family (`lang-*`: lang-de,
lang-fr, …). Names are compared in lower case, with spaces for underscores. The table of the languages is
wikixlm/data/inline_templates.json, pattern → names.
"""

import functools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple

from wikixlm.extract.parser_functions import format_number
from wikixlm.extract.protection import protect
from wikixlm.extract.wiki_names import WikiNames

UNITS = {"C": "°C", "F": "°F", "sqmi": "sq mi", "sqft": "sq ft", "cuft": "cu ft", "cumi": "cu mi", "sqyd": "sq yd"}
RANGES = {
    "-": "–",
    "–": "–",
    "to(-)": "–",
    "to": " to ",
    "and": " and ",
    "or": " or ",
    "x": " × ",
    "by": " by ",
    "×": " × ",
    "+/-": " ± ",
    "±": " ± ",
}
# Values of `disp=` with which {{convert}} shows something else than the measure as it was given.
_HIDING_DISPLAYS = {"out", "output only", "output number only", "number", "unit", "unit2", "x", "none", "preunit"}
# Arguments of {{val}} whose meaning is known here.
_VALUE_KEYS = {"e", "u", "ul", "fmt", "p", "s", "end"}
# Arguments of {{IPAc-en}} that are not sounds.
IPA_WORDS = frozenset(
    "lang pron pronounced us uk usalso ukalso alsous alsouk also icon local audio".split()  # noqa: SIM905
)
# A name that is its own text: {{XIXe siècle}}, {{3e}}.
OWN_TEXT = re.compile(r"(?:[ivx]{1,9}e siècle|\d{1,4}(?:er?|re))(?: av\. J\.-C\.)?", re.IGNORECASE)

_FIELD = re.compile(r"\{([^{}]+)\}")
_INDEX = re.compile(r"-?\d{1,3}")
_LANGUAGE_CODE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z]{1,20})?")
_NUMBER = re.compile(r"[+\-−]?(?=[.,]?\d)[\d.,]{1,40}(?:[/⁄+][\d/⁄]{1,20})?(?:e[+-]?\d{1,3})?")
_NO_KEY = re.compile(r"[<>\[\]{}]")
_SPACES = re.compile(r" {2,}")


class TemplateCall(NamedTuple):
    """The values of a call: unnamed ones in order, named ones by name."""

    values: list[str]
    named: dict[str, str]


def parse_call(arguments: Sequence[str]) -> TemplateCall:
    """Sort the arguments of a call into unnamed and named ones; `1=`, `2=`, … count as unnamed."""
    values: list[str] = []
    named: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        key = key.strip()
        if equals and 0 < len(key) <= 40 and not _NO_KEY.search(key):
            named[key] = value.strip()
        else:
            values.append(argument.strip())
    for number in range(1, len(named) + len(values) + 1):
        if str(number) in named:
            values[number - 1 : number] = [named[str(number)]]
    return TemplateCall(values, named)


class InlineTemplates:
    """The texts of the templates of one wiki."""

    def __init__(self, language: str, names: WikiNames, more: Mapping[str, str] | None = None) -> None:
        """Args: more: patterns by name, which win over the table's; an empty pattern drops the template."""
        tables = _tables()
        table = {
            **tables["*"],
            **tables.get(language, {}),
            **{name.lower(): protect(text, "<>") for name, text in (more or {}).items()},
        }
        self._patterns = {name: pattern for name, pattern in table.items() if not name.endswith("*")}
        self._families = {name[:-1]: pattern for name, pattern in table.items() if name.endswith("*")}
        self._language, self._names = language, names

    def knows(self, name: str) -> bool:
        """Whether the table has a pattern for a template, so that nothing else may give its text."""
        return self._pattern(name.lower()) is not None

    def known_names(self) -> frozenset[str]:
        """The names in the table, in lower case; those of families are left out."""
        return frozenset(self._patterns)

    def text(self, name: str, arguments: Sequence[str]) -> str | None:
        """The text of a call; None for a template that is not known, or whose values are not understood."""
        lower = name.lower()
        if OWN_TEXT.fullmatch(name):
            return name
        pattern = self._pattern(lower)
        if pattern is None:
            return None
        call = parse_call(arguments)
        if pattern.startswith("@") and pattern in _FUNCTIONS:
            return _FUNCTIONS[pattern](call, self._names, self._language)
        if lower.startswith("ipac-"):
            call = call._replace(values=[v.replace("_", " ") for v in call.values if v.lower() not in IPA_WORDS])
        if lower == "ipa" and len(call.values) > 1 and _LANGUAGE_CODE.fullmatch(call.values[0]):
            call = call._replace(values=call.values[1:])
        if lower == "as of" and call.named.get("lc"):
            pattern = pattern.lower()
        return fill_pattern(pattern, call)

    def _pattern(self, name: str) -> str | None:
        if name in self._patterns:
            return self._patterns[name]
        family = name[: name.find("-") + 1]
        return self._families.get(family) if family else None


@functools.cache
def _tables() -> dict[str, dict[str, str]]:
    """Language (`*`: all) → name → pattern."""
    tables = json.loads(files("wikixlm").joinpath("data", "inline_templates.json").read_text(encoding="utf-8"))
    return {
        language: {name.lower(): pattern for pattern, names in table.items() for name in names}
        for language, table in tables.items()
    }


def fill_pattern(pattern: str, call: TemplateCall) -> str:
    """A pattern with the values of a call; values that are not given leave nothing behind."""

    def value(match: re.Match[str]) -> str:
        for key in match[1].split("/"):
            if key == "*":
                return "".join(call.values)
            found = call.named.get(key, "")
            if _INDEX.fullmatch(key):
                index = int(key) - 1 if int(key) > 0 else int(key)
                found = call.values[index] if -len(call.values) <= index < len(call.values) else ""
            if found:
                return found
        return ""

    text = _FIELD.sub(value, pattern)
    if not pattern.strip() or pattern == text:
        return text
    return _SPACES.sub(" ", text).strip().removesuffix("()").strip()


def convert_measure(call: TemplateCall) -> str | None:
    """`{{convert|5|-|10|km|mi}}` → `5–10 km`: the measure as its author gave it; None for a form not understood."""
    values = call.values
    if call.named.get("disp", "").lower() in _HIDING_DISPLAYS:
        return None
    text, at = "", 0
    while at < len(values):
        if not _NUMBER.fullmatch(values[at]):
            return None
        text += values[at]
        at += 1
        if at == len(values):
            return None
        if at + 1 < len(values) and values[at] in RANGES:
            text += RANGES[values[at]]
            at += 1
            continue
        if not values[at] or _NUMBER.fullmatch(values[at]):
            return None
        text += f" {unit_symbol(values[at])}"
        at += 1
        # Feet and inches: another number with its own unit follows, not a precision.
        if at + 1 >= len(values) or not _NUMBER.fullmatch(values[at]) or values[at + 1] not in ("in", "oz", "lb", "ft"):
            break
        text += " "
    return text or None


def unit_symbol(code: str) -> str:
    """How a unit's code is written: `km2` → `km²`."""
    return UNITS.get(code) or re.sub(r"(?<=[a-z])[23]$", lambda match: "²" if match[0] == "2" else "³", code)


def fraction(values: list[str]) -> str:
    """`{{frac|1|2}}` → `1/2`, `{{frac|3}}` → `1/3`, `{{frac|1|2|3}}` → `1 2/3`."""
    match values:
        case [below]:
            return f"1/{below}"
        case [above, below]:
            return f"{above}/{below}"
        case [whole, above, below]:
            return f"{whole} {above}/{below}"
    return ""


def value_with_unit(call: TemplateCall) -> str | None:
    """`{{val|5.3|e=3|u=km}}` → `5.3×10³ km`; None for a form not understood, so that no wrong number is left."""
    numbers, named = call.values, {key: value for key, value in call.named.items() if not key.isdigit()}
    if not numbers or len(numbers) > 2 or not set(named) <= _VALUE_KEYS:
        return None
    if not all(_NUMBER.fullmatch(number) for number in numbers):
        return None
    text = "±".join(numbers)
    if named.get("e"):
        if not re.fullmatch(r"[+\-−]?\d{1,4}", named["e"]):
            return None
        power = named["e"].replace("−", "-").lstrip("+").translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
        text = f"({text})×10{power}" if len(numbers) > 1 else f"{text}×10{power}"
    unit = named.get("u") or named.get("ul") or ""
    return f"{named.get('p', '')}{text}{named.get('s', '')} {unit_symbol(unit)}".strip()


def date(values: Sequence[str], order: str, names: WikiNames, language: str) -> str | None:
    """The first three values as a date of the language; fewer, as they are.

    Args:
        values: numbers of day, month and year, or the month's name.
        order: `dmy` or `ymd`, the order in which the template has them.
    """
    parts = [value for value in values[:3] if value]
    if not parts:
        return None
    if len(parts) < 3 or not all(part.isalnum() for part in parts):
        return " ".join(parts)
    day, month, year = parts if order == "dmy" else parts[::-1]
    if not (day.isdigit() and month.isdigit() and 1 <= int(month) <= 12):
        return f"{day} {month} {year}"
    if language in ("ja", "zh"):
        return f"{year}年{int(month)}月{int(day)}日"
    name = names.months[int(month) - 1]
    if language == "ko":
        return f"{year}년 {name} {int(day)}일"
    if language in ("en", "simple"):
        return f"{name} {int(day)}, {year}"
    return f"{int(day)} {name} {year}"


def _number(call: TemplateCall, names: WikiNames, _: str) -> str | None:
    return format_number(call.values[0], names.numbers) if call.values and call.values[0] else None


def _code(call: TemplateCall, *_: object) -> str | None:
    return protect(fill_pattern("{2}" if len(call.values) > 1 else "{1}", call)) or None


_FUNCTIONS: dict[str, Callable[[TemplateCall, WikiNames, str], str | None]] = {
    "@convert": lambda call, *_: convert_measure(call),
    "@fraction": lambda call, *_: fraction(call.values),
    "@value": lambda call, *_: value_with_unit(call),
    "@number": _number,
    "@code": _code,
    "@dmy": lambda call, names, language: date(call.values, "dmy", names, language),
    "@ymd": lambda call, names, language: date(call.values, "ymd", names, language),
}
