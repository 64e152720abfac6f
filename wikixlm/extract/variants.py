"""Language variants: `-{zh-hans:…;zh-hant:…}-` gives the text of one of them."""

import re
from collections.abc import Sequence

from wikixlm.languages import VARIANTS

_TRADITIONAL = ("zh-tw", "zh-hant", "zh-hk", "zh-mo", "zh", "zh-hans", "zh-cn", "zh-sg", "zh-my")
_FLAGS = re.compile(r"\s*([A-Za-z;\s-]*?)\s*\|", re.DOTALL)
_HIDDEN = frozenset("HT-")  # a rule for the page, the title, the removal of a rule


def variant_order(language: str, chosen: str | None = None) -> tuple[str, ...] | None:
    """The variants to look for, best first; None for a language without variants.

    Args:
        language: a Wikipedia's code.
        chosen: the wanted variant; default: the first of the table.
    """
    known = VARIANTS.get(language)
    if known is None:
        return None
    if chosen is None:
        return known
    if chosen in ("zh-tw", "zh-hant", "zh-hk", "zh-mo"):
        return (chosen, *(name for name in _TRADITIONAL if name != chosen))
    script = [name for name in known if _script(name) == _script(chosen) and name != chosen]
    return (chosen, *script, *(name for name in known if name != chosen and name not in script))


def _script(variant: str) -> str:
    return {"sr-ec": "cyrl", "sr-el": "latn"}.get(variant, variant.rpartition("-")[2])


def variant_text(content: str, order: Sequence[str]) -> str:
    """The text of `-{content}-` in the first variant of `order` that it has."""
    flags, rules = "", content
    if match := _FLAGS.match(content):
        flags, rules = match[1], content[match.end() :]
        marks = {flag.strip() for flag in flags.split(";")}
        if marks & _HIDDEN:
            return ""
        if "R" in marks:
            return rules.strip()
        if marks & {*order}:  # -{zh-hans;zh-hant|text}-: the text in these variants
            return rules.strip()
    found: dict[str, str] = {}
    for rule in rules.split(";"):
        name, colon, text = rule.partition(":")
        name = name.strip().rpartition("=>")[2].strip().lower()  # one-way rules: from=>variant:to
        if colon and (name in order or _looks_like_variant(name, order)):
            found.setdefault(name, text.strip())
    if not found:
        return rules.strip()
    for name in order:
        if name in found:
            return found[name]
    return next(iter(found.values()))


def _looks_like_variant(name: str, order: Sequence[str]) -> bool:
    return name.partition("-")[0] in {code.partition("-")[0] for code in order} and name.replace("-", "").isalpha()
