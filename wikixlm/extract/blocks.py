"""Paragraphs, lists, headings and tables: from resolved wikitext to the lines of the corpus.

As in MediaWiki, consecutive lines of text are one paragraph. Tables go. List items follow `extract.lists`, headings
`extract.headings`; what is dropped is counted.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from wikixlm.extract.emphasis import remove_emphasis
from wikixlm.extract.protection import EXPANDED, EXPANDED_END, EXTERNAL, HOLE, HOLE_END, LINE_BREAK
from wikixlm.extract.wiki_names import normalize_name

Lists = Literal["prose", "all", "none"]
Headings = Literal["keep", "drop"]

# Fewest words of an item that is a sentence, and of one that ends as such; its characters in scripts without spaces.
SENTENCE_WORDS, ENDED_SENTENCE_WORDS, ENDED_SENTENCE_CHARACTERS = 12, 3, 6
SENTENCE_END = ".!?…。！？։؟।॥។၊။።"
_MARKERS = ("*", "#", ":", ";")
_CLOSING = "\"'»”’)]}）」』】 "
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_WORD = re.compile(r"\w+")
_WIDE = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uff00-\uffef]")
_MARKS = re.compile(f"{HOLE}[0-9]*{HOLE_END}|[{EXTERNAL}{EXPANDED}{EXPANDED_END}]")
# All that no author of this article wrote: a line of nothing else is a note to the reader, such as "see also".
_OF_TEMPLATES = re.compile(f"{HOLE}[0-9]*{HOLE_END}|{EXPANDED}[^{EXPANDED_END}]*+{EXPANDED_END}|[{EXTERNAL}]")
_CITATION = re.compile(r"\b(?:ISBN|ISSN|doi:)", re.IGNORECASE)
# What an item of a section of references has, unless it is a sentence: a year, pages, the name of a collection.
_REFERENCE = re.compile(r"\b(?:1[5-9]|20)\d\d|\d\s?[-–—]\s?\d|//|\bet al\b|\bIn: ")

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*+)(?:[\s/][^<>]*+)?>")
_INLINE = frozenset([
    "abbr", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font", "i", "ins", "kbd",
    "mark", "math", "noinclude", "nowiki", "onlyinclude", "includeonly", "q", "rb", "rp", "rt", "rtc", "ruby",
    "s", "samp", "small", "span", "strike", "strong", "sub", "sup", "time", "translate", "tt", "tvar", "u",
    "var", "wbr", "nobr", "ref", "references", "ce", "chem", "source", "syntaxhighlight", "pre", "poem",
    "gallery", "score", "timeline", "mapframe", "maplink", "graph", "hiero", "imagemap", "section", "indicator",
    "templatestyles", "templatedata", "categorytree", "inputbox", "charinsert", "offtopic",
])  # fmt: skip
_PARAGRAPH = frozenset([
    "p", "div", "center", "blockquote", "hr", "caption", "tr", "td", "th", "thead", "tbody", "tfoot", "form",
    "article", "aside",
])  # fmt: skip
_OPENING = {"li": "\n* ", "dt": "\n; ", "dd": "\n: ", "table": "\n{|\n", "br": LINE_BREAK}
_CLOSING_TAGS = {"li": "\n", "dt": "\n", "dd": "\n", "table": "\n|}\n", "br": LINE_BREAK}
_TABLE_ROW = re.compile(r"\|[-+}]|[|!].*(?:\|\||!!)")


@dataclass
class BlockCounts:
    """How many list items and headings of a shard were kept, or dropped and why."""

    items_kept: int = 0
    items_dropped_short: int = 0  # no sentence
    items_dropped_reference: int = 0  # in a section of references or links, or a citation
    items_dropped: int = 0  # all of them, with lists: none
    headings_kept: int = 0
    headings_dropped: int = 0


def replace_tags(text: str) -> str:
    """Text without HTML tags: those of blocks end a line, those of lists and tables become wikitext's."""
    if "<" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        closing, name = match[1], match[2].lower()
        if name in _INLINE:
            return ""
        if name in _PARAGRAPH:
            return "\n\n"
        if name in ("ul", "ol", "dl"):
            return "\n"
        if len(name) == 2 and name[0] == "h" and name[1] in "123456":
            return " ==\n" if closing else "\n== "
        return (_CLOSING_TAGS if closing else _OPENING).get(name, match[0])

    return _TAG.sub(replace, text)


@dataclass
class _PageState:
    """Where in a page the splitter is."""

    paragraph: list[str] = field(default_factory=list)  # its lines so far
    term: str = ""  # of a definition that has not come yet
    reference_level: int = 0  # of the heading whose section holds references; 0: none

    def end_paragraph(self) -> str:
        lines, self.paragraph = self.paragraph, []
        return _join(lines)

    def end_term(self) -> str:
        term, self.term = self.term, ""
        return term


class BlockSplitter:
    """Splits pages of one wiki; `counts` collects over all of them."""

    def __init__(self, sections: frozenset[str], lists: Lists, headings: Headings, counts: BlockCounts) -> None:
        """Args: sections: titles (normalized) of sections whose items are no text."""
        self._sections = sections
        self._lists, self._headings = lists, headings
        self.counts = counts

    def split(self, text: str) -> Iterator[str]:
        """Yield the paragraphs, items and headings of a page, in order; none is empty."""
        page = _PageState()
        for line in _outside_tables(text.split("\n")):
            kind = line[:1]
            in_paragraph = kind not in ("", " ", "=", *_MARKERS) and not line.startswith("----")
            if page.paragraph and not in_paragraph:
                yield page.end_paragraph()
            if page.term and kind != ":":
                yield from self._item(page.end_term(), page)
            if kind in _MARKERS:
                yield from self._list_line(line, page)
            elif kind == "=" and (heading := _heading(line)):
                yield from self._heading(*heading, page)
            elif in_paragraph or kind == "=":
                yield from _text_line(line, page)
            elif content := remove_emphasis(line).strip("- \t" if line.startswith("----") else None):
                yield content
        if page.paragraph:
            yield page.end_paragraph()
        if page.term:
            yield from self._item(page.end_term(), page)

    def _list_line(self, line: str, page: "_PageState") -> Iterator[str]:
        content = remove_emphasis(line.lstrip("*#:; ")).strip()
        if line[0] == ";":
            page.term, content = _definition(content)
            if not content:
                return
        if page.term:
            content = f"{page.end_term()}: {content}"
        yield from self._item(content, page, indented=line[0] == ":")

    def _heading(self, level: int, title: str, page: "_PageState") -> Iterator[str]:
        if not page.reference_level or level <= page.reference_level:
            page.reference_level = level if normalize_name(title) in self._sections else 0
        if self._headings == "keep" and title:
            self.counts.headings_kept += 1
            yield title
        else:
            self.counts.headings_dropped += 1

    def _item(self, content: str, page: "_PageState", indented: bool = False) -> Iterator[str]:
        text = _MARKS.sub("", content).strip()
        if not text:
            return
        if self._lists == "none" and not indented:
            self.counts.items_dropped += 1
        elif self._lists != "prose":
            self.counts.items_kept += 1
            yield content
        elif EXTERNAL in content or _CITATION.search(content) or (page.reference_level and _REFERENCE.search(text)):
            self.counts.items_dropped_reference += 1
        elif not is_sentence(text):
            self.counts.items_dropped_short += 1
        else:
            self.counts.items_kept += 1
            yield content


def _text_line(line: str, page: _PageState) -> Iterator[str]:
    """Add a line to the paragraph; one in which only a dropped template stood ends it."""
    content = remove_emphasis(line).strip()
    if _OF_TEMPLATES.sub("", content).strip():
        page.paragraph.append(content)
    elif page.paragraph:
        yield page.end_paragraph()


def is_sentence(text: str) -> bool:
    """Whether a list item is one, by its length and its end; a character of a script without spaces is a word."""
    unspaced = len(_UNSPACED.findall(text))
    words = len(_WORD.findall(text)) + unspaced
    if words >= SENTENCE_WORDS:
        return True
    ended = text.rstrip(_CLOSING)[-1:] in tuple(SENTENCE_END)
    return ended and words >= (ENDED_SENTENCE_CHARACTERS if unspaced else ENDED_SENTENCE_WORDS)


def _definition(content: str) -> tuple[str, str]:
    """Term and definition of `; term : definition`."""
    term, colon, definition = content.partition(" : ")
    if not colon:
        term, colon, definition = content.partition(": ")
    return term.strip(), definition.strip()


def _heading(line: str) -> tuple[int, str] | None:
    """Level and title of a heading; None for text that begins with `=`."""
    text = _MARKS.sub("", line).strip()
    level = min(len(text) - len(text.lstrip("=")), len(text) - len(text.rstrip("=")), 6)
    if not level or len(text) < 2 * level + 1:
        return None
    return level, remove_emphasis(text[level:-level].strip())


def _join(lines: list[str]) -> str:
    """Lines as one paragraph: with spaces, but for scripts without them."""
    text = lines[0]
    parts = [text]
    for line in lines[1:]:
        glue = "" if _WIDE.match(text[-1:]) and _WIDE.match(line[:1]) else " "
        parts += [glue, line]
        text = line
    return "".join(parts)


def _outside_tables(lines: list[str]) -> Iterator[str]:
    """Lines without tables. One that is not closed hides its rows, and no text after them."""
    ends = _table_ends(lines)
    at = 0
    while at < len(lines):
        line = lines[at]
        if at in ends:
            end = ends[at]
            if end is None:
                at = _end_of_rows(lines, at + 1)
                yield ""
                continue
            yield ""
            rest = lines[end].lstrip()[2:].strip()
            if rest:
                yield rest
            at = end + 1
            continue
        at += 1
        if line[:1] in ("|", "!") and _TABLE_ROW.match(line):
            yield ""
            continue
        yield line


def _table_ends(lines: list[str]) -> dict[int, int | None]:
    """Number of the first line of each table → that of its last; None where it has none."""
    ends: dict[int, int | None] = {}
    opened: list[int] = []
    for number, line in enumerate(lines):
        start = line.lstrip(" \t:*#;")
        if start.startswith("{|"):
            opened.append(number)
            ends[number] = None
        elif opened and start.startswith("|}"):
            ends[opened.pop()] = number
    return ends


def _end_of_rows(lines: list[str], at: int) -> int:
    """The first line after an empty one that is no row of a table."""
    empty = False
    while at < len(lines):
        start = lines[at].lstrip()
        if not start:
            empty = True
        elif (empty and start[0] not in "|!") or start.startswith("{|"):
            return at
        else:
            empty = False
        at += 1
    return at
