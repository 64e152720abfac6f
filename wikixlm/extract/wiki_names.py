"""Names that a wiki's markup uses: namespaces, behaviour switches, parser functions, sections, the format of numbers.

The table wikixlm/data/wiki_names.json is made by tools/wiki_names.py from MediaWiki's own messages.
"""

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from wikixlm import languages

FILE, TEMPLATE, CATEGORY = 6, 10, 14
_NAMESPACES = {FILE: "file", TEMPLATE: "template", CATEGORY: "category"}


@dataclass(frozen=True)
class NumberFormat:
    """How a language writes numbers; `group` is empty where digits are not grouped."""

    group: str
    decimal: str
    indian: bool  # 12,34,567
    smallest: int  # digits of the shortest number that is grouped


@dataclass(frozen=True)
class WikiNames:
    """What the markup of one wiki is called; all names in lower case, with spaces for underscores."""

    file: frozenset[str]
    category: frozenset[str]
    template: frozenset[str]
    interlanguage: frozenset[str]
    switches: frozenset[str]
    functions: Mapping[str, str]  # a local name of a parser function → its English name
    sections: frozenset[str]  # titles of sections for references and links
    numbers: NumberFormat | None  # None: digits other than 0 to 9
    months: tuple[str, ...]  # in the genitive, as they are in a date


def normalize_name(name: str) -> str:
    """The form in which names are compared: lower case, single spaces for underscores."""
    return " ".join(name.replace("_", " ").split()).lower()


def wiki_names(language: str, namespaces: Mapping[int, str] | None = None) -> WikiNames:
    """The names of a language's Wikipedia.

    Args:
        language: a Wikipedia's code.
        namespaces: names by number, from the dump's `<siteinfo>`; accepted beside those of the table.
    """
    table = _table()
    own = table.get(languages.wiki(language).code, table["en"])
    rows = [table["en"], own]

    def names(key: str, number: int) -> frozenset[str]:
        found = {normalize_name(name) for row in rows for name in row[key]}
        return frozenset(
            found | ({normalize_name(namespaces[number])} if namespaces and number in namespaces else set())
        )

    functions = {
        name.lower().strip(":"): key for row in rows for key, words in row["functions"].items() for name in words
    }
    return WikiNames(
        **{key: names(key, number) for number, key in _NAMESPACES.items()},
        interlanguage=_interlanguage_prefixes(),
        switches=frozenset(switch.lower() for row in rows for switch in row["switches"]),
        functions=functions,
        sections=frozenset(normalize_name(title) for row in rows for title in row["sections"]),
        numbers=_number_format(*own["numbers"]),
        months=tuple(own["months"]),
    )


@functools.cache
def _table() -> dict[str, dict[str, Any]]:
    rows = json.loads(files("wikixlm").joinpath("data", "wiki_names.json").read_text(encoding="utf-8"))
    return {row["code"]: row for row in rows}


@functools.cache
def _interlanguage_prefixes() -> frozenset[str]:
    wikis = languages.all_wikis()
    return frozenset(
        {wiki.code for wiki in wikis} | {wiki.dbname.removesuffix("wiki").replace("_", "-") for wiki in wikis}
    )


def _number_format(long: str, short: str, digits: str) -> NumberFormat | None:
    """The format that the samples 1234567890.12 and 1234 show."""
    if digits != "0123456789":
        return None
    decimal = long[-3]
    group = next(iter(re.findall(r"\D", long[:-3])), "")
    return NumberFormat(group, decimal, long.startswith(f"1{group}23{group}"), 4 if group and group in short else 5)
