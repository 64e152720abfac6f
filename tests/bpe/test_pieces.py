"""Pieces: every text comes back, no text is a special symbol, and two learners of one sample make one file."""

import json
import os
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sample_text import MARKS, SPACES, TEXTS
from tests.support.scripts import SCRIPTS, pieces_of_all_scripts
from tests.support.stages import run_stage
from wikixlm.bpe import pieces
from wikixlm.bpe.apply import read_encoder
from wikixlm.bpe.codes import SPECIALS
from wikixlm.bpe.pieces import BYTES, PieceEncoder, decode, read_pieces, write_pieces
from wikixlm.bpe.vocabulary import read_symbols
from wikixlm.documents import Document, read_documents, write_document
from wikixlm.errors import UserError
from wikixlm.evaluate.texts import symbol_lengths
from wikixlm.files import atomic_text, write_json
from wikixlm.tokenize.normalization import NORMALIZATIONS, LineNormalizer, normalizer

NAMES = [*SPECIALS, "madeupword0000", *BYTES[::50], "▁", "▁a", "@@", "</w>", "🏳️‍🌈", "�", "\U000e0041"]
WORDS = [word for text in SCRIPTS.values() for word in text.split()]
LINES = st.lists(
    st.one_of(st.sampled_from(NAMES + WORDS), st.sampled_from(SPACES + MARKS), TEXTS), max_size=12
).map("".join)  # fmt: skip


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def model(request, tmp_path_factory):
    return pieces_of_all_scripts(tmp_path_factory.mktemp("pieces"), request.param)


@pytest.fixture(scope="module")
def encode(model):
    normalize, encoder = LineNormalizer("nfkc"), PieceEncoder(model)
    return lambda text: encoder.encode(" ".join(normalize.tokenize(text)))


@pytest.fixture(scope="module")
def tokenizer(model):
    return model.tokenizer()


def normalized(text, form="NFKC"):
    text = " ".join(text.split())
    return " ".join((unicodedata.normalize(form, text) if form else text).split()).replace("▁", "_")


def without_new_characters(text):
    """Whether Python and tokenizers, each with its own version of Unicode, know all of the characters."""
    return all(unicodedata.category(character) != "Cn" for character in text)


@given(LINES)
def test_the_text_comes_back_but_for_the_normalization(encode, tokenizer, text):
    line = encode(text)
    symbols = line.split()
    assert symbols == [symbol for symbol in line.split(" ") if symbol]
    assert symbols == tokenizer.encode(text).tokens, "word by word as the whole line"
    assert not set(symbols) & set(SPECIALS)
    if without_new_characters(text):
        assert decode(line) == normalized(text)
    lengths = dict(zip([*SPECIALS, *BYTES], symbol_lengths([*SPECIALS, *BYTES]), strict=True))
    characters = sum(lengths.get(symbol, len(symbol)) for symbol in symbols)
    assert characters == (len(decode(line)) + 1 if symbols else 0)


@pytest.mark.parametrize("language", SCRIPTS)
def test_the_words_of_every_script_survive(encode, language):
    text = SCRIPTS[language]
    line = encode(text)
    assert decode(line) == unicodedata.normalize("NFKC", text)
    assert [word.replace(" ", "") for word in line.split("▁") if word] == normalized(text).split()
    if language != "en":  # whose words with < are left out of the sample
        assert not set(line.split(" ")) & set(BYTES)


@pytest.mark.parametrize("name", [*SPECIALS, "<0xE2>", "<0x0A>", "madeupword0000"])
def test_the_name_of_a_symbol_is_text_like_any_other(encode, model, name):
    for text in (name, f"a{name}b", f"{name}{name} {name}"):
        assert name not in encode(text).split(" ")
        assert decode(encode(text)) == text
    assert name not in model.scores


@pytest.mark.parametrize("kind", NORMALIZATIONS)
@given(text=LINES)
def test_the_normalizer_of_lines_is_that_of_the_tokenizer(kind, text):
    line = " ".join(LineNormalizer(kind).tokenize(text))
    assert normalizer(kind).normalize_str(line) == normalizer(kind).normalize_str(text).removeprefix(" ")
    if without_new_characters(text):
        assert line == normalized(text, kind.upper() if kind != "none" else None)


def test_every_white_space_of_python_is_one():
    spaces = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
    for kind in NORMALIZATIONS:
        assert normalizer(kind).normalize_str("a" + "".join(spaces) + "b") == "a b"


def test_unknown_characters_are_spelled_in_bytes_and_counted(model):
    encoder = PieceEncoder(model)
    assert encoder.encode("ᎣᏏᏲ").split(" ")[-3:] == ["<0xE1>", "<0x8F>", "<0xB2>"]
    statistics = encoder.statistics()
    assert (statistics.words, statistics.characters, statistics.unknown_characters) == (1, 3, 3)


def test_pieces_do_not_cross_from_letters_to_other_signs(model):
    for piece in model.scores:
        kinds = {"L" if each[0] in "LM" or each == "Cf" else each[0] for each in map(unicodedata.category, piece[1:])}
        assert "L" not in kinds or "N" not in kinds, piece


def test_the_file_reads_as_it_was_written(model, tmp_path):
    write_pieces(tmp_path / "codes", model)
    assert read_pieces(tmp_path / "codes") == model
    vocabulary = [*SPECIALS, *sorted(model.symbols), "madeupword0000"]
    write_json(tmp_path / "other", pieces.dump(model, vocabulary))
    other = read_pieces(tmp_path / "other")
    assert (dict(other.scores), other.merges) == (dict(model.scores), model.merges)
    text = "".join(SCRIPTS.values()) + "ᎣᏏᏲ <mask>"
    assert model.tokenizer(vocabulary).encode(text).tokens == model.tokenizer().encode(text).tokens
    for change in ({"normalizer": {"normalizers": [{"type": "NFD"}]}}, {"model": {"type": "WordPiece"}}, {"model": 1}):
        write_json(tmp_path / "bad", {**json.loads((tmp_path / "codes").read_text()), **change})
        with pytest.raises(UserError, match=r"bad is not a tokenizer\.json of wikixlm"):
            read_pieces(tmp_path / "bad")


def write_text(folder, language, lines, shards=2):
    """Extracted shards, tokenized, and the split files."""
    paths = []
    for shard in range(shards):
        with atomic_text(folder / "extracted.zst") as stream:
            for number, line in enumerate(lines[shard::shards]):
                write_document(stream, Document(f"{shard}-{number}", [line, " \u2028 \u3000"]))
        paths.append(folder / f"{language}.{shard}.jsonl.zst")
        run_stage(*("tokenize", "--input", folder / "extracted.zst", "--language", language, "--output", paths[-1]),
                  *("--scheme", "sentencepiece", "--counts", folder / "counts.json"))  # fmt: skip
        counts = json.loads((folder / "counts.json").read_text())
        assert counts["lines_emptied"] == counts["documents_out"] == len(lines[shard::shards])
    write_json(folder / language / "held_out.json.zst", {"documents": [], "lines": []})
    counts = {"language": language, "shards": list(map(str, paths)), "train_lines": [len(lines[s::shards]) for s in
              range(shards)]}  # fmt: skip
    write_json(folder / language / "split.json", counts)
    return paths


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Tokenized text in English and Greek, in two shards each."""
    folder = tmp_path_factory.mktemp("text")
    for language in ("en", "el"):
        write_text(folder, language, [f"{SCRIPTS[language]} {number} ²\u00a0\t▁" for number in range(12)])
    return folder


LEARN = ("learn-bpe", "--scheme", "sentencepiece", "--codes", 180)


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_codes_do_not_depend_on_threads_or_process(text, tmp_path, kind):
    splits = [text / language / "split.json" for language in ("en", "el")]
    words = [*LEARN, "--model", kind, "--splits", *splits, "--output"]
    run_stage(*words, tmp_path / "codes")
    for threads in ("1", "4"):
        environment = {**os.environ, "RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": threads}
        command = [sys.executable, "-m", "wikixlm", *map(str, words), str(tmp_path / threads)]
        subprocess.run(command, check=True, env=environment)
        assert (tmp_path / threads).read_bytes() == (tmp_path / "codes").read_bytes()


def test_the_stages_from_text_to_vocabulary(text, tmp_path, capfd):
    splits = [text / language / "split.json" for language in ("en", "el")]
    run_stage(*LEARN, "--splits", *splits, "--output", tmp_path / "codes", "--counts", tmp_path / "learned.json")
    assert json.loads((tmp_path / "learned.json").read_text())["words_left_out"] == 2 * 12
    for shard in range(2):
        run_stage(*("apply-bpe", "--codes", tmp_path / "codes", "--tokenized", text / f"en.{shard}.jsonl.zst"),
                  *("--held-out", text / "en" / "held_out.json.zst", "--output", tmp_path / str(shard)),
                  *("--symbols", tmp_path / f"symbols.{shard}", "--counts", tmp_path / "counts.json"))  # fmt: skip
        lines = (tmp_path / str(shard)).read_text().splitlines()
        documents = read_documents(text / f"en.{shard}.jsonl.zst")
        assert list(map(decode, lines)) == [line for each in documents for line in each.lines]
        counts = json.loads((tmp_path / "counts.json").read_text())
        assert (counts["lines_in"], counts["lines_out"]) == (6, 6)
        assert counts["tokens"] == sum(line.count(" ") + 1 for line in lines)
    vocabulary = ("vocabulary", "--codes", tmp_path / "codes", "--output", tmp_path / "vocab")
    run_stage(*vocabulary, "--symbols", *(tmp_path / f"symbols.{shard}" for shard in range(2)))
    symbols = dict(read_symbols(tmp_path / "vocab"))
    assert {name for name in symbols if not name.startswith("madeup")} == set(read_pieces(tmp_path / "codes").symbols)
    assert (len(symbols) + len(SPECIALS)) % 8 == 0
    # Frozen codes and vocabulary are the same files.
    run_stage(*LEARN[:3], "--codes-file", tmp_path / "codes", "--output", tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "codes").read_bytes()
    run_stage(*vocabulary[:-1], tmp_path / "same", "--vocab-file", tmp_path / "vocab")
    assert (tmp_path / "same").read_bytes() == (tmp_path / "vocab").read_bytes()
    (tmp_path / "short").write_text("▁ 5\n")
    with pytest.raises(UserError, match=r"short lacks .* pieces of .*codes"):
        run_stage(*vocabulary, "--vocab-file", tmp_path / "short")
    (tmp_path / "other").write_text("th@@ 5\n")
    with pytest.raises(UserError, match=r"has symbols that .*codes does not make \(th@@\)"):
        run_stage(*vocabulary, "--symbols", tmp_path / "other")


def test_codes_of_the_other_scheme_are_refused(model, tmp_path):
    write_pieces(tmp_path / "pieces", model)
    (tmp_path / "merges").write_text("l o 2\nlo w</w> 1\n")
    for arguments, message in (
        (["--codes-file", tmp_path / "pieces"], "holds codes of the scheme sentencepiece, and tokenize.scheme is xlm"),
        ([*LEARN[1:3], "--codes-file", tmp_path / "merges"], "holds codes of the scheme xlm, and tokenize.scheme is"),
        ([*LEARN[1:3], "--normalization", "nfc", "--codes-file", tmp_path / "pieces"], "normalized by nfkc"),
    ):
        with pytest.raises(UserError, match=message):
            run_stage("learn-bpe", *arguments, "--output", tmp_path / "codes")
    assert read_encoder(tmp_path / "merges").encode("low") == "low"


def test_too_few_pieces_are_refused(text, tmp_path):
    with pytest.raises(UserError, match=r"bpe.codes is 90, but the sampled text has \d+ different characters"):
        run_stage(*LEARN[:3], "--codes", 90, "--splits", text / "en" / "split.json", "--output", tmp_path / "codes")
