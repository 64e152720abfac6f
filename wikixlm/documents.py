"""The shard format between the text stages: documents with their lines, one JSON object a line, zstd-compressed.

`{"id": "12", "lines": ["First paragraph.", "Second paragraph."]}`: `id` is the page id of the wiki (for a plain-text
corpus, the hash of the line), `lines` are paragraphs without line ends, none of them empty.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

from wikixlm.errors import UserError
from wikixlm.files import open_text


class Document(NamedTuple):
    """A page: its id and its paragraphs."""

    id: str
    lines: list[str]


@dataclass
class ShardCounts:
    """Sources and content of a shard; `characters` and `bytes` (UTF-8) count lines without their ends."""

    language: str
    shard: str
    files: list[str]
    empty: int = 0
    documents: int = 0
    lines: int = 0
    characters: int = 0
    bytes: int = 0

    def add(self, document: Document) -> None:
        """Count a document."""
        self.documents += 1
        self.lines += len(document.lines)
        self.characters += sum(map(len, document.lines))
        self.bytes += sum(len(line.encode()) for line in document.lines)


def write_document(stream: IO[str], document: Document) -> None:
    """Append one document to an open shard."""
    stream.write(json.dumps({"id": document.id, "lines": document.lines}, ensure_ascii=False))
    stream.write("\n")


def read_documents(path: Path) -> Iterator[Document]:
    """The documents of a shard, in its order.

    Raises:
        UserError: the shard is missing, cut short or damaged.
    """
    with open_text(path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                record = json.loads(line)
                yield Document(record["id"], record["lines"])
            except (ValueError, KeyError, TypeError) as failure:
                raise UserError(
                    f"{path}, line {number}: not a document ({failure}); delete it and run again"
                ) from failure
