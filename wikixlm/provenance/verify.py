"""Compare a run with the manifest of its model and the hashes beside its files: size and hash, computed anew.

    wikixlm verify                          the run in this directory
    wikixlm verify --directory runs/mine

Reads models/mlm/manifest.json, the seals (`.train.en.sha256` beside `train.en`) and the checksums inside zstd files, so
that a file that was damaged before the manifest was written is found too. Each difference is one line; with any of
them the exit status is 1. Other versions of packages or of the code than the manifest names are warnings: they do not
change what is on disk.
"""

import argparse
import hashlib
import os
import stat
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from wikixlm import console, run_layout
from wikixlm.download.progress import Progress
from wikixlm.errors import UserError
from wikixlm.files import open_binary, read_json
from wikixlm.provenance import manifest as provenance

READ = 1 << 20
# Hashing a file keeps one core busy; beyond a few files at a time the disk is the limit.
WORKERS = min(4, os.cpu_count() or 1)
# Folders whose files have a seal, `.NAME.sha256` beside NAME, with the hash that the stage wrote.
SEALED = ("monolingual_data", "work", "models")


@dataclass(frozen=True)
class Claim:
    """What is known of a file.

    Attributes:
        by: what says so, for the user.
        size: in bytes; None if it is not known.
        kind: of the hash, sha256 or sha1; empty for a zstd file of which only its own checksums are known.
    """

    path: Path
    by: str
    size: int | None = None
    kind: str = ""
    digest: str = ""


def manifest_claims(manifest: dict[str, Any]) -> Iterator[Claim]:
    """All files that a manifest names, with its paths; relative ones are relative to the run's directory.

    Raises:
        KeyError, TypeError: it is not the manifest of a model.
    """
    for language, sources in manifest["sources"].items():
        for source in sources:
            files = source.get("files")
            if files is None:
                yield _manifest_claim(Path(source["path"]), source)
            for file in files or ():
                yield _manifest_claim(Path("dumps", language, file["name"]), file)
    for file in [*manifest["data"], manifest["model"]]:
        yield _manifest_claim(Path(file["path"]), file)


def _manifest_claim(path: Path, entry: dict[str, Any]) -> Claim:
    kind = "sha256" if "sha256" in entry else "sha1"
    return Claim(path, "the manifest", int(entry["size"]), kind, str(entry[kind]))


def seal_claims(directory: Path) -> Iterator[Claim]:
    """The files that a stage has sealed, whether they are there or not."""
    for folder in SEALED:
        for seal in sorted((directory / folder).rglob(".*.sha256")):
            digest = seal.read_text(encoding="utf-8", errors="replace").split()[:1]
            path = seal.with_name(seal.name.removeprefix(".").removesuffix(".sha256"))
            yield Claim(path.relative_to(directory), "its seal", None, "sha256", "".join(digest))


def shard_claims(directory: Path, languages: Iterable[str]) -> Iterator[Claim]:
    """The shards and held-out splits under work/, which zstd's checksums protect.

    Raises:
        UserError: the record of a split is damaged.
    """
    for language in languages:
        record = directory / run_layout.SPLIT_COUNTS.format(lang=language)
        if not record.is_file():
            continue
        for shard in read_json(record)["shards"]:
            yield Claim(Path(shard), "zstd")
        for split in run_layout.SPLITS[1:]:
            yield Claim(Path(run_layout.HELD_OUT_LINES.format(lang=language, split=split)), "zstd")
        yield Claim(Path(run_layout.HELD_OUT_HASHES.format(lang=language)), "zstd")
        yield Claim(Path(run_layout.SYMBOLS.format(lang=language)), "zstd")


class Reader:
    """Reads files in several threads, shows how far it is, and can be stopped between two blocks."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._lock, self._bytes = progress, threading.Lock(), 0
        self._stopped = threading.Event()

    def differences(self, directory: Path, claims: Iterable[Claim]) -> list[str]:
        """A line for each file that is not as claimed."""
        pool = ThreadPoolExecutor(WORKERS)
        try:
            return [line for line in pool.map(lambda claim: self._difference(directory, claim), claims) if line]
        finally:  # also for Ctrl-C: the threads end after their block
            self._stopped.set()
            pool.shutdown(cancel_futures=True)

    def _difference(self, directory: Path, claim: Claim) -> str | None:
        path = directory / claim.path
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                return f"{path}: not a regular file"
            if claim.size not in (None, status.st_size):
                return f"{path}: {status.st_size:,} bytes, {claim.by} says {claim.size:,}"
            if not claim.kind:
                with open_binary(path) as stream:
                    self._read(stream)
                return None
            digest = hashlib.new(claim.kind, usedforsecurity=False)
            with open(path, "rb") as stream:
                self._read(stream, digest.update)
        except OSError as failure:
            return f"{path}: {(failure.strerror or str(failure)).lower()}"
        except UserError as failure:
            return f"{path}: {str(failure).removeprefix(f'{path} ').partition(';')[0]}"
        if digest.hexdigest() != claim.digest:
            return f"{path}: {claim.kind} is {digest.hexdigest()}, {claim.by} says {claim.digest}"
        return None

    def _read(self, stream: IO[bytes], use: Callable[[bytes], object] = bytes) -> None:
        while not self._stopped.is_set() and (block := stream.read(READ)):
            use(block)
            with self._lock:
                self._bytes += len(block)
                self._progress.update(self._bytes)


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
    """Compare a run with its manifest and the hashes that its stages wrote; print the differences.

    Raises:
        UserError: there are differences, or no manifest.
    """
    path = directory / run_layout.MODEL_MANIFEST
    if not path.is_file():
        raise UserError(f"{path} does not exist: give the --directory of a run whose model is finished")
    try:
        manifest = read_json(path)
        named = list(manifest_claims(manifest))
        claims = [*named, *seal_claims(directory), *shard_claims(directory, manifest["sources"])]
    except (KeyError, TypeError, AttributeError, ValueError) as failure:
        raise UserError(f"{path} is not the manifest of a model ({failure!r} is missing or wrong)") from failure
    size = sum(claim.size or 0 for claim in named)
    with Progress("verify", size) as progress:
        found = Reader(progress).differences(directory, claims)
    wrong = {line.partition(": ")[0]: line for line in reversed(found)}
    for line in reversed(wrong.values()):
        print(line)
    for line in other_versions(manifest):
        console.warn(line)
    files = len({claim.path for claim in claims})
    if wrong:
        raise UserError(f"{len(wrong)} of {files} files are not as {path} says")
    print(f"{files} files, {size / 1e9:.2f} GB: all as {path} says")
