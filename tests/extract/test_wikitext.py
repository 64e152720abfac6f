"""Templates keep their text, leftovers go, and real text stays as it is."""

import re
import time
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import dumps as factory
from wikixlm.extract.dump_reader import Page
from wikixlm.extract.wikiextractor_process import extract_texts
from wikixlm.extract.wikitext import WikitextConverter, clean_line

CONVERT_CALL = re.compile(r"(\{\{(?:convert|cvt)\|[^{}]*\}\})", re.IGNORECASE)
MINIDUMPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "minidumps"


def prepared(converter: WikitextConverter, wikitext: str) -> str:
    """The text of wikitext, a line a paragraph, without WikiExtractor's part."""
    return "\n".join(filter(None, map(clean_line, converter.prepare(wikitext, "Title").split("\n"))))


@pytest.mark.parametrize(
    ("language", "wikitext", "text"),
    [
        ("en", "about {{convert|100|km|mi}} and {{cvt|5|-|10|km2|0}}", "about 100 km and 5–10 km²"),
        ("en", "{{convert|6|ft|2|in|m|abbr=on}}, {{Convert|1,300.5|mi|km|2}}", "6 ft 2 in, 1,300.5 mi"),
        ("en", "{{convert|−40|to|−30|C}} {{convert|1+1/2|in}}", "−40 to −30 °C 1+1/2 in"),
        ("en", "{{lang|de|[[Wort|das Wort]]}} {{Lang-el|link=no|λόγος}}", "das Wort λόγος"),
        ("en", "{{transl|ar|ALA|kitāb}} {{nowrap|a {{lang|fr|b}} c}}", "kitāb a b c"),
        ("en", "{{nowrap|{{unknown|x}} y}} {{unknown|{{lang|fr|b}}}}", "y"),
        ("en", "{{IPA-de|bɛɐ̯ˈliːn}} {{IPA|de|ʔa}} {{IPA|[ʔo]}}", "[bɛɐ̯ˈliːn] ʔa [ʔo]"),
        ("en", "{{IPAc-en|lang|ˈ|m|ɜːr|,_|k}}", "ˈmɜːr, k"),
        ("en", "{{As of|2019}} {{as_of|2014|lc=y}} {{frac|1|2}} {{frac|2|3|4}}", "As of 2019 as of 2014 1/2 2 3/4"),
        ("en", "{{val|5|u=km}} {{chem|H|2|O}} a{{snd}}b {{ill|A|de|B}}", "5 km H2O a – b A"),
        ("en", "{{small|1=x = y}} {{nowrap}}!", "x = y !"),
        (
            "fr",
            "{{unité|100|km}}, {{s-|XXI}}, {{XIXe siècle}}, {{3e}} {{Ier}}",
            "100 km, XXIe siècle, XIXe siècle, 3e Ier",
        ),
        ("fr", "{{lang|en|texte=word}} {{date-|14 juillet 1789}} {{heure|4|30}}", "word 14 juillet 1789 4 h 30"),
        ("de", '{{"|Wort}} {{Höhe|115|DE-NHN}}', "„Wort“ 115 m"),
        ("ar", "{{ألمانية|Spree}} {{تحويل|5|km}}", "(بالألمانية: Spree) 5 km"),
        ("en", "{{s|XIX}} {{cite book|title=A}} {{{1|x}}} {| {{!}} |}", "x {| | |}"),
        ("en", "<code>main()</code> <math>x + 1</math> <math>\\frac{1}{2}</math>", "main() x + 1"),
    ],
)
def test_inline_templates(language: str, wikitext: str, text: str) -> None:
    assert prepared(WikitextConverter(language), wikitext) == text


@pytest.mark.parametrize(
    ("language", "wikitext", "text"),
    [
        ("it", "vasta {{TA|3 743,21 km²}}, a {{M|12|ul=km}} da qui", "vasta 3 743,21 km², a 12 km da qui"),
        ("ru", "в {{нп5|Баварский квартал|Баварском квартале|de|X}}", "в Баварском квартале"),
        ("ru", "{{iw|Институт Гана|||Hahn}} длиной {{км|5}}", "Институт Гана длиной 5 км"),
        ("uk", "Іван ({{ДН|14|3|1854|2}} — {{ДС|26|5|1912|13}})", "Іван (14 березня 1854 — 26 травня 1912)"),
        ("fr", "né le {{date de naissance|11|novembre|1866}}", "né le 11 novembre 1866"),
        ("pt", "do {{séc|XIII}}, com {{fmtn|90000}} almas", "do século XIII, com 90 000 almas"),
        ("fi", "Pariisi ({{k-fr|Paris}})", "Pariisi (Paris)"),
        ("sk", "výška {{mnm|34|w}} ({{deu|Spree}})", "výška 34 m n. m. (Spree)"),
        ("bn", "আয়তন {{রূপান্তর|306|km2|sqmi|lk=out}}", "আয়তন 306 km²"),
        ("ko", "{{llang|de|Bonn}} {{한자|伯林}} {{일본어|도쿄|東京}}", "Bonn 伯林 도쿄(東京)"),
        ("vi", "lệnh {{code|<img />}} và {{mono|ls(1)}}", "lệnh <img /> và ls(1)"),
        ("en", "{{quote|text=He left.|author=A}} {{Cquote|She stayed.}}", "He left. She stayed."),
        ("en", "born {{birth date|1970|1|31}}", "born January 31, 1970"),
        ("en", "{{template:nowrap|a b}} {{Nowrap|c}}", "a b c"),
    ],
)
def test_templates_of_the_languages(language: str, wikitext: str, text: str) -> None:
    assert prepared(WikitextConverter(language), wikitext).replace("\xa0", " ") == text


def test_templates_of_the_users_own() -> None:
    own = WikitextConverter("en", {"Maß": "{1} {unit/2}", "convert": "", "q-*": "<{-1}>"})
    assert prepared(own, "{{maß|5|m}} {{Maß|5|unit=km}} {{convert|1|km}} {{Q-de|a|b}}") == "5 m 5 km <b>"


@pytest.mark.parametrize(
    "wikitext",
    [
        "{{val|5.3|e=x|u=km}}",
        "{{val|5.3|1|2|3}}",
        "{{val|5.3|per=s}}",
        "{{convert|5.3|km|m|disp=out}}",
        "{{convert|5.3}}",
        "{{convert|5.3|7|km}}",
        "{{convert|about 5.3|km}}",
    ],
)
def test_a_measure_that_is_not_understood_goes_with_its_number(wikitext: str) -> None:
    converter = WikitextConverter("en")
    assert prepared(converter, f"It is {wikitext} away.") == "It is away."
    assert [hole.count for hole in converter.counts.holes.values()] == [1]


@pytest.mark.parametrize(
    ("line", "cleaned"),
    [
        ("Berlin () is", "Berlin is"),
        ("Berlin (,) is", "Berlin is"),
        ("Berlin (; ) is", "Berlin is"),
        ("Berlin ( , ) is", "Berlin is"),
        ("柏林（）是", "柏林是"),
        ("柏林（、）是", "柏林是"),
        ("柏林()是", "柏林是"),
        ("بشار (، من", "بشار (، من"),  # no bracket's end: left as it is
        ("بشار (، من أكبر)", "بشار (من أكبر)"),
        ("Merkel (; ; born 1954) is", "Merkel (born 1954) is"),
        ("bitumen (a, ) is", "bitumen (a) is"),
        ("ベルリン（ベルリンしゅう、）は", "ベルリン（ベルリンしゅう）は"),
        ("where formula_1 is, and codice_12.", "where is, and."),
        ("值formula_3，値codice_1は2formula_2", "值，値は2"),
        ("formula_7", ""),
        ("a {{unknown|x}} b", "a b"),
        ("<onlyinclude>text</onlyinclude> <div class=x>more", "text more"),
        ("* item", "item"),
        (": : * item", "item"),
        ("#Item", "Item"),
        ("half \ud800character", "half character"),
        ("Пара́граф and á", "Параграф and á"),
        ("…", ""),
    ],
)
def test_leftovers_go(line: str, cleaned: str) -> None:
    assert clean_line(line) == cleaned


@pytest.mark.parametrize(
    "line",
    [
        "Call main() or f(x) first.",
        "The set (a, b; c) is (see below: there).",
        "He smiled ;) and left :)",
        "#1 song of 1999",
        "a < b and c > d, List<String>, <stdio.h>",
        "the file my_formula_x and data_1",
        "use {{ to open",
        "3 * 4 = 12",
        "50 % ; la suite : « oui »",
        "[...] and [] stay",
        "¿Qué? 100",
    ],
)
def test_real_text_stays(line: str) -> None:
    assert clean_line(line) == line


@given(st.text(alphabet="ab1 ,;()（）[]{}<>*#:|_\u2028\n=-", max_size=40))
def test_only_markup_takes_letters_away(text: str) -> None:
    line = text.replace("\n", " ")
    once = clean_line(line)
    assert (
        [c for c in once if c.isalnum()] == [c for c in line if c.isalnum()] or "<" in line or "{{" in line or not once
    )
    WikitextConverter("fr").prepare(text)


def test_nested_braces_take_no_time() -> None:
    start = time.monotonic()
    WikitextConverter("en").prepare("{{a|" * 2000 + "x" + "}}" * 2000)
    WikitextConverter("en").prepare("{{nowrap|" * 2000 + "x" + "}}" * 2000)
    WikitextConverter("en").prepare("{{lang|" + "|[[" * 20000 + "}}")
    for line in ("(" * 50000, "(," * 50000, "*" * 50000, " " * 50000 + "x", "<a " * 20000, "{{" * 50000):
        clean_line(line)
    assert time.monotonic() - start < 20


def mended(pages: Iterable[Page], language: str = "en") -> dict[int, str]:
    converter = WikitextConverter(language)
    ready = (page._replace(text=converter.prepare(page.text, page.title)) for page in pages)
    return {page.id: "\n".join(map(clean_line, (text or "").split("\n"))) for page, text in extract_texts(ready)}


def dropped_whole(text: str, at: int) -> bool:
    """Whether the call that begins at `at` is in a list, table, box, note or caption, which may be dropped."""
    line = text[text.rfind("\n", 0, at) + 1 : at]
    opened = any(text.count(a, 0, at) > text.count(b, 0, at) for a, b in (("{{", "}}"), ("[[", "]]")))
    note = text.rfind("<ref", 0, at) > max(text.rfind("</ref>", 0, at), text.rfind("/>", 0, at))
    return opened or note or line.lstrip()[:1] in ("*", "#", ";", "|", "!")


def test_converted_measures_keep_their_numbers() -> None:
    """Of the English sample's 435 {{convert}}, every one in running text; each is given a number of its own."""
    number = 10_000_000
    pages = []
    for page in factory.read_pages(factory.english_dump()):
        pieces = CONVERT_CALL.split(page.text)
        for at in range(1, len(pieces), 2):
            number += 1
            pieces[at] = re.sub(r"\|[^|]*", f"|{number}", pieces[at], count=1)
        pages.append(page._replace(text="".join(pieces)))
    assert number == 10_000_435
    texts = mended(page for page in pages if not page.redirect)
    places = [(page, call) for page in pages for call in CONVERT_CALL.finditer(page.text)]
    lost = [
        (page.text, call.start())
        for page, call in places
        # One shows the converted number alone, in front of a unit of its own: the number as given would be wrong there.
        if call[1].split("|")[1] not in texts[page.id] and "disp=output number only" not in call[1]
    ]
    assert len(lost) < 435 - 347
    assert [text[at - 200 : at + 60] for text, at in lost if not dropped_whole(text, at)] == []


LEFTOVERS = re.compile(
    r"(?<![A-Za-z0-9_])[(（][\s,;:،؛、，；·–-]*[)）]|[(（][,;،؛、，；]|"
    r"\b(?:formula|codice)_\d|</?[a-z]+>|\{\{|\}\}|^[*#] "
)


@pytest.mark.parametrize("name", ["gensim", "ar", "de", "en", "fr", "hi", "ja", "th", "zh"])
def test_few_leftovers(name: str) -> None:
    """At most 2 lines in 1000."""
    dump = factory.english_dump() if name == "gensim" else MINIDUMPS / f"{name}.xml.bz2"
    if not dump.exists():
        pytest.skip(f"{dump} is not here")
    pages = (page for page in factory.read_pages(dump) if not page.redirect and page.namespace == 0)
    texts = mended(pages, "en" if name == "gensim" else name)
    lines = [line for text in texts.values() for line in text.split("\n") if line]
    left = [line for line in lines if LEFTOVERS.search(line)]
    assert len(left) <= 0.002 * len(lines), left
