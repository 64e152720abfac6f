"""What is known of a download or a training under way, beyond how many jobs are done."""

import time
from pathlib import Path

from wikixlm import formatting, languages, run_layout
from wikixlm.download import pinned
from wikixlm.download.partial import bytes_on_disk, recorded_rate
from wikixlm.download.progress import describe_progress
from wikixlm.errors import UserError
from wikixlm.train.metrics import METRICS, read_metrics

ROWS = 50  # of the training's log, over which its speed is taken
QUIET_SECONDS = 600  # without a new row that are worth a remark


def download(directory: Path, language: str) -> str:
    """How much of a dump is there, with rate and time left where known; empty before a dump is chosen."""
    folder = directory / run_layout.DUMP_FOLDER.format(lang=language)
    try:
        run = pinned.read_pinned(folder / "resolved.yaml", languages.wiki(language))
    except UserError:
        return ""
    if run is None:
        return ""
    size = sum(file.size for file in run.files)
    there = [min(bytes_on_disk(folder, file.name), file.size) for file in run.files]
    # Files are downloaded in their order: the last one with any bytes is the current one.
    rates = [recorded_rate(folder, file.name) for file, size_here in zip(run.files, there, strict=True) if size_here]
    return describe_progress(sum(there), size, rates[-1] if rates else 0.0)


def training(directory: Path, goal: int, running: bool) -> str:
    """Update, speed and time left; empty if nothing has been logged yet.

    Args:
        goal: max_update.
        running: whether it is under way, so that speed and time left mean something.
    """
    path = directory / run_layout.SAVE_DIR / METRICS
    rows = list(read_metrics(path))
    trained = [row for row in rows if row["split"] == "train"][-ROWS:]
    if not trained:
        return ""
    last = trained[-1]
    parts = [f"update {last['update']:,}/{goal:,}"]
    if last.get("loss") is not None:
        parts.append(f"loss {last['loss']:.3f}")
    if held_out := [row["perplexity"] for row in rows if row["split"] == "valid" and row.get("perplexity")]:
        parts.append(f"held-out perplexity {held_out[-1]:,.1f}")
    if running:
        parts.append(f"{last['tokens_per_second']:,.0f} tokens/s")
        updates, seconds = last["update"] - trained[0]["update"], last["wall"] - trained[0]["wall"]
        if updates > 0 and seconds > 0:
            parts.append(f"{formatting.duration((goal - last['update']) * seconds / updates)} left")
        silent = time.time() - path.stat().st_mtime
        if silent > QUIET_SECONDS:
            parts.append(f"nothing new for {formatting.duration(silent)}")
    return ", ".join(parts)
