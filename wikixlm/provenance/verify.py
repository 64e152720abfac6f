"""Compare a run with the manifest of its model: size and hash of every file, computed anew.

    wikixlm verify                          the run in this directory
    wikixlm verify --directory runs/mine

Reads models/mlm/manifest.json. Each difference is one line; with any of them the exit status is 1. Other versions of
packages or of the code than the manifest names are warnings: they do not change what is on disk.
"""

import argparse
import hashlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wikixlm import console
from wikixlm.download.progress import Progress
from wikixlm.errors import UserError
from wikixlm.files import read_json
from wikixlm.provenance import manifest as provenance
from wikixlm.run_layout import MODEL_MANIFEST

READ = 1 << 20
# Hashing a file keeps one core busy; beyond a few files at a time the disk is the limit.
WORKERS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class Claim:
    """What a manifest says of a file: `size` in bytes, and its hash of some `kind` (sha256 or sha1)."""

    path: Path
    size: int
    kind: str
    digest: str


def read_claims(manifest: dict[str, Any]) -> Iterator[Claim]:
    """All files that a manifest names, with its paths; relative ones are relative to the run's directory.

    Raises:
        KeyError, TypeError: it is not the manifest of a model.
    """
    for language, sources in manifest["sources"].items():
        for source in sources:
            files = source.get("files")
            if files is None:
                yield _claim(Path(source["path"]), source)
            for file in files or ():
                yield _claim(Path("dumps", language, file["name"]), file)
    for file in [*manifest["data"], manifest["model"]]:
        yield _claim(Path(file["path"]), file)


def _claim(path: Path, entry: dict[str, Any]) -> Claim:
    kind = "sha256" if "sha256" in entry else "sha1"
    return Claim(path, int(entry["size"]), kind, str(entry[kind]))


class ByteCounter:
    """Sum of the bytes that several threads have read, shown as progress."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._lock, self._bytes = progress, threading.Lock(), 0

    def add(self, size: int) -> None:
        with self._lock:
            self._bytes += size
            self._progress.update(self._bytes)


def differences(directory: Path, expected: list[Claim], counter: ByteCounter) -> list[str]:
    """A line for each file that differs from its claim."""
    with ThreadPoolExecutor(WORKERS) as pool:
        found = pool.map(lambda claim: _difference(directory / claim.path, claim, counter), expected)
        return [line for line in found if line]


def _difference(path: Path, claim: Claim, counter: ByteCounter) -> str | None:
    digest = hashlib.new(claim.kind, usedforsecurity=False)
    try:
        size = path.stat().st_size
        if size != claim.size:
            return f"{path}: {size:,} bytes, the manifest says {claim.size:,}"
        with open(path, "rb") as stream:
            while block := stream.read(READ):
                digest.update(block)
                counter.add(len(block))
    except OSError as failure:
        return f"{path}: {(failure.strerror or str(failure)).lower()}"
    if digest.hexdigest() != claim.digest:
        return f"{path}: {claim.kind} is {digest.hexdigest()}, the manifest says {claim.digest}"
    return None


def other_versions(manifest: dict[str, Any]) -> Iterator[str]:
    """A line for each package, and the code, whose version is not the manifest's."""
    here = provenance.package_versions()
    for name, version in manifest.get("packages", {}).items():
        if here.get(name) != version:
            yield f"{name} is {here.get(name, 'not installed')} here, it was {version}"
    commit = provenance.git_commit(Path(__file__).parent)
    if manifest.get("git_commit") != commit:
        yield f"the code is at commit {commit} here, it was {manifest.get('git_commit')}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--directory", type=Path, default=Path(), help="the run: what snakemake --directory was given")


def main(args: argparse.Namespace) -> None:
    verify(args.directory)


def verify(directory: Path) -> None:
    """Compare a run with its manifest and print the differences.

    Raises:
        UserError: there are differences, or no manifest.
    """
    path = directory / MODEL_MANIFEST
    if not path.is_file():
        raise UserError(f"{path} is not there: give the --directory of a run whose model is finished")
    try:
        manifest = read_json(path)
        expected = list(read_claims(manifest))
    except (KeyError, TypeError, AttributeError, ValueError) as failure:
        raise UserError(f"{path} is not the manifest of a model ({failure!r} is missing or wrong)") from failure
    size = sum(claim.size for claim in expected)
    with Progress("verify", size) as progress:
        wrong = differences(directory, expected, ByteCounter(progress))
    for line in wrong:
        print(line)
    for line in other_versions(manifest):
        console.warn(line)
    if wrong:
        raise UserError(f"{len(wrong)} of {len(expected)} files are not as {path} says")
    print(f"{len(expected)} files, {size / 1e9:.2f} GB: all as {path} says")
