"""The structure of pages is resolved as MediaWiki resolves it: each case a construct that once lost or changed text."""

import gc
import time

import pytest

from wikixlm.extract.emphasis import remove_emphasis
from wikixlm.extract.formulas import formula_text
from wikixlm.extract.wikitext import WikitextConverter, clean_line


def lines(wikitext: str, language: str = "en", **options: str) -> list[str]:
    prepared = WikitextConverter(language, **options).prepare(wikitext, "The title")  # type: ignore[arg-type]
    return [line.replace("\xa0", " ") for line in map(clean_line, prepared.split("\n")) if line]


@pytest.mark.parametrize(
    ("language", "wikitext", "text"),
    [
        ("en", "a [[Star: The Search]] and [[Rome: A Tale|Rome]]", "a Star: The Search and Rome"),
        ("en", "[[:de:Rathaus|town hall]], [[:Category:Seas|seas]], [[wikt:sea|sea]]", "town hall, seas, sea"),
        ("en", "[[:File:X.jpg|a picture]] in [[UTC−3:30]], [[16:9|wide]]", "a picture in UTC−3:30, wide"),
        ("en", "a[[File:X.jpg|thumb|of [[b]] and [[c|d]]]] e[[category:F]] [[fr:G]][[zh-yue:H|I]].", "a e."),
        (
            "uk",
            "а[[Файл:X.jpg|міні|підпис]][[Зображення:Y.png]][[Категорія:Б]] [[Місія: Початок]].",
            "а Місія: Початок.",
        ),
        ("ja", "[[ファイル:X.jpg|サムネイル]][[画像:Y.png]]字[[Category:B]][[映画: 始まり|映画]]。", "字映画。"),
        ("en", "[[a]]s, [[a#b|c]], [[#d]], [[ e ]] [[f|''g'']]", "as, c, #d, e g"),
        ("en", "x [http://a.b the page] y [https://a.b] z [//c.d e]", "x the page y z e"),
        ("en", "open [[link and [[closed]] one ]] here", "open link and closed one here"),
    ],
)
def test_links(language: str, wikitext: str, text: str) -> None:
    assert lines(wikitext, language) == [text]


@pytest.mark.parametrize(
    ("wikitext", "text"),
    [
        ("A<ref name=x> b.\n\nC<ref>d</ref> e.\n\nF<ref>g</ref>.", ["A b.", "C e.", "F."]),
        ("A<ref>note\n\nC<ref>d</ref> e.\n\nF.", ["A", "C e.", "F."]),
        ('A<ref name="x>{{cite}}</ref> b.\n\nC.', ["A b.", "C."]),
        ("A<ref name=x/> b<ref name='y' />.<references/>\n\nC<ref>", ["A b.", "C"]),
        ("A <small>b<small> c.\n\nD <u>e</u> <s>f</s> <big>g.", ["A b c.", "D e f g."]),
        ("A <score>c d e</score> b <graph>{}</graph>.\n\n<mapframe x=1>{}</mapframe> C.", ["A b.", "C."]),
        ("A <timeline>\nx\n</timeline> b <hiero>c</hiero> d <templatedata>{}</templatedata>.", ["A b d."]),
        ("A.\n<gallery>\nFile:x.jpg|y\n</gallery>\nB <gallery> c.", ["A.", "B c."]),
        ("A <!-- b --> c.\n<!-- d -->\nE.", ["A c. E."]),
        ("A <nowiki>[[b]] ''c''</nowiki> d.", ["A [[b]] ''c'' d."]),
        ("A.\n{|\n|b\n{|\n|c\n|}\n|d\n|}\nE.", ["A.", "E."]),
        ("A.\n{|\n|b\n\nC, after a table that is open.\n\nD.", ["A.", "C, after a table that is open.", "D."]),
        ("A.\n<table><tr><td>b</td></tr></table>C.", ["A.", "C."]),
        ("A {{open b.\n\nC {{x|y}} d.\n\nE.", ["A open b.", "C d.", "E."]),
        ("(All of it in brackets.)\n\n{1, 2}", ["(All of it in brackets.)", "{1, 2}"]),
        ("|x| is y\n\nthe set {3}", ["|x| is y", "the set {3}"]),
        ("A &lt;ref&gt; b &amp;nbsp; c&nbsp;d", ["A <ref> b &nbsp; c d"]),
        ("A\nb\n\nc\n d\ne", ["A b", "c", "d", "e"]),
        ("<poem>\nOne,\n:two\n\nthree.\n</poem>", ["One, two", "three."]),
        ("A<br>b <div>c</div> d", ["A b", "c", "d"]),
        ("__NOTOC__A __init__ b", ["A __init__ b"]),
    ],
)  # fmt: skip
def test_tags_and_tables(wikitext: str, text: list[str]) -> None:
    assert lines(wikitext) == text


def test_local_switches() -> None:
    assert lines("__ΕΥΡΕΤΗΡΙΟ__ Κείμενο. __БЕЗНАЗВИ__", "el") == ["Κείμενο."]


@pytest.mark.parametrize(
    ("language", "wikitext", "text"),
    [
        ("en", "Two:\n* The first one flows.\n* short\n# Then add it.\n#: More of it here.",
         ["Two:", "The first one flows.", "Then add it.", "More of it here."]),
        ("en", "; Atom : the smallest part of it.\n; Ion\n: has a charge of its own.",
         ["Atom: the smallest part of it.", "Ion: has a charge of its own."]),
        ("en", ": An indented line.\n:: And deeper, too.", ["An indented line.", "And deeper, too."]),
        ("en", "<ul><li>It is a sentence.</li><li>no</li></ul>B.", ["It is a sentence.", "B."]),
        ("ja", "* 川は北へ流れている。\n* 短い。", ["川は北へ流れている。"]),
        ("ja", "* 一月一日 - 東京都が発足した\n* 東京", ["一月一日 - 東京都が発足した"]),
        ("hi", "* नदी उत्तर की ओर बहती है।\n* नदी", ["नदी उत्तर की ओर बहती है।"]),
        ("en", "A.\n== References ==\n* Smith, J. (1999). A book.\n* It is a sentence.\n== More ==\n* It is, 1999.",
         ["A.", "It is a sentence.", "It is, 1999."]),
        ("uk", "А.\n== Література ==\n=== Книги ===\n* Іваненко І. Книга про місто. — К., 1999.", ["А."]),
        ("en", "A.\n* [http://a.b A page that is a source.]\n* A book, by somebody. ISBN 1-2-3.", ["A."]),
    ],
)  # fmt: skip
def test_lists(language: str, wikitext: str, text: list[str]) -> None:
    assert lines(wikitext, language) == text
    assert len(lines(wikitext, language, lists="all")) >= len(text)


def test_headings() -> None:
    wikitext = "A.\n== B ''c'' ==\nD.\n=== E ===\n= f"
    assert lines(wikitext) == ["A.", "D.", "= f"]
    assert lines(wikitext, headings="keep") == ["A.", "B c", "D.", "E", "= f"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("l'''Iliade'' et l'''Odyssée''", "l'Iliade et l'Odyssée"),
        ("the ''Times'''s pages and the ''Post'''s", "the Times's pages and the Post's"),
        ("'''bold ''both'' bold''' and ''italic''", "bold both bold and italic"),
        ("'''''all''''' ''a'' '''b''' ''''c'''", "all a b 'c"),
        ("は'''太字'''の", "は太字の"),
        ("it's 'one'", "it's 'one'"),
    ],
)
def test_apostrophes(line: str, text: str) -> None:
    assert remove_emphasis(line) == text
    assert '"' not in "".join(lines(line))


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        ("2\\pi r", "2πr"), ("x\\to 0", "x→0"), ("S^2", "S²"), ("\\alpha_1", "α₁"), ("a\\le b", "a≤b"),
        ("\\mathrm{pH}", "pH"), ("\\frac{1}{x}", ""), ("x^{a+b}", ""), ("\\unknown", ""), ("x_i", ""), ("a" * 99, ""),
    ],
)  # fmt: skip
def test_formulas(formula: str, text: str) -> None:
    assert formula_text(formula) == text
    for around in ("値{}は。", "ค่า{}คือ", "n{} is", "3{}"):
        assert lines(around.format(f"<math>{formula}</math>")) == [around.format(text).replace("n is", "n is")]


@pytest.mark.parametrize(
    ("language", "wikitext", "text"),
    [
        ("zh", "是-{zh-hans:软件; zh-hant:軟體}-。-{H|zh-cn:a;zh-tw:b}--{T|zh-cn:c}-", "是软件。"),
        ("zh", "-{臺灣}-和-{R|德国}-、-{A|zh-cn:柏林;zh-tw:柏林市}-", "臺灣和德国、柏林"),
        ("sr", "''-{Homo sapiens}-'' и -{sr-el:grad;sr-ec:град}-", "Homo sapiens и град"),
        ("kk", "-{kk-cyrl:Берлин;kk-latn:Berlin}- қаласы", "Берлин қаласы"),
        ("en", "-{not here}-", "-{not here}-"),
    ],
)
def test_variants(language: str, wikitext: str, text: str) -> None:
    assert lines(wikitext, language) == [text]


def test_chosen_variant() -> None:
    assert lines("是-{zh-hans:软件;zh-hant:軟體}-。", "zh", variant="zh-tw") == ["是軟體。"]
    assert lines("-{sr-el:grad;sr-ec:град}-", "sr", variant="sr-el") == ["grad"]


@pytest.mark.parametrize(
    ("language", "wikitext", "text"),
    [
        ("fr", "{{formatnum:6000}} {{formatnum:12345.6}} {{formatnum:0.50}}", "6 000 12 345,6 0,50"),
        ("de", "{{formatnum:1234567}} {{formatnum:-12,5}}", "1.234.567 -12,5"),
        ("en", "{{formatnum:98765432109876543210.123456789}}", "98,765,432,109,876,543,210.123456789"),
        ("hi", "{{formatnum:1234567}}", "1234567"),
        ("en", "{{val|5.3|e=3|u=km}} {{val|1.67|e=-27|ul=kg}} {{val|1.5|0.2}}", "5.3×10³ km 1.67×10⁻²⁷ kg 1.5±0.2"),
        ("uk", "{{lc:АБВ}} {{ucfirst:абв}} {{PAGENAME}} {{FULLPAGENAME}}", "абв Абв The title The title"),
        ("en", "in {{CURRENTYEAR}} {{LOCALTIME}} {{#time:Y}}now", "in now"),
        ("en", "{{#if:x|a|b}} {{#if: |a|b}} {{#ifeq:x|y|a|b}} {{#switch:c|a=1|c=2|3}}", "a b b 2"),
    ],
)
def test_numbers_and_functions(language: str, wikitext: str, text: str) -> None:
    assert lines(wikitext, language) == [text.replace(" ", " ")]


def test_stress_marks() -> None:
    assert lines("'''Ки́їв''' — місто.", "uk") == ["Київ — місто."]


ATTACKS = {
    "open templates": "{{a|", "closed templates": "}}", "kept templates": "{{nowrap|", "open links": "[[a|",
    "files": "[[File:x|", "values": "|1=a", "spaces": " ", "brackets": "(", "separators": "(,", "tags": "<a ",
    "notes": "<ref>", "named notes": "<ref name=a>", "formulas": "<math>", "comments": "<!--", "links": "[http://a ",
    "quotes": "''a'''", "parameters": "{{{a|", "tables": "{|\n", "rows": "\n|-", "variants": "-{a:", "lists": "\n*",
    "terms": "\n;a", "headings": "\n==", "underscores": "__a", "ampersands": "&amp", "expressions": "{{#expr:",
    "converts": "{{convert|1|-", "switches": "{{#switch:a|", "nested poems": "<poem>", "closing tags": "</ref ",
}  # fmt: skip


@pytest.mark.attack(
    "dump",
    "a page of `{{`, `[[`, `<math>`, `(`, spaces and their like, alone or within templates and links",
    "the time grows with the page, not with its square",
)
@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize(("before", "after"), [("", ""), ("{{nowrap|", "}}"), ("[[a|", "]]"), ("x ", "</ref> y }}")])
def test_time_is_linear_in_the_page(name: str, before: str, after: str) -> None:
    """Ten times the page takes about ten times as long: ratios, not seconds."""

    def seconds(size: int) -> float:
        text = before + ATTACKS[name] * (size // len(ATTACKS[name])) + after
        gc.collect()
        gc.disable()  # a collection walks all that the test process holds, and only the long page starts one
        try:
            start = time.process_time()
            for line in WikitextConverter("zh").prepare(text).split("\n"):
                clean_line(line)
            return time.process_time() - start
        finally:
            gc.enable()

    seconds(1000)
    short = max(min(seconds(30_000) for _ in range(2)), 0.002)
    assert any(seconds(300_000) < 40 * short for _ in range(3))  # a busy machine stretches one run, not three
