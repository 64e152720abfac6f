"""The scheme `sentencepiece` before its pieces: a Unicode normalization and single spaces, alike in every language.

Every run of white space (`str.isspace`: tabs, no-break and ideographic spaces, Unicode's line separators, …) becomes
one space, none is left at the ends of a line, and `▁` (U+2581), which marks the beginning of a word in the pieces,
becomes `_`. Nothing else is changed but by the Unicode form: marks, joiners (U+200C, U+200D), controls and case stay.
"""

import argparse
import unicodedata
from typing import Literal

from tokenizers import Regex, normalizers

SCHEMES = ("xlm", "sentencepiece")
NORMALIZATIONS = ("nfkc", "nfc", "none")
WORD_START = "▁"
"""The character before each word's first piece, as in SentencePiece."""

_FORMS: dict[str, tuple[Literal["NFKC", "NFC"], type[normalizers.Normalizer]]] = {
    "nfkc": ("NFKC", normalizers.NFKC),
    "nfc": ("NFC", normalizers.NFC),
}
# The characters of `str.isspace`, in Oniguruma's notation.
_WHITE_SPACE = (
    r"[\x{9}-\x{D}\x{1C}-\x{20}\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]+"
)


def add_scheme_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags on which scheme makes tokens."""
    parser.add_argument("--scheme", choices=SCHEMES, default="xlm", help="sentencepiece: no rules of any language")
    parser.add_argument(
        "--normalization", choices=NORMALIZATIONS, default="nfkc", help="Unicode form, with --scheme sentencepiece"
    )


def normalizer(normalization: str) -> normalizers.Sequence:
    """The normalization as a part of a tokenizer.json.

    Args:
        normalization: one of `NORMALIZATIONS`.
    """
    form = [_FORMS[normalization][1]()] if normalization in _FORMS else []
    spaces = normalizers.Replace(Regex(_WHITE_SPACE), " ")
    # A space at the beginning stays: it says that the text behind a mask begins with a word.
    last = normalizers.Strip(left=False, right=True)
    return normalizers.Sequence([*form, spaces, last, normalizers.Replace(WORD_START, "_")])


class LineNormalizer:
    """Normalizes lines as a tokenizer.json with the same normalization does, faster.

    Args:
        normalization: one of `NORMALIZATIONS`.
    """

    def __init__(self, normalization: str) -> None:
        self._form = _FORMS[normalization][0] if normalization in _FORMS else None
        self._normalizer = normalizer(normalization)

    def tokenize(self, text: str) -> list[str]:
        """The words of a line, at spaces; none is empty or contains white space of any kind (`str.isspace`)."""
        words = text.split()
        # Both forms leave spaces and what follows them apart, so the white space may go first. Where this Python knows
        # fewer characters than tokenizers, the pieces' own normalizer does the rest.
        if self._form is not None and not unicodedata.is_normalized(self._form, line := " ".join(words)):
            return self._normalizer.normalize_str(line).split()
        return [word.replace(WORD_START, "_") for word in words] if WORD_START in text else words
