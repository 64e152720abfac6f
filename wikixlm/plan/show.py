"""The plan as tables."""

import argparse
import os
import shutil
import sys
from functools import reduce
from pathlib import Path
from typing import Any

import yaml
from rich import box
from rich.console import Console
from rich.table import Table

from wikixlm import console as user
from wikixlm import formatting
from wikixlm.config import Config, load, merge
from wikixlm.download.list_dumps import BASE, read_overlay
from wikixlm.errors import UserError
from wikixlm.files import write_json
from wikixlm.plan import calibration, estimate, sizes, training
from wikixlm.plan.calibration import Calibration
from wikixlm.plan.estimate import Row
from wikixlm.plan.measured import Measured

PLAIN_WIDTH = 400
DEFAULT_GPU = "A100"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this command."""
    add = parser.add_argument
    add(
        "--configfile",
        action="extend",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE",
        help="overlays of config.yaml",
    )
    add(
        "--config",
        action="extend",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="single keys on top, as for snakemake",
    )
    add("--directory", type=Path, default=Path(), help="where the run would be: its disk is looked at")
    add("--cores", type=int, default=os.cpu_count() or 1, help="of the machine or cluster, for the hours on the clock")
    add("--device", help="cpu, or a GPU of the calibration (default: as train.device and train.gpu_model say)")
    add("--tokens-per-second", type=float, metavar="N", help="of one device, instead of the estimate")
    add(
        "--sizes",
        action="extend",
        nargs="+",
        default=[],
        metavar="LANG=GB",
        help="of dumps, instead of asking the server",
    )
    add("--calibration", type=Path, metavar="FILE", help="speeds that --calibrate wrote")
    add(
        "--compare",
        type=Path,
        metavar="RUN",
        help="show what a finished run of this configuration took beside the plan",
    )
    add("--calibrate", type=Path, metavar="RUN", help="take the speeds from a run's benchmarks; needs --output")
    add("--output", type=Path, metavar="FILE", help="where --calibrate writes them")


def main(args: argparse.Namespace) -> None:
    """Print the plan, or write a calibration."""
    known = calibration.load(args.calibration)
    if args.calibrate:
        calibrate(args.calibrate, known, args.output)
        return
    cfg = configuration(args)
    device = args.device or default_device(cfg)
    pace = training.pace(cfg, known, device, args.cores, args.tokens_per_second)
    found = sizes.sources(cfg, args.directory, given_sizes(args.sizes))
    texts = [estimate.text_of(cfg, known, source) for source in found]
    rows = estimate.stages(cfg, known, texts, pace)
    out = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH, no_color=True, highlight=False)
    if args.compare:
        out.print(comparison(rows, args.compare, estimate.disk(cfg, known, texts, device)))
        return
    out.print(languages_table(texts))
    out.print(stages_table(rows, device, cfg))
    out.print(slurm_table(estimate.slurm_jobs(cfg, rows)))
    totals(out, cfg, args, rows, pace, device)
    disk_report(out, estimate.disk(cfg, known, texts, device), args.directory)


def calibrate(run: Path, known: Calibration, output: Path | None) -> None:
    """Write the figures of a run.

    Raises:
        UserError: no --output, or the run has no counts.
    """
    if output is None:
        raise UserError("--calibrate needs --output FILE, which --calibration FILE then reads")
    found, lines = calibration.from_run(run, known)
    write_json(output, found.values)
    print("\n".join(lines))
    print(f"written: {output}; wikixlm plan --calibration {output} reckons with it")


def configuration(args: argparse.Namespace) -> Config:
    """config.yaml with the overlays and keys of the command line on top.

    Raises:
        UserError: a file or key is wrong.
    """
    overlay: dict[str, Any] = reduce(merge, map(read_overlay, args.configfile), {})
    for word in args.config:
        key, separator, value = word.partition("=")
        if not separator:
            raise UserError(f"--config {word}: KEY=VALUE is accepted, such as languages='[de, fr]'")
        try:
            overlay = merge(overlay, {key: yaml.safe_load(value)})
        except yaml.YAMLError as failure:
            raise UserError(f"--config {word}: the value is no YAML: {failure}") from failure
    return load(BASE, overlay)


def given_sizes(words: list[str]) -> dict[str, float]:
    """`LANG=GB` words.

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
    """What the training runs on: the configured GPU, else an A100; the CPU where it says so or all else is missing."""
    if cfg.train.device == "cpu":
        return "cpu"
    if cfg.train.gpu_model:
        return cfg.train.gpu_model
    if cfg.train.device == "auto" and not (shutil.which("nvidia-smi") or shutil.which("sbatch")):
        return "cpu"
    return DEFAULT_GPU


def _table(title: str, *heads: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for place, head in enumerate(heads):
        table.add_column(head, justify="left" if place == 0 or head in ("source", "speed", "") else "right")
    return table


def languages_table(texts: list[estimate.Text]) -> Table:
    """A row a language."""
    table = _table("", "language", "size", "to download", "text", "BPE tokens", "source")
    for text in texts:
        source = text.source
        table.add_row(
            source.language,
            formatting.size(source.size),
            formatting.size(source.missing) if source.missing else "-",
            formatting.size(round(text.text)),
            f"{text.tokens / 1e6:,.1f} M",
            source.about,
        )
    table.add_section()
    table.add_row(
        "all",
        formatting.size(sum(text.source.size for text in texts)),
        formatting.size(sum(text.source.missing for text in texts)),
        formatting.size(round(sum(text.text for text in texts))),
        f"{sum(text.tokens for text in texts) / 1e6:,.1f} M",
    )
    return table


def stages_table(rows: list[Row], device: str, cfg: Config) -> Table:
    """A row a stage."""
    table = _table("", "stage", "jobs", "MB in", "CPU hours", "GPU hours", "longest job", "speed", "source")
    for row in rows:
        on_gpu = row.stage in ("train_mlm", "evaluate_mlm") and device != "cpu"
        gpus = cfg.train.gpus * cfg.train.nodes if row.stage == "train_mlm" else 1
        table.add_row(
            row.stage,
            f"{row.jobs:,}",
            f"{row.megabytes:,.1f}" if row.megabytes else "",
            "" if on_gpu else f"{row.core_seconds / 3600:,.2f}",
            f"{row.longest * gpus / 3600:,.1f}" if on_gpu else "",
            hours(row.longest / 3600),
            row.speed,
            row.source,
        )
    return table


def slurm_table(jobs: dict[str, tuple[int, float]]) -> Table:
    """What would be in a cluster's queue."""
    table = _table("", "with profiles/slurm", "jobs", "longest")
    for name, (number, longest) in jobs.items():
        table.add_row(name, f"{number:,}", hours(longest))
    table.add_section()
    table.add_row("all", f"{sum(number for number, _ in jobs.values()):,}")
    return table


def totals(
    out: Console, cfg: Config, args: argparse.Namespace, rows: list[Row], pace: training.Pace, device: str
) -> None:
    """CPU hours, the training, the sources of its speed."""
    cpu = sum(row.core_seconds for row in rows if row.stage not in ("train_mlm", "evaluate_mlm")) / 3600
    out.print(f"\ndata         {cpu:,.2f} CPU hours: {hours(cpu / args.cores)} on {args.cores} cores, if all are busy")
    wanted = training.tokens(cfg)
    took = wanted / pace.tokens_per_second / 3600
    workers = cfg.train.gpus * cfg.train.nodes
    where = f"{args.cores} cores" if device == "cpu" else f"{workers} x {device}"
    out.print(
        f"training     {wanted / 1e9:,.3f} G tokens (max_update x batch) on {where}: {hours(took)}"
        + (f", {took * workers:,.0f} GPU hours" if device != "cpu" else "")
    )
    out.print(f"             {pace.tokens_per_second:,.0f} tokens/s: {pace.source}", soft_wrap=True)


def disk_report(out: Console, disk: estimate.Disk, directory: Path) -> None:
    """Disk at its fullest, and a warning where there is too little."""
    parts = ", ".join(f"{name} {formatting.size(round(size))}" for name, size in disk.parts.items() if size)
    out.print(f"disk         {formatting.size(round(disk.peak))} at the fullest: {parts}", soft_wrap=True)
    here = next(folder for folder in [directory.resolve(), *directory.resolve().parents] if folder.exists())
    free = shutil.disk_usage(here).free
    if disk.peak > free:
        user.warn(f"{here} has {formatting.size(free)} free, too little: run in another --directory, or make room")
    else:
        out.print(f"             {formatting.size(free)} free at {here}", soft_wrap=True)


def comparison(rows: list[Row], run: Path, disk: estimate.Disk) -> Table:
    """What was predicted beside what a run measured, by stage, in seconds of a core."""
    measured = Measured(run)
    benchmarks = calibration.benchmarks(run, measured.own_text)
    table = _table("", "stage", "jobs", "predicted s", "measured s", "factor")
    sums = [0.0, 0.0]
    for row in rows:
        paths = benchmarks.get(row.stage, [])
        if not paths:
            continue
        took = sum(calibration.core_seconds(path, measured.threads(row.stage)) for path in paths)
        sums = [sums[0] + row.core_seconds, sums[1] + took]
        _compare(table, row.stage, str(len(paths)), row.core_seconds, took)
    table.add_section()
    _compare(table, "all", "", *sums)
    there = sum(path.stat().st_size for path in run.rglob("*") if path.is_file() and not path.is_symlink())
    _compare(table, "disk, MB (at the fullest; in the end)", "", disk.peak / 1e6, there / 1e6)
    return table


def _compare(table: Table, name: str, jobs: str, predicted: float, measured: float) -> None:
    factor = f"{predicted / measured:.2f}" if measured else "-"
    table.add_row(name, jobs, f"{predicted:,.1f}", f"{measured:,.1f}", factor)


def hours(value: float) -> str:
    """Hours as `3 d 4 h`, `5 h 6 min`, `7 min` or `8 s`."""
    return formatting.duration(value * 3600)
