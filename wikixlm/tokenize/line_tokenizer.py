"""Tokenize lines with the steps of transformers' `XLMTokenizer._tokenize(text, lang=…)` before its BPE."""

from collections.abc import Callable
from pathlib import Path

from wikixlm.errors import UserError
from wikixlm.tokenize import word_segmenters
from wikixlm.tokenize.characters import (
    lowercase_and_remove_accents,
    normalise_romanian,
    remove_non_printing,
    replace_unicode_punctuation,
)
from wikixlm.tokenize.moses import Normalizer, Tokenizer


class LineTokenizer:
    """Tokenizes the lines of one language.

    Thai is segmented by PyThaiNLP, Chinese by Jieba, Japanese by KyTea (see `japanese`), all other languages by the
    Moses tokenizer, with English abbreviations where sacremoses has none for the language.

    Args:
        language: a Wikipedia's code, XLMTokenizer's `lang`.
        lowercase_and_remove_accent: XLMTokenizer's `do_lowercase_and_remove_accent`. Without it Romanian keeps its
            diacritics too, which XLMTokenizer always removes.
        japanese: `kytea` as XLMTokenizer; `fugashi` or `moses` (splits off punctuation, finds no words), which the
            model's tokenizer must do as well.
        kytea_model: KyTea's model file, see `word_segmenters.kytea`.

    Raises:
        UserError: a package or model that the language needs is missing.
    """

    def __init__(
        self,
        language: str,
        lowercase_and_remove_accent: bool,
        japanese: str = "kytea",
        kytea_model: Path | None = None,
    ) -> None:
        self._lowercase = lowercase_and_remove_accent
        self._normalize = Normalizer(language)
        self._words = self._word_tokenizer(language, japanese, kytea_model)

    def _word_tokenizer(self, language: str, japanese: str, kytea_model: Path | None) -> Callable[[str], list[str]]:
        if language == "zh":
            cut = word_segmenters.chinese()
            return lambda text: self._clean(" ".join(cut(text))).split()
        if language == "th":
            return self._segmented(word_segmenters.thai())
        if language == "ja" and japanese != "moses":
            if japanese not in word_segmenters.JAPANESE:
                raise UserError(f"tokenize.japanese: {japanese}; accepted: {', '.join(word_segmenters.JAPANESE)}")
            return self._segmented(
                word_segmenters.kytea(kytea_model) if japanese == "kytea" else word_segmenters.fugashi()
            )
        tokenize = Tokenizer(language)
        if language == "ro" and self._lowercase:
            return lambda text: tokenize(normalise_romanian(self._clean(text)))
        return lambda text: tokenize(self._clean(text))

    def _clean(self, text: str) -> str:
        return remove_non_printing(self._normalize(replace_unicode_punctuation(text)))

    def _segmented(self, segment: word_segmenters.WordSegmenter) -> Callable[[str], list[str]]:
        # A segmenter may return white space as a word or within one. Symbols must not contain it: fairseq splits text
        # at white space.
        return lambda text: [token for word in segment(self._clean(text)) for token in word.split()]

    def tokenize(self, text: str) -> list[str]:
        """Tokenize one line; no token is empty or contains white space of any kind (`str.isspace`)."""
        tokens = self._words(text)
        return lowercase_and_remove_accents(tokens) if self._lowercase else tokens
