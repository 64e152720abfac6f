"""What a model was made of: sources, configuration, code and hashes, in `models/mlm/manifest.json`.

Sources are the manifests of downloaded dumps (URLs, dates, hashes), or path, size and hash of files of your own.
"""

import argparse
import json
import platform
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from wikixlm import __version__
from wikixlm.errors import UserError
from wikixlm.files import read_json, sha256, write_json

PACKAGES = (
    *("fairseq", "filelock", "httpx", "hydra-core", "numpy", "omegaconf", "pandas", "pydantic", "sacremoses"),
    *("snakemake", "tokenizers", "torch", "wikiextractor", "zstandard", "fugashi", "kytea", "pythainlp", "rjieba"),
)


def describe_file(path: Path) -> dict[str, Any]:
    """Name, size in bytes and SHA-256 of a file."""
    return {"path": str(path), "size": path.stat().st_size, "sha256": sha256(path)}


def sources(pairs: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """`LANGUAGE=PATH` pairs to what each language was made from.

    Raises:
        UserError: a pair has no language or its file is missing.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for pair in pairs:
        language, separator, name = pair.partition("=")
        path = Path(name)
        if not separator or not path.is_file():
            raise UserError(f"--source {pair}: LANGUAGE=PATH of a file is accepted")
        downloaded = path.name == "manifest.json"
        found.setdefault(language, []).append(read_json(path) if downloaded else describe_file(path))
    return found


def git_commit(folder: Path) -> str | None:
    """The commit of the code, with `+changes` where files differ from it; None outside a git checkout."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".")
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def packages() -> dict[str, str]:
    """Versions of the installed packages that shape a result."""
    installed = {distribution.metadata["Name"].lower(): distribution.version for distribution in distributions()}
    return {name: installed[name] for name in PACKAGES if name in installed}


def record(args: argparse.Namespace) -> dict[str, Any]:
    """The whole manifest."""
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "wikixlm": __version__,
        "git_commit": git_commit(Path(__file__).parent),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages(),
        "configuration": json.loads(args.configuration),
        "sources": sources(args.source),
        "data": [describe_file(path) for path in args.data],
        "model": describe_file(args.model),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this stage."""
    parser.add_argument("--model", type=Path, required=True, help="the trained model")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="what it was trained on: hashes of these")
    parser.add_argument(
        "--source", action="append", default=[], metavar="LANGUAGE=PATH", help="a dump's manifest.json, or a file"
    )
    parser.add_argument("--configuration", required=True, help="the configuration, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="where the manifest goes")


def main(args: argparse.Namespace) -> None:
    """Write the manifest."""
    write_json(args.output, record(args))
