"""Which exported model a command works on, and loading it."""

import argparse
from pathlib import Path
from typing import Any

from wikixlm import hf
from wikixlm.errors import UserError
from wikixlm.model import device


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Which model, and where to compute."""
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--directory", type=Path, default=Path(), help="the run, whose export/ is taken: what snakemake was given"
    )
    place.add_argument("--export", type=Path, help="an exported model, wherever it is")
    parser.add_argument("--device", choices=device.CHOICES, default="auto", help="auto: a GPU where there is one")


def exported_model(args: argparse.Namespace) -> Path:
    """The exported model that the arguments name.

    Raises:
        UserError: there is none.
    """
    path: Path = args.export or args.directory / "export"
    if not path.is_dir():
        hint = "" if args.export else "; `snakemake export_hf` makes it once the model is trained"
        raise UserError(f"there is no exported model at {path}{hint}")
    return path


def load_model(path: Path, kind: str, auto_class: str) -> Any:
    """The model in an export, on a device, in evaluation mode.

    Args:
        path: the export.
        kind: `cpu` or `cuda`.
        auto_class: of transformers, `AutoModel` or `AutoModelForMaskedLM`.

    Raises:
        UserError: there is none, or it can't be read.
    """
    transformers = hf.quietly()
    if not (path / "config.json").is_file():
        raise UserError(f"{path} is no exported model: it has no config.json; `wikixlm export` writes one")
    try:
        return getattr(transformers, auto_class).from_pretrained(path).to(kind).eval()
    except (OSError, ValueError) as failure:
        raise UserError(f"{path} can't be loaded: {str(failure).splitlines()[0]}") from failure
