"""Tiny real dumps, written as Wikimedia's exporter writes them."""

import bz2
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from xml.sax.saxutils import escape

from wikixlm.extract.dump_reader import Page, PartReader
from wikixlm.extract.shards import shard_parts

NAMESPACES = {0: "", 1: "Talk", 4: "Wikipedia", 6: "File", 10: "Template", 14: "Category", 828: "Module"}
FOOTER = "</mediawiki>\n"


@dataclass
class P:
    """A page to be: by default an article with two paragraphs that name it."""

    id: int
    title: str = ""
    text: str | None = None
    ns: int = 0
    redirect: str | None = None
    model: str = "wikitext"


def articles(count: int, first: int = 1) -> list[P]:
    """`count` articles, ids from `first`."""
    return [P(number) for number in range(first, first + count)]


def header(language: str = "en", siteinfo: bool = True) -> str:
    """What stands before the first page."""
    spaces = "".join(
        f'      <namespace key="{key}" case="first-letter">{name}</namespace>\n' for key, name in NAMESPACES.items()
    )
    info = (
        f"  <siteinfo>\n    <sitename>Wikipedia</sitename>\n    <dbname>{language}wiki</dbname>\n"
        f"    <base>https://{language}.wikipedia.org/wiki/Main_Page</base>\n    <namespaces>\n{spaces}"
        "    </namespaces>\n  </siteinfo>\n"
    )
    return (
        '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" '
        f'xml:lang="{language}">\n{info if siteinfo else ""}'
    )


def default_text(number: int) -> str:
    """Two paragraphs of their own for every page."""
    return (
        f"'''Page {number}''' is about [[number]] {number}, which has a paragraph of some length.<ref>no {number}</ref>"
        f"\n\n== More ==\nThe second paragraph of page {number} says & means <b>something</b> else."
    )


def page(p: P) -> str:
    """The `<page>` element."""
    text = p.text if p.text is not None else default_text(p.id)
    redirect = f'    <redirect title="{escape(p.redirect)}" />\n' if p.redirect else ""
    body = escape(text, {'"': "&quot;"})
    return (
        f"  <page>\n    <title>{escape(p.title or f'Page {p.id}')}</title>\n    <ns>{p.ns}</ns>\n    <id>{p.id}</id>\n"
        f"{redirect}    <revision>\n      <id>{p.id + 900000}</id>\n      <contributor>\n        <id>7</id>\n"
        f"      </contributor>\n      <model>{p.model}</model>\n      <format>text/x-wiki</format>\n"
        f'      <text bytes="{len(text.encode())}" xml:space="preserve">{body}</text>\n    </revision>\n  </page>\n'
    )


def xml(pages: Sequence[P], language: str = "en", siteinfo: bool = True) -> str:
    """A whole document."""
    return header(language, siteinfo) + "".join(map(page, pages)) + FOOTER


def write_plain(path: Path, pages: Sequence[P], encoding: str = "utf-8", **options: bool) -> Path:
    """Plain XML; `utf-16` writes a byte order mark."""
    path.write_bytes(xml(pages, **options).encode(encoding))
    return path


def write_single(path: Path, pages: Sequence[P], encoding: str = "utf-8", **options: bool) -> Path:
    """One bz2 stream."""
    path.write_bytes(bz2.compress(xml(pages, **options).encode(encoding)))
    return path


def multistream(pages: Sequence[P], per_stream: int = 3, language: str = "en") -> list[bytes]:
    """The streams of a multistream dump: header, pages, footer."""
    groups = [pages[first : first + per_stream] for first in range(0, len(pages), per_stream)]
    return [
        bz2.compress(text.encode()) for text in (header(language), *("".join(map(page, g)) for g in groups), FOOTER)
    ]


def write_multistream(path: Path, pages: Sequence[P], per_stream: int = 3, language: str = "en") -> Path:
    """A dump as Wikimedia publishes it."""
    path.write_bytes(b"".join(multistream(pages, per_stream, language)))
    return path


def write_cut(path: Path, pages: Sequence[P], length: int) -> Path:
    """bz2 streams of `length` bytes of XML each, cut anywhere, as parallel compressors make them."""
    data = xml(pages).encode()
    path.write_bytes(b"".join(bz2.compress(data[at : at + length]) for at in range(0, len(data), length)))
    return path


def gensim_dump(name: str) -> Path:
    """A real dump that travels in the gensim wheel."""
    files = metadata.files("gensim") or []
    return Path(str(next(file for file in files if file.name.startswith(name)).locate()))


def english_dump() -> Path:
    """206 pages of the English Wikipedia; one bz2 stream."""
    return gensim_dump("enwiki-latest-pages-articles1.xml")


def bulgarian_dump() -> Path:
    """Three pages of the Bulgarian one, namespaces 0 and 4; UTF-16 in bz2."""
    return gensim_dump("bgwiki-latest-pages-articles-shortened")


def read_pages(path: Path) -> list[Page]:
    """All pages of a dump."""
    return [page for part in shard_parts([path], 0, 1) for page in PartReader(part).pages()]
