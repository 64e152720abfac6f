"""Estimate what a run will need before anything is downloaded: sizes, hours, jobs, disk.

    wikixlm plan                                              config.yaml
    wikixlm plan --configfile config/mine.yaml --device H100  an overlay, as for snakemake, and a GPU
    wikixlm plan --sizes de=7.1 fr=6.2                        without asking the dumps' server

Sizes come from the dumps' server, from files on disk, or from --sizes. Speeds were measured; each is shown with the
command that measured it. A GPU's is an estimate from its data sheet until you give --tokens-per-second.
"""

import argparse
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from wikixlm import console, formatting
from wikixlm.config import Config, load_overlays, merge
from wikixlm.errors import UserError
from wikixlm.plan import estimate, training
from wikixlm.plan.estimate import Disk, StageEstimate, TextEstimate
from wikixlm.plan.sizes import find_sources
from wikixlm.plan.training import Pace

DEFAULT_GPU = "A100"
_MODEL_STAGES = ("train_mlm", "evaluate_mlm")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    many: dict[str, Any] = {"action": "extend", "nargs": "+", "default": []}
    add("--configfile", type=Path, metavar="FILE", help="overlays of config.yaml", **many)
    add("--config", metavar="KEY=VALUE", help="single keys on top, as for snakemake", **many)
    add("--directory", type=Path, default=Path(), help="where the run would be: its free disk space is looked up")
    add("--cores", type=int, default=os.cpu_count() or 1, help="of the machine or cluster, for the hours on the clock")
    add("--device", help=f"cpu, {', '.join(training.GPU_FLOPS)}; else by train.device and train.gpu_model")
    add("--tokens-per-second", type=float, metavar="N", help="of one device, instead of the estimate")
    add("--sizes", metavar="LANG=GB", help="of dumps, instead of asking the server", **many)


def main(args: argparse.Namespace) -> None:
    cfg = configuration(args.configfile, args.config)
    device = args.device or default_device(cfg)
    pace = training.estimate_pace(cfg, device, args.cores, args.tokens_per_second)
    texts = [
        estimate.estimate_text(cfg, source) for source in find_sources(cfg, args.directory, given_sizes(args.sizes))
    ]
    stages = estimate.estimate_stages(cfg, texts, pace)
    print(languages_table(texts), stages_table(stages, cfg, device), sep="\n\n")
    print(f"\n{slurm_table(estimate.slurm_jobs(cfg, stages))}\n")
    print(*totals(cfg, stages, pace, args.cores), sep="\n")
    print(*disk_lines(estimate.estimate_disk(cfg, texts, device), args.directory), sep="\n")


def configuration(overlays: list[Path], keys: list[str]) -> Config:
    """config.yaml with overlays and `KEY=VALUE` words merged on top.

    Raises:
        UserError: a file or key is wrong.
    """
    overlay: dict[str, Any] = {}
    for word in keys:
        key, separator, value = word.partition("=")
        if not separator:
            raise UserError(f"--config {word}: KEY=VALUE is accepted, such as languages='[de, fr]'")
        try:
            overlay = merge(overlay, {key: yaml.safe_load(value)})
        except yaml.YAMLError as failure:
            raise UserError(f"--config {word}: the value is not YAML: {failure}") from failure
    return load_overlays(overlays, overlay)


def given_sizes(words: list[str]) -> dict[str, float]:
    """GB by language, from `LANG=GB` words.

    Raises:
        UserError: another kind of word.
    """
    found = {}
    for word in words:
        language, _, size = word.partition("=")
        try:
            found[language] = float(size)
        except ValueError:
            raise UserError(f"--sizes {word}: LANG=GB is accepted, such as de=7.1") from None
    return found


def default_device(cfg: Config) -> str:
    """The device of the training: the configured GPU, else an A100; the CPU if configured, or without GPU and SLURM."""
    if cfg.train.device == "cpu":
        return "cpu"
    if cfg.train.gpu_model:
        return cfg.train.gpu_model
    if cfg.train.device == "auto" and not (shutil.which("nvidia-smi") or shutil.which("sbatch")):
        return "cpu"
    return DEFAULT_GPU


def languages_table(texts: list[TextEstimate]) -> str:
    """A row a language, and their sums."""
    rows: list[Sequence[str]] = [("language", "size", "to download", "text", "BPE tokens", "source")]
    for text in texts:
        source = text.source
        missing = formatting.size(source.missing) if source.missing else "-"
        rows.append((source.language, formatting.size(source.size), missing, *_amounts([text]), source.about))
    sizes = (sum(text.source.size for text in texts), sum(text.source.missing for text in texts))
    rows.append(("all", *map(formatting.size, sizes), *_amounts(texts), ""))
    return formatting.table(rows, left=(0, 5))


def _amounts(texts: list[TextEstimate]) -> tuple[str, str]:
    return (
        formatting.size(sum(text.text for text in texts)),
        f"{sum(text.tokens for text in texts) / 1e6:,.1f} M",
    )


def stages_table(stages: list[StageEstimate], cfg: Config, device: str) -> str:
    """A row a stage."""
    rows = [("stage", "jobs", "MB in", "CPU hours", "GPU hours", "longest job", "speed", "source")]
    for stage in stages:
        on_gpu = stage.stage in _MODEL_STAGES and device != "cpu"
        gpus = cfg.train.gpus * cfg.train.nodes if stage.stage == "train_mlm" else 1
        rows.append(
            (
                stage.stage,
                formatting.count(stage.jobs),
                f"{stage.megabytes:,.1f}" if stage.megabytes else "",
                "" if on_gpu else f"{stage.core_seconds / 3600:,.2f}",
                f"{stage.longest * gpus / 3600:,.1f}" if on_gpu else "",
                formatting.duration(stage.longest),
                stage.speed,
                stage.source,
            )
        )
    return formatting.table(rows, left=(0, 6, 7))


def slurm_table(jobs: dict[str, tuple[int, float]]) -> str:
    """The jobs in a cluster's queue, and the hours of the longest."""
    rows = [("with profiles/slurm", "jobs", "longest")]
    rows += [
        (name, formatting.count(number), formatting.duration(3600 * hours)) for name, (number, hours) in jobs.items()
    ]
    rows.append(("all", formatting.count(sum(number for number, _ in jobs.values())), ""))
    return formatting.table(rows)


def totals(cfg: Config, stages: list[StageEstimate], pace: Pace, cores: int) -> list[str]:
    """CPU time of the data, time of the training, and where its speed comes from."""
    data = sum(stage.core_seconds for stage in stages if stage.stage not in _MODEL_STAGES)
    clock = formatting.duration(data / cores)
    wanted = training.training_tokens(cfg)
    seconds = wanted / pace.tokens_per_second
    workers = cfg.train.gpus * cfg.train.nodes
    where, gpu_hours = f"{cores} cores", ""
    if pace.device != "cpu":
        where, gpu_hours = f"{workers} x {pace.device}", f", {seconds * workers / 3600:,.0f} GPU hours"
    return [
        f"data         {data / 3600:,.2f} CPU hours: {clock} on {cores} cores, if all are busy",
        f"training     {wanted / 1e9:,.3f} G tokens (max_update x batch) on {where}: "
        f"{formatting.duration(seconds)}{gpu_hours}",
        f"             {pace.tokens_per_second:,.0f} tokens/s: {pace.source}",
    ]


def disk_lines(disk: Disk, directory: Path) -> list[str]:
    """The peak disk use and the free space, with a warning where that is too little."""
    parts = ", ".join(f"{name} {formatting.size(size)}" for name, size in disk.parts.items() if size)
    here = next(folder for folder in [directory.resolve(), *directory.resolve().parents] if folder.exists())
    free = shutil.disk_usage(here).free
    lines = [f"disk         {formatting.size(disk.peak)} at the fullest: {parts}"]
    if disk.peak > free:
        console.warn(f"{here} has {formatting.size(free)} free, too little: run in another --directory, or make room")
        return lines
    return [*lines, f"             {formatting.size(free)} free at {here}"]
