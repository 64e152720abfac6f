"""The counts of a language's shards, compared from stage to stage."""

import pytest

from wikixlm.errors import UserError
from wikixlm.files import write_json
from wikixlm.tokenize import count_checks

EXTRACT = {"pages": 9, "redirects": 2, "other_namespaces": 1, "dropped_short": 0, "empty": 1, "articles": 6}


@pytest.fixture
def counts(tmp_path):
    def write(name, *shards):
        paths = []
        for number, content in enumerate(shards):
            path = tmp_path / f"{name}{number}.json"
            write_json(path, content)
            paths.append(path)
        return paths

    return write


def tokenized(documents_in, documents, lines):
    return {"documents_in": documents_in, "documents_out": documents, "lines_out": lines}


def test_what_adds_up_is_accepted(counts):
    extract = counts("extract", EXTRACT | {"documents": 5, "skipped": []}, EXTRACT | {"documents": 0, "skipped": []})
    count_checks.check_counts("de", 4, 40, extract, counts("tokenize", tokenized(5, 4, 40), tokenized(0, 0, 0)))


def test_documents_lost_on_the_way_to_tokenize(counts):
    extract = counts("extract", EXTRACT | {"documents": 5, "skipped": []})
    with pytest.raises(UserError, match="extract wrote 5 documents, but 4 reached tokenize"):
        count_checks.check_counts("de", 4, 40, extract, counts("tokenize", tokenized(4, 4, 40)))


@pytest.mark.parametrize(("documents", "lines"), [(3, 40), (4, 39)])
def test_shards_that_hold_less_than_tokenize_wrote(counts, documents, lines):
    with pytest.raises(UserError, match=f"4 documents and 40 lines, but its shards hold {documents} and {lines}"):
        count_checks.check_counts("de", documents, lines, [], counts("tokenize", tokenized(4, 4, 40)))


def test_a_language_of_redirects_only_says_so(counts):
    extract = counts("extract", EXTRACT | {"documents": 0, "skipped": [], "redirects": 8, "articles": 0})
    with pytest.raises(UserError, match="de has no text at all: 9 pages in the dump, 8 of them redirects, 1 in other"):
        count_checks.check_counts("de", 0, 0, extract, counts("tokenize", tokenized(0, 0, 0)))


def test_documents_without_a_token_are_named(counts):
    with pytest.raises(UserError, match="7 documents reached tokenize, and none had a token left"):
        count_checks.check_counts("de", 0, 0, [], counts("tokenize", tokenized(7, 0, 0)))


@pytest.mark.parametrize(
    ("skipped", "articles", "fails"), [(1, 10, False), (2, 10, True), (2, 2000, False), (3, 2000, True)]
)
def test_pages_that_wikiextractor_failed_on_count_over_all_shards(counts, skipped, articles, fails):
    shards = [EXTRACT | {"documents": 0, "articles": articles, "skipped": list(range(skipped))}]
    shards.append(EXTRACT | {"documents": 5, "articles": 0, "skipped": []})
    extract, tokens = counts("extract", *shards), counts("tokenize", tokenized(5, 5, 9))
    if not fails:
        count_checks.check_counts("de", 5, 9, extract, tokens)
        return
    with pytest.raises(UserError, match=f"failed on {skipped} of {articles} articles.* 0, 1"):
        count_checks.check_counts("de", 5, 9, extract, tokens)


def test_a_file_that_changed_between_its_shards(counts):
    def shard(name, size, samples):
        state = {"/data/de.xml": {"size": size, "samples": samples}}
        return EXTRACT | {"documents": 5, "skipped": [], "shard": name, "inputs": state}

    tokenize = counts("tokenize", tokenized(5, 4, 40), tokenized(5, 4, 40))
    same = counts("same", shard("0", 9, "a"), shard("1", 9, "a"))
    count_checks.check_counts("de", 8, 80, same, tokenize)
    for size, samples in ((10, "a"), (9, "b")):
        changed = counts("changed", shard("0", 9, "a"), shard("1", size, samples))
        with pytest.raises(UserError, match=f"/data/de.xml changed between its shards: 9 bytes for 0, {size} for 1"):
            count_checks.check_counts("de", 8, 80, changed, tokenize)
