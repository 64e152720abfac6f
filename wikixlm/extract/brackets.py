"""Templates, links and variants: everything in paired brackets, in one pass over the page with a stack.

Brackets pair as in MediaWiki's preprocessor: a closing bracket matches only the innermost open one, and an opening
bracket without its closing one is text. Time is linear in the page: what is nested deeper than MAX_DEPTH is dropped.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from wikixlm.extract.blocks import is_sentence
from wikixlm.extract.dump_templates import BLOCK_START, DumpTemplates
from wikixlm.extract.inline_templates import InlineTemplates, parse_call
from wikixlm.extract.links import internal_link
from wikixlm.extract.opaque_tags import resolve_opaque_tags
from wikixlm.extract.parser_functions import call_function
from wikixlm.extract.protection import EXPANDED, EXPANDED_END, HOLE, HOLE_END, MISSING, protect
from wikixlm.extract.variants import variant_text
from wikixlm.extract.wiki_names import WikiNames

MAX_DEPTH = 40
MAX_EXPANSION_DEPTH = 4  # templates of the dump that call each other
MAX_EXPANDED = 1_000_000  # characters that they may add to a page
_BRACKETS = re.compile(r"\{\{|\}\}|\[\[|\]\]|-\{(?!\{)|\}-")
_PARAMETER = re.compile(r"\{\{\{[^{}|<>\[\]]{0,100}(?:\|([^{}\[\]]*+))?\}\}\}")
_CLOSED_BY = {"{{": "}}", "[[": "]]", "-{": "}-"}
_ARGUMENT_LINE = re.compile(r"^[ \t]*\|.*$", re.MULTILINE)
_INTERWIKI_TEMPLATE = re.compile(r"(?:subst|safesubst|msg|raw)$")


@dataclass
class _Frame:
    opening: str
    parts: list[str] = field(default_factory=list)


@dataclass
class Expansion:
    """How many characters templates of the dump have added to a page."""

    characters: int = 0


@dataclass
class BracketResolver:
    """Replaces bracketed markup by its text; `dropped` lists the templates without any, in order."""

    names: WikiNames
    templates: InlineTemplates
    variants: Sequence[str] | None
    title: str = ""
    dump_templates: DumpTemplates = field(default_factory=DumpTemplates)
    expansion: Expansion = field(default_factory=Expansion)
    expansion_depth: int = 0
    dropped: list[str] = field(default_factory=list)

    def resolve(self, text: str) -> str:
        """Wikitext whose templates and links are text; a dropped template leaves a numbered mark."""
        if "{{{" in text:
            text = _PARAMETER.sub(lambda match: match[1] or "", text)
        stack = [_Frame("")]
        position = 0
        for match in _BRACKETS.finditer(text):
            token = match[0]
            if token in ("-{", "}-") and self.variants is None:
                continue
            stack[-1].parts.append(text[position : match.start()])
            position = match.end()
            if token in _CLOSED_BY:
                stack.append(_Frame(token))
            elif len(stack) > 1 and _CLOSED_BY[stack[-1].opening] == token:
                depth = len(stack)
                frame = stack.pop()
                inside_template = any(outer.opening == "{{" for outer in stack[-2:])
                content = "".join(frame.parts) if depth <= MAX_DEPTH else ""
                result = self._replace(frame.opening, content)
                stack[-1].parts.append(protect(result, "|=") if inside_template else result)
            elif token == "}-":
                stack[-1].parts.append(token)
            # Any other closing bracket without an opening one is a slip of the pen.
        stack[-1].parts.append(text[position:])
        return _flatten(stack)

    def _replace(self, opening: str, content: str) -> str:
        if opening == "{{":
            return self._call(content)
        if opening == "[[":
            text = internal_link(content, self.names)
            return content if text is None else text
        return variant_text(content, self.variants or ())

    def _call(self, body: str) -> str:
        head, *rest = body.split("|")
        name = " ".join(head.replace("_", " ").split())
        prefix, colon, bare = name.partition(":")
        if colon and (prefix.strip().lower() in self.names.template or _INTERWIKI_TEMPLATE.match(prefix.lower())):
            name, head = bare.strip(), bare
        text = self.templates.text(name, rest)
        if text is None:
            text = call_function(head, rest, self.title, self.names)
        if text is None:
            text = self._expand(name, rest)
        if text is not None:
            return text
        self.dropped.append(name.partition(":")[0] if name.startswith("#") else name)
        return f"{HOLE}{len(self.dropped) - 1}{HOLE_END}"

    def _expand(self, name: str, arguments: list[str]) -> str | None:
        """The text of a template that the dump's own table has; None if that is not one line of text."""
        target = self.dump_templates.resolve_name(name)
        if self.templates.knows(target):
            return self.templates.text(target, arguments)
        if self.expansion_depth >= MAX_EXPANSION_DEPTH or self.expansion.characters >= MAX_EXPANDED:
            return None
        call = parse_call(arguments)
        wikitext = self.dump_templates.expand(target, call)
        if wikitext is None:
            return None
        self.expansion.characters += len(wikitext)
        inner = replace(self, expansion_depth=self.expansion_depth + 1, dropped=[])
        text = inner.resolve(resolve_opaque_tags(wikitext)).strip().replace(EXPANDED, "").replace(EXPANDED_END, "")
        if inner.dropped or MISSING in text or "\n" in text or text.startswith(BLOCK_START):
            return None
        # A sentence of the author's is text wherever it is; the template's own words only inside a sentence.
        if not text or any(map(is_sentence, (*call.values, *call.named.values()))):
            return text
        return f"{EXPANDED}{text}{EXPANDED_END}"


def _flatten(stack: list[_Frame]) -> str:
    """The text of frames that were never closed: what a template's call would not have shown is left out."""
    texts = []
    for frame in stack:
        text = "".join(frame.parts)
        texts.append(_ARGUMENT_LINE.sub("", text) if frame.opening == "{{" else text)
    return "".join(texts)
