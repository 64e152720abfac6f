"""How a column of the tables is shown: its heading and the form of its values. The tables themselves keep the names."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd

from wikixlm import formatting


class Column(NamedTuple):
    """A heading and how a value is written; `text` columns stand left, numbers right."""

    heading: str
    write: Callable[[Any], str]
    text: bool = False


def text(value: Any) -> str:
    """As it stands."""
    return str(value)


def decimal(digits: int) -> Callable[[Any], str]:
    """With so many digits after the point."""
    return lambda value: f"{value:,.{digits}f}"


def figure(value: Any) -> str:
    """A number of any size: whole as such, otherwise three digits after the point, or as many as it takes."""
    if isinstance(value, str):
        return value
    if float(value).is_integer():
        return formatting.count(value)
    return f"{value:.3f}" if abs(value) >= 0.001 else f"{value:.2e}"


COLUMNS = {
    "language": Column("language", text, text=True),
    "other": Column("other language", text, text=True),
    "split": Column("split", text, text=True),
    "source": Column("source", text, text=True),
    "shards_done": Column("shards done", formatting.count),
    "shards": Column("of", formatting.count),
    "pages": Column("pages", formatting.count),
    "redirects": Column("redirects", formatting.count),
    "other_namespaces": Column("other namespaces", formatting.count),
    "other_models": Column("no wikitext", formatting.count),
    "duplicates": Column("twice in the dump", formatting.count),
    "articles": Column("articles", formatting.count),
    "empty": Column("without text", formatting.count),
    "dropped_short": Column("too short", formatting.count),
    "skipped": Column("failed", formatting.count),
    "documents": Column("articles with text", formatting.count),
    "unaccounted": Column("unaccounted for", formatting.count),
    "page": Column("page id", lambda value: str(value)),
    "title": Column("title", text, text=True),
    "lines": Column("paragraphs", formatting.count),
    "lines_kept": Column("paragraphs kept", formatting.count),
    "emptied": Column("without a token", formatting.count),
    "repeats_held_out": Column("in train, repeats valid or test", formatting.count),
    "repeated_in_held_out": Column("repeated in valid or test", formatting.count),
    "train": Column("train", formatting.count),
    "valid": Column("valid", formatting.count),
    "test": Column("test", formatting.count),
    "words": Column("words", formatting.count),
    "tokens": Column("BPE tokens", formatting.count),
    "tokens_per_word": Column("tokens per word", decimal(2)),
    "whole_words": Column("words left whole", formatting.percent),
    "unknown_characters": Column("characters unknown to the codes", formatting.percent),
    "share_of_lines": Column("share of paragraphs", formatting.percent),
    "bpe_probability": Column("wanted in the BPE sample", formatting.percent),
    "bpe_lines": Column("sampled for BPE", formatting.count),
    "share_of_bpe_lines": Column("share of the BPE sample", formatting.percent),
    "blocks": Column("training blocks", formatting.count),
    "share_of_blocks": Column("share of blocks", formatting.percent),
    "training_probability": Column("share of the training", formatting.percent),
    "shared_tokens": Column("tokens shared", formatting.percent),
    "shared_symbols": Column("symbols shared", formatting.count),
    "common_mass": Column("common mass", formatting.percent),
    "update": Column("update", formatting.count),
    "epoch": Column("epoch", formatting.count),
    "loss": Column("loss (nats)", decimal(3)),
    "perplexity": Column("perplexity", decimal(1)),
    "accuracy": Column("accuracy", formatting.percent),
    "unigram": Column("unigram baseline", decimal(1)),
    "share_of_baseline": Column("perplexity ÷ baseline", decimal(2)),
    "seed": Column("seed", text, text=True),
    "examples": Column("examples", formatting.count),
    "gap": Column("gap to English", lambda value: f"{100 * value:.1f} points"),
    "key": Column("key", text, text=True),
    "default": Column("default", text, text=True),
    "run": Column("this run", text, text=True),
    "wiki": Column("wiki", text, text=True),
    "date": Column("dump of", text, text=True),
    "file": Column("file", text, text=True),
    "hash": Column("hash", lambda value: f"{value[:19]}…" if len(value) > 20 else value, text=True),
    "what": Column("what", text, text=True),
    "version": Column("version", text, text=True),
    "stage": Column("stage", text, text=True),
    "jobs": Column("jobs", formatting.count),
    "wall_seconds": Column("time, all jobs", formatting.duration),
    "longest_seconds": Column("longest job", formatting.duration),
    "cpu_seconds": Column("CPU time", formatting.duration),
    "peak_mb": Column("peak memory of a job", lambda value: formatting.size(value * 2**20)),
    "folder": Column("folder", text, text=True),
    "holds": Column("holds", text, text=True),
    "files": Column("files", formatting.count),
    "size": Column("size", formatting.size),
}


def column(name: str) -> Column:
    """How the column `name` is shown; one that is not known here under its own name."""
    return COLUMNS.get(name) or Column(name.replace("_", " "), figure)


def cell(name: str, value: Any) -> str:
    """A value of the column `name`, `–` where there is none."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)) or value == "":
        return "–"
    return column(name).write(value)
