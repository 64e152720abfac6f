"""Language codes of the Wikipedias.

tools/wikis.py makes the table wikixlm/data/wikis.tsv from pywikibot's list. A code is accepted as Wikimedia writes it,
in the address of the wiki (`zh-yue`, `nds-nl`, `be-tarask`) or in the name of its database (`zh_yue`), or as an alias
(`yue`, `be-x-old`, `nb` for `no`). These are Wikimedia's codes: `als` is Alemannic, `simple` is Simple English.
"""

import difflib
import functools
from importlib.resources import files
from typing import NamedTuple

from wikixlm.errors import UserError

# Wikimedia's codes that mean another language in BCP 47, or none.
_BCP47 = {
    "als": "gsw",
    "bat-smg": "sgs",
    "bh": "bho",
    "cbk-zam": "cbk",
    "eml": "egl",
    "fiu-vro": "vro",
    "map-bms": "jv-x-bms",
    "nds-nl": "nds-NL",
    "nrm": "nrf",
    "roa-rup": "rup",
    "roa-tara": "nap-x-tara",
    "simple": "en",
    "zh-classical": "lzh",
    "zh-min-nan": "nan",
    "zh-yue": "yue",
}
# Wikis whose MediaWiki converts between variants, with the variants in the order in which they stand in for each other.
VARIANTS: dict[str, tuple[str, ...]] = {
    "ban": ("ban", "ban-latn", "ban-bali"),
    "crh": ("crh-latn", "crh", "crh-cyrl"),
    "gan": ("gan-hans", "gan", "gan-hant"),
    "iu": ("ike-cans", "iu", "ike-latn"),
    "kk": ("kk-cyrl", "kk", "kk-kz", "kk-latn", "kk-tr", "kk-arab", "kk-cn"),
    "ku": ("ku-latn", "ku", "ku-arab"),
    "shi": ("shi-tfng", "shi", "shi-latn"),
    "sh": ("sh-latn", "sh", "sh-cyrl"),
    "sr": ("sr-ec", "sr-cyrl", "sr", "sr-el", "sr-latn"),
    "tg": ("tg-cyrl", "tg", "tg-latn"),
    "tly": ("tly", "tly-cyrl"),
    "uz": ("uz-latn", "uz", "uz-cyrl"),
    "wuu": ("wuu-hans", "wuu", "wuu-hant"),
    "zh": ("zh-cn", "zh-hans", "zh-sg", "zh-my", "zh", "zh-hant", "zh-tw", "zh-hk", "zh-mo"),
}


class Wiki(NamedTuple):
    """One Wikipedia."""

    code: str
    """Wikimedia's code, the first part of the host's name"""
    dbname: str
    """name of the database, the prefix of its dumps' names: `dewiki`, `zh_yuewiki`, `be_x_oldwiki`"""
    host: str
    """`de.wikipedia.org`"""
    closed: bool
    """read-only since it was closed; its dumps are still made"""


class _Table(NamedTuple):
    wikis: dict[str, Wiki]
    """by code, database name without `wiki`, and alias"""
    hints: dict[str, str]
    """accepted code by a code that is often used for it"""


def wiki(code: str) -> Wiki:
    """The Wikipedia of a language code.

    Raises:
        UserError: there is none.
    """
    found = _table().wikis.get(_normal(code))
    if found is None:
        guess = suggest(code)
        raise UserError(f"no Wikipedia has the language code {code!r}" + (f"; did you mean {guess}?" if guess else ""))
    return found


def is_language(code: str) -> bool:
    """Whether a Wikipedia has this code (or the alias); codes are written in small letters."""
    return code == code.strip().lower() and _normal(code) in _table().wikis


def suggest(code: str) -> str | None:
    """The accepted code most like one that is not accepted, if there is one."""
    table = _table()
    wanted = _normal(code)
    if wanted in table.wikis:
        return table.wikis[wanted].code
    for name in (wanted, wanted.split("-")[0]):
        if meant := table.hints.get(name) or _iso_codes().get(name):
            return meant
    # Locales (pt-br) and three-letter codes (deu) mostly begin with the code of the wiki.
    for stem in (wanted.split("-")[0], wanted[:2]):
        if stem in table.wikis:
            return table.wikis[stem].code
    near = difflib.get_close_matches(wanted, table.wikis, n=1, cutoff=0.6)
    return table.wikis[near[0]].code if near else None


def bcp47(code: str) -> str:
    """The BCP 47 tag of a Wikipedia's language: `gsw` for `als`, `en` for `simple`, `yue` for `zh-yue`."""
    own = wiki(code).code
    return _BCP47.get(own, own)


def all_wikis() -> list[Wiki]:
    """Every Wikipedia of the table, closed ones too, by code."""
    return sorted(set(_table().wikis.values()))


def _normal(code: str) -> str:
    return code.strip().lower().replace("_", "-")


@functools.cache
def _iso_codes() -> dict[str, str]:
    """Codes of ISO 639-2 and 639-3, and the Wikipedia codes that are meant by them."""
    text = files("wikixlm").joinpath("data", "iso639.tsv").read_text(encoding="utf-8")
    return dict(line.split("\t") for line in text.split("\n") if line and not line.startswith("#"))


@functools.cache
def _table() -> _Table:
    table = _Table({}, {})
    text = files("wikixlm").joinpath("data", "wikis.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.split("\n") if line and not line.startswith("#")]
    for code, dbname, host, status, aliases, hints in rows[1:]:
        entry = Wiki(code, dbname, host, status == "closed")
        for name in (code, dbname.removesuffix("wiki"), *aliases.split()):
            table.wikis[_normal(name)] = entry
        table.hints.update(dict.fromkeys(hints.split(), code))
    return table
