"""One line a stage on the terminal, in place of Snakemake's own lines on each job.

    en: 106 articles → 5,906 lines, 505,008 tokens
    BPE: 2,000 codes from 5,855 lines

Shown with `--quiet rules` (or `all`). The training, the evaluation and the report have their own lines. Snakemake's log
file, which it would hide the same from, keeps everything.
"""

import contextlib
import logging
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.common import LogEvent

from wikixlm import console, formatting
from wikixlm import run_layout as layout
from wikixlm.errors import UserError
from wikixlm.files import read_json


def _read(pattern: str, language: str = "", shard: str = "") -> dict[str, Any]:
    return dict(read_json(Path(pattern.format(lang=language, shard=shard))))


def _downloaded(language: str) -> str:
    dump = _read(layout.DUMP_MANIFEST, language)
    return f"{language}: dump of {dump['date']}, {formatting.size(dump['size'])}"


def _split(language: str) -> str:
    """What a language's text is after its last stage of its own: articles, lines, tokens, and what is held out."""
    split = _read(layout.SPLIT_COUNTS, language)
    shards = [Path(path).name.split(".")[0] for path in split["shards"]]
    extracted = [_read(layout.EXTRACT_COUNTS, language, shard) for shard in shards]
    tokenized = [_read(layout.TOKENIZE_COUNTS, language, shard) for shard in shards]
    texts = "articles" if all("articles" in counts for counts in extracted) else "documents"
    parts = [f"{_sum(extracted, texts)} {texts} → {_sum(tokenized, 'lines_out')} lines"]
    parts.append(f"{_sum(tokenized, 'tokens')} tokens")
    if repeated := sum(split["dropped"].values()):
        parts.append(f"{formatting.count(repeated)} repeated lines dropped")
    parts.append(f"{split['lines']['valid']} + {split['lines']['test']} lines held out")
    return f"{language}: {', '.join(parts)}"


def _sum(counts: Iterable[dict[str, Any]], key: str) -> str:
    return formatting.count(sum(shard[key] for shard in counts))


def _learned(language: str) -> str:
    counts = _read(layout.LEARN_BPE_COUNTS)
    lines = sum(counts["sampled_lines"].values())
    return f"BPE: {formatting.count(counts['codes'])} codes from {formatting.count(lines)} lines"


def _segmented(language: str) -> str:
    counts = _read(layout.CONCATENATE_COUNTS, language)
    line = f"{language}: {formatting.count(counts['tokens'])} BPE tokens to train on"
    return f"{line}, {counts['tokens_per_word']:.2f} a word" if "tokens_per_word" in counts else line


def _vocabulary(language: str) -> str:
    with Path(layout.VOCABULARY).open("rb") as stream:
        return f"vocabulary: {formatting.count(sum(1 for _ in stream))} symbols"


def _exported(language: str) -> str:
    return f"export: {layout.EXPORT}/"


# By the rule that ends the stage.
LINES: dict[str, Callable[[str], str]] = {
    "download_dump": _downloaded,
    "split": _split,
    "learn_bpe": _learned,
    "concatenate": _segmented,
    "vocabulary": _vocabulary,
    "reuse_vocabulary": _vocabulary,
    "export_hf": _exported,
}


class StageLines(logging.Handler):
    """Listen to Snakemake's events, and say a line when a job ends that ends a stage."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._running: dict[int, tuple[str, str]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Note a job that starts; say what one that has ended made."""
        said: Any = record
        match getattr(record, "event", None):
            case LogEvent.JOB_INFO:
                self._running[said.jobid] = (said.rule_name, dict(said.wildcards).get("lang", ""))
            case LogEvent.JOB_FINISHED:
                rule, language = self._running.pop(said.job_id, ("", ""))
                if rule in LINES:
                    # A line is a courtesy: counts of another version, or a file that was moved, end no run.
                    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, UserError):
                        console.say(LINES[rule](language))


def start(logger: logging.Logger, quiet: Collection[Any] | None) -> None:
    """Show the lines from now on, where `--quiet` hides rules.

    Args:
        logger: Snakemake's.
        quiet: the levels of `--quiet`, of Snakemake's enumeration.
    """
    if not {level.name for level in quiet or ()} & {"RULES", "ALL"}:
        return
    for handler in logger.handlers:
        if handler.name == "DefaultLogFileHandler":
            for hiding in filter(lambda each: hasattr(each, "quiet"), handler.filters):
                hiding.quiet = set()  # type: ignore[union-attr]
    logger.addHandler(StageLines())
