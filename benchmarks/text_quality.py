"""Compare the extracted text with what MediaWiki shows: recall of paragraphs and list items, and precision.

    python benchmarks/text_quality.py --mediawiki FOLDER                             # the English sample
    python benchmarks/text_quality.py --mediawiki FOLDER --dump el=el.xml.bz2 uk=uk.xml.bz2

FOLDER is an installed MediaWiki with LocalSettings.php that takes its language from the environment variable
WIKI_LANGUAGE (Debian's package mediawiki, on SQLite, with the extensions Cite, Poem and ParserFunctions). Without one
the benchmark is skipped.

Text is compared page by page in sequences of five words, in lower case; a character of a script without spaces is a
word. Recall is the share of MediaWiki's sequences that are in the text; paragraphs are those without a template. A list
item counts as prose if it has 12 words, or 6 and the end of a sentence, and no external link or ISBN; "outside
references" leaves out the sections of references, bibliographies and links, whose items are no text by intention.
Precision is the share of the text's sequences that MediaWiki shows. It has no templates, so their text counts against
the precision; "without templates" is wikixlm's with its table of templates empty. Beside it: WikiExtractor on the same
pages, and mwparserfromhell's strip_code, which the data set wikimedia/wikipedia is made with.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.support import dumps as factory  # noqa: E402
from wikixlm.extract.dump_reader import Page  # noqa: E402
from wikixlm.extract.wiki_names import normalize_name, wiki_names  # noqa: E402
from wikixlm.extract.wikiextractor_process import extract_texts  # noqa: E402
from wikixlm.extract.wikitext import WikitextConverter, clean_line  # noqa: E402

WORDS = 5
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
HIDDEN_CLASSES = re.compile(r"\b(?:thumb|reference|references|mw-references-wrap|gallery|error|noprint)\b")
HIDDEN_TAGS = {"table", "style", "script", "math"}
VOID_TAGS = {"br", "img", "hr", "wbr", "input", "meta", "link", "col"}
HEADING = re.compile(r"h([1-6])")
BLOCKS = {"p": "paragraph", "li": "item", "dd": "indented", "dt": "indented", "blockquote": "quotation"}
# Tags of extensions that are not installed are shown as text.
UNKNOWN_TAGS = re.compile(
    r"<(math|score|mapframe|maplink|syntaxhighlight|source|graph|timeline|hiero|chem|ce)\b.*?</\1>", re.S
)
MEASURES = ("paragraph", "item", "item outside references", "precision")
Sequence = tuple[str, ...]


class Block(NamedTuple):
    """A paragraph or item that MediaWiki shows."""

    kind: str
    text: str
    has_template: bool
    has_link: bool  # to another site
    in_references: bool  # in a section of references, a bibliography, or links


class BlockParser(HTMLParser):
    """Collects the blocks of a rendered page."""

    def __init__(self, template_namespace: str, reference_sections: frozenset[str]) -> None:
        super().__init__()
        self._sections, self._reference_level = reference_sections, 0
        names = {template_namespace, "Template"}
        self._template_links = tuple(f"title={quote(name.replace(' ', '_'))}:" for name in names)
        self._open: list[tuple[str, bool]] = []
        self._hidden = 0
        self._kind = ""
        self._begin()
        self.blocks: list[Block] = []

    def _begin(self) -> None:
        self._text: list[str] = []
        self._template = self._link = False

    def end_block(self) -> None:
        text = " ".join(UNKNOWN_TAGS.sub(" ", "".join(self._text)).split())
        if text and self._kind:
            self.blocks.append(Block(self._kind, text, self._template, self._link, bool(self._reference_level)))
        self._begin()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID_TAGS:
            self._text.append(" ")
            return
        values = {key: value or "" for key, value in attrs}
        hidden = tag in HIDDEN_TAGS or bool(HIDDEN_CLASSES.search(values.get("class", "")))
        if tag == "a":
            self._link |= "external" in values.get("class", "")
            if any(link in values.get("href", "") for link in self._template_links):
                self._template = hidden = True
        if not self._hidden and (tag in BLOCKS or tag in ("ul", "ol", "dl", "div", "pre") or HEADING.fullmatch(tag)):
            self.end_block()
            self._kind = BLOCKS.get(tag, "")
        self._open.append((tag, hidden))
        self._hidden += hidden

    def handle_endtag(self, tag: str) -> None:
        while self._open and tag not in VOID_TAGS:
            name, hidden = self._open.pop()
            self._hidden -= hidden
            if name == tag:
                break
        if not self._hidden and tag in BLOCKS:
            self.end_block()
            self._kind = ""
        elif heading := HEADING.fullmatch(tag):
            self._enter_section(int(heading[1]), "".join(self._text))

    def _enter_section(self, level: int, title: str) -> None:
        """A section of references ends with the next heading of its level."""
        if not self._reference_level or level <= self._reference_level:
            self._reference_level = level if normalize_name(title) in self._sections else 0
        self._begin()

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._text.append(data)


def words(text: str) -> list[str]:
    """The words of a text without the numbers of notes."""
    found = re.findall(r"\w+", re.sub(r"\[\d+\]", " ", text).lower())
    return [piece for word in found for piece in (list(word) if UNSPACED.search(word) else [word])]


def sequences(text: str) -> list[Sequence]:
    """All sequences of WORDS words."""
    found = words(text)
    return [tuple(found[at : at + WORDS]) for at in range(len(found) - WORDS + 1)]


def measured_kind(block: Block) -> str | None:
    """`paragraph` or `item` for the blocks whose recall is measured."""
    if block.kind == "paragraph":
        return None if block.has_template else "paragraph"
    size = len(words(block.text))
    ended = block.text.rstrip()[-1:] in tuple(".!?。！？।։؟")
    prose = size >= 12 or (size >= 6 and ended)
    return "item" if block.kind == "item" and prose and not block.has_link and "ISBN" not in block.text else None


def render(pages: list[Page], language: str, mediawiki: Path) -> list[list[Block]]:
    """The blocks that MediaWiki shows of each page."""
    command = ["php", "-d", "memory_limit=2G", str(Path(__file__).with_name("render_wikitext.php")), "--conf"]
    output = subprocess.run(
        [*command, str(mediawiki / "LocalSettings.php")],
        input="".join(json.dumps({"title": page.title, "text": page.text}) + "\n" for page in pages),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
        env={**os.environ, "WIKI_LANGUAGE": language, "MW_INSTALL_PATH": str(mediawiki)},
    ).stdout  # fmt: skip
    blocks = []
    for row in map(json.loads, filter(None, output.split("\n"))):
        parser = BlockParser(row["template"], wiki_names(language).sections)
        parser.feed(row["html"])
        parser.end_block()
        blocks.append(parser.blocks)
    if len(blocks) != len(pages):
        raise SystemExit(f"error: MediaWiki rendered {len(blocks)} of {len(pages)} pages")
    return blocks


def with_wikixlm(pages: list[Page], language: str, templates: bool = True) -> list[list[str]]:
    """The lines of each page as the extract stage makes them."""
    converter = WikitextConverter(language)
    if not templates:
        converter._templates.text = lambda name, arguments: None  # type: ignore[method-assign]
    prepared = [page._replace(text=converter.prepare(page.text, page.title)) for page in pages]
    return [list(map(clean_line, (text or "").split("\n"))) for _, text in extract_texts(prepared)]


def with_wikiextractor(pages: list[Page], _: str) -> list[list[str]]:
    """The lines of each page as WikiExtractor alone makes them."""
    return [(text or "").split("\n") for _, text in extract_texts(pages)]


def with_strip_code(pages: list[Page], _: str) -> list[list[str]]:
    """The lines of each page as mwparserfromhell's strip_code makes them."""
    import mwparserfromhell

    return [mwparserfromhell.parse(page.text).strip_code().split("\n") for page in pages]


EXTRACTORS: dict[str, Callable[[list[Page], str], list[list[str]]]] = {
    "wikixlm": with_wikixlm,
    "wikixlm, without templates": lambda pages, language: with_wikixlm(pages, language, templates=False),
    "WikiExtractor": with_wikiextractor,
    "mwparserfromhell": with_strip_code,
}


def compare(shown: list[list[Block]], texts: Iterable[list[str]]) -> dict[str, float]:
    """Recall of paragraphs, prose items and those outside references, and precision."""
    total: Counter[str] = Counter()
    found: Counter[str] = Counter()
    for blocks, lines in zip(shown, texts, strict=True):
        if not blocks:
            continue
        made = [sequence for line in lines for sequence in sequences(line)]
        ours, theirs = set(made), set()
        for block in blocks:
            of_block = sequences(block.text)
            theirs.update(of_block)
            if kind := measured_kind(block):
                kinds = [kind, "item outside references"] if kind == "item" and not block.in_references else [kind]
                kept = sum(sequence in ours for sequence in of_block)
                for name in kinds:
                    total[name] += len(of_block)
                    found[name] += kept
        total["precision"] += len(made)
        found["precision"] += sum(sequence in theirs for sequence in made)
    return {name: found[name] / max(total[name], 1) for name in MEASURES}


def sample(dump: Path, pages: int) -> list[Page]:
    """Articles of a dump, drawn with a fixed seed."""
    articles = [page for page in factory.read_pages(dump) if page.namespace == 0 and not page.redirect]
    return random.Random(0).sample(articles, min(pages, len(articles)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mediawiki", type=Path, help="folder of an installed MediaWiki")
    parser.add_argument(
        "--dump", nargs="+", default=[], metavar="LANGUAGE=PATH", help="dumps beside the English sample"
    )
    parser.add_argument("--pages", type=int, default=100, help="pages of each dump (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "text_quality.json")
    args = parser.parse_args()
    if args.mediawiki is None or not (args.mediawiki / "LocalSettings.php").is_file():
        print("skipped: no MediaWiki; install one and give its folder with --mediawiki")
        return
    dumps = {"en": factory.english_dump()} | {
        name: Path(path) for name, _, path in (d.partition("=") for d in args.dump)
    }
    results: dict[str, Any] = {}
    print("| wiki | extractor | paragraphs | prose items | outside references | precision |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for language, dump in dumps.items():
        pages = sample(dump, args.pages)
        shown = render(pages, language, args.mediawiki)
        for name, extractor in EXTRACTORS.items():
            row = compare(shown, extractor(pages, language))
            results.setdefault(language, {})[name] = row
            print(f"| {language} | {name} | {' | '.join(f'{value:.3f}' for value in row.values())} |", flush=True)
    args.json.write_text(json.dumps({"pages": args.pages, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
