"""Pre- and post-processing around WikiExtractor: rescue text it would drop, clean up what it leaves behind."""

import re

from wikixlm.extract.inline_templates import InlineTemplates

_CODE_TAG = re.compile(r"</?code\b[^<>]*>", re.IGNORECASE)
# A formula without commands, scripts or braces is its own text.
_PLAIN_MATH = re.compile(r"<math\b[^<>]*>([\w\s+\-=,.()']*)</math>", re.IGNORECASE)

# A reference such as &#xD800; in a page makes half a character, which no encoding can write.
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_PLACEHOLDER = re.compile(r"\b(?:formula|codice)_\d+")
_TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")
_TAG = re.compile(
    r"</?(?:abbr|b|bdi|big|blockquote|br|categorytree|ce|center|chem|cite|code|dd|del|div|dl|dt|em|font|gallery|h[1-6]|"
    r"hiero|hr|i|imagemap|includeonly|indicator|ins|kbd|li|mapframe|maplink|math|noinclude|nowiki|offtopic|ol|onlyinclude|"
    r"p|poem|pre|q|rb|ref|references|rp|rt|ruby|s|samp|score|section|small|source|span|strike|strong|sub|sup|"
    r"syntaxhighlight|table|td|templatestyles|th|timeline|tr|tt|u|ul|var|wbr)(?:\s[^<>]*)?/?>",
    re.IGNORECASE,
)
# Not a number sign before a number, nor a smiley.
_BULLET = re.compile(r"(?:\*+|#+(?![\d#])|:+(?=[\s*#\w]))[\s*#:]*")
_BRACKETS = re.compile(r"([(（])([^()（）]*)([)）])")
_SEPARATORS = " ,;:/·،؛、，；：–—-\u200e\u200f\xa0"
_AT_BEGIN, _AT_END = " ,;،؛、，；\xa0", " ,;،؛、，；\xa0"
_DOUBLED = re.compile(r"([,;،؛、，；])(?:\s*[,;،؛、，；])+")
_SPACES = re.compile(r" {2,}")
_SPACE_BEFORE = re.compile(r"(?<=\S) +(?=[,.)،。，、）]|[;:](?:\s|$))")


class Wikitext:
    """The two passes for a wiki of `language`; `templates` adds to the table of inline templates."""

    def __init__(self, language: str, templates: dict[str, str] | None = None) -> None:
        self._templates = InlineTemplates(language, templates)

    def prepare(self, wikitext: str, drop: bool = True) -> str:
        """Wikitext as wikiextractor should see it: inline templates and code as text.

        Args:
            drop: leave out other templates, too. wikiextractor's text is the same to the last character, and is there
                sooner: it would spend a sixth of its time on them. (References, comments and tables stay: to be sure
                that they are what they seem takes longer than to drop them.)
        """
        if "<" in wikitext:
            wikitext = _CODE_TAG.sub("", _PLAIN_MATH.sub(r"\1", wikitext))
        return self._templates.expand(wikitext, drop_others=drop)

    @staticmethod
    def clean(line: str) -> str:
        """A line of wikiextractor's text as it goes into the corpus; empty if no letter or digit is left."""
        line = _LONE_SURROGATES.sub("", line).strip()
        before = line
        if line[:1] in ("*", "#", ":"):
            line = _BULLET.sub("", line, count=1) if _BULLET.match(line) else line
        if "_" in line:
            line = _PLACEHOLDER.sub("", line)
        if "{{" in line:
            line = _TEMPLATE.sub("", line)
        if "<" in line:
            line = _TAG.sub("", line)
        line = _brackets(line)
        if line != before:
            line = _SPACE_BEFORE.sub("", _SPACES.sub(" ", line)).strip()
        return line if any(map(str.isalnum, line)) else ""


def _brackets(line: str) -> str:
    """Drop brackets in which nothing is left, and separators which separate nothing."""
    if "(" not in line and "（" not in line:
        return line
    return _BRACKETS.sub(_bracket, line)


def _bracket(match: re.Match[str]) -> str:
    opening, inner, closing = match.groups()
    if inner.strip(_SEPARATORS):
        if inner[0] in _AT_BEGIN or inner[-1] in _AT_END or _DOUBLED.search(inner):
            inner = _DOUBLED.sub(r"\1", inner).lstrip(_AT_BEGIN).rstrip(_AT_END)
        return f"{opening}{inner}{closing}"
    before = match.string[: match.start()][-1:]
    if not inner and opening == "(" and before.isascii() and (before.isalnum() or before in "_)]") and before:
        return match[0]  # a function's name: main()
    return ""
