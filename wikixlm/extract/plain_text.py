"""Convert one shard of plain-text files, one paragraph a line, to documents, in place of a Wikipedia dump.

Encoding: UTF-8 (a byte order mark is dropped), or UTF-16 with a byte order mark. Compression: none, gzip, bz2, xz or
zstd, detected from the content. Shard k of n owns the lines that begin in bytes [k*size/n, (k+1)*size/n) of the
concatenated files; a file that is compressed or UTF-16 belongs whole to the shard that owns its first byte. A document
is a line, its id a hash of the line.

Only `\\n` and `\\r\\n` end a line; empty lines are counted and dropped.
"""

import argparse
import codecs
import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from wikixlm.documents import Document, ShardCounts, write_document
from wikixlm.errors import UserError
from wikixlm.extract.compression import detect_compression, read_streams
from wikixlm.extract.encodings import detect_encoding, recode
from wikixlm.extract.input_state import InputState, check_unchanged, input_state
from wikixlm.extract.shards import FilePart, add_shard_arguments, shard_parts
from wikixlm.files import LONGEST_LINE, atomic_text, write_json
from wikixlm.run_layout import shard_name


@dataclass
class TextShardCounts(ShardCounts):
    """Outcome of the lines of a shard: lines_in = documents + empty."""

    lines_in: int = 0
    inputs: dict[str, InputState] = field(default_factory=dict)  # by path


def line_id(line: str) -> str:
    """64 bits of BLAKE2b of the line, in hexadecimal: the document id, in place of a page id."""
    return hashlib.blake2b(line.encode(), digest_size=8).hexdigest()


def _read_lines(part: FilePart) -> Iterator[tuple[int, bytes]]:
    """The lines that begin in the part: (byte in the file, once decompressed and in UTF-8; line without its `\\n`)."""
    kind = detect_compression(part.path)
    encoding = _encoding(part.path, kind)
    if kind == "plain" and encoding == "utf-8":
        # Start one byte earlier: if that byte is a line end, a line begins at the start of the part.
        start, end = max(part.start - 1, 0), part.end
    elif part.start > 0:
        return
    else:
        start, end = 0, None
    chunks: Iterator[bytes] = (data for _, data in read_streams(part.path, kind, start))
    if encoding != "utf-8":
        chunks = recode(chunks, encoding, part.path)
    at_line_start = part.start == 0
    for offset, line in _split_lines(chunks, start, part.path):
        if at_line_start:
            if end is not None and offset >= end:
                return
            yield offset, line
        at_line_start = True


def _encoding(path: Path, kind: str) -> str:
    _, head = next(read_streams(path, kind), (0, b""))
    return detect_encoding(head)


def _split_lines(chunks: Iterator[bytes], offset: int, path: Path) -> Iterator[tuple[int, bytes]]:
    """Split at `\\n`, which the last line may lack."""
    pending: list[bytes] = []
    length = 0
    for data in chunks:
        *lines, rest = data.split(b"\n")
        for line in lines:
            whole = b"".join((*pending, line))
            yield offset, whole
            offset += len(whole) + 1
            pending, length = [], 0
        pending.append(rest)
        length += len(rest)
        if length > LONGEST_LINE:
            raise UserError(
                f"{path}: the line at byte {offset} is longer than {LONGEST_LINE} bytes; one paragraph a line"
            )
    if length:
        yield offset, b"".join(pending)


def read_text_documents(parts: list[FilePart], counts: TextShardCounts) -> Iterator[Document]:
    """Yield the lines of the parts as documents, and count them.

    Raises:
        UserError: bytes that are not UTF-8.
    """
    for part in parts:
        for offset, raw in _read_lines(part):
            counts.lines_in += 1
            try:
                text = (raw.removeprefix(codecs.BOM_UTF8) if offset == 0 else raw).decode().strip()
            except UnicodeDecodeError as failure:
                raise _not_utf8(part.path, offset, failure) from failure
            if not text:
                counts.empty += 1
                continue
            document = Document(line_id(text), [text])
            counts.add(document)
            yield document


def _not_utf8(path: Path, offset: int, failure: UnicodeDecodeError) -> UserError:
    found = failure.object[failure.start : failure.start + 1].hex()
    line, before = 1, offset
    for _, data in read_streams(path, detect_compression(path)):
        line += data[:before].count(b"\n")
        before -= min(before, len(data))
        if not before:
            break
    where = f"{path}, line {line}, byte {offset + failure.start}"
    return UserError(f"{where}: 0x{found} is not UTF-8; convert the file first: iconv -t UTF-8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--text", type=Path, nargs="+", required=True, metavar="FILE", help="text files, in order")
    parser.add_argument("--language", required=True, metavar="L", help="language of the text, for messages and counts")
    add_shard_arguments(parser)
    parser.add_argument("--output", type=Path, required=True, help="documents, as JSON lines (.zst: compressed)")
    parser.add_argument("--counts", type=Path, required=True, help="number of lines by outcome, as JSON")


def main(args: argparse.Namespace) -> None:
    counts = TextShardCounts(args.language, shard_name(args.shard, args.shards), [str(path) for path in args.text])
    try:
        counts.inputs = {str(path): input_state(path) for path in args.text}
        parts = shard_parts(args.text, args.shard, args.shards)
        with atomic_text(args.output) as stream:
            for document in read_text_documents(parts, counts):
                write_document(stream, document)
            if args.shards == 1 and not counts.documents:
                raise UserError(f"{', '.join(counts.files)}: no text in {counts.lines_in} lines; see corpora.local")
            check_unchanged(counts.inputs)
    except UserError as failure:
        raise UserError(f"corpus {args.language}, shard {counts.shard}: {failure}") from failure
    write_json(args.counts, asdict(counts))
