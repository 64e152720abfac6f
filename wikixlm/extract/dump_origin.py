"""The wiki that a dump says it comes from: a dump under the wrong language would train a mislabelled model."""

import re
from pathlib import Path

from wikixlm import console, languages
from wikixlm.extract.compression import detect_compression, read_streams
from wikixlm.extract.encodings import detect_encoding

LONGEST_SITEINFO = 1 << 16
DBNAME = re.compile(r"<dbname>\s*([^<\s]+)\s*</dbname>")


def read_dbname(path: Path) -> str | None:
    """The name of the wiki's database in the dump's `<siteinfo>`, such as `dewiki`; None if it is absent.

    Dumps older than export format 0.8 (2012) have no `<dbname>`, and later files of a dump in several parts may begin
    without a header.
    """
    head = b""
    for _, data in read_streams(path, detect_compression(path)):
        head += data
        if b"<page>" in head or len(head) >= LONGEST_SITEINFO:
            break
    text = head.decode(detect_encoding(head), "replace")
    found = DBNAME.search(text)
    return found[1] if found else None


def warn_of_other_language(path: Path, language: str) -> None:
    """Warn if the dump comes from a wiki in another language than `language`.

    The language's Wikipedia and its sister projects (`dewikibooks` for de) are accepted silently. A mismatch is not an
    error, because programs that cut or join dumps may carry over the header of another one.
    """
    found = read_dbname(path)
    wanted = languages.wiki(language).dbname
    if found and not found.startswith(wanted.removesuffix("iki")):
        console.warn(
            f"{path} says it is a dump of {found}, but is read as {language} ({wanted}); if that is a mistake, correct "
            "dumps.local and run again"
        )
