"""Run fairseq-preprocess on one language and put its files where fairseq's cross_lingual_lm task looks for them.

fairseq names them `{split}.{lang}-None.{lang}.bin`; they become `{split}.{lang}.bin`. It works in a folder beside the
output, and its files are moved into place only when the binarized data has every line of every split.
"""

import argparse
import logging
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from wikixlm import console, processes
from wikixlm.binarize.indexed_format import data_file, read_layout
from wikixlm.bpe.codes import SPECIALS
from wikixlm.bpe.vocabulary import read_symbols
from wikixlm.errors import UserError
from wikixlm.files import atomic_path, open_binary, work_folder
from wikixlm.run_layout import SPLITS
from wikixlm.seals import check_seals, sealed

UNKNOWN_WARNING = 0.01
_BYTES_PER_WORKER = 1 << 20  # small files need fewer processes than are allowed
_BLOCK = 1 << 22
_OUT_OF_MEMORY = ("MemoryError", "Cannot allocate memory")  # in a traceback while Python can't even import
_REMEDY = "lower binarize.workers, or give the job more memory or disk, and run again"


class SplitCounts(NamedTuple):
    """Sentences, tokens (with the end-of-sentence symbols) and unknown symbols of a binarized split."""

    sentences: int
    tokens: int
    unknown: int


def count_binarized(prefix: Path) -> SplitCounts:
    """Count what `{prefix}.idx` and `{prefix}.bin` hold, in blocks.

    Raises:
        UserError: the files are damaged, see `read_layout`.
    """
    layout = read_layout(prefix)
    unknown_id = SPECIALS.index("<unk>") + layout.id_shift
    unknown = 0
    with open(data_file(prefix), "rb") as stream:
        while block := stream.read(_BLOCK * layout.dtype.itemsize):
            unknown += int(np.count_nonzero(np.frombuffer(block, dtype=layout.dtype) == unknown_id))
    return SplitCounts(layout.sentences, layout.tokens, unknown)


def count_lines(path: Path) -> int:
    """Count the lines of a text.

    Raises:
        UserError: it is empty, or its last line has no end.
    """
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


def preprocess(
    language: str, texts: Mapping[str, Path], vocabulary: Path, dataset_impl: str, workers: int, folder: Path
) -> Path:
    """Run fairseq-preprocess inside `folder`; return the folder with its files.

    Raises:
        UserError: it ended with an error.
    """
    links, output = folder / "text", folder / "made"
    links.mkdir()
    for split, path in texts.items():
        (links / f"{split}.{language}").symlink_to(path.resolve())
    workers = max(1, min(workers, max(path.stat().st_size for path in texts.values()) // _BYTES_PER_WORKER))
    command = [sys.executable, "-m", "wikixlm.train.fairseq.run", "fairseq-preprocess"]
    command += ["--task", "cross_lingual_lm", "--only-source", "--source-lang", language, "--workers", str(workers)]
    command += ["--srcdict", str(vocabulary), "--destdir", str(output), "--dataset-impl", dataset_impl]
    for split in texts:
        command += [f"--{split}pref", str(links / split)]
    logging.info("%s", shlex.join(command))
    status, error = _run(command)
    if error:
        raise UserError(f"fairseq-preprocess failed on {language}: {error}; {_REMEDY}")
    if status < 0:
        raise UserError(
            f"fairseq-preprocess on {language} was ended by {signal.Signals(-status).name}; out of memory? {_REMEDY}"
        )
    if status:
        raise UserError(
            f"fairseq-preprocess failed on {language} with exit status {status}; its messages are in the log"
        )
    return output


def _run(command: list[str]) -> tuple[int, str]:
    """Run a program to its end, its output passed on; it is ended when this process is stopped or killed.

    Returns:
        The exit status, and what a failure's last error line says after its prefix.
    """
    error = ""
    with subprocess.Popen(
        command,
        env=processes.environment_for_child(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                print(line, end="", flush=True)
                if line.startswith(console.ERROR):
                    error = line.removeprefix(console.ERROR).strip()
                elif any(sign in line for sign in _OUT_OF_MEMORY):
                    error = error or "out of memory"
            status = process.wait()
            return status, error if status else ""
        except BaseException:
            process.terminate()
            raise


def check_split(name: str, lines: int, counts: SplitCounts) -> None:
    """Compare a binarized split with the lines of its text, and warn of many unknown symbols.

    Raises:
        UserError: the numbers of lines differ.
    """
    if counts.sentences != lines:
        raise UserError(
            f"{name}: {lines} lines of text, but {counts.sentences} sentences in fairseq's data; "
            "run again, and if this happens again report it with the log"
        )
    share_unknown = counts.unknown / max(counts.tokens - counts.sentences, 1)
    if share_unknown > UNKNOWN_WARNING:
        console.warn(
            f"{name}: {share_unknown:.1%} of the symbols are not in the vocabulary and became <unk>; "
            "does the vocabulary belong to these codes and languages?"
        )


def _check_dictionary(dictionary: Path, vocabulary: Path) -> None:
    if list(read_symbols(dictionary)) != list(read_symbols(vocabulary)):
        raise UserError(f"the dictionary that fairseq wrote does not have the symbols and order of {vocabulary}")


def binarize(
    language: str, texts: Mapping[str, Path], vocabulary: Path, output_dir: Path, dataset_impl: str, workers: int
) -> dict[str, SplitCounts]:
    """Binarize the three splits of a language.

    Args:
        language: its code, as in the names of the output.
        texts: the segmented text of each split.
        vocabulary: the joint vocabulary, `symbol count` lines.
        output_dir: gets `{split}.{language}.bin`, `.idx` and `dict.{language}.txt`.
        dataset_impl: fairseq's file format, `mmap` or `lazy`.
        workers: the most processes to use.

    Returns:
        The counts of each split.

    Raises:
        UserError: a text or the vocabulary is bad, or fairseq-preprocess failed or lost lines; nothing is written then.
    """
    check_seals(vocabulary, *texts.values())
    for _ in read_symbols(vocabulary):
        pass  # fairseq shows a traceback for a bad line; this names it
    lines = {split: count_lines(path) for split, path in texts.items()}
    counts: dict[str, SplitCounts] = {}
    with work_folder(output_dir / language) as folder:
        made = preprocess(language, texts, vocabulary, dataset_impl, workers, folder)
        dictionary = made / f"dict.{language}.txt"
        _check_dictionary(dictionary, vocabulary)
        finished = {dictionary: output_dir / dictionary.name}
        for split in texts:
            prefix = made / f"{split}.{language}-None.{language}"
            counts[split] = count_binarized(prefix)
            check_split(f"{split}.{language}", lines[split], counts[split])
            for suffix in ("bin", "idx"):
                finished[Path(f"{prefix}.{suffix}")] = output_dir / f"{split}.{language}.{suffix}"
        with sealed(*finished.values()), ExitStack() as stack:
            for source, target in finished.items():
                source.replace(stack.enter_context(atomic_path(target)))
    return counts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--language", required=True, help="language code, as in the names of the output")
    parser.add_argument("--vocabulary", type=Path, required=True, help="the joint vocabulary, `symbol count` lines")
    for split in SPLITS:
        parser.add_argument(f"--{split}", type=Path, required=True, metavar="FILE", help=f"segmented {split} text")
    parser.add_argument(
        "--dataset-impl", choices=["mmap", "lazy"], default="mmap", help="fairseq's file format; training must match"
    )
    parser.add_argument("--workers", type=int, default=20, help="processes of fairseq-preprocess, at most")
    parser.add_argument("--output-dir", type=Path, required=True, help="where {split}.{language}.bin, .idx and dict go")


def main(args: argparse.Namespace) -> None:
    texts = {split: getattr(args, split) for split in SPLITS}
    counts = binarize(args.language, texts, args.vocabulary, args.output_dir, args.dataset_impl, args.workers)
    logging.info("%s", counts)
