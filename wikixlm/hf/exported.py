"""The exported model that a command works on."""

import argparse
from pathlib import Path
from typing import Any

from wikixlm import hf
from wikixlm.errors import UserError
from wikixlm.model import device


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--directory", type=Path, default=Path(), help="the run whose export/ is used: what snakemake was given"
    )
    place.add_argument("--export", type=Path, help="the exported model's own folder")
    parser.add_argument("--device", choices=device.CHOICES, default="auto", help="auto: a GPU if there is one")


def find_export(export: Path | None, directory: Path) -> Path:
    """The folder `export`, or that of the run in `directory`.

    Raises:
        UserError: it does not exist.
    """
    path = export or directory / "export"
    if not path.is_dir():
        hint = "" if export else "; `snakemake export_hf` makes it once the model is trained"
        raise UserError(f"there is no exported model at {path}{hint}")
    return path


def load_model(path: Path, kind: str, auto_class: str) -> Any:
    """The model in an export, in evaluation mode.

    Args:
        kind: `cpu` or `cuda`.
        auto_class: of transformers, `AutoModel` or `AutoModelForMaskedLM`.

    Raises:
        UserError: it is not an export, or can't be read.
    """
    transformers = hf.quietly()
    if not (path / "config.json").is_file():
        raise UserError(f"{path} is no exported model: it has no config.json; `wikixlm export` writes one")
    try:
        return getattr(transformers, auto_class).from_pretrained(path).to(kind).eval()
    except (OSError, ValueError) as failure:
        raise UserError(f"{path} can't be loaded: {str(failure).splitlines()[0]}") from failure
