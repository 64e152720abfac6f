"""Templates, links and variants: everything in paired brackets, in one pass over the page with a stack.

Brackets pair as in MediaWiki's preprocessor: a closing bracket matches only the innermost open one, and an opening
bracket without its closing one is text. Time is linear in the page: what is nested deeper than MAX_DEPTH is dropped.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from wikixlm.extract.inline_templates import InlineTemplates
from wikixlm.extract.links import internal_link
from wikixlm.extract.parser_functions import call_function
from wikixlm.extract.protection import HOLE, HOLE_END, protect
from wikixlm.extract.variants import variant_text
from wikixlm.extract.wiki_names import WikiNames

MAX_DEPTH = 40
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
class BracketResolver:
    """Replaces bracketed markup by its text; `dropped` lists the templates without any, in order."""

    names: WikiNames
    templates: InlineTemplates
    variants: Sequence[str] | None
    title: str = ""
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
        if text is not None:
            return text
        self.dropped.append(name.partition(":")[0] if name.startswith("#") else name)
        return f"{HOLE}{len(self.dropped) - 1}{HOLE_END}"


def _flatten(stack: list[_Frame]) -> str:
    """The text of frames that were never closed: what a template's call would not have shown is left out."""
    texts = []
    for frame in stack:
        text = "".join(frame.parts)
        texts.append(_ARGUMENT_LINE.sub("", text) if frame.opening == "{{" else text)
    return "".join(texts)
