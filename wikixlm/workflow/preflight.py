"""Checks before a run starts anything: the configuration, and the packages that its stages need."""

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wikixlm import console
from wikixlm.config import Config, ConfigError, load
from wikixlm.errors import UserError
from wikixlm.tokenize import word_segmenters

# What the stages import that Snakemake does not bring along.
STAGES_NEED = ("fairseq", "sacremoses", "tokenizers", "torch", "wikiextractor", "zstandard")


def load_or_exit(base: Path, overlay: Mapping[str, Any], stages_run_here: bool) -> Config:
    """`load`, for the Snakefile: says every problem on a line of its own and ends the program with status 1.

    Where the stages run in this Python, it also looks for the packages that some languages need.
    """
    try:
        cfg = load(base, overlay)
        if stages_run_here:
            _check_packages()
            for lang in cfg.languages:
                word_segmenters.check_installed(lang, cfg.tokenize.japanese)
        return cfg
    except ConfigError as failure:
        for problem in failure.problems:
            console.error(problem)
    except UserError as failure:
        console.error(str(failure))
    raise SystemExit(1)


def _check_packages() -> None:
    """Raise UserError where this Python lacks what the stages import: then it is not the one of the set-up."""
    if missing := [name for name in STAGES_NEED if importlib.util.find_spec(name) is None]:
        raise UserError(
            f"{sys.executable} has no {', '.join(missing)}, which the stages need; call the snakemake of the set-up, "
            ".venv/bin/snakemake in the checkout (`make demo` sets it up), or add --sdm conda"
        )
