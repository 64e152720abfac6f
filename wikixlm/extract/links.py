"""The text of links: an internal link's label, an external one's description; files and categories have none."""

import re

from wikixlm.extract.protection import EXTERNAL
from wikixlm.extract.wiki_names import WikiNames, normalize_name

_PROTOCOL = r"(?:(?:https?|ftps?|ircs?|gopher|git|svn|nntp|telnet)://|//|mailto:|news:|tel:|urn:)"
_EXTERNAL = re.compile(rf"\[{_PROTOCOL}[^\s\]\[<>\"]++(?:[ \t]++([^\]\[\n]*+))?\]", re.IGNORECASE)
_STARTS_AS_URL = re.compile(rf"\s*{_PROTOCOL}", re.IGNORECASE)
_NO_TITLE = re.compile(r"[\n{}<>\[\]]")


def internal_link(content: str, names: WikiNames) -> str | None:
    """The text of `[[content]]`; None if it is no link, but text in brackets.

    A target with a colon is a namespace, or another wiki's language, only if that name exists: `[[Deep Blue: The
    Return]]` is a title. A colon before the target shows what would otherwise be a category or a file.
    """
    target, bar, label = content.partition("|")
    if _STARTS_AS_URL.match(target):
        return f"{target.partition(' ')[2]}{EXTERNAL}" if not bar else f"{label}{EXTERNAL}"
    prefix, colon, _ = target.partition(":")
    prefix = normalize_name(prefix) if colon else ""
    if prefix in names.file or prefix in names.category:
        return ""
    if not target.strip() or _NO_TITLE.search(target):
        return None
    if prefix and prefix in names.interlanguage:
        return ""
    if not bar:
        return target.strip().removeprefix(":")
    return label


def external_links(text: str) -> str:
    """Text with `[http://… description]` replaced by the description, and a mark that a link stood there."""
    if "[" not in text:
        return text
    return _EXTERNAL.sub(lambda match: (match[1] or "").strip() + EXTERNAL, text)
