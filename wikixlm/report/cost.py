"""Tables of what a run took: time, memory and disk by stage.

From Snakemake's benchmarks (logs/benchmarks: the last run of each job) and from the files themselves. The training is
measured by its metrics, which count all calls of a resumed one.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from wikixlm.report.jobs import measured
from wikixlm.report.run import Run

# The stages in their order, as the benchmarks' files and folders name them.
STAGES = (
    *("resolve_dump", "download", "extract", "tokenize", "split", "learn_bpe", "apply_bpe", "concatenate", "binarize"),
    *(
        "train_mlm",
        "provenance",
        "evaluate_mlm",
        "export_hf",
        "download_xnli",
        "prepare_xnli",
        "finetune_xnli",
        "report",
    ),
)
FOLDERS = {
    "dumps": "dumps as downloaded",
    "work": "shards, splits and counts between the stages",
    "monolingual_data/processed": "segmented text",
    "monolingual_data/fairseq_processed": "fairseq's binary data",
    "checkpoints": "checkpoints of the training",
    "models": "the model",
    "export": "the model for Hugging Face",
    "xnli": "XNLI as downloaded",
    "evaluation": "tables of the evaluation",
    "logs": "logs and benchmarks",
}
MIB = 2**20  # the benchmarks' unit of memory
_DEVICE = re.compile(r"(?m)^training on (the CPU|(\d+) GPUs?): (.*)$")
_NODES = re.compile(r"--nodes (\d+)")
_STAMP = re.compile(r"(?m)^\[(\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4})\]$")


@dataclass(frozen=True)
class Calls:
    """The calls of snakemake that ran jobs: how many, and the seconds from first to last job of each, together."""

    number: int
    seconds: float


@dataclass(frozen=True)
class Hardware:
    """Where the training ran, in words, and on how many GPUs (0: on the CPU)."""

    where: str
    gpus: int


def stages(run: Run) -> pd.DataFrame | None:
    """A row a stage: jobs, wall and CPU time in seconds over all of them, longest job, highest memory of one in MiB."""
    folder = run.directory / "logs" / "benchmarks"
    jobs = [(_stage(path.relative_to(folder)), *measured(path)) for path in sorted(folder.rglob("*.tsv"))]
    if not jobs:
        return None
    frame = pd.DataFrame(jobs, columns=["stage", "wall", "cpu", "peak"])
    frame = frame.astype(dict.fromkeys(["wall", "cpu", "peak"], "float64"))
    grouped = frame.groupby("stage")
    table = pd.DataFrame(
        {
            "jobs": grouped.size(),
            "wall_seconds": grouped["wall"].sum(),
            "longest_seconds": grouped["wall"].max(),
            "cpu_seconds": grouped["cpu"].sum(),
            "peak_mb": grouped["peak"].max(),
        }
    ).reset_index()
    _whole_training(run, table)
    order = {stage: number for number, stage in enumerate(STAGES)}
    return table.sort_values(
        "stage", key=lambda names: names.map(lambda name: (order.get(name, 99), name)), ignore_index=True
    )


def _stage(path: Path) -> str:
    return path.parts[0].removesuffix(".tsv")


def _whole_training(run: Run, table: pd.DataFrame) -> None:
    """A resumed training took more than its last job: take its time from the metrics, its CPU time in proportion."""
    seconds = max((row.get("wall") or 0.0 for row in run.metrics), default=0.0)
    row = table["stage"] == "train_mlm"
    last = table.loc[row, "wall_seconds"].sum()
    if last and seconds > last:
        table.loc[row, "cpu_seconds"] *= seconds / last
        table.loc[row, ["wall_seconds", "longest_seconds"]] = seconds


def disk(run: Run) -> pd.DataFrame:
    """A row a folder of the run: files and bytes as they are now, temporary shards gone."""
    rows: list[dict[str, Any]] = []
    for name, what in FOLDERS.items():
        sizes = list(_sizes(run.directory / name))
        if sizes:
            rows.append({"folder": name, "holds": what, "files": len(sizes), "size": sum(sizes)})
    return pd.DataFrame(rows, columns=["folder", "holds", "files", "size"])


def _sizes(folder: Path) -> Iterator[int]:
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                yield (Path(parent) / name).lstat().st_size
            except FileNotFoundError:
                continue  # a temporary file of a job that runs now


def calls(run: Run) -> Calls:
    """How long the calls of snakemake took, by the times in its logs."""
    number, seconds = 0, 0.0
    for log in sorted((run.directory / ".snakemake" / "log").glob("*.snakemake.log")):
        stamps = _STAMP.findall(log.read_text(encoding="utf-8", errors="replace"))
        if stamps:
            first, last = (datetime.strptime(each, "%a %b %d %H:%M:%S %Y") for each in (stamps[0], stamps[-1]))
            number += 1
            seconds += (last - first).total_seconds()
    return Calls(number, seconds)


def hardware(run: Run) -> Hardware | None:
    """Where the last call of the training ran, as its log says."""
    log = run.directory / "logs" / "train_mlm.log"
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    found = _DEVICE.search(text)
    if found is None:
        return None
    place, gpus, reason = found.groups()
    if gpus is None:
        return Hardware(place, 0)
    nodes = int(match[1]) if (match := _NODES.search(text)) else 1
    return Hardware(f"{place} ({reason})" + (f" on each of {nodes} nodes" if nodes > 1 else ""), int(gpus) * nodes)
