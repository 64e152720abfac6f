"""What a model was made of: sources, configuration, code, commands and hashes, in `models/mlm/manifest.json`.

- `sources`: the manifests of downloaded dumps (URLs, dates, hashes), or path, size and hash of files of your own.
- `commands`: each stage's command line, by its log; of a language's shards the first stands for all.
- `training`: when it ran, on which hardware, how often it was resumed, and fairseq-train's command line each time.
- `hardware`: of the machine that wrote the manifest.

`wikixlm verify` compares a run with its manifest.
"""

import argparse
import json
import platform
import re
import subprocess
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import distributions
from itertools import islice
from pathlib import Path
from typing import Any

from wikixlm import __version__
from wikixlm.errors import UserError
from wikixlm.files import read_json, sha256, write_json
from wikixlm.train import sessions

_COMMAND = re.compile(r" INFO wikixlm \S+: (.+)$")
LINES_TO_SEARCH = 20
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


def commands(logs: Path) -> dict[str, str]:
    """Command lines by log, from the line that `wikixlm` writes at its top; of a folder of shards the first stands."""
    found = {}
    for path in sorted(_representative(logs)):
        if command := command_in(path):
            found[str(path)] = command
    return found


def _representative(folder: Path) -> Iterator[Path]:
    """The logs of rules and languages, and one of each folder of shards."""
    for rule in folder.iterdir() if folder.is_dir() else ():
        if rule.is_file():
            yield rule
            continue
        for entry in rule.iterdir():
            if entry.is_dir():
                yield from sorted(entry.glob("*.log"))[:1]
            else:
                yield entry


def command_in(log: Path) -> str | None:
    """The command line that a log begins with; None if it has none."""
    with open(log, encoding="utf-8", errors="replace") as stream:
        for line in islice(stream, LINES_TO_SEARCH):
            if match := _COMMAND.search(line):
                return f"wikixlm {match[1]}"
    return None


def record(args: argparse.Namespace) -> dict[str, Any]:
    """The whole manifest."""
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "wikixlm": __version__,
        "git_commit": git_commit(Path(__file__).parent),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "hardware": sessions.hardware(gpus=False),
        "packages": packages(),
        "configuration": json.loads(args.configuration),
        "sources": sources(args.source),
        "commands": commands(args.logs) if args.logs else {},
        "training": sessions.summary(args.save_dir) if args.save_dir else {},
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
    parser.add_argument("--logs", type=Path, help="folder of the stages' logs, for their command lines")
    parser.add_argument("--save-dir", type=Path, help="the training's save directory, for when it ran and on what")
    parser.add_argument("--configuration", required=True, help="the configuration, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="where the manifest goes")


def main(args: argparse.Namespace) -> None:
    """Write the manifest."""
    write_json(args.output, record(args))
