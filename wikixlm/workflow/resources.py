"""What the job of a stage asks a cluster for, by the size of what it reads: memory and walltime, for the rules.

Most figures come from `python benchmarks/scale.py --megabytes 100 1000` and `benchmarks/text.py`, with room: at least
twice the memory, since what runs out is killed; five to ten times the time, since file systems and cores differ.
"""

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

MEGABYTE = 1_000_000
_MEMORY_STEP = 500
_MINUTES_AT_LEAST = 30


class Need(NamedTuple):
    """What a stage needs.

    Attributes:
        memory: MB, however little it reads; with what Snakemake itself takes inside the job.
        memory_per_mb: MB more for each MB read.
        memory_per_worker: MB more for each of its processes.
        memory_at_most: MB, where a sample limits what it holds.
        seconds_per_mb: of one worker.
    """

    memory: float
    seconds_per_mb: float
    memory_per_mb: float = 0
    memory_per_worker: float = 0
    memory_at_most: float = math.inf


NEEDS = {
    # Flat: 85 MB with wikiextractor's process. A MB of bz2 is 5 MB of XML, a second of work; the time is also that of
    # `tokenize`, which follows in the same job and whose input is not there yet when the job is sent.
    # A MB of bz2 is 5 MB of XML, which is decompressed and searched at 25 MB/s.
    "collect_templates": Need(500, 1.5, memory_per_worker=300),
    "extract": Need(1000, 12),
    "corpus": Need(1000, 12),
    "tokenize": Need(1000, 12),  # 64 MB; a MB of zstd is about 4 of text, 0.6 s (Japanese is slower)
    "split": Need(1000, 2),  # 29 MB
    # 0.5 GB for 100 MB of XML, 2.5 GB for 1 GB: different words of the sample, which bpe.sample_lines limits.
    "learn_bpe": Need(2000, 2, memory_per_mb=15, memory_at_most=16000),
    "apply_bpe": Need(1000, 3, memory_per_mb=5),  # 70 MB for shards of 12 MB of XML, 187 MB for 125 MB: its cache
    "concatenate": Need(1000, 1),  # 36 MB
    # 0.2 GB for 1 MB of text and one worker, 0.5 GB for two, 0.57 GB for 250 MB and 0.67 GB for 1 GB
    # (`benchmarks/joint.py`), 0.14 MB a MB. The growth here is for shorter lines: fairseq keeps each line's length as
    # Python objects, about 120 bytes, and these lines had 270 of text.
    "binarize": Need(1000, 8, memory_per_mb=0.6, memory_per_worker=300),
    "provenance": Need(1000, 0.1),
}


def flat(stage: str) -> bool:
    """Whether it takes the same memory whatever it reads, so that it is known before the input is there."""
    return NEEDS[stage].memory_per_mb == 0


def memory(stage: str, megabytes: float, workers: int = 1) -> int:
    """MB of memory for a job that reads so many MB."""
    need = NEEDS[stage]
    wanted = need.memory + need.memory_per_mb * megabytes + need.memory_per_worker * workers
    return math.ceil(min(wanted, need.memory_at_most) / _MEMORY_STEP) * _MEMORY_STEP


def minutes(stage: str, megabytes: float, workers: int = 1) -> int:
    """Minutes of walltime for a job that reads so many MB."""
    return _MINUTES_AT_LEAST + math.ceil(NEEDS[stage].seconds_per_mb * megabytes / workers / 60)


def source_megabytes(paths: Iterable[str]) -> float:
    """MB of a language's source: text files, a dump, or the dump that a manifest describes.

    Raises:
        FileNotFoundError: it is not there yet.
    """
    return sum(_bytes(Path(path)) for path in paths) / MEGABYTE


def _bytes(path: Path) -> int:
    if path.name == "manifest.json":
        return int(json.loads(path.read_text(encoding="utf-8"))["size"])
    return path.stat().st_size
