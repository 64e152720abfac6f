"""Make one shard of a Wikipedia dump into documents of plain text.

Reads a MediaWiki XML dump (multistream or other bz2, plain XML, gzip, xz, zstd; UTF-8, or UTF-16 with a byte order
mark; told by content, not by name), verifies it, and runs wikiextractor on the articles that begin in this shard.
Pages of other namespaces, redirects and pages that are not wikitext are counted and left out; so are articles in which
no text remains. A dump that is not a chain of bz2 streams goes whole into the shard that holds its first byte.

The counts file says what became of every page, so that nothing can be lost unseen:
pages = redirects + other_namespaces + other_models + duplicates + articles, and
articles = documents + empty + dropped_short + skipped (a list of page ids that wikiextractor failed on).
"""

import argparse
import logging
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wikixlm import console
from wikixlm.documents import Document, ShardCounts, write_document
from wikixlm.errors import UserError
from wikixlm.extract import dump_origin
from wikixlm.extract.dump_reader import Page, Reader
from wikixlm.extract.shards import add_shard_arguments, shard_parts
from wikixlm.extract.wikiextractor_process import STALL_SECONDS, check_installed, extract_texts
from wikixlm.extract.wikitext import Wikitext
from wikixlm.files import atomic_text, read_json, write_json
from wikixlm.run_layout import shard_name

GIVE_UP_AFTER = 20
SKIPPED_SHARE = 0.001  # of a language's articles, that wikiextractor may fail on


@dataclass
class Counts(ShardCounts):
    """What became of the pages of a shard; `skipped` are the ids of those that wikiextractor failed on."""

    pages: int = 0
    redirects: int = 0
    other_namespaces: int = 0
    other_models: int = 0
    duplicates: int = 0
    articles: int = 0
    dropped_short: int = 0
    skipped: list[int] = field(default_factory=list)

    def check(self) -> None:
        """Raise UserError if a page went missing."""
        seen = self.redirects + self.other_namespaces + self.other_models + self.duplicates + self.articles
        made = self.documents + self.empty + self.dropped_short + len(self.skipped)
        if seen != self.pages or made != self.articles:
            raise UserError(f"pages were lost on the way, which is a defect of wikixlm: {asdict(self)}")


class PageIds:
    """The set of page ids seen, as bits: some megabytes for the largest wiki."""

    def __init__(self) -> None:
        self._blocks: dict[int, bytearray] = {}

    def add(self, number: int) -> bool:
        """Add an id; False if it was there."""
        block = self._blocks.setdefault(number >> 16, bytearray(1 << 13))
        byte, bit = (number & 0xFFFF) >> 3, 1 << (number & 7)
        if block[byte] & bit:
            return False
        block[byte] |= bit
        return True


def select(pages: Iterable[Page], namespaces: set[int], wikitext: Wikitext, counts: Counts) -> Iterator[Page]:
    """The articles among `pages`: wanted namespace, wikitext, no redirect, each id once; counts all of them."""
    ids = PageIds()
    for page in pages:
        counts.pages += 1
        if page.namespace not in namespaces:
            counts.other_namespaces += 1
        elif page.redirect:
            counts.redirects += 1
        elif page.model != "wikitext":
            counts.other_models += 1
        elif not ids.add(page.id):
            counts.duplicates += 1
            logging.warning("page %d (%s) occurs twice; the first is kept", page.id, page.title)
        else:
            counts.articles += 1
            yield page._replace(text=wikitext.prepare(page.text))


def documents(texts: Iterable[tuple[Page, str | None]], min_chars: int, counts: Counts) -> Iterator[Document]:
    """The articles that have text, at least `min_chars` characters of it; counts all of them."""
    for page, text in texts:
        if text is None:
            _skip(page, counts)
            continue
        document = Document(str(page.id), [line for line in map(Wikitext.clean, text.split("\n")) if line])
        if not document.lines:
            counts.empty += 1
        elif sum(map(len, document.lines)) < min_chars:
            counts.dropped_short += 1
        else:
            counts.add(document)
            yield document


def _skip(page: Page, counts: Counts) -> None:
    counts.skipped.append(page.id)
    console.warn(f"shard {counts.shard} of {counts.language}: wikiextractor fails on page {page.id} ({page.title})")
    if len(counts.skipped) >= GIVE_UP_AFTER and len(counts.skipped) > SKIPPED_SHARE * counts.articles:
        _too_many_skipped(counts)


def _too_many_skipped(counts: Counts) -> None:
    ids = ", ".join(map(str, counts.skipped[:GIVE_UP_AFTER]))
    raise UserError(
        f"wikiextractor failed on {len(counts.skipped)} of {counts.articles} articles "
        f"(at most {SKIPPED_SHARE:.1%} may fail): page ids {ids}; the log says how"
    )


def check_whole(counts: Counts, namespaces: set[int]) -> None:
    """Raise UserError if the dump, all of which was read, has nothing to make text of."""
    files = ", ".join(counts.files)
    wanted = " ".join(map(str, sorted(namespaces)))
    if counts.documents:
        return
    if not counts.pages:
        raise UserError(f"{files} has no pages")
    if counts.other_namespaces == counts.pages:
        raise UserError(f"{files}: none of its {counts.pages} pages is in namespaces {wanted}; see extract.namespaces")
    if counts.redirects + counts.other_namespaces == counts.pages:
        raise UserError(f"{files}: all {counts.redirects} pages in namespaces {wanted} are redirects")
    raise UserError(f"{files}: no text in its {counts.articles} articles ({asdict(counts)})")


def dump_files(dump: list[Path] | None, manifest: Path | None) -> list[Path]:
    """The files of a dump, in order: those given, or those that a download's manifest lists beside itself.

    Raises:
        UserError: no files, or one whose size is not the manifest's.
    """
    if manifest is None:
        return list(dump or [])
    content: Any = read_json(manifest)
    try:
        entries = [(manifest.parent / entry["name"], entry.get("size")) for entry in content["files"]]
    except (KeyError, TypeError, AttributeError) as failure:
        raise UserError(
            f'{manifest}: expected {{"files": [{{"name": …, "size": …}}]}}, not found: {failure}'
        ) from failure
    if not entries:
        raise UserError(f"{manifest} lists no files")
    for path, size in entries:
        if size is not None and path.is_file() and path.stat().st_size != size:
            raise UserError(f"{path} has {path.stat().st_size} bytes, {manifest} says {size}; download it again")
    return [path for path, _ in entries]


def extract(
    files: list[Path],
    output: Path,
    counts: Counts,
    shard: int = 0,
    shards: int = 1,
    namespaces: Iterable[int] = (0,),
    min_chars: int = 0,
    inline_templates: dict[str, str] | None = None,
    stall_seconds: int = STALL_SECONDS,
) -> None:
    """Write the documents of shard `shard` of `shards` to `output`; fills `counts`.

    Raises:
        UserError: the dump is damaged or no dump, pages were lost, or wikiextractor failed on too many.
    """
    wanted = set(namespaces)
    readers = [Reader(part) for part in shard_parts(files, shard, shards)]
    for path in files[: 1 if shard == 0 else 0]:
        dump_origin.warn_of_another(path, counts.language)
    pages = (page for reader in readers for page in reader.pages())
    with atomic_text(output) as stream:
        texts = extract_texts(select(pages, wanted, Wikitext(counts.language, inline_templates), counts), stall_seconds)
        for document in documents(texts, min_chars, counts):
            write_document(stream, document)
        counts.check()
        allowed = max(int(SKIPPED_SHARE * counts.articles), 1 if shards > 1 else 0)
        if len(counts.skipped) > allowed:
            _too_many_skipped(counts)
        if len(readers) == len(files) and all(reader.whole for reader in readers):
            check_whole(counts, wanted)
    if counts.duplicates:
        console.warn(f"shard {counts.shard} of {counts.language}: {counts.duplicates} pages occur twice, kept once")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `wikixlm extract`."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dump", type=Path, nargs="+", metavar="PATH", help="the dump's file, or its files in order")
    source.add_argument("--manifest", type=Path, help="a download's manifest.json, which lists the files beside it")
    parser.add_argument("--language", required=True, metavar="L", help="language of the dump (picks inline templates)")
    add_shard_arguments(parser)
    parser.add_argument("--namespaces", type=int, nargs="+", default=[0], metavar="NS", help="namespaces to take")
    parser.add_argument("--min-chars", type=int, default=0, metavar="N", help="leave out articles of fewer characters")
    parser.add_argument(
        "--inline-template",
        action="append",
        default=[],
        metavar="NAME=PATTERN",
        help="keep the text of a template: `unit={1} {2}` makes {{unit|5|km}} into 5 km; {-1} is the last value, {*} "
        "all, {key} a named one; NAME may end in * (may be given several times)",
    )
    parser.add_argument(
        "--stall-seconds", type=int, default=STALL_SECONDS, metavar="S", help="give up a page that takes longer"
    )
    parser.add_argument("--output", type=Path, required=True, help="documents, as JSON lines (.zst: compressed)")
    parser.add_argument("--counts", type=Path, required=True, help="what became of the pages, as JSON")


def parse_patterns(pairs: list[str]) -> dict[str, str]:
    """`NAME=PATTERN` arguments as a table; UserError for one without `=`."""
    for pair in pairs:
        if not pair.partition("=")[0] or "=" not in pair:
            raise UserError(f"--inline-template {pair!r}: NAME=PATTERN is accepted, for example 'unit={{1}} {{2}}'")
    return {pair.partition("=")[0]: pair.partition("=")[2] for pair in pairs}


def main(args: argparse.Namespace) -> None:
    """`wikixlm extract`."""
    check_installed()
    files = dump_files(args.dump, args.manifest)
    counts = Counts(args.language, shard_name(args.shard, args.shards), [str(path) for path in files])
    try:
        extract(
            files,
            args.output,
            counts,
            shard=args.shard,
            shards=args.shards,
            namespaces=args.namespaces,
            min_chars=args.min_chars,
            inline_templates=parse_patterns(args.inline_template),
            stall_seconds=args.stall_seconds,
        )
    except UserError as failure:
        raise UserError(f"extract {args.language}, shard {counts.shard}: {failure}") from failure
    write_json(args.counts, asdict(counts))
    logging.info("%s", asdict(counts))
