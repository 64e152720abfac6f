"""Check that no text of a language was lost between stages, by the counts of its shards.

A shard may be empty, a language may not; each stage must have read what the one before wrote.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wikixlm.errors import UserError
from wikixlm.extract.shards import SKIPPED_SHARE
from wikixlm.files import read_json


def check_counts(language: str, documents: int, lines: int, extract: Sequence[Path], tokenize: Sequence[Path]) -> None:
    """Compare the documents and lines found in the tokenized shards with the counts of earlier stages.

    Args:
        language: its code, for messages.
        documents, lines: the totals of the language's tokenized shards.
        extract: the counts files of `wikixlm extract` (or `corpus`), one a shard; none: not compared.
        tokenize: those of `wikixlm tokenize`; none: not compared.

    Raises:
        UserError: something was lost, wikiextractor failed on too many pages, or there is no text at all.
    """
    made = [read_json(path) for path in extract]
    tokenized = [read_json(path) for path in tokenize]
    _check_inputs(language, made)
    _check_skipped(language, made)
    _check_stages(language, made, tokenized)
    found = (documents, lines)
    if tokenized and found != (_sum(tokenized, "documents_out"), _sum(tokenized, "lines_out")):
        raise UserError(
            f"{language}: tokenize wrote {_sum(tokenized, 'documents_out')} documents and "
            f"{_sum(tokenized, 'lines_out')} lines, but its shards hold {documents} and {lines}; "
            f"delete work/tokenized/{language} and run again"
        )
    if not lines:
        raise UserError(f"{language} has no text at all: {_why_empty(made, tokenized)}")


def _sum(counts: list[dict[str, Any]], key: str) -> int:
    try:
        return sum(each[key] for each in counts)
    except (KeyError, TypeError) as failure:
        raise UserError(f"a counts file has no usable {key} ({failure}); delete work/counts and run again") from None


def _check_inputs(language: str, made: list[dict[str, Any]]) -> None:
    """Every shard must have read the same files: one that grew in between moved the limits of the later shards."""
    seen: dict[str, tuple[Any, str]] = {}
    for counts in made:
        for path, state in counts.get("inputs", {}).items():
            first, shard = seen.setdefault(path, (state, counts.get("shard", "?")))
            if state != first:
                raise UserError(
                    f"{language}: {path} changed between its shards: {first.get('size')} bytes for {shard}, "
                    f"{state.get('size')} for {counts.get('shard', '?')}; delete work/counts/extract/{language} and "
                    f"work/extracted/{language} and run again"
                )


def _check_skipped(language: str, made: list[dict[str, Any]]) -> None:
    skipped = [page for counts in made for page in counts.get("skipped", [])]
    articles = sum(counts.get("articles", 0) for counts in made)
    if len(skipped) > max(1, SKIPPED_SHARE * articles):
        named = ", ".join(map(str, skipped[:5]))
        raise UserError(
            f"{language}: wikiextractor failed on {len(skipped)} of {articles} articles, more than "
            f"{SKIPPED_SHARE:.1%}; the first are the pages {named}: look at logs/extract/{language}"
        )


def _check_stages(language: str, made: list[dict[str, Any]], tokenized: list[dict[str, Any]]) -> None:
    if made and tokenized and _sum(made, "documents") != _sum(tokenized, "documents_in"):
        raise UserError(
            f"{language}: extract wrote {_sum(made, 'documents')} documents, but {_sum(tokenized, 'documents_in')} "
            f"reached tokenize; delete work/extracted/{language} and work/tokenized/{language} and run again"
        )


def _why_empty(made: list[dict[str, Any]], tokenized: list[dict[str, Any]]) -> str:
    if tokenized and _sum(tokenized, "documents_in"):
        return f"{_sum(tokenized, 'documents_in')} documents reached tokenize, and none had a token left"
    if made and "pages" in made[0]:
        parts = {
            "pages": "pages in the dump",
            "redirects": "of them redirects",
            "other_namespaces": "in other namespaces (see extract.namespaces)",
            "dropped_short": "shorter than extract.min_chars",
            "empty": "without text",
        }
        return ", ".join(f"{_sum(made, key)} {words}" for key, words in parts.items())
    return "none reached tokenize; see the counts and logs of the extract stage (or the corpus stage)"
