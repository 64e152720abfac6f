"""Encodings of text files and dumps: UTF-8, or UTF-16 with a byte order mark."""

import codecs
from collections.abc import Iterable, Iterator
from pathlib import Path

from wikixlm.errors import UserError

_UTF16_MARKS = {codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def detect_encoding(head: bytes) -> str:
    """`utf-16-le` or `utf-16-be` for data that begins with its byte order mark, else `utf-8`."""
    return next((encoding for mark, encoding in _UTF16_MARKS.items() if head.startswith(mark)), "utf-8")


def recode(chunks: Iterable[bytes], encoding: str, path: Path) -> Iterator[bytes]:
    """Convert chunks of `path` from `encoding` to UTF-8; a byte order mark stays.

    Raises:
        UserError: bytes that are not in `encoding`.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for data in chunks:
            yield decoder.decode(data).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as failure:
        raise UserError(f"{path} is damaged: {failure}") from failure
