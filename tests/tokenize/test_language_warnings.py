"""One warning for each kind of harm, which names the languages and the key."""

from wikixlm.languages import is_language
from wikixlm.tokenize.language_warnings import MARKS_CARRY_MEANING, WITHOUT_WORDS, preprocessing_warnings


def test_removed_marks_are_a_warning_that_names_the_languages_and_the_key():
    [warning] = preprocessing_warnings(["en", "vi", "hi"], lowercase_and_remove_accent=True, japanese="kytea")
    assert "tokenize.lowercase_and_remove_accent" in warning and " vi, hi;" in warning and "en," not in warning
    assert preprocessing_warnings(["en", "vi", "hi"], lowercase_and_remove_accent=False, japanese="kytea") == []
    assert preprocessing_warnings(["en", "de"], lowercase_and_remove_accent=True, japanese="kytea") == []


def test_languages_without_words_are_a_warning():
    [warning] = preprocessing_warnings(["my", "th", "zh", "ja", "km"], False, "kytea")
    assert warning.startswith("my, km: written without spaces")
    [warning] = preprocessing_warnings(["ja"], False, "moses")
    assert warning.startswith("ja: ")


def test_the_tables_hold_wikipedias_codes():
    codes = MARKS_CARRY_MEANING | WITHOUT_WORDS
    assert [code for code in codes if not is_language(code)] == []
