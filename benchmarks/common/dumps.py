"""Dumps to measure on, written as Wikimedia writes them: bz2 streams of 100 pages each."""

import bz2
import re
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib import metadata
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np

PAGES_PER_STREAM = 100
HEADER = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <dbname>enwiki</dbname>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="10" case="first-letter">Template</namespace>
    </namespaces>
  </siteinfo>
"""
FOOTER = "</mediawiki>\n"


def write_multistream(path: Path, streams: Iterable[bytes]) -> Path:
    """Compressed streams of pages, with header and footer, as one dump."""
    with open(path, "wb") as file:
        file.write(bz2.compress(HEADER.encode()))
        for stream in streams:
            file.write(stream)
        file.write(bz2.compress(FOOTER.encode()))
    return path


def english_pages() -> list[str]:
    """The `<page>` elements of the English dump that the gensim wheel brings: 206 pages, 6 MB."""
    files = metadata.files("gensim") or []
    path = next(file for file in files if file.name.startswith("enwiki-latest-pages-articles1.xml"))
    xml = bz2.decompress(Path(str(path.locate())).read_bytes()).decode()
    return re.findall(r" *<page>.*?</page>\n", xml, re.DOTALL)


def replicated(megabytes: float) -> Iterator[bytes]:
    """The English sample over and over, each page with an id of its own, until there are so many MB of XML."""
    pages = english_pages()
    number = size = 0
    batch: list[str] = []
    while size < megabytes * 1e6:
        number += 1
        page = re.sub(r"<id>\d+</id>", f"<id>{number}</id>", pages[(number - 1) % len(pages)], count=1)
        size += len(page.encode())
        batch.append(page)
        if len(batch) == PAGES_PER_STREAM or size >= megabytes * 1e6:
            yield bz2.compress("".join(batch).encode())
            batch = []


def zipf(megabytes: float, seed: int = 1) -> Iterator[bytes]:
    """Articles of made-up words whose ids are Zipf-distributed (exponent 1.3): the vocabulary never stops growing."""
    per_stream = PAGES_PER_STREAM * Articles.MEAN_BYTES / 1e6
    seeds = [(seed, number) for number in range(max(1, round(megabytes / per_stream)))]
    with ProcessPoolExecutor(2) as pool:
        yield from pool.map(_zipf_stream, seeds)


def _zipf_stream(seed: tuple[int, int]) -> bytes:
    articles = Articles(seed)
    first = seed[1] * PAGES_PER_STREAM + 1
    return bz2.compress("".join(articles.page(first + number) for number in range(PAGES_PER_STREAM)).encode(), 1)


SYLLABLES = np.array(
    [a + b + c for a in "bcdfghklmnprstvz" for b in "aeiou" for c in ("", "n", "r", "s")], dtype=object
)
COMMON = 200_000


def spell(number: int) -> str:
    """The word of an id: its digits to the base of the number of syllables."""
    word = ""
    number += 1
    while number:
        number, digit = divmod(number, len(SYLLABLES))
        word += SYLLABLES[digit]
    return word


_common: list[str] = []


class Articles:
    """Pages with paragraphs, links, references, an infobox and a table; same seed, same pages."""

    MEAN_BYTES = 9_350  # of XML a page
    WORDS = 1_150

    def __init__(self, seed: tuple[int, int]) -> None:
        self._random = np.random.default_rng(seed)
        if not _common:
            _common.extend(map(spell, range(COMMON)))

    def page(self, number: int) -> str:
        """A `<page>` element."""
        text = escape(self._wikitext(number), {'"': "&quot;"})
        return (
            f"  <page>\n    <title>Page {number}</title>\n    <ns>0</ns>\n    <id>{number}</id>\n    <revision>\n"
            f"      <id>{number}</id>\n      <model>wikitext</model>\n      <format>text/x-wiki</format>\n"
            f'      <text bytes="{len(text)}" xml:space="preserve">{text}</text>\n    </revision>\n  </page>\n'
        )

    def _wikitext(self, number: int) -> str:
        ids = np.minimum(self._random.zipf(1.3, size=self.WORDS), 2**50).tolist()
        words = [_common[i] if i < COMMON else spell(i) for i in ids]
        words[7::12] = [f"[[{word}]]," for word in words[7::12]]
        words[11::31] = [f"{word}.<ref name=\"n{i}\">{{{{cite web|title={word}|url=http://x.y/{i}}}}}</ref>"
                         for i, word in enumerate(words[11::31])]  # fmt: skip
        paragraphs = [" ".join(words[at : at + 60]) for at in range(60, len(words), 60)]
        return (
            f"{{{{Infobox thing|name={number}|kind={words[0]}}}}}\n'''Page {number}''' {' '.join(words[:60])}.\n\n"
            + "\n\n".join(paragraphs[:8])
            + '\n\n== More ==\n{| class="wikitable"\n! a !! b\n|-\n'
            + "".join(f"| {a} || {b}\n|-\n" for a, b in zip(words[:20], words[20:40], strict=True))
            + "|}\n"
            + "\n\n".join(paragraphs[8:])
            + "\n\n[[Category:Things]]\n"
        )
