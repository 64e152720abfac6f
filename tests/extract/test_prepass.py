"""What the pre-pass leaves out changes nothing in wikiextractor's text: on real dumps, and on markup of any sort."""

import re
import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import dumps as factory
from wikixlm.extract.dump_reader import Page
from wikixlm.extract.wikiextractor_process import extract_texts
from wikixlm.extract.wikitext import Wikitext

MINIDUMPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "minidumps"


def texts(wikitexts: list[str]) -> list[str | None]:
    pages = (Page(number, "A title", 0, False, "wikitext", text) for number, text in enumerate(wikitexts, start=1))
    return [text for _, text in extract_texts(pages)]


@pytest.mark.parametrize("name", ["gensim", "bg", "ar", "de", "en", "fr", "hi", "ja", "th", "zh"])
def test_real_text_stays_the_same(name: str) -> None:
    dumps = {"gensim": factory.english_dump(), "bg": factory.bulgarian_dump()}
    dump = dumps.get(name, MINIDUMPS / f"{name}.xml.bz2")
    if not dump.exists():
        pytest.skip(f"{dump} is not here")
    wikitext = Wikitext("en" if name == "gensim" else name)
    pages = [page.text for page in factory.read_pages(dump) if not page.redirect]
    whole, spared = ([wikitext.prepare(text, drop=drop) for text in pages] for drop in (False, True))
    assert texts(spared) == texts(whole)
    assert sum(map(len, spared)) < sum(map(len, whole))


@pytest.mark.parametrize(
    ("wikitext", "spared"),
    [
        ("a {{cite|b}} c", "a  c"),
        ("a {{b|{{c}}|[[d]]}} {| class=e |}", "a  {| class=e |}"),
        # What the program does not simply drop, or what only seems to be closed, stays.
        ("{{PAGENAME}} {{!}} {{#if:a|{{b}}|c}}", "{{PAGENAME}} {{!}} {{#if:a|{{b}}|c}}"),
        ("{{a {{b}}", "{{a {{b}}"),
        ("{{{1|{{b}}}}} {{c}}", "{{{1|{{b}}}}} {{c}}"),
        ("{{a|{b}}} {{c}}", "{{a|{b}}} {{c}}"),
        ("{ {{b}}{ }", "{ { }"),
        ("{{a:b}} {{:c}} {{d|e:f}}", "{{a:b}} {{:c}} "),
        ("{{[[a|b:c]]}} {{ {{b}} }}", "{{[[a|b:c]]}} {{ {{b}} }}"),
        ("a}} {{b}} c", "a}}  c"),
    ],
)
def test_only_what_is_plain(wikitext: str, spared: str) -> None:
    assert Wikitext("en").prepare(wikitext) == spared
    whole = Wikitext("en").prepare(wikitext, drop=False)
    assert texts([f"x {spared} y"]) == texts([f"x {whole} y"])


PIECES = [
    *("{{cite|a=b}}", "{{", "}}", "|", "[[", "]]", "[[a|b]]", "[[File:x.jpg|thumb|c ", "]", "[", "[http://a.b c]"),
    *("<ref>", '<ref name="a">', "<ref name='a'>", "</ref>", "<ref/>", "< ref >", "</Ref >", "<", ">", '"', "'", "''"),
    *("'''", "''x''", "word", "(a)", ".", "\n", "\n\n", "\n* ", "==", "<b>", "</b>", "<br>", "<small>", "</small>"),
    *(
        "<div>",
        "</div>",
        "<!--",
        "-->",
        "<!--x-->",
        "{|",
        "|}",
        "{{{",
        "}}}",
        "{",
        "}",
        "{{#if:a|b|c}}",
        "{{PAGENAME}}",
    ),
    *(
        "{{!}}",
        "{{None|x}}",
        "{{lang|de|W}}",
        "{{nowrap|",
        "<math>",
        "</math>",
        "<nowiki>",
        "</nowiki>",
        "<references/>",
    ),
    *("&lt;", "&quot;", "__TOC__", "<p>", "<gallery>", "</gallery>", "<table>", "<10 ", "http://x.y", " ", "{{c}}"),
    *("<ref>a</ref>", '<ref>"a" b</ref>', "<ref>''a''</ref>", "<ref>\n</ref>", "<ref>[http://a.b c]</ref>"),
    *("<ref>{{c}}</ref>", '<ref name="a">b</ref>', "<ref>a|b</ref>", "<ref>[[a]]</ref>", "<syntaxhighlight "),
]


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(st.sampled_from(PIECES), max_size=25).map("".join), min_size=150, max_size=300))
def test_no_markup_makes_a_difference(pages: list[str]) -> None:
    wikitext = Wikitext("en")
    pairs = [(wikitext.prepare(page, drop=False), wikitext.prepare(page)) for page in pages]
    changed = [pair for pair in pairs if pair[0] != pair[1]]
    assert texts([spared for _, spared in changed]) == texts([whole for whole, _ in changed])


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
    wikitext = Wikitext("en")
    pairs = [(wikitext.prepare(text, drop=False), wikitext.prepare(text)) for text in
             (damaged(pages, random) for _ in range(2500))]  # fmt: skip
    changed = [pair for pair in pairs if pair[0] != pair[1]]
    assert len(changed) > 500
    assert texts([spared for _, spared in changed]) == texts([whole for whole, _ in changed])


def test_time_grows_with_the_page_only() -> None:
    start = time.monotonic()
    Wikitext("en").prepare("{{a|" * 5000 + "}}" * 5000)
    Wikitext("en").prepare("{{a}}" * 100_000)
    assert time.monotonic() - start < 20
