"""Where a run's model is, how good it is, and what to type next."""

import argparse
import csv
from pathlib import Path

from wikixlm.errors import UserError


def describe(directory: Path) -> str:
    """A few lines about the run in `directory`: the model, the export if there is one, each language's perplexity.

    Raises:
        UserError: the run has no model or no evaluation yet.
    """
    model = directory / "models" / "mlm" / "model.pt"
    table = directory / "evaluation" / "mlm_perplexity.tsv"
    for path in (model, table):
        if not path.is_file():
            raise UserError(f"{path} is not there: this run has not ended; look at {directory / 'logs'}")
    lines = ["", f"model        {model}", f"evaluation   {table}"]
    exported, page = directory / "export", directory / "report.html"
    lines += [f"export       {exported}"] if exported.is_dir() else []
    lines += [f"report       {page}", ""] if page.is_file() else [""]
    with open(table, encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream, delimiter="\t") if row["split"] == "test"]
    lines.append(f"{'test':<10} {'perplexity':>12} {'unigram baseline':>18}")
    lines += [f"{row['language']:<10} {float(row['perplexity']):>12.1f} {float(row['unigram']):>18.1f}" for row in rows]
    return "\n".join([*lines, ""])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this stage."""
    parser.add_argument("--directory", type=Path, default=Path(), help="the run: what snakemake --directory was given")
    parser.add_argument("--next", default="", help="a command to end with")


def main(args: argparse.Namespace) -> None:
    """Print the summary."""
    print(describe(args.directory))
    if args.next:
        print(f"next         {args.next}\n")
