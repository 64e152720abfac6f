"""The codes format, and applying codes: like subword-nmt to the byte, with the ids that XLMTokenizer gives."""

import io
import json
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from subword_nmt.apply_bpe import BPE
from transformers import XLMTokenizer

from wikixlm.bpe.codes import SPECIALS, Merge, read_codes, write_codes
from wikixlm.bpe.encoder import BPEEncoder
from wikixlm.bpe.learn import Sample, _without_reserved, count_merges, learn
from wikixlm.bpe.vocabulary import sort_symbols
from wikixlm.errors import UserError

WORDS = "low lower lowest new newer newest wide wider widest лес леса лесов 中文 中国 का की के สวัส สวัส ааааа аааа"


def learned(path, text=WORDS, codes=300):
    path.write_text(f"{text}\n" * 3, encoding="utf-8")
    sample = Sample(path, characters=set(text), final_characters={word[-1] for word in text.split(" ")})
    return count_merges(learn(sample, codes), path)


@pytest.fixture(scope="module")
def merges(tmp_path_factory):
    return learned(tmp_path_factory.mktemp("codes") / "sample")


def subword_nmt(merges):
    return BPE(io.StringIO("#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right, _ in merges)))


def test_codes_come_back_as_they_were_written(tmp_path, merges):
    write_codes(tmp_path / "codes", merges)
    assert read_codes(tmp_path / "codes") == merges
    first = (tmp_path / "codes").read_text(encoding="utf-8").split("\n")[0].split(" ")
    assert len(first) == 3 and int(first[2]) > 0


def test_codes_of_subword_nmt_are_taken_over(tmp_path, merges):
    (tmp_path / "codes").write_text(
        "#version: 0.2\n" + "".join(f"{left} {right}\n" for left, right, _ in merges), encoding="utf-8"
    )
    assert read_codes(tmp_path / "codes") == [Merge(left, right) for left, right, _ in merges]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "no merges"),
        (b"a b\n", "line 1: 'a b'"),
        (b"a b</w> 3\na  2\n", "line 2: 'a 2'"),
        (b"a b</w> 3\na b x\n", "line 2: the count is 'x'"),
        (b"#version: 0.1\na b\n", "line 1: '#version: 0.1'"),
        (b"#version: 0.2\na b 3\n", "line 2: 'a b 3'"),
        (b"a b</w> 3\n\xff\xfe 3\n", "line 2: not UTF-8"),
        (b"a b</w> 3\na b</w> 2\n", "line 2: 'ab</w>' is made already in line 1"),
        (b"a b</w> 3\nab c 2\n", "line 2: no earlier line makes the symbol 'ab'"),
        (b"a b 3\n", "none of its 1 merges ends a word"),
        (b"a</w> b 3\n", "has </w> elsewhere"),
        (b"a </w> 3\n", "has </w> elsewhere"),
        (b"@ @</w> 3\na @@</w> 3\n", "line 2: the word-final symbol 'a@@'"),
        (b"< s 3\n<s ></w> 3\n", "line 2: '<s>' is a special symbol"),
        (b"a\xc2\xa0 b</w> 3\n", "line 1"),
    ],
)
def test_a_bad_codes_file_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "codes").write_bytes(text)
    with pytest.raises(UserError) as failure:
        read_codes(tmp_path / "codes")
    assert str(tmp_path / "codes") in str(failure.value)
    assert message in str(failure.value)


TOKENS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1)
KNOWN = st.text("lowernstid@</w>лесао中文कएีสว", min_size=1)


@settings(max_examples=300, deadline=None)
@given(line=st.lists(st.one_of(TOKENS, KNOWN, st.sampled_from(WORDS.split()))))
def test_segmentation_is_that_of_subword_nmt(merges, line):
    text = " ".join(token for token in line if token.split() == [token])
    assert BPEEncoder(merges).encode(text) == subword_nmt(merges).segment(text)


def random_text(seed, lines=300):
    rng = random.Random(seed)
    stems = ["".join(rng.choices("abcdeéд中@<>/w", k=rng.randint(1, 5))) for _ in range(150)]
    return [" ".join("".join(rng.choices(stems, k=rng.randint(1, 2))) for _ in range(8)) for _ in range(lines)]


def test_segmentation_is_that_of_subword_nmt_with_codes_of_every_size(tmp_path):
    text = random_text(1)
    for codes in (20, 100, 1000):
        merges = learned(tmp_path / "sample", " ".join(text[:200]), codes)
        encoder, other = BPEEncoder(merges), subword_nmt(merges)
        assert [encoder.encode(line) for line in text] == [other.segment(line) for line in text]


def test_ids_are_those_of_transformers_xlm_tokenizer(tmp_path):
    """Also for words with `@@`, `</w>` or the name of a special symbol in them, and for unknown characters."""
    odd = ["a@@", "@@", "@@b", "ab@@cd", "c</w>d", "e</w>", "</w>", "<s>", "<unk>", "<special1>", "x中", "é", "ｑ"]
    text = [*random_text(2), *(" ".join(odd) for _ in range(20)), "low@@ @@ </w> ab<s>"]
    sample = tmp_path / "sample"
    drawn = Sample(sample)
    sample.write_text("".join(f"{_without_reserved(line, drawn)}\n" for line in text), encoding="utf-8")
    merges = learn(drawn, 500)
    write_codes(tmp_path / "codes", merges)
    merges = read_codes(tmp_path / "codes")
    encoder = BPEEncoder(merges)
    segmented = [encoder.encode(line) for line in text]
    entries = [symbol for symbol, _ in sort_symbols(encoder.statistics().symbols)]
    ids = {symbol: number for number, symbol in enumerate([*SPECIALS, *entries])}

    def transformers_name(symbol):
        return symbol.removesuffix("@@") if symbol.endswith("@@") and symbol != "@@" else symbol + "</w>"

    vocabulary = {symbol: number for number, symbol in enumerate(SPECIALS)}
    vocabulary |= {transformers_name(symbol): ids[symbol] for symbol in entries}
    assert len(vocabulary) == len(ids), "two symbols have one name in transformers"
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("".join(f"{m.left} {m.right}\n" for m in merges), encoding="utf-8")
    theirs = XLMTokenizer(
        str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"), mask_token="<mask>", additional_special_tokens=[]
    )
    for line, segments in zip(text, segmented, strict=True):
        tokens = theirs._tokenize(line, bypass_tokenizer=True)
        assert [theirs._convert_token_to_id(token) for token in tokens] == [ids[each] for each in segments.split(" ")]


def test_characters_that_the_codes_do_not_know_stay(merges):
    encoder = BPEEncoder(merges)
    assert encoder.encode("ж ñew ,") == "ж ñ@@ e@@ w ,"
    statistics = encoder.statistics()
    assert (statistics.words, statistics.whole_words, statistics.characters) == (3, 2, 5)
    assert statistics.unknown_characters == 1  # ñ; characters that stand alone need no codes
    assert statistics.symbols == Counter(["ж", "ñ@@", "e@@", "w", ","])


def test_a_small_cache_changes_neither_text_nor_counts(merges):
    text = random_text(3)
    large, small = BPEEncoder(merges), BPEEncoder(merges, cached_words=10)
    assert [large.encode(line) for line in text] == [small.encode(line) for line in text]
    assert large.statistics() == small.statistics()
    assert sum(large.statistics().symbols.values()) == large.statistics().tokens


def test_the_cache_stays_within_its_bound(merges):
    encoder = BPEEncoder(merges, cached_words=50)
    for number in range(500):
        encoder.encode(f"{number} w{number}")
        assert len(encoder._words) <= 50 + 2
        assert len(encoder._seen) <= 50 + 2


@pytest.mark.parametrize("space", ["\xa0", "\u2028", "\u3000", "\r", "\x85", "\n", "\t"])
def test_white_space_inside_a_token_is_an_error(merges, space):
    with pytest.raises(UserError, match="white space"):
        BPEEncoder(merges).encode(f"low ne{space}w")
