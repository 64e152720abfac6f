"""Templates in running text that carry some of it: their text is kept, where wikiextractor would drop them.

A pattern describes the text that replaces a template: `{1}` is its first unnamed value, `{-1}` the last, `{*}` all
of them joined, `{lang}` the value of that name, `{text/1}` the first of these that is given; other characters are
literal. A name that ends in `-*` matches a family (`lang-*`: lang-de, lang-fr, …). Names are compared in lower case,
with spaces for underscores.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

PATTERNS = {
    # English, and what many other wikis took over from it
    **dict.fromkeys(["lang", "langx", "langue", "wikt-lang"], "{2/texte/text}"),
    **dict.fromkeys(["lang-*", "link-*", "ipa", "ipa2", "api", "msapi"], "{1}"),
    **dict.fromkeys(["ill", "interlanguage link"], "{lt/1}"),
    **dict.fromkeys(["transl", "translit", "transliteration", "tlit"], "{-1}"),
    **dict.fromkeys(
        ["nowrap", "nobr", "nobreak", "nwr", "small", "smaller", "big", "larger", "sc", "smallcaps"], "{1}"
    ),
    **dict.fromkeys(["abbr", "tooltip", "keypress", "key press", "mvar", "math", "var", "vr", "sup", "sub"], "{1}"),
    **dict.fromkeys(["quote", "blockquote", "cquote", "em", "strong", "not a typo", "typo", "proper name"], "{1}"),
    **dict.fromkeys(["flag", "flagu", "flagcountry", "flag+link", "linktext"], "{1}"),
    **dict.fromkeys(["chem", "chem2", "ipac-*"], "{*}"),
    "ipa-*": "[{1}]",
    "angbr": "⟨{1}⟩",
    "nihongo": "{1} ({2}, {3})",
    "as of": "As of {1}",
    "circa": "c. {1}",
    "c.": "c. {1}",
    "val": "{1} {u}",
    "currency": "{1} {2}",
    "us$": "US${1}",
    "£": "£{1}",
    "€": "€{1}",
    **dict.fromkeys(["nbsp", "spaces", "space"], " "),
    **dict.fromkeys(["snd", "spnd", "spaced ndash", "spaced en dash"], " – "),
    **dict.fromkeys(["ndash", "en dash"], "–"),
    **dict.fromkeys(["mdash", "em dash"], "—"),
    **dict.fromkeys(["·", "dot"], " ·"),
    "'": "'",
    "'s": "'s",
    "e": "×10^{1}",
}
# What the names mean in one wiki only; these win over the common ones.
OF_LANGUAGE = {
    "de": {
        '"': "„{1}“",
        "höhe": "{1} m",
        "zitat": "{1}",
        **dict.fromkeys(["ens", "des", "frs", "las", "ess", "its", "rus", "ars"], "{1}"),
    },
    "fr": {
        **dict.fromkeys(["unité", "unite", "nombre", "tmp"], "{1} {2}"),
        **dict.fromkeys(["date", "date-", "date de naissance-", "date de décès-"], "{1} {2} {3}"),
        "heure": "{1} h {2}",
        **dict.fromkeys(["s", "s-"], "{1}e siècle"),
        "ier": "Ier",
        "ire": "Ire",
        "er": "er",
        "re": "re",
        "e": "e",
        "euro": "{1} €",
        "citation": "« {1} »",
        "incise": "– {1} –",
        "latin": "{1}",
        "lien": "{texte/text/fr/trad/1}",
    },
    "ar": {
        "لغة-*": "{1}",
        "ألمانية": "(بالألمانية: {1})",
        **dict.fromkeys(["إنجليزية", "إنج"], "(بالإنجليزية: {1})"),
        "فرنسية": "(بالفرنسية: {1})",
    },
    "ja": {"仮リンク": "{1}"},
}
CONVERT = {"convert", "cvt", "تحويل"}
FRACTION = {"frac", "fraction", "sfrac"}
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
}
# Arguments of {{IPAc-en}} that are not sounds.
IPA_WORDS = {
    "lang",
    "pron",
    "pronounced",
    "us",
    "uk",
    "usalso",
    "ukalso",
    "alsous",
    "alsouk",
    "also",
    "icon",
    "local",
    "audio",
}
# A name that is its own text: {{XIXe siècle}}, {{3e}}.
OWN_TEXT = re.compile(r"(?:[ivx]+e siècle|\d+(?:er?|re))(?: av\. J\.-C\.)?", re.IGNORECASE)

_INNERMOST = re.compile(r"\{\{([^{}]*)\}\}")
_SET_ASIDE = re.compile("\x00([0-9]+)\x00")
_BAR = re.compile(r"\|(?![^\[\]]*\]\])")  # not those in a link
_NAMED = re.compile(r"\s*([^=<>\[\]{}]{1,40}?)\s*=(.*)", re.DOTALL)
_FIELD = re.compile(r"\{([^{}]+)\}")
_LANGUAGE_CODE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z]+)?")
_NUMBER = re.compile(r"[+\-−]?[\d.,]+(?:[/⁄+][\d/⁄]+)?(?:e[+-]?\d+)?")


# Calls that wikiextractor replaces by something; it is given no templates, and so drops all others.
VARIABLES = frozenset(
    ["!", "namespace", "pagename", "fullpagename"]
    + [f"current{unit}" for unit in ("year", "month", "day", "hour", "time")]
)


class Call(NamedTuple):
    """What stands between the braces: unnamed values in order, named ones."""

    name: str
    values: list[str]
    named: dict[str, str]


def parse_call(body: str) -> Call:
    """Take `name|value|key=value` apart."""
    name, *arguments = _BAR.split(body)
    values, named = [], {}
    for argument in arguments:
        if match := _NAMED.fullmatch(argument):
            named[match[1]] = match[2].strip()
        else:
            values.append(argument.strip())
    for number in range(1, len(named) + len(values) + 1):  # 1=, 2=, … stand for unnamed ones
        if str(number) in named:
            values[number - 1 : number] = [named[str(number)]]
    return Call(" ".join(name.replace("_", " ").split()), values, named)


class InlineTemplates:
    """Puts the text of known templates in their place and leaves the others as they are."""

    def __init__(self, language: str, more: Mapping[str, str] | None = None) -> None:
        """`more`: patterns by name, which win over the table's; an empty pattern drops the template."""
        table = {**PATTERNS, **OF_LANGUAGE.get(language, {}), **(more or {})}
        patterns = {name.lower(): pattern for name, pattern in table.items()}
        self._patterns = {name: pattern for name, pattern in patterns.items() if not name.endswith("*")}
        self._families = {name[:-1]: pattern for name, pattern in patterns.items() if name.endswith("*")}

    def expand(self, wikitext: str, drop_others: bool = False) -> str:
        """Wikitext with the known templates replaced, innermost first.

        Args:
            drop_others: leave out other calls where wikiextractor is sure to do so: if all in the page are balanced.
        """
        if "{{" not in wikitext:
            return wikitext
        others: list[str] = []

        def replace(match: re.Match[str]) -> str:
            text = self._text(match[1])
            if text is not None:
                return text
            others.append(match[0])
            return f"\x00{len(others) - 1}\x00"

        sure = drop_others and "{{{" not in wikitext
        found = 1
        while found:
            wikitext, found = _INNERMOST.subn(replace, wikitext)
        if sure and "{{" not in wikitext:
            wikitext = _SET_ASIDE.sub(lambda match: "" if is_dropped(others[int(match[1])]) else match[0], wikitext)
        while "\x00" in wikitext:
            wikitext = _SET_ASIDE.sub(lambda match: others[int(match[1])], wikitext)
        return wikitext

    def _text(self, body: str) -> str | None:
        """The text of a template; None for one that is not known."""
        bare = " ".join(body.partition("|")[0].replace("_", " ").split())
        name = bare.lower()
        if name in CONVERT and name not in self._patterns:
            return convert(parse_call(body).values)
        if name in FRACTION and name not in self._patterns:
            return fraction(parse_call(body).values)
        if OWN_TEXT.fullmatch(bare):
            return bare
        pattern = self._pattern(name)
        if pattern is None:
            return None
        call = parse_call(body)
        if name.startswith("ipac-"):
            call = call._replace(values=[v.replace("_", " ") for v in call.values if v.lower() not in IPA_WORDS])
        if name == "ipa" and len(call.values) > 1 and _LANGUAGE_CODE.fullmatch(call.values[0]):
            call = call._replace(values=call.values[1:])
        if name == "as of" and call.named.get("lc"):
            pattern = pattern.lower()
        return fill(pattern, call)

    def _pattern(self, name: str) -> str | None:
        if name in self._patterns:
            return self._patterns[name]
        family = name[: name.find("-") + 1]
        return self._families.get(family) if family else None


def is_dropped(call: str) -> bool:
    """Whether wikiextractor drops a call, from `{{` to `}}`, without looking further than its name.

    It drops all but variables and parser functions, whose name ends in a colon.
    """
    name = call[2:-2].partition("|")[0]
    return not any(sign in name for sign in ":[\x00") and name.strip().lower() not in VARIABLES


def fill(pattern: str, call: Call) -> str:
    """A pattern with the values of a call; what is not given leaves nothing behind."""

    def value(match: re.Match[str]) -> str:
        for key in match[1].split("/"):
            if key == "*":
                return "".join(call.values)
            if re.fullmatch(r"-?\d+", key):
                index = int(key) - 1 if int(key) > 0 else int(key)
                if -len(call.values) <= index < len(call.values):
                    return call.values[index]
            elif key in call.named:
                return call.named[key]
        return ""

    text = _FIELD.sub(value, pattern)
    return text if not pattern.strip() or pattern == text else re.sub(r" {2,}", " ", text).strip()


def convert(values: list[str]) -> str:
    """`{{convert|5|-|10|km|mi}}` → `5–10 km`: the measure as its author gave it."""
    text, at = "", 0
    while at < len(values):
        if not _NUMBER.fullmatch(values[at]):
            break
        text += values[at]
        at += 1
        if at + 1 < len(values) and values[at] in RANGES:
            text += RANGES[values[at]]
            at += 1
            continue
        if at == len(values):
            break
        text += f" {unit(values[at])}"
        at += 1
        # Feet and inches: another number with its own unit follows, not a precision.
        if at + 1 >= len(values) or not _NUMBER.fullmatch(values[at]) or values[at + 1] not in ("in", "oz", "lb", "ft"):
            break
        text += " "
    return text


def unit(code: str) -> str:
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
