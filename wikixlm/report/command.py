"""Make the report of a run: one HTML page to look at, offline, and its tables beside it.

Works while a run is going, too: a section whose stage has not ended says so. The configuration is taken from
--configuration, else from models/mlm/manifest.json, which a finished run has.
"""

import argparse
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from wikixlm import console, formatting
from wikixlm.errors import UserError
from wikixlm.files import atomic_text

DEFAULTS = Path(__file__).resolve().parents[2] / "config.yaml"


def report(directory: Path, configuration: dict[str, Any] | None, output: Path, tables: Path) -> None:
    """Write the page to `output` and its tables to the folder `tables`, which holds nothing else afterwards.

    Raises:
        UserError: there is no run in `directory`, a file of it is damaged, or a package of the report is missing.
    """
    try:
        from wikixlm.report import page, sections
    except ModuleNotFoundError as failure:
        if failure.name not in ("matplotlib", "jinja2", "pandas"):
            raise
        raise UserError(f"the report needs the package {failure.name}: pip install 'wikixlm[report]'") from failure
    from wikixlm.report.run_files import RunFiles

    run = RunFiles(directory, configuration)
    parts = sections.sections(run, _defaults())
    written = {f"{table.name}.tsv": table.frame for section in parts for table in section.tables}
    for name, frame in written.items():
        with atomic_text(tables / name) as stream:
            stream.write(formatting.visible(frame.to_csv(sep="\t", index=False, lineterminator="\n")))
    for old in tables.glob("*.tsv"):
        if old.name not in written:
            old.unlink()
    beside = Path(os.path.relpath(tables, output.parent)).as_posix()
    with atomic_text(output) as stream:
        stream.write(page.render(run, parts, beside))


def _defaults() -> Mapping[str, Any]:
    """config.yaml, which lies beside the package in a checkout; nothing elsewhere."""
    if not DEFAULTS.is_file():
        return {}
    return dict(yaml.safe_load(DEFAULTS.read_text(encoding="utf-8")))


def _configuration(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError("a JSON object is accepted")
    return value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this stage."""
    parser.add_argument("--directory", type=Path, default=Path(), help="the run: what snakemake --directory was given")
    parser.add_argument("--configuration", type=_configuration, metavar="JSON", help="the configuration of the run")
    parser.add_argument("--output", type=Path, help="the page; report.html in the run's directory where not given")
    parser.add_argument("--tables", type=Path, help="the folder of its tables; report/ beside the page where not given")


def main(args: argparse.Namespace) -> None:
    """Write the report."""
    output = args.output or args.directory / "report.html"
    report(args.directory, args.configuration, output, args.tables or output.with_suffix(""))
    console.say(f"report: {output}")
