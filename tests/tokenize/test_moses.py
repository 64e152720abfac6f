"""The fast normaliser, tokenizer and character steps give what sacremoses and transformers give."""

import sys
import unicodedata
from functools import cache

import pytest
import sacremoses
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.xlm import tokenization_xlm

from tests.support.sample_text import TEXTS
from wikixlm.tokenize import characters, moses

LANGUAGES = ["en", "fr", "it", "de", "cs", "bg", "ko", "yue", "nosuchlanguage"]


@cache
def both(language):
    """Ours and sacremoses', built once: (normaliser, tokenizer) each."""
    return (
        (moses.Normalizer(language), moses.Tokenizer(language)),
        (sacremoses.MosesPunctNormalizer(lang=language), sacremoses.MosesTokenizer(lang=language)),
    )


@settings(max_examples=400, deadline=None)
@given(language=st.sampled_from(LANGUAGES), text=TEXTS)
def test_normalizer_and_tokenizer_are_sacremoses(language, text):
    (normalize, tokenize), (reference_normalizer, reference_tokenizer) = both(language)
    assert normalize(text) == reference_normalizer.normalize(text)
    assert tokenize(text) == reference_tokenizer.tokenize(text, escape=False)


@pytest.mark.parametrize("language", ["en", "fr", "es"])
@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "'",
        ",",
        "a.'",
        ".'",
        "5','5' '5, 6,7,,8,a,",
        "No. 5 and No. five, Mr. X etc. the End. End.",
        "x....' y.. .'",
        "DOTMULTI DOTDOTMULTI..",
        '"So," he said ("1 %") ; 5\u00a0000\u00a0%, 5\u00a0m.',
        "  \x00 a  \x1f b\x7f",
    ],
)
def test_corners(language, text):
    (normalize, tokenize), (reference_normalizer, reference_tokenizer) = both(language)
    assert normalize(text) == reference_normalizer.normalize(text)
    assert tokenize(text) == reference_tokenizer.tokenize(text, escape=False)


@settings(max_examples=300, deadline=None)
@given(text=TEXTS)
def test_character_steps_are_those_of_transformers(text):
    assert characters.replace_unicode_punctuation(text) == tokenization_xlm.replace_unicode_punct(text)
    assert characters.remove_non_printing(text) == tokenization_xlm.remove_non_printing_char(text)
    assert characters.normalise_romanian(text) == tokenization_xlm.romanian_preprocessing(text)
    tokens = text.split()
    expected = [token for token in tokenization_xlm.lowercase_and_remove_accent(tokens) if token]
    assert characters.lowercase_and_remove_accents(tokens) == expected


def test_every_character_alone_and_inside_a_word():
    """All of Unicode, in steps that keep the test short; surrogates can't occur in UTF-8."""
    (normalize, tokenize), (reference_normalizer, reference_tokenizer) = both("en")
    letters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    assigned = [letter for letter in letters if unicodedata.category(letter) not in ("Cn", "Co", "Lo")]
    for start in range(0, len(assigned), 40):
        text = " ".join(f"{letter} a{letter}b, {letter}. {letter}" for letter in assigned[start : start + 40])
        cleaned = characters.remove_non_printing(normalize(characters.replace_unicode_punctuation(text)))
        tokens = tokenize(cleaned)
        lowered = [token for token in tokenization_xlm.lowercase_and_remove_accent(tokens) if token]
        assert characters.lowercase_and_remove_accents(tokens) == lowered
        assert not any(char.isspace() for token in lowered for char in token)
        if start % 400 == 0:
            assert normalize(text) == reference_normalizer.normalize(text)
            assert tokens == reference_tokenizer.tokenize(cleaned, escape=False)


def test_rules_needed_literals_are_needed():
    """A text without a rule's literal is left alone by the rule itself."""
    rules = [
        rule for language in ("en", "de", "cs") for rule in sacremoses.MosesPunctNormalizer(language).substitutions
    ]
    patterns = {pattern for pattern, _ in [*rules, *sacremoses.MosesPunctNormalizer.REPLACE_UNICODE_PUNCTUATION]}
    assert set(moses.NEEDED) <= patterns  # else sacremoses has changed, and the table is out of date


def test_white_space_ends_where_the_tokenizer_thinks():
    assert not any(chr(code).isspace() for code in range(0x3001, sys.maxunicode + 1))


def test_memory_of_the_caches_is_bounded(monkeypatch):
    monkeypatch.setattr(moses, "CACHE_ENTRIES", 10)
    tokenize = moses.Tokenizer("en")
    for number in range(100):
        tokenize(f"a{number}. Xb{number}'{number},{chr(0x400 + number)}'{chr(0x500 + number)} y")
    assert len(tokenize._decided) <= 10
    assert len(tokenize._commas._known) <= 10
    assert tokenize("A99. X") == ["A99", ".", "X"]
