"""How a column of the tables is shown: its heading and the form of its values. The tables themselves keep the names."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import pandas as pd


class Column(NamedTuple):
    """A heading and how a value is written; `text` columns stand left, numbers right."""

    heading: str
    write: Callable[[Any], str]
    text: bool = False


_UNITS = {"d": (86400, "h", 3600), "h": (3600, "min", 60), "min": (60, "s", 1)}


def text(value: Any) -> str:
    """As it stands."""
    return str(value)


def whole(value: Any) -> str:
    """A whole number, its thousands separated: 1,234,567."""
    return f"{value:,.0f}"


def share(value: Any) -> str:
    """12.3 %; what is not nothing never becomes 0, what is not all never 100."""
    if 0 < value < 0.0005:
        return "< 0.1 %"
    if 0.9995 <= value < 1:
        return "> 99.9 %"
    return f"{value:.1%}".replace("%", " %")


def decimal(digits: int) -> Callable[[Any], str]:
    """With so many digits after the point."""
    return lambda value: f"{value:,.{digits}f}"


def figure(value: Any) -> str:
    """A number of any size: whole as such, otherwise three digits after the point, or as many as it takes."""
    if isinstance(value, str):
        return value
    if float(value).is_integer():
        return whole(value)
    return f"{value:.3f}" if abs(value) >= 0.001 else f"{value:.2e}"


def size(value: Any) -> str:
    """Bytes as 1.2 MB (10^6 bytes)."""
    for unit, name in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= unit:
            return f"{value / unit:.1f} {name}"
    return f"{value:.0f} bytes"


def span(value: Any) -> str:
    """Seconds as 2 d 3 h, 1 h 5 min, 3 min 20 s or 1.4 s: the two largest units."""
    if value < 10:
        return f"{value:.1f} s" if value else "0 s"
    whole = round(value)
    for first, (size_of_first, second, size_of_second) in _UNITS.items():
        if whole >= size_of_first:
            rest = whole % size_of_first // size_of_second
            return f"{whole // size_of_first} {first}" + (f" {rest} {second}" if rest else "")
    return f"{whole} s"


COLUMNS = {
    "language": Column("language", text, text=True),
    "other": Column("other language", text, text=True),
    "split": Column("split", text, text=True),
    "source": Column("source", text, text=True),
    "shards_done": Column("shards done", whole),
    "shards": Column("of", whole),
    "pages": Column("pages", whole),
    "redirects": Column("redirects", whole),
    "other_namespaces": Column("other namespaces", whole),
    "other_models": Column("no wikitext", whole),
    "duplicates": Column("twice in the dump", whole),
    "articles": Column("articles", whole),
    "empty": Column("without text", whole),
    "dropped_short": Column("too short", whole),
    "skipped": Column("failed", whole),
    "documents": Column("articles with text", whole),
    "unaccounted": Column("unaccounted for", whole),
    "page": Column("page id", lambda value: str(value)),
    "title": Column("title", text, text=True),
    "lines": Column("paragraphs", whole),
    "lines_kept": Column("paragraphs kept", whole),
    "emptied": Column("without a token", whole),
    "repeats_held_out": Column("in train, repeats valid or test", whole),
    "repeated_in_held_out": Column("repeated in valid or test", whole),
    "train": Column("train", whole),
    "valid": Column("valid", whole),
    "test": Column("test", whole),
    "words": Column("words", whole),
    "tokens": Column("BPE tokens", whole),
    "tokens_per_word": Column("tokens per word", decimal(2)),
    "whole_words": Column("words left whole", share),
    "unknown_characters": Column("characters unknown to the codes", share),
    "share_of_lines": Column("share of paragraphs", share),
    "bpe_probability": Column("wanted in the BPE sample", share),
    "bpe_lines": Column("sampled for BPE", whole),
    "share_of_bpe_lines": Column("share of the BPE sample", share),
    "blocks": Column("training blocks", whole),
    "share_of_blocks": Column("share of blocks", share),
    "training_probability": Column("share of the training", share),
    "shared_tokens": Column("tokens shared", share),
    "shared_symbols": Column("symbols shared", whole),
    "common_mass": Column("common mass", share),
    "update": Column("update", whole),
    "epoch": Column("epoch", whole),
    "loss": Column("loss (nats)", decimal(3)),
    "perplexity": Column("perplexity", decimal(1)),
    "accuracy": Column("accuracy", share),
    "unigram": Column("unigram baseline", decimal(1)),
    "share_of_baseline": Column("perplexity ÷ baseline", decimal(2)),
    "seed": Column("seed", text, text=True),
    "examples": Column("examples", whole),
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
    "jobs": Column("jobs", whole),
    "wall_seconds": Column("time, all jobs", span),
    "longest_seconds": Column("longest job", span),
    "cpu_seconds": Column("CPU time", span),
    "peak_mb": Column("peak memory of a job", lambda value: size(value * 2**20)),
    "folder": Column("folder", text, text=True),
    "holds": Column("holds", text, text=True),
    "files": Column("files", whole),
    "size": Column("size", size),
}


def column(name: str) -> Column:
    """How the column `name` is shown; one that is not known here under its own name."""
    return COLUMNS.get(name) or Column(name.replace("_", " "), figure)


def cell(name: str, value: Any) -> str:
    """A value of the column `name`, `–` where there is none."""
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)) or value == "":
        return "–"
    return column(name).write(value)
