"""The wiki's own templates that only pass their values on, read from the dump's template namespace.

A template such as `<span style="color:{{{1}}}">{{{2}}}</span>` shows text of the article. Its body is kept, short and
without anything that is not inline text, and a call inside a sentence is replaced by what it expands to. Redirects
between templates are kept as other names. The built-in table and `extract.inline_templates` win over it.

How a page is transcluded: https://www.mediawiki.org/wiki/Transclusion; parameters and their defaults:
https://www.mediawiki.org/wiki/Help:Templates
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wikixlm.errors import UserError
from wikixlm.extract.dump_reader import Page
from wikixlm.extract.inline_templates import TemplateCall
from wikixlm.extract.protection import MISSING
from wikixlm.extract.wiki_names import TEMPLATE, normalize_name
from wikixlm.files import read_json

LONGEST_BODY = 500  # characters; what is longer builds boxes
LONGEST_LITERAL = 60  # of a body without parameters
MOST_PARAMETERS = 4  # a form with more names is a citation or a box
LONGEST_EXPANSION = 5000  # characters
_MOST_ROUNDS = 10  # parameters as defaults of parameters
_LONGEST_PAGE = 20_000  # of a template; with its documentation

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_ONLY = re.compile(r"<onlyinclude>(.*?)</onlyinclude>", re.DOTALL | re.IGNORECASE)
_NOT_INCLUDED = re.compile(r"<noinclude\s*/>|<noinclude>.*?(?:</noinclude>|\Z)", re.DOTALL | re.IGNORECASE)
_INCLUDED = re.compile(r"</?(?:includeonly|onlyinclude)>", re.IGNORECASE)
# Blocks, notes, files of other pages, external links, and functions whose result is not that of the page alone.
_NOT_INLINE = re.compile(
    r"\{\||</?(?:ref|references|div|table|tr|td|sup|gallery|p|ul|ol|li|blockquote|center|h[1-6]|pre|source|"
    r"syntaxhighlight|math|score|imagemap)\b|#(?:invoke|expr|ifexpr|time|timel|ifexist|tag|rel2abs|titleparts)\s*:|"
    r"\b(?:CURRENT|LOCAL|NUMBEROF|REVISION|NAMESPACE|PROTECTION|subst:|safesubst:|msg:|int:|ns:|fullurl)|//|__",
    re.IGNORECASE,
)
BLOCK_START = ("*", "#", ":", ";", "=", "|", "!", "{|", "----")
_PARAMETER_NAME = re.compile(r"\{\{\{([^{}|]{0,60})")
_PARAMETER = re.compile(r"\{\{\{([^{}|]{0,60})(\|[^{}]*+)?\}\}\}")
_MARKUP = re.compile(r"[{}\[\]<>&|'~=\n]")
_LINK = re.compile(r"\[\[([^\[\]|#]{1,200})")


def inline_body(wikitext: str, categories: Collection[str]) -> str | None:
    """What a template shows where it is called, if that is one line of text; None for boxes, notes, messages.

    Args:
        wikitext: the template's page.
        categories: names of the category namespace in lower case; what sets one is a message to editors.
    """
    if len(wikitext) > _LONGEST_PAGE:
        return None
    text = _COMMENT.sub("", wikitext)
    only = _ONLY.findall(text)
    text = _INCLUDED.sub("", "".join(only) if only else _NOT_INCLUDED.sub("", text)).strip()
    if not text or len(text) > LONGEST_BODY or text.startswith(BLOCK_START) or _NOT_INLINE.search(text):
        return None
    if any(name.partition(":")[0].strip().lower() in categories for name in _LINK.findall(text) if ":" in name):
        return None
    parameters = set(_PARAMETER_NAME.findall(text))
    if not parameters:
        return text if len(text) <= LONGEST_LITERAL and not _MARKUP.search(text) else None
    return text if len(parameters) <= MOST_PARAMETERS else None


@dataclass
class DumpTemplates:
    """Bodies by name and other names of templates (all as `normalize_name` gives them), of one wiki."""

    bodies: dict[str, str] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)  # name → name

    @classmethod
    def read(cls, path: Path) -> "DumpTemplates":
        """Read the table that `wikixlm collect-templates` wrote.

        Raises:
            UserError: the file holds something else.
        """
        table: Any = read_json(path)
        try:
            return cls(dict(table["bodies"]), dict(table["redirects"]))
        except (KeyError, TypeError, ValueError) as failure:
            raise UserError(f"{path} is damaged: no table of templates; delete it to make it again") from failure

    def resolve_name(self, name: str) -> str:
        """The name behind a redirect, in lower case; the name itself where it is none."""
        lower = normalize_name(name)
        return self.redirects.get(lower, lower)

    def expand(self, name: str, call: TemplateCall) -> str | None:
        """The body with the values of a call, as wikitext.

        A parameter with neither value nor default is MISSING. None: no such template, or the text would be too long.
        """
        text = self.bodies.get(self.resolve_name(name))
        if text is None:
            return None
        values = {str(number): value for number, value in enumerate(call.values, 1)} | call.named
        longest = max(map(len, values.values()), default=0)
        for _ in range(_MOST_ROUNDS):
            if "{{{" not in text:
                return text if len(text) <= LONGEST_EXPANSION else None
            if len(text) + text.count("{{{") * longest > LONGEST_EXPANSION:
                return None
            replaced = _PARAMETER.sub(lambda match: _value(match, values), text)
            if replaced == text:
                return None
            text = replaced
        return None


def _value(parameter: re.Match[str], values: Mapping[str, str]) -> str:
    name, default = parameter[1].strip(), parameter[2]
    return values.get(name, MISSING if default is None else default[1:])


def collect(pages: Iterable[Page], names: Collection[str], categories: Collection[str]) -> tuple[DumpTemplates, int]:
    """The inline templates and all redirects among the pages of the template namespace, and how many pages it has.

    Args:
        pages: of a dump; those of other namespaces are passed over.
        names: of the template namespace, in lower case.
        categories: of the category namespace, in lower case.
    """
    found = DumpTemplates()
    count = 0
    for page in pages:
        if page.namespace != TEMPLATE:
            continue
        count += 1
        name = normalize_name(page.title.partition(":")[2])
        if page.redirect:
            target = _LINK.search(page.text[:500])
            prefix, colon, bare = target[1].partition(":") if target else ("", "", "")
            if colon and prefix.strip().lower() in names:
                found.redirects[name] = normalize_name(bare)
        elif page.model == "wikitext" and (body := inline_body(page.text, categories)):
            found.bodies[name] = body
    return found, count


def keep_useful(found: DumpTemplates, known: Collection[str]) -> DumpTemplates:
    """Without redirects that lead to no template that has a text: neither here nor in `known`, the built-in names."""
    redirects = {}
    for name, target in found.redirects.items():
        # A redirect to a redirect is not followed by MediaWiki, but mended by editors sooner or later.
        end = found.redirects.get(target, target)
        if name != end and (end in found.bodies or end in known):
            redirects[name] = end
    return DumpTemplates(found.bodies, redirects)
