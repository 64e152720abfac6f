"""The vocabulary has fairseq's order, ids and padding; a frozen one stays as it is."""

import random
from collections import Counter

import pytest

from wikixlm.bpe.vocabulary import merge_symbols, read_symbols, write_symbols
from wikixlm.cli import main
from wikixlm.errors import UserError
from wikixlm.files import open_text
from wikixlm.train.fairseq import compat


@pytest.fixture(scope="module")
def fairseq_dictionary():
    compat.apply()
    from fairseq.data.legacy.masked_lm_dictionary import MaskedLMDictionary

    return MaskedLMDictionary


def counts(seed, size):
    rng = random.Random(seed)
    return Counter({"".join(rng.choices("abcé中@#", k=rng.randint(1, 4))): rng.randint(1, 9) for _ in range(size)})


@pytest.mark.parametrize("size", [1, 3, 4, 150, 151])
def test_order_ids_and_padding_are_those_of_fairseq(tmp_path, fairseq_dictionary, size):
    languages = [counts(1, size), counts(2, size)]
    for name, symbols in zip("ab", languages, strict=True):
        write_symbols(tmp_path / f"{name}.zst", symbols)
    main(["vocabulary", "--symbols", str(tmp_path / "a.zst"), str(tmp_path / "b.zst"), "--output", str(tmp_path / "v")])

    expected = fairseq_dictionary()
    for symbol, count in (languages[0] + languages[1]).items():
        expected.add_symbol(symbol, count)
    expected.finalize(padding_factor=8)
    expected.save(str(tmp_path / "dict.txt"))
    assert (tmp_path / "v").read_bytes() == (tmp_path / "dict.txt").read_bytes()

    loaded = fairseq_dictionary.load(str(tmp_path / "v"))
    assert len(loaded) % 8 == 0
    assert loaded.symbols == expected.symbols
    for number, (symbol, _) in enumerate(read_symbols(tmp_path / "v")):
        assert loaded.index(symbol) == number + 5


def test_symbol_counts_come_back_and_add_up(tmp_path):
    first, second = counts(3, 50), counts(4, 50)
    write_symbols(tmp_path / "a.zst", first)
    write_symbols(tmp_path / "b.zst", second)
    assert dict(read_symbols(tmp_path / "a.zst")) == first
    assert merge_symbols([tmp_path / "a.zst", tmp_path / "b.zst"]) == first + second
    with open_text(tmp_path / "a.zst") as stream:
        lines = stream.read().splitlines()
    assert lines == sorted(lines, key=lambda line: line.split(" ")[0])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a 3\nb\n", "line 2: 'b'"),
        (b"a 3\n\nb 1\n", "line 2: ''"),
        (b"a 3\nb x\n", "line 2: 'b x'"),
        (b"a 3\nb 1 #fairseq:overwrite\n", "line 2"),
        (b"a 3\nb -1\n", "line 2: 'b -1'"),
        (b"a 3\nb 1\na 2\n", "line 3: the symbol 'a' is in line 1"),
        (b"a 3\n<mask> 1\n", "line 2: fairseq adds <mask> by itself"),
        (b"a 3\n\xff 1\n", "line 2: not UTF-8"),
        (b"a\xc2\xa0b 3\n", "line 1"),
        (b"", "is empty"),
    ],
)
def test_a_bad_vocabulary_file_is_named_with_its_line(tmp_path, capfd, text, message):
    (tmp_path / "frozen").write_bytes(text)
    with pytest.raises(SystemExit):
        main(["vocabulary", "--vocab-file", str(tmp_path / "frozen"), "--output", str(tmp_path / "vocab")])
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and str(tmp_path / "frozen") in errors[0] and message in errors[0]
    assert not (tmp_path / "vocab").exists()


def test_a_frozen_vocabulary_is_copied_byte_for_byte(tmp_path):
    (tmp_path / "frozen").write_bytes("zebra 1\n中@@ 90\na 0\n".encode())
    main(["vocabulary", "--vocab-file", str(tmp_path / "frozen"), "--output", str(tmp_path / "vocab")])
    assert (tmp_path / "vocab").read_bytes() == (tmp_path / "frozen").read_bytes()


def test_no_symbols_at_all_is_an_error(tmp_path, capfd):
    write_symbols(tmp_path / "a.zst", Counter())
    with pytest.raises(SystemExit):
        main(["vocabulary", "--symbols", str(tmp_path / "a.zst"), "--output", str(tmp_path / "vocab")])
    assert "no training text" in capfd.readouterr().err


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(UserError, match="missing"):
        list(read_symbols(tmp_path / "missing"))
