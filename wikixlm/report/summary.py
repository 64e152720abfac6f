"""Show where a run's model is, how good it is, and what to type next."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from wikixlm import formatting
from wikixlm.errors import UserError
from wikixlm.export.card import read_evaluation
from wikixlm.model.perplexity import interval
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
    rows = [row for row in read_evaluation(table) if row["split"] == "test"]
    cells = [("test", "perplexity", "95 % interval", "tokens", "unigram baseline")]
    for row in rows:
        perplexity, unigram = (f"{float(row[name]):.1f}" for name in ("perplexity", "unigram"))
        several = row["language"] == "mean"
        tokens = "" if several else formatting.count(float(row["tokens"]))
        cells.append((row["language"], perplexity, "" if several else written_interval(row), tokens, unigram))
    lines.append(formatting.table(cells))
    if len(rows) > 1:
        lines.append("mean: over languages, whose perplexities can't be compared with each other")
    return "\n".join([*lines, ""])


def written_interval(row: Mapping[str, str]) -> str:
    """The 95 % interval of a row's perplexity; empty for a table of an older version."""
    if "loss_error" not in row:
        return ""
    low, high = interval(float(row["loss"]), float(row["loss_error"]))
    digits = 0 if low >= 10 else 1
    return f"{low:,.{digits}f} to {high:,.{digits}f}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--directory", type=Path, default=Path(), help="the run: what snakemake --directory was given")
    parser.add_argument("--next", default="", help="a command to end with")


def main(args: argparse.Namespace) -> None:
    print(describe(args.directory))
    if args.next:
        print(f"next         {args.next}\n")
