"""Tables of the text: from pages to tokens, what was dropped on the way, sampling, segmentation, shared vocabulary.

Each function gives a table with a row a language, or None while no language has got that far; a language that has
not is a row without numbers. `unaccounted` is what went in less what came out or was dropped for a stated reason: 0.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from wikixlm import languages
from wikixlm.bpe.sampling import probabilities
from wikixlm.bpe.vocabulary import read_symbols
from wikixlm.report.run_files import PARTS, Counts, RunFiles

# A language uses a symbol that is at least this share of its training tokens: a stray quotation is no use of one.
USED = 1e-5
NOT_TAKEN = ("redirects", "other_namespaces", "other_models", "duplicates")
BLOCKS = (
    *("items_kept", "items_dropped_short", "items_dropped_reference", "items_dropped"),
    *("headings_kept", "headings_dropped"),
)
LOST = ("empty", "dropped_short", "skipped")


def _sum(counts: Iterable[Counts], key: str) -> int:
    return sum(len(value) if isinstance(value := each.get(key, 0), list) else value for each in counts)


def _frame(rows: list[dict[str, Any]], key: str) -> pd.DataFrame | None:
    """The rows as a table with whole numbers that may be missing; None where no row has `key`."""
    if not any(key in row for row in rows):
        return None
    frame = pd.DataFrame(rows)
    whole = [name for name in map(str, frame) if all(isinstance(row.get(name, 0), int) for row in rows)]
    return frame.astype(dict.fromkeys(whole, "Int64"))


def pages(run: RunFiles) -> pd.DataFrame | None:
    """What became of the pages: pages = not taken (by reason) + articles; articles = lost (by reason) + documents.

    A language made from your own text has no pages: its lines stand in their place.
    """
    rows: list[dict[str, Any]] = []
    for language in run.languages:
        made, wanted = run.counts("extract", language), len(run.shards(language))
        row: dict[str, Any] = {"language": language, "shards_done": len(made), "shards": wanted}
        if made:
            own_text = run.own_text(language)
            row["source"] = "own text" if own_text else "dump"
            row["pages"] = _sum(made, "lines_in" if own_text else "pages")
            row |= {reason: _sum(made, reason) for reason in NOT_TAKEN}
            row["articles"] = row["pages"] if own_text else _sum(made, "articles")
            row |= {reason: _sum(made, reason) for reason in LOST}
            row["documents"] = _sum(made, "documents")
            row["unaccounted"] = row["pages"] - row["documents"] - sum(row[reason] for reason in (*NOT_TAKEN, *LOST))
        rows.append(row)
    return _frame(rows, "pages")


def skipped(run: RunFiles) -> pd.DataFrame | None:
    """The pages that wikiextractor failed on, a row each; counts of earlier versions have no titles."""
    rows = []
    for language in run.languages:
        for counts in run.counts("extract", language):
            pages = counts.get("skipped", [])
            titles = counts.get("skipped_titles", {})
            address = f"https://{languages.wiki(language).host}/?curid="
            rows += [
                {"language": language, "page": page, "title": titles.get(str(page), ""), "address": f"{address}{page}"}
                for page in pages
            ]
    return pd.DataFrame(rows) if rows else None


def blocks(run: RunFiles) -> pd.DataFrame | None:
    """How many list items and headings were kept, or dropped and why; None for runs of older versions."""
    rows: list[dict[str, Any]] = []
    for language in run.languages:
        made = [counts["wikitext"] for counts in run.counts("extract", language) if "wikitext" in counts]
        rows.append({"language": language} | ({name: _sum(made, name) for name in BLOCKS} if made else {}))
    return _frame(rows, BLOCKS[0])


def holes(run: RunFiles) -> pd.DataFrame | None:
    """The templates that left a hole inside a sentence, the most frequent first, each with its first sentence."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for language in run.languages:
        for counts in run.counts("extract", language):
            for name, hole in counts.get("wikitext", {}).get("holes", {}).items():
                row = {"language": language, "template": name, "times": 0, "example": hole["example"]}
                found.setdefault((language, name), row)["times"] += hole["count"]
    rows = sorted(found.values(), key=lambda row: int(row["times"]), reverse=True)
    return pd.DataFrame(rows) if rows else None


def lines(run: RunFiles) -> pd.DataFrame | None:
    """What became of the extracted lines (paragraphs): emptied by the tokenizer, dropped as repeated, or in a split."""
    rows: list[dict[str, Any]] = []
    for language in run.languages:
        made, split = run.counts("extract", language), run.split(language)
        row: dict[str, Any] = {"language": language}
        if made and split is not None:
            row["lines"] = _sum(made, "lines")
            row["emptied"] = _sum(run.counts("tokenize", language), "lines_emptied")
            row["repeats_held_out"] = split["dropped"]["train"]
            row["repeated_in_held_out"] = split["dropped"]["held_out"]
            row["repeated_in_train"] = split["dropped"].get("repeated", 0)
            row |= {part: split["lines"][part] for part in PARTS}
            gone = ("emptied", "repeats_held_out", "repeated_in_held_out", "repeated_in_train")
            row["unaccounted"] = row["lines"] - sum(row[name] for name in (*gone, *PARTS))
            if "differ_in_digits" in split:
                row["differ_in_digits"] = split["differ_in_digits"]
        rows.append(row)
    return _frame(rows, "lines")


def segmentation(run: RunFiles) -> pd.DataFrame | None:
    """How the words of each language and split were cut into BPE tokens; a row a language and split.

    `whole_words` is the share of words that are a single token, `unknown_characters` that of characters that the
    codes don't know.
    """
    rows: list[dict[str, Any]] = []
    for language in run.languages:
        for part in PARTS:
            counts = run.segmented(language, part)
            if counts:
                words, tokens = _sum(counts, "words"), _sum(counts, "tokens")
                row = {"language": language, "split": part, "lines": _sum(counts, "lines_out")}
                row |= {"words": words, "tokens": tokens, "tokens_per_word": tokens / max(words, 1)}
                row["whole_words"] = _sum(counts, "whole_words") / max(words, 1)
                row["unknown_characters"] = _sum(counts, "unknown_characters") / max(_sum(counts, "characters"), 1)
                rows.append(row)
    return _frame(rows, "words")


def flow(run: RunFiles) -> pd.DataFrame | None:
    """The way of each language in one row: pages, articles with text, lines, words and BPE tokens of the splits."""
    made = pages(run)
    if made is None:
        return None
    frame = made[["language", "pages", "articles", "documents"]].copy()
    kept, cut = lines(run), segmentation(run)
    frame["lines"] = pd.array([_sum(run.counts("extract", each), "lines") for each in run.languages], dtype="Int64")
    frame["lines_kept"] = kept[list(PARTS)].sum(axis=1, skipna=False) if kept is not None else pd.NA
    for column in ("words", "tokens"):
        sums = cut.groupby("language")[column].sum().to_dict() if cut is not None else {}
        frame[column] = pd.array([sums.get(each, pd.NA) for each in run.languages], dtype="Int64")
    return frame


def sampling(run: RunFiles) -> pd.DataFrame | None:
    """How often each language is drawn: its share of the lines and the BPE sample, of the blocks and the training.

    Blocks are what training draws: slices of tokens_per_sample - 1 tokens over a language's running text, in which
    every line is closed by a token of its own. The recipe `tutorial` draws all languages equally.
    """
    sizes = {each: split["lines"]["train"] for each in run.languages if (split := run.split(each)) is not None}
    if set(sizes) != set(run.languages):
        return None
    frame = pd.DataFrame({"language": run.languages, "lines": [sizes[each] for each in run.languages]})
    frame["share_of_lines"] = frame["lines"] / frame["lines"].sum()
    if (alpha := run.setting("bpe", "alpha")) is not None:
        frame["bpe_probability"] = frame["language"].map(probabilities(sizes, alpha))
    sampled = (run.learned or {}).get("sampled_lines", {})
    if sum(sampled.values()):
        frame["bpe_lines"] = frame["language"].map(sampled)
        frame["share_of_bpe_lines"] = frame["bpe_lines"] / frame["bpe_lines"].sum()
    blocks = _blocks(run)
    if blocks is not None:
        alpha = run.setting("train", "alpha") if run.setting("train", "recipe") == "wikixlm" else 0.0
        frame["blocks"] = frame["language"].map(blocks)
        frame["share_of_blocks"] = frame["blocks"] / frame["blocks"].sum()
        frame["training_probability"] = frame["language"].map(probabilities(blocks, alpha))
    return frame


def _blocks(run: RunFiles) -> dict[str, int] | None:
    length = run.setting("train", "tokens_per_sample")
    if length is None:
        return None
    blocks = {}
    for language in run.languages:
        counts = run.segmented(language, "train")
        if len(counts) != len(run.shards(language)):
            return None
        tokens = _sum(counts, "tokens") + _sum(counts, "lines_out")
        blocks[language] = -(-tokens // (length - 1))
    return blocks


def overlap(run: RunFiles) -> pd.DataFrame | None:
    """How far two languages share their vocabulary, in the training text; a row an ordered pair.

    - `shared_tokens`: the share of the language's token occurrences whose symbols the other language uses too, that
      is, whose symbols are at least one in 100,000 of the other's tokens;
    - `shared_symbols`: how many different symbols both use, by the same measure;
    - `common_mass`: the sum over symbols of the smaller of their two shares (1 less the total variation distance of
      the unigram distributions), the same in both directions.
    """
    found = {each: path for each in run.languages if (path := run.symbols(each)) is not None}
    if len(found) < 2:
        return None
    names = list(found)
    counts = pd.DataFrame({each: pd.Series(dict(read_symbols(path))) for each, path in found.items()}).fillna(0.0)
    shares = (counts / counts.sum()).to_numpy()
    used = shares >= USED
    rows = []
    for column, language in enumerate(names):
        own = shares[:, [column]]
        rows.append(
            pd.DataFrame(
                {
                    "language": language,
                    "other": names,
                    "shared_tokens": (own * used).sum(axis=0),
                    "shared_symbols": (used[:, [column]] & used).sum(axis=0),
                    "common_mass": np.minimum(own, shares).sum(axis=0),
                }
            )
        )
    pairs = pd.concat(rows, ignore_index=True)
    return pairs[pairs["language"] != pairs["other"]].reset_index(drop=True)
