"""Tokens are those of transformers' XLMTokenizer itself, and a shard goes through without losing a line."""

import dataclasses
import json
import sys
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import XLMTokenizer

from tests.support.sample_text import SENTENCES, TEXTS, lines_beside_the_checkout, raw_lines
from wikixlm.documents import Document, read_documents, write_document
from wikixlm.errors import UserError
from wikixlm.files import atomic_text
from wikixlm.tokenize import characters, moses, word_segmenters
from wikixlm.tokenize.line_tokenizer import LineTokenizer
from wikixlm.tokenize.tokenize import tokenize

MOSES = ["en", "de", "fr", "it", "ro", "ko", "ru", "yue", "simple"]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Transformers' own tokenizer; a few merges are enough, since BPE is given the same tokens."""
    folder = tmp_path_factory.mktemp("xlm")
    (folder / "vocab.json").write_text(json.dumps({"<unk>": 0, "<s>": 1, "</s>": 2, "<pad>": 3, "<special1>": 4}))
    (folder / "merges.txt").write_text("t h 1\nth e</w> 1\na n 1\ni s</w> 1\n")
    return XLMTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


@cache
def line_tokenizer(language, lowercase):
    return LineTokenizer(language, lowercase, japanese="moses")


def assert_same_symbols(reference, text, language, lowercase):
    reference.do_lowercase_and_remove_accent = lowercase
    tokens = line_tokenizer(language, lowercase).tokenize(text)
    if language == "ro" and not lowercase:  # XLMTokenizer removes Romanian's diacritics even then
        assert tokens == reference.moses_tokenize(reference.moses_pipeline(text, lang="ro"), lang="ro")
        return
    symbols = [symbol for token in tokens for symbol in reference.bpe(token).split(" ")]
    expected = reference._tokenize(text, lang=language)
    if language == "th" and not lowercase:  # see test_white_space_within_thai
        assert "".join(symbols).replace("</w>", "") == "".join(expected).replace("</w>", "")
    else:
        assert symbols == expected


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, language=st.sampled_from(MOSES), lowercase=st.booleans())
def test_random_text_as_xlm_tokenizer(reference, text, language, lowercase):
    assert_same_symbols(reference, text, language, lowercase)


@settings(max_examples=50, deadline=None)
@given(text=TEXTS)
def test_random_chinese_as_xlm_tokenizer(reference, text):
    pytest.importorskip("rjieba")
    assert_same_symbols(reference, "香港是中國的" + text, "zh", True)


@settings(max_examples=50, deadline=None)
@given(text=TEXTS.map(lambda text: " ".join(text.split())))
def test_random_thai_as_xlm_tokenizer(reference, text):
    """With no white space but the space, see test_white_space_within_thai."""
    pytest.importorskip("pythainlp")
    assert_same_symbols(reference, "ประเทศไทยเป็น " + text, "th", True)


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("language", ["en", "bg", *SENTENCES])
def test_real_text_as_xlm_tokenizer(reference, language, lowercase):
    for line in raw_lines(language, 15_000):
        assert_same_symbols(reference, line, language, lowercase)


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("language", ["de", "fr", "ar", "hi", "th", "zh"])
def test_dumps_beside_the_checkout_as_xlm_tokenizer(reference, language, lowercase):
    lines = lines_beside_the_checkout(language, 15_000)
    for module in {"th": ["pythainlp"], "zh": ["rjieba"]}.get(language, []):
        pytest.importorskip(module)
    for line in lines:
        assert_same_symbols(reference, " ".join(line.split()) if language == "th" else line, language, lowercase)


KYTEA_MODEL = """KyTea 0.4.0 T utf8
-notags
-numtags 0

characters
HTKDROUはの

solver_type L2R_L2LOSS_SVC_DUAL
nr_class 2
label 1 -1
nr_feature 0
bias -1
mult 1
w

lookup
1
3
0 は 1 の 2

n
0
0
b
0
0
b
1
0 0 9 9 0 0
0
0
0
0

-1


1
1
0

n
0
0
0
"""  # a model in KyTea's text form, whose whole knowledge is that the particles は and の are words


@pytest.fixture
def kytea_model(tmp_path, monkeypatch):
    """A model where XLMTokenizer looks for it."""
    pytest.importorskip("Mykytea")
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "local/share/kytea/model.bin"
    path.parent.mkdir(parents=True)
    path.write_text(KYTEA_MODEL)
    return path


def test_japanese_as_xlm_tokenizer(reference, kytea_model):
    tokenizer = LineTokenizer("ja", True, japanese="kytea")
    assert tokenizer.tokenize("東京都は、日本の首都") == ["東京都", "は", ",日本", "の", "首都"]
    check_japanese(reference, tokenizer, ["東京都は日本の首都 である。"])


def test_japanese_dump_beside_the_checkout_as_xlm_tokenizer(reference, kytea_model):
    tokenizer = LineTokenizer("ja", True, japanese="kytea")
    check_japanese(reference, tokenizer, lines_beside_the_checkout("ja", 15_000))


def check_japanese(reference, tokenizer, lines):
    reference.do_lowercase_and_remove_accent = True
    for line in lines:
        text = " ".join(line.split())  # KyTea too keeps white space within words
        symbols = [symbol for token in tokenizer.tokenize(text) for symbol in reference.bpe(token).split(" ")]
        assert symbols == reference._tokenize(text, lang="ja")


def test_white_space_within_japanese(kytea_model):
    for lowercase in (True, False):
        tokens = LineTokenizer("ja", lowercase).tokenize("東京\u3000都 は\u00a0x\u2028y")
        assert tokens == ["東京", "都", "は", "x", "y"]


def test_damaged_kytea_model(kytea_model):
    kytea_model.write_text("KyTea")
    with pytest.raises(UserError, match=r"KyTea can't read its model .*model.bin: Badly formed model"):
        LineTokenizer("ja", True)


def test_white_space_within_thai():
    """PyThaiNLP keeps white space as words and within words; no symbol of a training text can hold it.

    XLMTokenizer loses spaces with lowercase_and_remove_accent; without, it makes symbols of them.
    """
    pytest.importorskip("pythainlp")
    for lowercase in (True, False):
        tokens = LineTokenizer("th", lowercase).tokenize("ไทย abc\u00a0def  \u2028\u3000x ต่าง ๆ")
        assert len(tokens) == 6
        assert tokens[:4] == ["ไทย", "abc", "def", "x"]


def test_romanian_keeps_its_diacritics_with_its_case():
    text = "Țara și România, în Iași."
    assert " ".join(LineTokenizer("ro", False).tokenize(text)) == "Țara și România , în Iași ."
    assert " ".join(LineTokenizer("ro", True).tokenize(text)) == "tara si romania , in iasi ."


def one_clean_line(tokens):
    """What fairseq reads back: universal newlines, then a split at white space."""
    line = " ".join(tokens)
    assert len(line.splitlines()) <= 1
    assert line.split() == tokens == [token for token in line.split(" ") if token]


@settings(max_examples=150, deadline=None)
@given(text=TEXTS, language=st.sampled_from([*MOSES, "th", "zh", "ja"]), lowercase=st.booleans())
def test_tokens_survive_any_reader(text, language, lowercase):
    for module in {"th": ["pythainlp"], "zh": ["rjieba"]}.get(language, []):
        pytest.importorskip(module)
    one_clean_line(line_tokenizer(language, lowercase).tokenize(text))


@settings(max_examples=50, deadline=None)
@given(text=TEXTS)
def test_fugashi_segments_words_and_loses_no_character(text):
    pytest.importorskip("fugashi")
    pytest.importorskip("unidic_lite")
    text = "東京都は日本の首都" + text
    tokens = fugashi_tokenizer().tokenize(text)
    one_clean_line(tokens)
    assert tokens[:5] == ["東京", "都", "は", "日本", "の"]
    cleaned = characters.remove_non_printing(moses.Normalizer("ja")(characters.replace_unicode_punctuation(text)))
    assert "".join(tokens) == "".join(cleaned.split())


@cache
def fugashi_tokenizer():
    return LineTokenizer("ja", lowercase_and_remove_accent=False, japanese="fugashi")


@pytest.mark.parametrize(
    ("language", "japanese", "module", "extra"),
    [
        ("th", "kytea", "pythainlp.tokenize", "th"),
        ("zh", "kytea", "rjieba", "zh"),
        ("ja", "kytea", "Mykytea", "ja"),
        ("ja", "fugashi", "unidic_lite", "ja"),
    ],
)
def test_missing_extra(monkeypatch, tmp_path, language, japanese, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "model.bin").touch()
    with pytest.raises(UserError, match=rf"language {language} needs .*pip install 'wikixlm\[{extra}\]'"):
        LineTokenizer(language, True, japanese=japanese, kytea_model=tmp_path / "model.bin")


def test_missing_kytea_model(monkeypatch, tmp_path):
    with pytest.raises(UserError, match=r"no/model.bin; build and install KyTea .* or set tokenize.japanese: fugashi"):
        LineTokenizer("ja", True, kytea_model=tmp_path / "no/model.bin")
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b/model.bin").touch()
    with pytest.raises(UserError, match="has a space"):
        LineTokenizer("ja", True, kytea_model=tmp_path / "a b/model.bin")
    monkeypatch.setattr(word_segmenters, "KYTEA_MODELS", ["~/local/model.bin"])
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match=f"not at {tmp_path}/local/model.bin"):
        LineTokenizer("ja", True)


def test_unknown_japanese_segmenter():
    with pytest.raises(UserError, match=r"tokenize.japanese: mecab; accepted: kytea, fugashi, moses"):
        LineTokenizer("ja", True, japanese="mecab")


def run_tokenize(folder, language, lowercase=True):
    tokenizer = LineTokenizer(language, lowercase)
    counts = tokenize(folder / "in.jsonl.zst", folder / "out.jsonl.zst", tokenizer, language)
    return list(read_documents(folder / "out.jsonl.zst")), dataclasses.asdict(counts)


def write_input(folder, documents):
    with atomic_text(folder / "in.jsonl.zst") as stream:
        for document in documents:
            write_document(stream, document)


def test_a_shard(tmp_path):
    documents = [
        Document("7", ["Café au lait, it's 5,300 m.", "\u200b\ufeff\u0301", "a\u2028b\rc\x85d\u00a0e"]),
        Document("8", ["\u00ad", "\u2029 \u3000"]),
        Document("9", ["Ünïcode!"]),
    ]
    write_input(tmp_path, documents)
    tokenized, counts = run_tokenize(tmp_path, "en")
    assert tokenized == [
        Document("7", ["cafe au lait , it 's 5,300 m .", "a bcd e"]),
        Document("9", ["unicode !"]),
    ]
    assert counts == {
        "language": "en",
        "documents_in": 3,
        "documents_out": 2,
        "lines_in": 6,
        "lines_out": 3,
        "lines_emptied": 3,
        "tokens": 14,
        "characters_in": sum(len(line) for document in documents for line in document.lines),
        "characters_out": sum(len(line) for document in tokenized for line in document.lines),
    }
    cased, _ = run_tokenize(tmp_path, "en", lowercase=False)
    assert cased[0].lines[0] == "Café au lait , it 's 5,300 m ."
    assert cased[0].lines[1] == "\u0301"


def test_an_empty_shard(tmp_path):
    write_input(tmp_path, [])
    tokenized, counts = run_tokenize(tmp_path, "bg")
    assert tokenized == []
    assert counts["documents_in"] == counts["lines_out"] == 0


def test_a_damaged_shard_leaves_nothing(tmp_path):
    write_input(tmp_path, [Document(str(n), [f"{n * 7919} text"]) for n in range(3000)])
    whole = (tmp_path / "in.jsonl.zst").read_bytes()
    (tmp_path / "in.jsonl.zst").write_bytes(whole[:500] + b"\x00" * 50 + whole[550:])
    with pytest.raises(UserError, match=r"in.jsonl.zst"):
        run_tokenize(tmp_path, "en")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl.zst"]
