"""sacremoses' punctuation normaliser and tokenizer, faster and with the same output.

Every rule comes from the sacremoses objects at run time. Speed comes from skipping rules that can't match: a literal
that the rule needs is searched first, rules of plain text become `str.replace`, sets of characters are built once
instead of on every call, and decisions that depend on a few characters only are cached.
"""

import re
from collections.abc import Callable, Iterable

from sacremoses import MosesPunctNormalizer, MosesTokenizer

Rule = tuple[re.Pattern[str], str]

CACHE_ENTRIES = 100_000

# Pattern of a rule -> a literal that every match contains. A rule that is missing here always runs.
NEEDED = {
    r" +": "  ",
    r"\) ([.!:?;,])": ") ",
    r"(\d) %": " %",
    r"([a-zA-Z])‘([a-zA-Z])": "‘",
    r"([a-zA-Z])’([a-zA-Z])": "’",
    r'"([,.]+)': '"',
    r'(\.+)"(\s*[^<])': '."',
    "(\\d)\u00a0(\\d)": "\u00a0",
    r"。\s*": "。",
    r"．\s*": "．",
}


def _literal(pattern: str) -> str | None:
    """The only text that a pattern matches, or None if it is no literal."""
    if pattern == r"\r":
        return "\r"
    escaped_sign = r"\\([^\w\s])"
    if set(re.sub(escaped_sign, "", pattern)) & set(r".^$*+?{}[]\|()"):
        return None
    return re.sub(escaped_sign, r"\1", pattern)


class Substitutions:
    """`re.sub` for a list of (pattern, replacement), in order, skipping those that can't match.

    Args:
        rules: as in sacremoses' `MosesPunctNormalizer.substitutions`.
    """

    def __init__(self, rules: Iterable[tuple[str, str]]) -> None:
        steps = [(self._needed(pattern), self._step(pattern, replacement)) for pattern, replacement in rules]
        self._steps = steps
        self._ascii_steps = [(needed, step) for needed, step in steps if needed.isascii()]

    @staticmethod
    def _needed(pattern: str) -> str:
        literal = _literal(pattern)
        return NEEDED.get(pattern, "") if literal is None else literal

    @staticmethod
    def _step(pattern: str, replacement: str) -> Callable[[str], str]:
        if pattern == " +" and replacement == " ":
            return _single_spaces
        literal = _literal(pattern)
        if literal is not None and "\\" not in replacement:
            return lambda text: text.replace(literal, replacement)
        compiled = re.compile(pattern)
        return lambda text: compiled.sub(replacement, text)

    def __call__(self, text: str) -> str:
        """Apply all rules in their order."""
        # No rule adds a non-ASCII character to an ASCII text, so rules that need one can be skipped from the start.
        for needed, step in self._ascii_steps if text.isascii() else self._steps:
            if needed in text:
                text = step(text)
        return text


def _single_spaces(text: str) -> str:
    while "  " in text:
        text = text.replace("  ", " ")
    return text


class Normalizer:
    """sacremoses' `MosesPunctNormalizer(lang=language).normalize`."""

    def __init__(self, language: str) -> None:
        self._substitutions = Substitutions(MosesPunctNormalizer(lang=language).substitutions)

    def __call__(self, text: str) -> str:
        """Normalise the punctuation of a text, and strip white space from its ends."""
        return self._substitutions(text).strip()


class Neighbourhoods:
    """Applies rules on a mark (a comma, an apostrophe) and the characters beside it, around the marks only.

    A neighbourhood is a run of marks with at most one character between two of them, and one character on either
    side. No rule looks further, so the rules run once for each neighbourhood and their result is cached.

    Args:
        mark: one character.
        rules: pairs of pattern and replacement, in order.
    """

    def __init__(self, mark: str, rules: Iterable[Rule]) -> None:
        self._mark = mark
        self._rules = list(rules)
        self._runs = re.compile(f"{mark}(?:[^{mark}]?{mark})*[^{mark}]?")
        self._known: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        """Apply the rules; a text without the mark is returned unchanged."""
        if self._mark not in text:
            return text
        pieces = []
        done = 0
        for run in self._runs.finditer(text):
            start = max(run.start() - 1, 0)
            pieces.append(text[done:start])
            done = run.end()
            pieces.append(self._apply(text[start:done]))
        pieces.append(text[done:])
        return "".join(pieces)

    def _apply(self, neighbourhood: str) -> str:
        result = self._known.get(neighbourhood)
        if result is None:
            result = neighbourhood
            for pattern, replacement in self._rules:
                result = pattern.sub(replacement, result)
            if len(neighbourhood) < 16 and len(self._known) < CACHE_ENTRIES:
                self._known[neighbourhood] = result
        return result


class Tokenizer:
    """sacremoses' `MosesTokenizer(lang=language).tokenize(text, escape=False)`."""

    def __init__(self, language: str) -> None:
        self._moses = MosesTokenizer(lang=language)
        # `PAD_NOT_ISALNUM` keeps these; every other character becomes a token of its own. \s ends at U+3000.
        whitespace = {chr(code) for code in range(0x3001) if chr(code).isspace()}
        self._unpadded = frozenset(self._moses.IsAlnum) | whitespace | frozenset(".'`,-")
        self._padded_ascii = [(char, f" {char} ") for char in map(chr, range(128)) if char not in self._unpadded]
        self._commas = Neighbourhoods(
            ",", [self._moses.COMMA_SEPARATE_1, self._moses.COMMA_SEPARATE_2, self._moses.COMMA_SEPARATE_3]
        )
        self._apostrophes = self._apostrophe_rules(language)
        self._alpha = frozenset(self._moses.IsAlpha)
        self._lower = frozenset(self._moses.IsLower)
        self._prefixes = frozenset(self._moses.NONBREAKING_PREFIXES)
        self._numeric_prefixes = frozenset(self._moses.NUMERIC_ONLY_PREFIXES)
        self._decided: dict[str, str] = {}

    def _apostrophe_rules(self, language: str) -> Callable[[str], str]:
        if language == "en":
            return Neighbourhoods("'", self._moses.ENGLISH_SPECIFIC_APOSTROPHE)
        if language in ("fr", "it"):
            return Neighbourhoods("'", self._moses.FR_IT_SPECIFIC_APOSTROPHE)
        pattern, replacement = self._moses.NON_SPECIFIC_APOSTROPHE
        return Substitutions([(pattern.pattern, replacement)])

    def __call__(self, text: str) -> list[str]:
        """Split a text into tokens, none of which is empty or holds white space."""
        if not text.isprintable():
            pattern, replacement = self._moses.ASCII_JUNK
            text = pattern.sub(replacement, " ".join(text.split()))
        elif "  " in text:
            text = " ".join(text.split())
        text = self._pad(text.strip())
        if ".." in text:
            text = self._moses.replace_multidots(text)
        text = self._apostrophes(self._commas(text))
        tokens = text.split()
        if "." in text:
            self._split_periods(tokens)
        if "DOTMULTI" in text:
            tokens = [self._moses.restore_multidots(token) for token in tokens]
        return tokens

    def _pad(self, text: str) -> str:
        if text.isascii():
            for char, padded in self._padded_ascii:
                if char in text:
                    text = text.replace(char, padded)
            return text
        for char in set(text).difference(self._unpadded):
            text = text.replace(char, f" {char} ")
        return text

    def _split_periods(self, tokens: list[str]) -> None:
        """Split final periods from their words, in place, unless an abbreviation or the next token forbids it."""
        last = len(tokens) - 1
        if tokens[last].endswith(".'"):  # TRAILING_DOT_APOSTROPHE
            tokens[last:] = [*tokens[last][:-2].split(), ".", "'"]
        # From the end, so that the indices of earlier tokens stay valid.
        for index in reversed([index for index, token in enumerate(tokens) if token[-1] == "." and token != "."]):
            prefix = tokens[index][:-1]
            decision = self._decided.get(prefix) or self._decide(prefix)
            if decision == "keep":
                continue
            if index < last:
                following = tokens[index + 1][0]
                if following in self._lower or (decision == "keep before a number" and following in "0123456789"):
                    continue
            tokens[index : index + 1] = [prefix, "."]

    def _decide(self, prefix: str) -> str:
        if ("." in prefix and not self._alpha.isdisjoint(prefix)) or (
            prefix in self._prefixes and prefix not in self._numeric_prefixes
        ):
            decision = "keep"
        elif prefix in self._numeric_prefixes:
            decision = "keep before a number"
        else:
            decision = "split"
        if len(self._decided) < CACHE_ENTRIES:
            self._decided[prefix] = decision
        return decision
