"""What a dump says of the wiki that it comes from: its database's name and its namespaces, in `<siteinfo>`."""

import html
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from wikixlm import console, languages
from wikixlm.extract.compression import detect_compression, read_streams
from wikixlm.extract.encodings import detect_encoding

LONGEST_SITEINFO = 1 << 16
DBNAME = re.compile(r"<dbname>\s*([^<\s]+)\s*</dbname>")
NAMESPACE = re.compile(r"<namespace key=\"(-?\d{1,6})\"[^<>]*>([^<>]*)</namespace>")


class SiteInfo(NamedTuple):
    """The wiki of a dump; `dbname` is None, and `namespaces` empty, where the dump does not name them."""

    dbname: str | None
    namespaces: Mapping[int, str]


def read_siteinfo(path: Path) -> SiteInfo:
    """The wiki that a dump comes from.

    Dumps older than export format 0.8 (2012) have no `<dbname>`, and later files of a dump in several parts may begin
    without a header.
    """
    head = b""
    for _, data in read_streams(path, detect_compression(path)):
        head += data
        if b"<page>" in head or len(head) >= LONGEST_SITEINFO:
            break
    text = head.decode(detect_encoding(head), "replace")
    dbname = DBNAME.search(text)
    namespaces = {int(number): html.unescape(name) for number, name in NAMESPACE.findall(text.partition("<page>")[0])}
    return SiteInfo(dbname[1] if dbname else None, namespaces)


def warn_of_other_language(path: Path, dbname: str | None, language: str) -> None:
    """Warn if the dump comes from a wiki in another language than `language`.

    The language's Wikipedia and its sister projects (`dewikibooks` for de) are accepted silently. A mismatch is not an
    error, because programs that cut or join dumps may carry over the header of another one.
    """
    wanted = languages.wiki(language).dbname
    if dbname and not dbname.startswith(wanted.removesuffix("iki")):
        console.warn(
            f"{path} says it is a dump of {dbname}, but is read as {language} ({wanted}); if that is a mistake, "
            "correct dumps.local and run again"
        )
