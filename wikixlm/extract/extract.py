"""Convert one shard of a Wikipedia dump to documents of plain text.

Reads and verifies a MediaWiki XML dump (multistream or other bz2, plain XML, gzip, xz, zstd; UTF-8, or UTF-16 with a
byte order mark; detected from the content) and runs wikiextractor on the articles that begin in this shard. Pages of
other namespaces, redirects, pages that are not wikitext, and articles without text are counted and dropped. A dump
that is not a chain of bz2 streams belongs whole to the shard that owns its first byte.

The counts file accounts for every page:
pages = redirects + other_namespaces + other_models + duplicates + articles, and
articles = documents + empty + dropped_short + skipped (a list of the ids of pages that wikiextractor failed on).
"""

import argparse
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import get_args

from wikixlm import console
from wikixlm.documents import Document, ShardCounts, write_document
from wikixlm.errors import UserError
from wikixlm.extract import dump_origin
from wikixlm.extract.blocks import Headings, Lists
from wikixlm.extract.dump_files import add_dump_arguments, dump_files
from wikixlm.extract.dump_reader import Page, PartReader
from wikixlm.extract.dump_templates import DumpTemplates
from wikixlm.extract.input_state import InputState, check_unchanged, input_state
from wikixlm.extract.shards import SKIPPED_SHARE, add_shard_arguments, shard_parts
from wikixlm.extract.time_budget import TimeBudgetExceededError, time_budget
from wikixlm.extract.wikiextractor_process import STALL_SECONDS, check_installed, extract_texts
from wikixlm.extract.wikitext import WikitextConverter, WikitextCounts, clean_line
from wikixlm.files import atomic_text, write_json
from wikixlm.run_layout import shard_name

GIVE_UP_AFTER = 20


@dataclass
class DumpShardCounts(ShardCounts):
    """Outcome of the pages of a shard; `skipped` lists the ids of those that wikiextractor failed on."""

    pages: int = 0
    redirects: int = 0
    other_namespaces: int = 0
    other_models: int = 0
    duplicates: int = 0
    articles: int = 0
    dropped_short: int = 0
    skipped: list[int] = field(default_factory=list)
    skipped_titles: dict[str, str] = field(default_factory=dict)  # by id
    wikitext: WikitextCounts = field(default_factory=WikitextCounts)
    inputs: dict[str, InputState] = field(default_factory=dict)  # by path

    def check_balance(self) -> None:
        """Raise UserError unless every page has an outcome."""
        seen = self.redirects + self.other_namespaces + self.other_models + self.duplicates + self.articles
        processed = self.documents + self.empty + self.dropped_short + len(self.skipped)
        if seen != self.pages or processed != self.articles:
            raise UserError(f"pages were lost, which is a bug in wikixlm: {asdict(self)}")


@dataclass(frozen=True)
class ExtractOptions:
    """The settings of `extract` in the configuration, for one language."""

    namespaces: frozenset[int] = frozenset({0})
    min_chars: int = 0
    inline_templates: Mapping[str, str] = field(default_factory=dict)
    lists: Lists = "prose"
    headings: Headings = "drop"
    variant: str | None = None
    stall_seconds: int = STALL_SECONDS
    dump_templates: DumpTemplates = field(default_factory=DumpTemplates)


class PageIds:
    """A set of page ids as a bitmap: a few megabytes for the largest wiki."""

    def __init__(self) -> None:
        self._blocks: dict[int, bytearray] = {}

    def add(self, number: int) -> bool:
        """Add an id; returns False if it was present."""
        block = self._blocks.setdefault(number >> 16, bytearray(1 << 13))
        byte, bit = (number & 0xFFFF) >> 3, 1 << (number & 7)
        if block[byte] & bit:
            return False
        block[byte] |= bit
        return True


def select_articles(pages: Iterable[Page], namespaces: Collection[int], counts: DumpShardCounts) -> Iterator[Page]:
    """Yield the articles among `pages` (wanted namespace, wikitext, not a redirect, id not seen before); count all."""
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
            yield page


def prepare_articles(
    articles: Iterable[Page], converter: WikitextConverter, stall_seconds: int, counts: DumpShardCounts
) -> Iterator[Page]:
    """Yield the articles with their structure resolved; skip those that take more than the budget of CPU time."""
    for page in articles:
        try:
            with time_budget(stall_seconds):
                text = converter.prepare(page.text, page.title)
        except TimeBudgetExceededError:
            _skip(page, counts, f"resolving its structure takes more than {stall_seconds} s of CPU time")
            continue
        yield page._replace(text=text)


def clean_documents(
    texts: Iterable[tuple[Page, str | None]], min_chars: int, counts: DumpShardCounts
) -> Iterator[Document]:
    """Yield the articles with at least `min_chars` characters of text, and count all of them."""
    for page, text in texts:
        if text is None:
            _skip(page, counts, "wikiextractor fails")
            continue
        document = Document(str(page.id), [line for line in map(clean_line, text.split("\n")) if line])
        if not document.lines:
            counts.empty += 1
        elif sum(map(len, document.lines)) < min_chars:
            counts.dropped_short += 1
        else:
            counts.add(document)
            yield document


def _skip(page: Page, counts: DumpShardCounts, cause: str) -> None:
    counts.skipped.append(page.id)
    counts.skipped_titles[str(page.id)] = page.title
    console.warn(f"shard {counts.shard} of {counts.language}: {cause} on page {page.id} ({page.title})")
    if len(counts.skipped) >= GIVE_UP_AFTER and len(counts.skipped) > SKIPPED_SHARE * counts.articles:
        _fail_on_skipped(counts)


def _fail_on_skipped(counts: DumpShardCounts) -> None:
    ids = ", ".join(map(str, counts.skipped[:GIVE_UP_AFTER]))
    raise UserError(
        f"wikiextractor failed on {len(counts.skipped)} of {counts.articles} articles "
        f"(at most {SKIPPED_SHARE:.1%}, or one, may fail): page ids {ids}; the log says how; if they only need more "
        "time, raise extract.stall_seconds"
    )


def check_has_text(counts: DumpShardCounts, namespaces: Collection[int]) -> None:
    """Raise UserError if the dump, all of which was read, gave no document."""
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


def extract(
    files: list[Path],
    output: Path,
    counts: DumpShardCounts,
    shard: int = 0,
    shards: int = 1,
    options: ExtractOptions = ExtractOptions(),
) -> None:
    """Write the documents of shard `shard` of `shards` to `output`, and fill `counts`.

    Raises:
        UserError: a file is damaged or not a dump, pages were lost, or wikiextractor failed on too many.
    """
    counts.inputs = {str(path): input_state(path) for path in files}
    readers = [PartReader(part) for part in shard_parts(files, shard, shards)]
    site = dump_origin.read_siteinfo(files[0])
    if shard == 0:
        dump_origin.warn_of_other_language(files[0], site.dbname, counts.language)
    converter = WikitextConverter(
        counts.language,
        options.inline_templates,
        lists=options.lists,
        headings=options.headings,
        variant=options.variant,
        namespaces=site.namespaces,
        dump_templates=options.dump_templates,
        counts=counts.wikitext,
    )
    pages = (page for reader in readers for page in reader.pages())
    with atomic_text(output) as stream:
        articles = select_articles(pages, options.namespaces, counts)
        prepared = prepare_articles(articles, converter, options.stall_seconds, counts)
        texts = extract_texts(prepared, options.stall_seconds)
        for document in clean_documents(texts, options.min_chars, counts):
            write_document(stream, document)
        counts.check_balance()
        if len(counts.skipped) > max(int(SKIPPED_SHARE * counts.articles), 1):
            _fail_on_skipped(counts)
        if len(readers) == len(files) and all(reader.read_whole_file for reader in readers):
            check_has_text(counts, options.namespaces)
        check_unchanged(counts.inputs)
    if counts.duplicates:
        console.warn(f"shard {counts.shard} of {counts.language}: {counts.duplicates} pages occur twice, kept once")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_dump_arguments(parser)
    parser.add_argument("--language", required=True, metavar="L", help="language of the dump (picks inline templates)")
    add_shard_arguments(parser)
    parser.add_argument(
        "--namespaces", type=int, nargs="+", default=[0], metavar="NS", help="namespaces of the pages to extract"
    )
    parser.add_argument("--min-chars", type=int, default=0, metavar="N", help="drop articles with fewer characters")
    parser.add_argument(
        "--inline-template",
        action="append",
        default=[],
        metavar="NAME=PATTERN",
        help="keep the text of a template: `unit={1} {2}` turns {{unit|5|km}} into 5 km; {-1} is the last value, {*} "
        "all, {key} a named one; NAME may end in * (repeatable)",
    )
    parser.add_argument("--templates", type=Path, metavar="PATH", help="table made by `wikixlm collect-templates`")
    parser.add_argument(
        "--stall-seconds",
        type=int,
        default=STALL_SECONDS,
        metavar="S",
        help="skip a page after this many seconds without progress",
    )
    parser.add_argument("--lists", choices=get_args(Lists), default="prose", help="list items that are kept")
    parser.add_argument("--headings", choices=get_args(Headings), default="drop", help="whether headings are kept")
    parser.add_argument("--variant", metavar="V", help="variant of a language that has several, such as zh-tw")
    parser.add_argument("--output", type=Path, required=True, help="documents, as JSON lines (.zst: compressed)")
    parser.add_argument("--counts", type=Path, required=True, help="number of pages by outcome, as JSON")


def parse_patterns(pairs: list[str]) -> dict[str, str]:
    """Parse `NAME=PATTERN` arguments into a table.

    Raises:
        UserError: an argument has no name or no `=`.
    """
    for pair in pairs:
        if not pair.partition("=")[0] or "=" not in pair:
            raise UserError(f"--inline-template {pair!r}: NAME=PATTERN is accepted, for example 'unit={{1}} {{2}}'")
    return {pair.partition("=")[0]: pair.partition("=")[2] for pair in pairs}


def main(args: argparse.Namespace) -> None:
    check_installed()
    files = dump_files(args.dump, args.manifest)
    counts = DumpShardCounts(args.language, shard_name(args.shard, args.shards), [str(path) for path in files])
    try:
        extract(
            files,
            args.output,
            counts,
            shard=args.shard,
            shards=args.shards,
            options=ExtractOptions(
                namespaces=frozenset(args.namespaces),
                min_chars=args.min_chars,
                inline_templates=parse_patterns(args.inline_template),
                lists=args.lists,
                headings=args.headings,
                variant=args.variant,
                stall_seconds=args.stall_seconds,
                dump_templates=DumpTemplates.read(args.templates) if args.templates else DumpTemplates(),
            ),
        )
    except UserError as failure:
        raise UserError(f"extract {args.language}, shard {counts.shard}: {failure}") from failure
    write_json(args.counts, asdict(counts))
