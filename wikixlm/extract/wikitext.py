"""Pre- and post-processing around WikiExtractor: resolve a page's structure before it, restore characters after it.

WikiExtractor drops lists, every link with a colon, and all that stands between two tags that do not belong together.
So the structure of a page (tags, templates, links, lists, tables, headings) is resolved as MediaWiki resolves it, and
WikiExtractor gets lines of text in which nothing is left to lose.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from wikixlm.extract.blocks import BlockCounts, BlockSplitter, Headings, Lists, replace_tags
from wikixlm.extract.brackets import BracketResolver
from wikixlm.extract.dump_templates import DumpTemplates
from wikixlm.extract.inline_templates import InlineTemplates
from wikixlm.extract.links import external_links
from wikixlm.extract.opaque_tags import resolve_opaque_tags
from wikixlm.extract.protection import (
    EXPANDED,
    EXPANDED_END,
    EXTERNAL,
    HOLE,
    HOLE_END,
    LINE_BREAK,
    LINE_START,
    protect,
    remove_noncharacters,
    restore,
)
from wikixlm.extract.variants import variant_order
from wikixlm.extract.wiki_names import wiki_names

MOST_HOLES = 1000  # names of templates that are counted in a shard
_UNSPACED_LETTER = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")

_SWITCH = re.compile(r"__\w{2,60}?__")
_EXPRESSION = re.compile(r"(\{\{#expr:[^{}]*\}\})")
_HOLE = re.compile(f"{HOLE}([0-9]+){HOLE_END}")
_LINE_BREAK = re.compile(f" ?{LINE_BREAK} ?")

# A reference such as &#xD800; in a page makes half a character, which no encoding can write.
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_NUMERIC_REFERENCE = re.compile(r"&#(?:[xX][0-9a-fA-F]++|[0-9]++);")
_PLACEHOLDER = re.compile(r"(?<![A-Za-z_])(?:formula|codice)_\d+")
_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")
_TAG = re.compile(
    r"</?(?:abbr|b|bdi|big|blockquote|br|categorytree|ce|center|chem|cite|code|dd|del|div|dl|dt|em|font|gallery|h[1-6]|"
    r"hiero|hr|i|imagemap|includeonly|indicator|ins|kbd|li|mapframe|maplink|math|noinclude|nowiki|offtopic|ol|onlyinclude|"
    r"p|poem|pre|q|rb|ref|references|rp|rt|ruby|s|samp|score|section|small|source|span|strike|strong|sub|sup|"
    r"syntaxhighlight|table|td|templatestyles|th|timeline|tr|tt|u|ul|var|wbr)(?:\s[^<>]*+)?/?>",
    re.IGNORECASE,
)
# Not a number sign before a number, nor a smiley.
_BULLET = re.compile(r"(?:\*+|#+(?![\d#])|:+(?=[\s*#\w]))[\s*#:]*")
_BRACKETS = re.compile(r"([(（])([^()（）]*+)([)）])")
_SEPARATORS = " ,;:/·،؛、，；：–—-\u200e\u200f\xa0"
_AT_EDGES = " ,;،؛、，；\xa0"
_DOUBLED = re.compile(r"([,;،؛、，；])(?:\s*+[,;،؛、，；])+")
_SPACES = re.compile(r" {2,}")
_SPACE_BEFORE = re.compile(r"(?<=[^ ]) ++(?=[,.)،。，、）]|[;:](?:\s|$))")
_STRESS = re.compile(r"(?<=[\u0400-\u052f])[\u0300\u0301]")


@dataclass
class DroppedTemplate:
    """A template that left a hole inside a sentence: how often, and the first sentence."""

    count: int
    example: str


@dataclass
class WikitextCounts(BlockCounts):
    """What the pages of a shard had that is not in their text."""

    holes: dict[str, DroppedTemplate] = field(default_factory=dict)  # by the template's name


class WikitextConverter:
    """The pass before WikiExtractor, for the pages of one wiki; `counts` collects over all of them."""

    def __init__(
        self,
        language: str,
        templates: Mapping[str, str] | None = None,
        *,
        lists: Lists = "prose",
        headings: Headings = "drop",
        variant: str | None = None,
        namespaces: Mapping[int, str] | None = None,
        dump_templates: DumpTemplates | None = None,
        counts: WikitextCounts | None = None,
    ) -> None:
        """Prepare the tables of a language.

        Args:
            language: a Wikipedia's code.
            templates: patterns by name of template, on top of the built-in table.
            lists: which list items are text.
            headings: whether headings are text.
            variant: the wanted variant, for a language that has some.
            namespaces: the wiki's names of its namespaces by number, from `<siteinfo>`.
            dump_templates: the wiki's own templates that carry text.
            counts: where to count; default: a new one.
        """
        self._names = wiki_names(language, namespaces)
        self._templates = InlineTemplates(language, self._names, templates)
        self._dump_templates = dump_templates or DumpTemplates()
        self._variants = variant_order(language, variant)
        self.counts = counts if counts is not None else WikitextCounts()
        self._blocks = BlockSplitter(self._names.sections, lists, headings, self.counts)

    def prepare(self, wikitext: str, title: str = "") -> str:
        """Wikitext as lines of text, one a paragraph, protected from WikiExtractor's rules for markup."""
        text = resolve_opaque_tags(remove_noncharacters(wikitext))
        resolver = BracketResolver(self._names, self._templates, self._variants, title, self._dump_templates)
        text = external_links(resolver.resolve(text))
        if "__" in text:
            text = _SWITCH.sub(self._switch, text)
        lines = []
        for line in self._blocks.split(replace_tags(text)):
            if HOLE in line:
                self._count_holes(line, resolver.dropped)
                line = _HOLE.sub("", line)
            line = _finish(line).strip()
            if line:
                lines.append(f"{LINE_START}{line}")
        return "\n".join(lines)

    def _switch(self, match: re.Match[str]) -> str:
        """Nothing for `__NOTOC__` and its kind; a name in capitals of another alphabet can only be one, too."""
        known = match[0].lower() in self._names.switches
        return "" if known or (match[0].isupper() and not match[0].isascii()) else match[0]

    def _count_holes(self, line: str, dropped: list[str]) -> None:
        for match in _HOLE.finditer(line):
            before, after = line[max(match.start() - 40, 0) : match.start()], line[match.end() : match.end() + 40]
            if not is_hole(before, after):
                continue
            name = dropped[int(match[1])][:80]
            if name in self.counts.holes:
                self.counts.holes[name].count += 1
            elif len(self.counts.holes) < MOST_HOLES:
                example = _finish(_HOLE.sub("", before)) + f"{{{{{name}}}}}" + _finish(_HOLE.sub("", after))
                self.counts.holes[name] = DroppedTemplate(1, " ".join(restore(example).split()))


def is_hole(before: str, after: str) -> bool:
    """Whether a template between these pieces of a line leaves a hole: it is a word of its own in a sentence.

    A template that follows a word without a space, or a sentence, is a note.
    """
    if not any(map(str.isalnum, after)):
        return False
    last = before[-1:]
    if _UNSPACED_LETTER.match(last):
        return bool(_UNSPACED_LETTER.match(after[:1]))
    if not last or not (last.isspace() or last in "([（「"):
        return False
    return before.rstrip()[-1:] not in ("", ".", "!", "?", "。")


def _finish(line: str) -> str:
    """Entities as characters, marks away, and all that could be read as markup protected."""
    if LINE_BREAK in line:
        line = _LINE_BREAK.sub(" ", line)
    for mark in (EXTERNAL, EXPANDED, EXPANDED_END):
        line = line.replace(mark, "")
    if "{{#expr:" in line:
        pieces = _EXPRESSION.split(line)
        return "".join(piece if number % 2 else protect(_unescape(piece)) for number, piece in enumerate(pieces))
    return protect(_unescape(line))


def _unescape(text: str) -> str:
    if "&" not in text:
        return text
    known = _NUMERIC_REFERENCE.sub(lambda reference: _character(reference[0]), text)
    return html.unescape(known).replace("\n", " ").replace("\r", " ")


def _character(reference: str) -> str:
    """The reference itself, or nothing where its number is that of no character: U+0000, half a surrogate pair."""
    return "" if html.unescape(reference) == "\ufffd" else reference


def clean_line(line: str) -> str:
    """A line of WikiExtractor's text as it goes into the corpus; empty if no letter or digit is left."""
    prepared = line.startswith(LINE_START)
    line = _LONE_SURROGATES.sub("", restore(line)).strip()
    before = line
    if not prepared:
        line = _remove_leftovers(line)
    line = _PLACEHOLDER.sub("", line) if "_" in line else line
    if "\u0301" in line or "\u0300" in line:
        line = _STRESS.sub("", line)
    line = _clean_brackets(line)
    if prepared or line != before:
        line = _SPACE_BEFORE.sub("", _SPACES.sub(" ", line)).strip()
    return line if any(map(str.isalnum, line)) else ""


def _remove_leftovers(line: str) -> str:
    """Markup in a line that the pass before WikiExtractor has not made."""
    if line[:1] in ("*", "#", ":") and _BULLET.match(line):
        line = _BULLET.sub("", line, count=1)
    if "{{" in line:
        line = _TEMPLATE.sub("", line)
    return _TAG.sub("", line) if "<" in line else line


def _clean_brackets(line: str) -> str:
    """Drop brackets in which nothing is left, and separators which separate nothing."""
    if "(" not in line and "（" not in line:
        return line
    return _BRACKETS.sub(_bracket, line)


def _bracket(match: re.Match[str]) -> str:
    opening, inner, closing = match.groups()
    if inner.strip(_SEPARATORS):
        if inner[0] in _AT_EDGES or inner[-1] in _AT_EDGES or _DOUBLED.search(inner):
            inner = _DOUBLED.sub(r"\1", inner).strip(_AT_EDGES)
        return f"{opening}{inner}{closing}"
    at = match.start()
    before = match.string[at - 1 : at] if at else ""
    if not inner and opening == "(" and before.isascii() and (before.isalnum() or before in "_)]") and before:
        return match[0]  # a function's name: main()
    return ""
