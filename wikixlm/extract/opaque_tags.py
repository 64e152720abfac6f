"""Comments, and tags whose contents are not wikitext: notes, formulas, code, music, maps.

Tags are paired as MediaWiki's preprocessor pairs them: the contents run to the first closing tag, and an opening tag
without one is no tag. A `<ref>` that another one follows before the next `</ref>` lacks its slash or its end, and hides
no more than its line.
"""

import re
from collections.abc import Callable

from wikixlm.extract.formulas import formula_text
from wikixlm.extract.protection import LINE_BREAK, protect

DROPPED = (
    *("ref", "references", "gallery", "timeline", "score", "hiero", "imagemap", "mapframe", "maplink", "graph"),
    *("templatedata", "templatestyles", "categorytree", "inputbox", "charinsert", "indicator", "includeonly", "pre"),
    *("source", "syntaxhighlight", "section", "math", "chem", "ce", "nowiki", "poem", "phonos", "chart", "seo"),
    *("dynamicpagelist", "rss", "languages", "labeledsectiontransclusion", "style", "script", "offtopic"),
)
_OPENING = re.compile(r"<(?:!--|(" + "|".join(DROPPED) + r")(?=[\s/>]))", re.IGNORECASE)
_CLOSING = {name: re.compile(rf"</{name}\s{{0,20}}>", re.IGNORECASE) for name in DROPPED}
_INLINE = re.compile(r"\binline\b", re.IGNORECASE)
_NOTE_EDGE = re.compile(r"</ref\s{0,20}>|<ref(?=[\s>])[^<>/]*+>", re.IGNORECASE)
_BLANK = " \t"


def resolve_opaque_tags(text: str) -> str:
    """Wikitext without comments and opaque tags; formulas, literal and inline code text are protected."""
    if "<" not in text:
        return text
    parts: list[str] = []
    position = 0
    unclosed: set[str] = set()
    while match := _OPENING.search(text, position):
        start = match.start()
        if match[1] is None:
            position = _skip_comment(text, start, position, parts)
            continue
        name = match[1].lower()
        tag_end = -1 if name in unclosed else text.find(">", match.end())
        closing = None
        if tag_end >= 0 and text[tag_end - 1] != "/":
            closing = (_NOTE_EDGE if name == "ref" else _CLOSING[name]).search(text, tag_end + 1)
        if tag_end < 0 or (text[tag_end - 1] != "/" and closing is None):
            unclosed.add(name)
            parts.append(text[position : match.end()])
            position = match.end()
            continue
        parts.append(text[position:start])
        if closing is None:
            position = tag_end + 1
            continue
        attributes, content = text[match.end() : tag_end], text[tag_end + 1 : closing.start()]
        if name == "ref" and not closing[0].startswith("</"):
            # Not closed. With a name, only its slash is missing; else it is a note that ends with its line.
            note = len(content.partition("\n")[0])
            position = tag_end + 1 + (0 if "name" in attributes.lower() else note)
            continue
        parts.append(_replacement(name, attributes, content))
        position = closing.end()
    parts.append(text[position:])
    return "".join(parts)


def _skip_comment(text: str, start: int, position: int, parts: list[str]) -> int:
    """Append the text before a comment and return where it continues; a comment's own line goes with it."""
    end = text.find("-->", start + 4)
    if end < 0:
        parts.append(text[position:start])
        return len(text)
    end += 3
    before = text[position:start].rstrip(_BLANK)
    after = end
    while after < len(text) and text[after] in _BLANK:
        after += 1
    at_line_start = before.endswith("\n") or (not before and (not parts or parts[-1].endswith("\n")))
    if at_line_start and text[after : after + 1] == "\n":
        parts.append(before)
        return after + 1
    parts.append(text[position:start])
    return end


def _replacement(name: str, attributes: str, content: str) -> str:
    handler = _HANDLERS.get(name)
    return handler(attributes, content) if handler else ""


def _code(attributes: str, content: str) -> str:
    return protect(content) if _INLINE.search(attributes) else ""


def _poem(_: str, content: str) -> str:
    """The verses as one paragraph a stanza; the contents are wikitext again."""
    lines = [line.strip().lstrip(":*#; ") for line in resolve_opaque_tags(content).strip().split("\n")]
    return "\n\n" + "".join(f"{line}{LINE_BREAK}" if line else "\n\n" for line in lines) + "\n\n"


_HANDLERS: dict[str, Callable[[str, str], str]] = {
    "math": lambda _, content: protect(formula_text(content)),
    "chem": lambda _, content: protect(formula_text(content)),
    "ce": lambda _, content: protect(formula_text(content)),
    "nowiki": lambda _, content: protect(content).replace("\n", " "),
    "syntaxhighlight": _code,
    "source": _code,
    "poem": _poem,
}
