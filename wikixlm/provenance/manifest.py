"""Record what a model was made of: sources, configuration, code, commands and hashes, in models/mlm/manifest.json.

- `sources`: the manifests of downloaded dumps (URLs, dates, hashes), or path, size and hash of files of your own.
- `commands`: the command line of each stage, by its log; of a language's shards only the first.
- `training`: when it ran, on which hardware, how often it was resumed, and fairseq-train's command line each time.
- `hardware`: of the machine that wrote the manifest.

`wikixlm verify` compares a run with its manifest.
"""

import argparse
import json
import platform
import shlex
import subprocess
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from wikixlm import __version__
from wikixlm.errors import UserError
from wikixlm.files import read_json, sha256, write_json
from wikixlm.seals import check_hash
from wikixlm.train import sessions

PACKAGES = (
    *("fairseq", "httpx", "hydra-core", "numpy", "omegaconf", "pandas", "pydantic", "sacremoses"),
    *("sentencepiece", "snakemake", "tokenizers", "torch", "wikiextractor", "zstandard"),
    *("fugashi", "kytea", "pythainlp", "rjieba"),
)


def describe_file(path: Path) -> dict[str, Any]:
    """Name, size in bytes and SHA-256 of a file.

    Raises:
        UserError: the file is not what its stage wrote.
    """
    digest = sha256(path)
    check_hash(path, digest)
    return {"path": str(path), "size": path.stat().st_size, "sha256": digest}


def describe_sources(pairs: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """The sources of each language, from `LANGUAGE=PATH` words.

    Raises:
        UserError: a word has no language or its file is missing.
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


def package_versions() -> dict[str, str]:
    """Versions of the installed packages that shape a result."""
    installed = {distribution.metadata["Name"].lower(): distribution.version for distribution in distributions()}
    return {name: installed[name] for name in PACKAGES if name in installed}


def commands(logs: Path) -> dict[str, str]:
    """Command lines by log; of a folder of shards only the first."""
    return {str(path): command for path in sorted(_representative_logs(logs)) if (command := command_in(path))}


def _representative_logs(folder: Path) -> Iterator[Path]:
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
    """The command line in the JSON object that `wikixlm` begins its logs with; None for another file."""
    with open(log, encoding="utf-8", errors="replace") as stream:
        try:
            words = json.loads(stream.readline())["command"]
            # The manifest travels with the model; whom to ask about a download does not.
            before = ["", *words[:-1]]
            return shlex.join(
                "…" if option == "--contact" else word for option, word in zip(before, words, strict=True)
            )
        except (ValueError, KeyError, TypeError):
            return None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="the trained model")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="what it was trained on: hashes of these")
    parser.add_argument(
        "--source", action="append", default=[], metavar="LANGUAGE=PATH", help="a dump's manifest.json, or a file"
    )
    parser.add_argument("--logs", type=Path, help="folder of the stages' logs, for their command lines")
    parser.add_argument("--save-dir", type=Path, help="the training's save directory, for when it ran and on what")
    parser.add_argument("--configuration", required=True, type=json.loads, help="the configuration, as JSON")
    parser.add_argument("--output", type=Path, required=True, help="the manifest to write")


def main(args: argparse.Namespace) -> None:
    manifest = {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "wikixlm": __version__,
        "git_commit": git_commit(Path(__file__).parent),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "hardware": sessions.hardware(gpus=False),
        "packages": package_versions(),
        "configuration": args.configuration,
        "sources": describe_sources(args.source),
        "commands": commands(args.logs) if args.logs else {},
        "training": sessions.summary(args.save_dir) if args.save_dir else {},
        "data": [describe_file(path) for path in args.data],
        "model": describe_file(args.model),
    }
    write_json(args.output, manifest)
