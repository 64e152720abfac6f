"""Where a run's model is, how good it is, and what to type next."""

import argparse
import csv
from pathlib import Path

from wikixlm import formatting
from wikixlm.errors import UserError
from wikixlm.run_layout import EXPORT, LOGS, MODEL, PERPLEXITY, REPORT


def describe(directory: Path) -> str:
    """A few lines about the run in `directory`: the model, the export if there is one, each language's perplexity.

    Raises:
        UserError: the run has no model or no evaluation yet.
    """
    model, table = directory / MODEL, directory / PERPLEXITY
    for path in (model, table):
        if not path.is_file():
            raise UserError(f"{path} does not exist: this run has not ended; look at {directory / LOGS}")
    lines = ["", f"model        {model}", f"evaluation   {table}"]
    exported, page = directory / EXPORT, directory / REPORT
    lines += [f"export       {exported}"] if exported.is_dir() else []
    lines += [f"report       {page}", ""] if page.is_file() else [""]
    with open(table, encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream, delimiter="\t") if row["split"] == "test"]
    table_rows = [("test", "perplexity", "unigram baseline")]
    table_rows += [(row["language"], f"{float(row['perplexity']):.1f}", f"{float(row['unigram']):.1f}") for row in rows]
    return "\n".join([*lines, formatting.table(table_rows), ""])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--directory", type=Path, default=Path(), help="the run: what snakemake --directory was given")
    parser.add_argument("--next", default="", help="a command to end with")


def main(args: argparse.Namespace) -> None:
    print(describe(args.directory))
    if args.next:
        print(f"next         {args.next}\n")
