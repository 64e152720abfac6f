"""What the first pass has resolved, WikiExtractor leaves as it is: on real dumps, and on markup of any sort."""

import re
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import dumps as factory
from wikixlm.extract.dump_reader import Page
from wikixlm.extract.wikiextractor_process import extract_texts
from wikixlm.extract.wikitext import WikitextConverter, clean_line

MINIDUMPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "minidumps"


def texts(wikitexts: list[str]) -> list[str]:
    pages = (Page(number, "A title", 0, False, "wikitext", text) for number, text in enumerate(wikitexts, start=1))
    return [text or "" for _, text in extract_texts(pages)]


def letters(text: str) -> list[str]:
    """The letters and digits of each line that has any."""
    lines = ("".join(filter(str.isalnum, clean_line(line))) for line in text.split("\n"))
    return [line for line in lines if line]


def assert_unchanged(prepared: list[str]) -> None:
    assert [letters(text) for text in texts(prepared)] == [letters(text) for text in prepared]


@pytest.mark.parametrize("name", ["gensim", "bg", "ar", "de", "en", "fr", "hi", "ja", "th", "zh"])
def test_real_text_stays_the_same(name: str) -> None:
    dumps = {"gensim": factory.english_dump(), "bg": factory.bulgarian_dump()}
    dump = dumps.get(name, MINIDUMPS / f"{name}.xml.bz2")
    if not dump.exists():
        pytest.skip(f"{dump} is not here")
    converter = WikitextConverter("en" if name == "gensim" else name)
    pages = [page for page in factory.read_pages(dump) if not page.redirect]
    prepared = [converter.prepare(page.text, page.title) for page in pages]
    assert sum(map(len, prepared)) > 1000
    assert_unchanged([text for text in prepared if "{{#expr" not in text])


PIECES = [
    *("{{cite|a=b}}", "{{", "}}", "|", "[[", "]]", "[[a|b]]", "[[File:x.jpg|thumb|c ", "]", "[", "[http://a.b c]"),
    *("<ref>", '<ref name="a">', "<ref name='a'>", "</ref>", "<ref/>", "< ref >", "</Ref >", "<", ">", '"', "'", "''"),
    *("'''", "''x''", "word", "(a)", ".", "\n", "\n\n", "\n* ", "==", "<b>", "</b>", "<br>", "<small>", "</small>"),
    *("<div>", "</div>", "<!--", "-->", "<!--x-->", "{|", "|}", "{{{", "}}}", "{", "}", "{{#if:a|b|c}}"),
    *("{{PAGENAME}}", "{{!}}", "{{None|x}}", "{{lang|de|W}}", "{{nowrap|", "<math>", "</math>", "<nowiki>"),
    *("</nowiki>", "<references/>", "&lt;", "&quot;", "__TOC__", "<p>", "<gallery>", "</gallery>", "<table>", "<10 "),
    *("http://x.y", " ", "{{c}}", "<ref>a</ref>", '<ref>"a" b</ref>', "<ref>\n</ref>", "<ref>{{c}}</ref>"),
    *("<ref>[[a]]</ref>", "<syntaxhighlight ", "-{", "}-", "\n:", "\n; a : b", "<li>", "<poem>", "</poem>", "----"),
]


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), min_size=150, max_size=300))
def test_no_markup_is_left_to_resolve(pages: list[str]) -> None:
    assert_unchanged([WikitextConverter("zh").prepare(page) for page in pages])


MARK = re.compile(r"\{\{|\}\}|\[\[|\]\]|<[^<>]*>|''+|[\"\n|<>\[\]]|\{\||\|\}")


def damaged(pages: list[str], random: Random) -> str:
    """Some text of a real page, marks of its markup lost, doubled or misplaced."""
    page = random.choice(pages)
    start = random.randrange(len(page))
    text = page[start : start + random.randint(200, 4000)]
    for _ in range(random.choice([0, 1, 2, 4])):
        marks = list(MARK.finditer(text))
        if marks:
            mark = random.choice(marks)
            other = random.choice(["", "", random.choice(marks)[0], mark[0] * 2])
            text = text[: mark.start()] + other + text[mark.end() :]
    return text


def test_damaged_text_stays_the_same() -> None:
    random = Random(4)
    pages = [page.text for page in factory.read_pages(factory.english_dump()) if not page.redirect]
    converter = WikitextConverter("en")
    prepared = [converter.prepare(damaged(pages, random)) for _ in range(2500)]
    assert sum(map(bool, prepared)) > 2000
    assert_unchanged([text for text in prepared if "{{#expr" not in text])
