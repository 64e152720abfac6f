"""What is known of a download or a training under way, beyond how many jobs are done."""

import time
from pathlib import Path

from wikixlm import formatting, languages, run_layout
from wikixlm.download import pinned
from wikixlm.download import progress as download_progress
from wikixlm.download.command import bytes_there
from wikixlm.errors import UserError
from wikixlm.train.metrics import METRICS, read_metrics
from wikixlm.workflow.status.collect import tail

ROWS = 50  # of the training's log, over which its speed is taken
QUIET_SECONDS = 600  # without a new row that are worth a remark


def download(directory: Path, language: str) -> str:
    """How much of a dump is there, with rate and time left where its log tells; empty if no dump is chosen yet."""
    folder = directory / run_layout.DUMP_FOLDER.format(lang=language)
    try:
        export = pinned.read(folder / "resolved.yaml", languages.wiki(language))
    except UserError:
        return ""
    if export is None:
        return ""
    size = sum(file.size for file in export.files)
    there = sum(min(bytes_there(folder, file.name), file.size) for file in export.files)
    rate = 0.0
    for line in tail(directory / run_layout.DOWNLOAD_LOG.format(lang=language), 5):
        rate = download_progress.rate_in(line) or rate
    return download_progress.describe(there, size, rate)


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
