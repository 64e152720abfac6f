"""Run fairseq-preprocess on one language and put its files where fairseq's cross_lingual_lm task looks for them.

fairseq names them `{split}.{lang}-None.{lang}.bin`; they become `{split}.{lang}.bin`. It works in a folder beside the
output; only when every line of every split has arrived in the binarized data, its files are moved into place.
"""

import argparse
import logging
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wikixlm import console, processes
from wikixlm.bpe.codes import SPECIALS
from wikixlm.bpe.vocabulary import read_symbols
from wikixlm.errors import UserError
from wikixlm.files import atomic_path, open_binary, work_folder, write_json

SPLITS = ("train", "valid", "test")
UNKNOWN_WARNING = 0.01
_BYTES_PER_WORKER = 1 << 20  # a worker process more for each; small files don't need twenty
_BLOCK = 1 << 22

# Number types in fairseq's index files (`_code_to_dtype` in fairseq/data/indexed_dataset.py).
_TYPES = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f8", 7: "<f8", 8: "<u2", 9: "<u4", 10: "<u8"}


class Binarized(NamedTuple):
    """What a binarized split holds; `tokens` includes the end-of-sentence symbol of each sentence."""

    sentences: int
    tokens: int
    unknown: int


def read_binarized(prefix: Path) -> Binarized:
    """Count what `{prefix}.idx` and `{prefix}.bin` hold, in fairseq's mmap or lazy format, in blocks.

    Raises:
        UserError: not a file of these formats, or the data file does not have the index's length.
    """
    index, data = Path(f"{prefix}.idx"), Path(f"{prefix}.bin")
    unknown_id = SPECIALS.index("<unk>")
    with open(index, "rb") as stream:
        magic = stream.read(9)
        if magic == b"MMIDIDX\x00\x00":
            header = np.fromfile(stream, dtype=[("version", "<u8"), ("type", "u1"), ("sentences", "<u8")], count=1)[0]
            sizes = np.fromfile(stream, dtype="<i4", count=int(header["sentences"]))
        elif magic[:8] == b"TNTIDX\x00\x00":
            stream.seek(8)
            fields = ["version", "type", "width", "sentences", "sizes"]
            header = np.fromfile(stream, dtype=[(field, "<u8") for field in fields], count=1)[0]
            stream.seek(2 * 8 * (int(header["sentences"]) + 1), 1)  # two tables of offsets
            unknown_id += 1  # this format counts ids from 1, as Lua does
            sizes = np.fromfile(stream, dtype="<i8", count=int(header["sizes"]))
        else:
            raise UserError(f"{index} is not an index of fairseq's mmap or lazy format")
    kind = np.dtype(_TYPES[int(header["type"])])
    tokens = int(sizes.sum())
    if len(sizes) != header["sentences"] or data.stat().st_size != tokens * kind.itemsize:
        raise UserError(f"{data} is cut short: its index announces {tokens} tokens of {kind.itemsize} bytes")
    unknown = 0
    with open(data, "rb") as stream:
        while block := stream.read(_BLOCK * kind.itemsize):
            unknown += int(np.count_nonzero(np.frombuffer(block, dtype=kind) == unknown_id))
    return Binarized(len(sizes), tokens, unknown)


def count_lines(path: Path) -> int:
    """Lines of a text; a UserError where there are none, or the last has no end."""
    lines, last = 0, b"\n"
    with open_binary(path) as stream:
        while block := stream.read(_BLOCK):
            lines += block.count(b"\n")
            last = block[-1:]
    if not lines:
        raise UserError(f"{path} is empty; each of train, valid and test needs text")
    if last != b"\n":
        raise UserError(f"{path} ends in the middle of a line; delete it and run again")
    return lines


def preprocess(args: argparse.Namespace, folder: Path) -> Path:
    """Run fairseq-preprocess inside `folder`; return the folder with its files.

    Raises:
        UserError: it ended with an error.
    """
    text, made = folder / "text", folder / "made"
    text.mkdir()
    for split in SPLITS:
        (text / f"{split}.{args.language}").symlink_to(getattr(args, split).resolve())
    largest = max(getattr(args, split).stat().st_size for split in SPLITS)
    command = [sys.executable, "-m", "wikixlm.train.fairseq.run", "fairseq-preprocess"]
    command += ["--task", "cross_lingual_lm", "--only-source", "--source-lang", args.language]
    command += ["--srcdict", str(args.vocabulary), "--destdir", str(made), "--dataset-impl", args.dataset_impl]
    command += ["--workers", str(max(1, min(args.workers, largest // _BYTES_PER_WORKER)))]
    for split, option in zip(SPLITS, ("--trainpref", "--validpref", "--testpref"), strict=True):
        command += [option, str(text / split)]
    logging.info("%s", shlex.join(command))
    status = _run(command)
    if status:
        raise UserError(
            f"fairseq-preprocess failed on {args.language} with exit status {status}; its messages are in the log"
        )
    return made


def _run(command: list[str]) -> int:
    """Run a program of ours to its end; it ends as well where this process is told to stop, or killed."""
    with subprocess.Popen(command, env=processes.environment()) as process:
        try:
            return process.wait()
        except BaseException:
            process.terminate()
            raise


def check(split: str, lines: int, binarized: Binarized, language: str) -> dict[str, Any]:
    """Compare a split with its text and warn of unknown symbols; return its counts."""
    if binarized.sentences != lines:
        raise UserError(
            f"{split}.{language}: {lines} lines of text, but {binarized.sentences} sentences in fairseq's data; "
            "run again, and report it with the log if it stays"
        )
    unknown = binarized.unknown / max(binarized.tokens - binarized.sentences, 1)
    if unknown > UNKNOWN_WARNING:
        console.warn(
            f"{split}.{language}: {unknown:.1%} of the symbols are not in the vocabulary and became <unk>; "
            "does the vocabulary belong to these codes and languages?"
        )
    return {
        "lines": lines,
        "tokens": binarized.tokens,
        "unknown": binarized.unknown,
        "share_unknown": round(unknown, 6),
    }


def _check_dictionary(dictionary: Path, vocabulary: Path) -> None:
    made, given = (list(read_symbols(path)) for path in (dictionary, vocabulary))
    if made != given:
        raise UserError(f"the dictionary that fairseq wrote does not have the symbols and order of {vocabulary}")


def binarize(args: argparse.Namespace) -> dict[str, Any]:
    """Binarize the three splits; return the counts per split."""
    for _ in read_symbols(args.vocabulary):
        pass  # fairseq shows a traceback for a bad line; this names it
    lines = {split: count_lines(getattr(args, split)) for split in SPLITS}
    counts: dict[str, Any] = {}
    with work_folder(args.output_dir / args.language) as folder:
        made = preprocess(args, folder)
        finished: dict[Path, Path] = {}
        for split in SPLITS:
            prefix = made / f"{split}.{args.language}-None.{args.language}"
            counts[split] = check(split, lines[split], read_binarized(prefix), args.language)
            for suffix in ("bin", "idx"):
                finished[Path(f"{prefix}.{suffix}")] = args.output_dir / f"{split}.{args.language}.{suffix}"
        dictionary = made / f"dict.{args.language}.txt"
        _check_dictionary(dictionary, args.vocabulary)
        finished[dictionary] = args.output_dir / dictionary.name
        with ExitStack() as stack:
            for source, target in finished.items():
                source.replace(stack.enter_context(atomic_path(target)))
    return counts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--language", required=True, help="language code, as in the names of the output")
    parser.add_argument("--vocabulary", type=Path, required=True, help="the joint vocabulary, `symbol count` lines")
    for split in SPLITS:
        parser.add_argument(f"--{split}", type=Path, required=True, metavar="FILE", help=f"segmented {split} text")
    parser.add_argument(
        "--dataset-impl", choices=["mmap", "lazy"], default="mmap", help="fairseq's file format; training must match"
    )
    parser.add_argument("--workers", type=int, default=20, help="processes of fairseq-preprocess, at most")
    parser.add_argument("--output-dir", type=Path, required=True, help="where {split}.{language}.bin, .idx and dict go")
    parser.add_argument("--counts", type=Path, help="lines, tokens and unknown symbols per split (JSON)")


def main(args: argparse.Namespace) -> None:
    """Run the stage."""
    counts = binarize(args)
    logging.info("%s", counts)
    if args.counts:
        write_json(args.counts, {"language": args.language, **counts})
