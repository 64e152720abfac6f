"""The pages of one shard of a MediaWiki XML dump, read and verified without an index.

Shard k of n owns the bz2 streams that begin in bytes [k*size/n, (k+1)*size/n) of the dump (all its files
concatenated), and the pages whose `<page>` begins in them. A page that begins in an earlier shard's stream belongs to
that shard, which reads on into the following streams up to the next page. So any division of a dump into streams works.
A file that is not a chain of bz2 streams in UTF-8 (plain XML, UTF-16, other compression) belongs whole to the shard
that owns its first byte.

Every byte of the dump is verified by one of the shards: compression and checksums, header, XML of each page, the gaps
between pages, and the end of the document.

Format: https://www.mediawiki.org/xml/export-0.11.xsd
"""

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from wikixlm.errors import UserError
from wikixlm.extract.compression import detect_compression, find_bz2_stream, read_streams
from wikixlm.extract.encodings import detect_encoding, recode
from wikixlm.extract.shards import FilePart

PAGE, PAGE_END, DOCUMENT_END = b"<page>", b"</page>", b"</mediawiki>"
# MediaWiki refuses pages of more than 2 MB; far beyond that a tag must be missing.
LONGEST_PAGE = 16 << 20
MOST_TAGS = 10_000  # a page has about 20; its text is escaped
LONGEST_HEADER = 16 << 20
ENCODING = re.compile(rb"""^<\?xml[^>]*\sencoding\s*=\s*["']([^"']+)["']""")


class Page(NamedTuple):
    """A page of the wiki in its latest revision; `text` is wikitext where `model` says so."""

    id: int
    title: str
    namespace: int
    redirect: bool
    model: str
    text: str


@dataclass
class PartReader:
    """Reads the pages of one part of a dump; `read_whole_file` is set once that part turns out to be all of it.

    With `only_namespace` the pages of others are passed over unparsed.
    """

    part: FilePart
    only_namespace: int | None = None
    read_whole_file: bool = False
    _kind: str = field(init=False)
    _encoding: str = field(init=False)

    def __post_init__(self) -> None:
        self._kind = detect_compression(self.part.path)
        self._encoding = self._detect_encoding()

    def pages(self) -> Iterator[Page]:
        """The pages that begin in this part, in the order of the dump.

        Raises:
            UserError: the file is damaged, cut short, or not a dump with the text of pages.
        """
        if self.part.start > 0 and not self._is_seekable():
            return
        start: int | None = 0
        if self.part.start > 0:
            start = find_bz2_stream(self.part.path, self.part.start, self.part.end)
        if start is not None:
            wanted = b"" if self.only_namespace is None else b"<ns>%d</ns>" % self.only_namespace
            for raw in self._split_pages(self._chunks(start), at_beginning=start == 0):
                if wanted in raw:
                    yield parse_page(raw, self.part.path)

    def _is_seekable(self) -> bool:
        return self._kind == "bz2" and self._encoding == "utf-8"

    def _detect_encoding(self) -> str:
        """The encoding of the file; UserError if it does not begin as a dump does."""
        path = self.part.path
        head = b""
        for _, data in read_streams(path, self._kind):
            head += data
            if len(head) >= 512:
                break
        if (encoding := detect_encoding(head)) != "utf-8":
            return encoding
        head = head.removeprefix(codecs.BOM_UTF8).lstrip()
        declared = ENCODING.match(head)
        if declared and declared[1].lower() not in (b"utf-8", b"utf8"):
            name = declared[1].decode("ascii", "replace")
            raise UserError(f"{path}: encoding {name}; accepted are UTF-8, and UTF-16 with a byte order mark")
        if not head:
            raise UserError(f"{path} is empty once decompressed")
        if not head.startswith((b"<mediawiki", b"<?xml", b"<!--")):
            found = head[:40].decode("utf-8", "replace")
            raise UserError(
                f"{path} is not a MediaWiki XML dump: it begins with {found!r}, not with '<mediawiki'; a page of a "
                "server instead of a file? Download it again"
            )
        return "utf-8"

    def _chunks(self, start: int) -> Iterator[tuple[bool, bytes]]:
        """(whether these bytes are of this part's streams, the bytes in UTF-8)."""
        streams = read_streams(self.part.path, self._kind, start)
        if self._encoding == "utf-8":
            # A shard owns what begins in its range; a plain file or another compression is owned as a whole.
            owned_end = self.part.end if self._kind == "bz2" else self.part.size
            for stream_start, data in streams:
                yield stream_start < owned_end, data
            return
        for data in recode((data for _, data in streams), self._encoding, self.part.path):
            yield True, data

    def _split_pages(self, chunks: Iterator[tuple[bool, bytes]], at_beginning: bool) -> Iterator[bytes]:
        """Split the stream into pages (from `<page>` to `</page>`) and check the gaps between them."""
        buffer = bytearray()
        base = 0  # where the buffer begins in the stream
        owned_end: int | None = None  # where this part's streams end in it, once known
        gap = GapValidator(self.part.path, "header" if at_beginning else "skip")
        inside = False
        for owned, data in chunks:
            if not owned and owned_end is None:
                owned_end = base + len(buffer)
            searched = max(len(buffer) - len(PAGE_END) + 1, 0)
            buffer += data
            while True:
                tag = PAGE_END if inside else PAGE
                found = buffer.find(tag, searched)
                if found < 0:
                    break
                if not inside:
                    gap.check(bytes(buffer[:found]))
                    if owned_end is not None and base + found >= owned_end:
                        return
                    cut = found
                else:
                    cut = found + len(PAGE_END)
                    yield bytes(buffer[:cut])
                del buffer[:cut]
                base += cut
                searched = 0
                inside = not inside
            self._check_lengths(buffer, inside, gap)
            at_end = owned_end is not None and base + len(buffer) - len(PAGE) + 1 >= owned_end
            if at_end and gap.expected == "skip" and not inside:
                return
        if inside:
            raise UserError(
                f"{self.part.path} is cut short: {_page_name(bytes(buffer))} has no </page>; copy or download it again"
            )
        gap.finish(bytes(buffer))
        self.read_whole_file = at_beginning

    def _check_lengths(self, buffer: bytearray, inside: bool, gap: "GapValidator") -> None:
        if inside and len(buffer) > LONGEST_PAGE:
            raise UserError(
                f"{self.part.path} is damaged: {_page_name(bytes(buffer[:4096]))} has no </page> in {len(buffer)} bytes"
            )
        if not inside and len(buffer) > LONGEST_HEADER:
            raise UserError(f"{self.part.path} is damaged: {len(buffer)} bytes without a <page>")


@dataclass
class GapValidator:
    """Checks the bytes outside the pages: the header, white space, the end of the document."""

    path: Path
    expected: str  # "header"; "skip": the rest of an earlier shard's page, which that shard checks; "space"

    def check(self, gap: bytes) -> None:
        """Check the bytes before a `<page>`."""
        text = gap.strip()
        if self.expected == "header":
            self._check_header(text)
        elif self.expected == "space" and text.startswith(DOCUMENT_END):
            self._check_header(text.removeprefix(DOCUMENT_END).lstrip())  # concatenated files
        elif self.expected == "space" and text:
            found = text[:40].decode("utf-8", "replace")
            raise UserError(f"{self.path} is damaged: {found!r} between two pages")
        self.expected = "space"

    def finish(self, gap: bytes) -> None:
        """Check the bytes after the last page of the file."""
        text = gap.strip()
        if self.expected == "skip":
            return
        if not text.endswith(DOCUMENT_END):
            raise UserError(
                f"{self.path} is cut short: it does not end with {DOCUMENT_END.decode()}; copy or download it again"
            )
        if self.expected == "header":
            self._check_header(text)
        elif self.expected == "space" and text != DOCUMENT_END:
            found = text[:40].decode("utf-8", "replace")
            raise UserError(f"{self.path} is damaged: {found!r} after the last page")

    def _check_header(self, text: bytes) -> None:
        if b"<mediawiki" not in text:
            raise UserError(f"{self.path} is not a MediaWiki XML dump: no <mediawiki> before the first page")
        if b"<siteinfo>" not in text or b"</siteinfo>" not in text:
            raise UserError(f"{self.path} has no <siteinfo> before its first page: its beginning is missing")


def parse_page(raw: bytes, path: Path) -> Page:
    """Parse a `<page>` element in UTF-8.

    Raises:
        UserError: the XML is not well-formed, lacks id, namespace or text, or holds more than one revision.
    """
    if raw.count(b"<") > MOST_TAGS:
        raise UserError(f"{path}: {_page_name(raw)} has more than {MOST_TAGS:,} tags; use a dump of current pages")
    try:
        element = ElementTree.fromstring(raw)
    except ElementTree.ParseError as failure:
        raise UserError(f"{path} is damaged: {_page_name(raw)}: {failure}") from failure
    revisions = element.findall("revision")
    if len(revisions) > 1:
        raise UserError(f"{path}: {_page_name(raw)} has {len(revisions)} revisions; use a dump of current pages")
    try:
        number, namespace = int(element.findtext("id", "")), int(element.findtext("ns", ""))
    except ValueError as failure:
        raise UserError(f"{path}: {_page_name(raw)} has no <id> and <ns> in numbers") from failure
    body = revisions[0].find("text") if revisions else None
    if body is None:
        raise UserError(f"{path}: {_page_name(raw)} has no revision with a <text>")
    if not body.text and body.get("bytes", "0") != "0" and body.get("deleted") is None:
        raise UserError(
            f"{path}: {_page_name(raw)} comes without its {body.get('bytes')} bytes of text; is it a stub dump?"
        )
    return Page(
        id=number,
        title=element.findtext("title", ""),
        namespace=namespace,
        redirect=element.find("redirect") is not None,
        model=revisions[0].findtext("model", "wikitext"),
        text=body.text or "",
    )


def _page_name(raw: bytes) -> str:
    """The name of an unparsable page in messages."""
    number = re.search(rb"<id>(\d+)</id>", raw)
    title = re.search(rb"<title>([^<]{1,80})", raw)
    name = f"page {number[1].decode()}" if number else "a page"
    return f"{name} ({title[1].decode('utf-8', 'replace')})" if title else name
