"""Templates that only pass their values on are read from the dump, and their text is in the sentence."""

import json
import subprocess
import sys

import pytest

from tests.support import dumps
from tests.support.dumps import P
from tests.support.waiting import descendants, is_alive, wait_for
from wikixlm import cli
from wikixlm.documents import read_documents
from wikixlm.extract.dump_templates import DumpTemplates, inline_body
from wikixlm.extract.inline_templates import parse_call
from wikixlm.extract.protection import MISSING
from wikixlm.extract.wikitext import WikitextConverter, clean_line

BODIES = {
    "дзе": "<span style='color:{{{1}}}'>{{{2}}}</span><noinclude>{{documentation}}</noinclude>",
    "юл": "{{{дата|{{{1}}}}}} {{#if:{{{2|}}}|({{{2}}})|года}}",
    "гл": "Гл. [[{{{1}}}]]",
    "два": "{{дзе|red|{{{1}}}}} і {{{2}}}",
    "кругом": "{{кругом|{{{1}}}}}",
    "удвая": "{{{1}}}{{{1}}}",
    "усё": "слова",
}


def text(wikitext: str, bodies: dict[str, str] = BODIES, redirects: dict[str, str] | None = None) -> str:
    known = {name: inline_body(body, ["category", "катэгорыя"]) for name, body in bodies.items()}
    table = DumpTemplates({name: body for name, body in known.items() if body}, redirects or {})
    prepared = WikitextConverter("be", dump_templates=table).prepare(wikitext, "Загаловак")
    return "\n".join(line for line in map(clean_line, prepared.split("\n")) if line)


@pytest.mark.parametrize(
    ("wikitext", "line"),
    [
        ("Тут {{дзе|red|слова|}} і яшчэ.", "Тут слова і яшчэ."),
        ("Тут {{Дзе|red|2=два [[слова|словы]]}} і яшчэ.", "Тут два словы і яшчэ."),
        ("У {{юл|1918}} было.", "У 1918 года было."),
        ("У {{юл|дата=1918|2=люты}} было.", "У 1918 (люты) было."),
        ("Тут {{два|адзін|два}} і яшчэ.", "Тут адзін і два і яшчэ."),
        ("Тут {{усё}} і яшчэ.", "Тут слова і яшчэ."),
        ("Ён {{дзе|red|''курсіў''}} і яшчэ.", "Ён курсіў і яшчэ."),
        # A value without its parameter, a circle, too long a text: dropped as any other template.
        ("Тут {{дзе|red}} і яшчэ.", "Тут і яшчэ."),
        ("Тут {{кругом|слова}} і яшчэ.", "Тут і яшчэ."),
        ("Тут " + "{{удвая|" * 20 + "слова" + "}}" * 20 + " і яшчэ.", "Тут і яшчэ."),
        ("Тут {{невядомы|слова}} і яшчэ.", "Тут і яшчэ."),
    ],
)
def test_a_template_of_the_dump_gives_its_text(wikitext, line):
    assert text(wikitext) == line


def test_a_note_to_the_reader_on_a_line_of_its_own_is_no_text():
    assert text("{{гл|Іншы артыкул}}\nТэкст артыкула, {{гл|Іншы артыкул}} тут.") == (
        "Тэкст артыкула, Гл. Іншы артыкул тут."
    )


def test_a_sentence_of_the_author_is_text_on_a_line_of_its_own():
    sentence = "Гэта сказ аўтара, у якім досыць слоў."
    assert text(f"Адзін.\n\n{{{{дзе|red|{sentence}}}}}\n\nДва.").split("\n") == ["Адзін.", sentence, "Два."]


def test_a_redirect_is_another_name_of_a_template_and_of_the_built_in_table():
    redirects = {"колер": "дзе", "непарыўна": "nowrap", "пераводзь": "convert"}
    assert text("Тут {{колер|red|слова}} і {{Непарыўна|10 км}}.", redirects=redirects) == "Тут слова і 10 км."
    # A form that the table doesn't understand is dropped under every name.
    assert text("Тут {{пераводзь|x|y}} і яшчэ.", redirects=redirects) == "Тут і яшчэ."


def test_the_configuration_and_the_table_win_over_the_dump():
    table = DumpTemplates({"nowrap": "not {{{1}}}", "unit": "not {{{1}}}"})
    converter = WikitextConverter("be", {"unit": "{1} km"}, dump_templates=table)
    assert clean_line(converter.prepare("Тут {{unit|5}} і {{nowrap|слова}}.")) == "Тут 5 km і слова."


@pytest.mark.parametrize(
    "body",
    [
        "{| class=box\n| {{{1}}}\n|}",
        "<div>{{{1}}}</div>",
        "<ref>{{{1}}}</ref>",
        "<sup>[{{{1}}}]</sup>",
        ":''See {{{1}}}''",
        "* {{{1}}}",
        "{{#invoke:Lang|lang|{{{1}}}}}",
        "{{#expr:{{{1}}}*2}}",
        "{{{1}}} in {{CURRENTYEAR}}",
        "[http://example.org/{{{1}}} {{{2}}}]",
        "{{{1}}}[[Category:Stubs]]",
        "{{{1}}}[[Катэгорыя:Нешта]]",
        "{{{author}}}, {{{title}}}, {{{publisher}}}, {{{place}}}, {{{year}}}",
        "{{{1}}}" + "x" * 500,
        "This article needs '''sources'''.",
        "{{navbox}}",
        "<noinclude>{{{1}}}</noinclude>",
        "<!-- {{{1}}} -->",
        "",
    ],
)
def test_boxes_notes_and_messages_are_no_text(body):
    assert inline_body(body, ["category", "катэгорыя"]) is None


@pytest.mark.parametrize(
    ("body", "inline"),
    [
        ("<includeonly>{{{1}}}</includeonly><noinclude>help", "{{{1}}}"),
        ("before <onlyinclude>{{{1}}} km</onlyinclude> after", "{{{1}}} km"),
        ("<!-- note -->{{{1}}}<noinclude />", "{{{1}}}"),
        ("{{#if:{{{2|}}}\n|{{{2}}}\n|{{{1}}}\n}}", "{{#if:{{{2|}}}\n|{{{2}}}\n|{{{1}}}\n}}"),
    ],
)
def test_only_what_is_included_counts(body, inline):
    assert inline_body(body, ["category"]) == inline


def test_an_expansion_needs_every_value_and_stays_short():
    table = DumpTemplates({"a": "{{{1}}} {{{b|c}}}", "long": "{{{1}}}" * 70})
    assert table.expand("A", parse_call(["x"])) == "x c"
    assert table.expand("a", parse_call(["x", "b=y"])) == "x y"
    assert table.expand("a", parse_call(["b=y"])) == f"{MISSING} y"
    assert table.expand("long", parse_call(["x" * 100])) is None


def test_templates_of_the_dump_can_not_blow_up_a_page():
    assert len(text("Тут {{доўгі|1}} і " * 10_000, {"доўгі": "x" * 400 + "{{{1}}}"})) < 1_300_000


PAGES = [
    P(1, "Артыкул", "Тут {{колер|red|слова}} і яшчэ, {{Непарыўна|10 км}} далей, як у артыкуле."),
    P(2, "Template:Дзе", BODIES["дзе"], ns=10),
    P(3, "Template:Колер", "#REDIRECT [[Template:дзе]]", ns=10, redirect="Template:Дзе"),
    P(4, "Template:Непарыўна", "#ПЕРАНАКІРАВАНЬНЕ [[Шаблон:Nowrap]]", ns=10, redirect="Template:Nowrap"),
    P(5, "Template:Скрыня", "{|\n|{{{1}}}\n|}", ns=10),
    P(6, "Template:Скр", "#REDIRECT [[Template:Скрыня]]", ns=10, redirect="Template:Скрыня"),
    P(7, "Template:Стыль", "{{{1}}}", ns=10, model="sanitized-css"),
    *dumps.articles(60, first=10),
]


@pytest.mark.parametrize("workers", ["1", "3"])
def test_the_command_collects_from_all_parts_of_a_dump(tmp_path, workers):
    dump = dumps.write_multistream(tmp_path / "be.xml.bz2", PAGES, per_stream=4)
    output = tmp_path / "templates.json"
    cli.main(
        ["collect-templates", "--dump", str(dump), "--language", "be", "--workers", workers, "--output", str(output)]
    )
    table = json.loads(output.read_text())
    assert table["pages"] == 6
    assert list(table["bodies"]) == ["дзе"]
    assert table["redirects"] == {"колер": "дзе", "непарыўна": "nowrap"}


@pytest.mark.slow
def test_the_processes_end_with_the_command(tmp_path):
    dump = tmp_path / "en.xml.bz2"
    dump.write_bytes(dumps.english_dump().read_bytes() * 20)
    command = ["wikixlm", "collect-templates", "--dump", str(dump), "--language", "en", "--workers", "2"]
    with subprocess.Popen([sys.executable, "-m", *command, "--output", str(tmp_path / "templates.json")]) as process:
        workers = wait_for(lambda: found if len(found := descendants(process.pid)) >= 3 else None)
        process.kill()
    wait_for(lambda: not any(map(is_alive, workers)), 30)
    assert not list(tmp_path.glob("*.json"))


def test_the_extraction_uses_the_table(tmp_path):
    dump = dumps.write_multistream(tmp_path / "be.xml.bz2", PAGES, per_stream=4)
    table, output = tmp_path / "templates.json", tmp_path / "x.jsonl.zst"
    source = ["--dump", str(dump), "--language", "be"]
    cli.main(["collect-templates", *source, "--output", str(table)])
    extract = ["extract", *source, "--output", str(output), "--counts", str(tmp_path / "counts.json")]
    cli.main([*extract, "--templates", str(table)])
    first = next(iter(read_documents(output)))
    assert first.lines == ["Тут слова і яшчэ, 10 км далей, як у артыкуле."]


@pytest.mark.parametrize("content", ["{}", "[]", '{"bodies": 3, "redirects": {}}', ""])
def test_a_damaged_table_is_one_error(tmp_path, capsys, content):
    dump = dumps.write_multistream(tmp_path / "be.xml.bz2", PAGES, per_stream=4)
    table = tmp_path / "templates.json"
    table.write_text(content)
    arguments = ["--dump", str(dump), "--language", "be", "--templates", str(table)]
    with pytest.raises(SystemExit):
        cli.main(["extract", *arguments, "--output", str(tmp_path / "x"), "--counts", str(tmp_path / "c")])
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert str(table) in error[0]
