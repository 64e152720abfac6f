"""Collect the templates of a dump that carry text into a table, which the extraction of all its shards uses.

Reads the whole dump once, in parts by as many processes as there are threads, and writes JSON: the bodies of the
templates that only pass their values on, and the redirects to these and to those of the built-in table.
"""

import argparse
import logging
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path

from wikixlm.errors import UserError
from wikixlm.extract import dump_origin
from wikixlm.extract.dump_files import add_dump_arguments, dump_files
from wikixlm.extract.dump_reader import Page, PartReader
from wikixlm.extract.dump_templates import DumpTemplates, collect, keep_useful
from wikixlm.extract.inline_templates import InlineTemplates
from wikixlm.extract.shards import shard_parts
from wikixlm.extract.wiki_names import TEMPLATE, WikiNames, wiki_names
from wikixlm.files import write_json
from wikixlm.processes import die_with


def template_pages(files: list[Path], part: int, parts: int) -> Iterator[Page]:
    """The pages of the template namespace that begin in part `part` of `parts` of a dump."""
    for file_part in shard_parts(files, part, parts):
        yield from PartReader(file_part, only_namespace=TEMPLATE).pages()


def collect_part(files: list[Path], part: int, parts: int, names: WikiNames) -> tuple[DumpTemplates, int]:
    """The templates of one part of a dump, and the number of pages of their namespace."""
    return collect(template_pages(files, part, parts), names.template, names.category)


def collect_templates(files: list[Path], language: str, workers: int = 1) -> tuple[DumpTemplates, int]:
    """The templates of a dump that carry text, and the number of pages of their namespace.

    Raises:
        UserError: a file is damaged or not a dump, or a process was killed.
    """
    names = wiki_names(language, dump_origin.read_siteinfo(files[0]).namespaces)
    if workers == 1:
        results = [collect_part(files, 0, 1, names)]
    else:
        context = multiprocessing.get_context("spawn")
        try:
            with ProcessPoolExecutor(workers, context, die_with, (os.getpid(),)) as pool:
                jobs = [pool.submit(collect_part, files, part, workers, names) for part in range(workers)]
                results = [job.result() for job in jobs]
        except BrokenProcessPool as failure:
            raise UserError("a process that read the dump was killed; out of memory?") from failure
    found = DumpTemplates()
    for part, _ in results:
        found.bodies |= part.bodies
        found.redirects |= part.redirects
    return keep_useful(found, InlineTemplates(language, names).known_names()), sum(count for _, count in results)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_dump_arguments(parser)
    parser.add_argument("--language", required=True, metavar="L", help="language of the dump")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="processes that read the dump")
    parser.add_argument("--output", type=Path, required=True, help="table of the templates, as JSON")


def main(args: argparse.Namespace) -> None:
    try:
        found, pages = collect_templates(dump_files(args.dump, args.manifest), args.language, max(args.workers, 1))
    except UserError as failure:
        raise UserError(f"collect-templates {args.language}: {failure}") from failure
    write_json(args.output, {"pages": pages, **asdict(found)})
    logging.info(
        "%s: %d pages of templates: %d pass their values on, %d redirects lead to one with a text",
        *(args.language, pages, len(found.bodies), len(found.redirects)),
    )
