"""The character-level steps of XLM's preprocessing.

They follow the scripts in facebookresearch/XLM (tools/: replace-unicode-punctuation, remove-non-printing-char,
lowercase_and_remove_accent) and of Sennrich's Romanian scripts, as transformers' XLMTokenizer runs them.
"""

import unicodedata

from sacremoses import MosesPunctNormalizer

from wikixlm.tokenize.moses import Substitutions

replace_unicode_punctuation = Substitutions(MosesPunctNormalizer.REPLACE_UNICODE_PUNCTUATION)

_ROMANIAN = str.maketrans("\u015e\u015f\u0162\u0163ȘșȚțĂăÂâÎî", "SsTtSsTtAaAaIi")


def remove_non_printing(text: str) -> str:
    """Remove characters of the categories C: control, format, surrogate, private use, unassigned."""
    if text.isprintable():  # then it has none of them
        return text
    for char in set(text):
        if not char.isprintable() and unicodedata.category(char).startswith("C"):
            text = text.replace(char, "")
    return text


def normalise_romanian(text: str) -> str:
    """Cedilla to comma below, then no diacritics at all (wmt16-scripts: normalise-romanian, remove-diacritics)."""
    return text if text.isascii() else text.translate(_ROMANIAN)


class _NonSpacingMarks(dict[int, int | None]):
    """A table for `str.translate` that deletes characters of category Mn, filled on demand."""

    def __missing__(self, code: int) -> int | None:
        self[code] = None if unicodedata.category(chr(code)) == "Mn" else code
        return self[code]


_marks = _NonSpacingMarks()


class _Plain(dict[str, str]):
    """Token -> its lower case without accents (category Mn); a bounded cache."""

    entries = 200_000  # a few tens of megabytes

    def __missing__(self, token: str) -> str:
        plain = unicodedata.normalize("NFD", token.lower()).translate(_marks).lower()
        if len(token) <= 40:
            if len(self) >= self.entries:
                self.clear()
            self[token] = plain
        return plain


_plain = _Plain()


def lowercase_and_remove_accents(tokens: list[str]) -> list[str]:
    """Lowercase tokens and remove their accents; drop tokens that consist of accents.

    XLM does this on the whole line. The result is the same token by token: neither Unicode's decomposition nor its
    lowercasing (of the final sigma) looks across a space.
    """
    text = " ".join(tokens)
    if text.isascii():
        return text.lower().split(" ") if tokens else []
    return [plain for token in tokens if (plain := _plain[token])]
