"""Texts to tokenize: random ones that trigger the rules, and lines of real pages in many scripts."""

import bz2
import html
import importlib.metadata
import itertools
import os
import re
from pathlib import Path

import pytest
from hypothesis import strategies as st

# Small dumps of real Wikipedias, `{language}.xml.bz2`; they are not part of the project.
MINIDUMPS = Path(os.environ.get("WIKIXLM_MINIDUMPS", Path(__file__).parents[3] / "shared/data/minidumps"))

# What the rules search for, so that random texts trigger them.
SIGNS = (
    """' " , . - ` ( ) [ ] : ; ! ? % & # / \\ < > '' ,, .. ... ...." .' ," ." '," º ºC nº ´ ´´ “ ” „ ‘ ’ ‚ « » … — –"""
)
WORDS = """a A z 5 12 5,300 3.14 don't l'eau 's Mr. No. No Art. p.m. U.S. etc. z.B. DOTMULTI DOTDOTMULTI MULTI cm é É ß
    ﬁ İ Σ ς я Ж ж. ü. ال ة. हि न्दी । 한국어 日本語 。 ． ， 、 ！ （ ） ： € ™ ½ 👍 𝒜 𐐀"""
SPACES = [" ", "  ", "\u00a0", "\u00a0%", "\u2028", "\u2029", "\u3000", "\t", "\r", "\n", "\x1c", "\x85"]
MARKS = ["\x00", "\x7f", "\u0301", "\u0345", "\u200c", "\u200d", "\ufeff", "\u00ad", "\u302e", "\u1b44", "\ue000"]
FRAGMENTS = st.sampled_from([*SIGNS.split(), *WORDS.split(), *SPACES, *MARKS])
TEXTS = st.lists(st.one_of(FRAGMENTS, FRAGMENTS, st.characters(exclude_categories=["Cs"])), max_size=30).map("".join)

# Scripts that the samples lack; the sentences are made up.
SENTENCES = {
    "el": "Η Αθήνα, «πόλη του φωτός»· είναι στην Αττική... Ο Σωκράτης (469 π.Χ.) ΔΕΝ ΕΓΡΑΨΕ ΤΙΠΟΤΑ; 3,5 %",
    "he": "ירושלים היא עיר; צה״ל, ר׳ יהודה – „אמר” ״כן״ (בשנת 1948). מחיר: 5,300 ₪",
    "ko": "서울은 대한민국의 수도이다. 인구는 약 9,700,000명(2020년)… “안녕”이라고 말했다! 漢字도 있다",
    "ru": "Москва́ — столица России, г. Москва, ул. Тверская, д. 5; «Да», — сказал он (1990-е гг.). Ёлка",
    "ro": "Iaşi şi Iași, Ţara și țara; Âncă, în București: 5,3 %. „Bună”, dl. Ion",
    "it": "L'Italia dell'Ottocento, po' d'acqua. È l'1% \"circa\", ecc. art. 5",
    "yue": "香港係中國嘅一個特別行政區，人口約700萬。「你好」！",
    "simple": "It's a city's list: don't go, the 1990's; No. 5 and No. Five. Mr. A's.",
}


def _gensim_dump(start: str) -> Path:
    files = importlib.metadata.files("gensim") or []
    return Path(next(str(file.locate()) for file in files if file.name.startswith(start)))


def raw_lines(language: str, characters: int) -> list[str]:
    """Lines of wikitext from gensim's dumps, harder on a tokenizer than clean text, or a sentence of `SENTENCES`."""
    if language in SENTENCES:
        return [SENTENCES[language]]
    dump, encoding = {
        "en": ("enwiki-latest-pages-articles1", "utf-8"),
        "bg": ("bgwiki-latest", "utf-16"),
    }[language]
    return _wikitext(_gensim_dump(dump), encoding, characters)


def lines_beside_the_checkout(language: str, characters: int) -> list[str]:
    """Lines of wikitext from `MINIDUMPS`; skips the test that asks for a language which is not there."""
    path = MINIDUMPS / f"{language}.xml.bz2"
    if not path.is_file():
        pytest.skip(f"{path} is not there; WIKIXLM_MINIDUMPS names another folder")
    return _wikitext(path, "utf-8", characters)


def _wikitext(path: Path, encoding: str, characters: int) -> list[str]:
    xml = bz2.decompress(path.read_bytes())
    pages = re.findall(r"<text[^>]*>(.*?)</text>", xml.decode(encoding), re.S)
    lines = (line for page in pages for line in html.unescape(page).split("\n") if line)
    read = itertools.accumulate(lines, lambda done, line: (done[0] + len(line), line), initial=(0, ""))
    return [line for _, line in itertools.takewhile(lambda done: done[0] < characters, read) if line]
