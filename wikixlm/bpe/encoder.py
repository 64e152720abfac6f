"""Split lines of words into symbols, word by word, and count them; by BPE codes: byte-identical to subword-nmt."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from tokenizers.models import BPE

from wikixlm.bpe.codes import CONTINUATION, END_OF_WORD, Merge
from wikixlm.errors import UserError

_UNKNOWN = " "  # the model's symbol for a character that no merge has; no other symbol can contain a space
_CACHED_WORDS = 400_000  # word types; about 100 bytes each, twice (segmentation, count)


class EncodingStatistics(NamedTuple):
    """Totals over all words encoded so far, and the counts of their symbols.

    `whole_words` counts words of a single symbol; `unknown_characters` counts characters that the codes don't know: of
    words of several symbols those that occur nowhere in BPE codes (a word of one character, such as a comma, needs no
    codes), of pieces those that are spelled in bytes.
    """

    words: int
    whole_words: int
    tokens: int
    characters: int
    unknown_characters: int
    symbols: Counter[str]


class WordSymbols(dict[str, str]):
    """Word -> its symbols, joined by spaces; `segment` makes what is missing."""

    def segment(self, word: str) -> str:
        raise NotImplementedError

    def unknown_characters(self, word: str, symbols: Sequence[str]) -> int:
        """How many characters of a word the codes don't know; `symbols` are the word's."""
        raise NotImplementedError

    def __missing__(self, word: str) -> str:
        if word.split() != [word]:
            raise UserError(
                f"the token {word!r} contains white space, where tokenized text with one space between tokens is "
                "expected; run the tokenize stage again"
            )
        self[word] = segmented = self.segment(word)
        return segmented


class LineEncoder:
    """Splits lines of words into symbols, and counts them.

    Encoded words are cached; the cache is emptied when it is full, so memory use is flat.

    Args:
        words: how a word is split.
        cached_words: the size of the cache, in word types.
    """

    def __init__(self, words: WordSymbols, cached_words: int = _CACHED_WORDS) -> None:
        self._words = words
        self._cached_words = cached_words
        self._seen: Counter[str] = Counter()
        self._totals = EncodingStatistics(0, 0, 0, 0, 0, Counter())

    def encode(self, line: str) -> str:
        """Encode a line of words separated by single spaces: `lower` -> `low@@ er`, or `▁low er`.

        Raises:
            UserError: a word contains other white space, at which fairseq would split it.
        """
        words = line.split(" ")
        if "" in words:
            words = [word for word in words if word]
        self._seen.update(words)
        segmented = " ".join(map(self._words.__getitem__, words))
        if len(self._words) > self._cached_words:
            self._empty_cache()
        return segmented

    def statistics(self) -> EncodingStatistics:
        """The totals over all lines so far."""
        self._empty_cache()
        return self._totals

    def _empty_cache(self) -> None:
        words, whole, tokens, characters, unknown, symbols = self._totals
        once: list[str] = []  # most word types: counted together, which is faster
        for word, count in self._seen.items():
            pieces = self._words[word].split(" ")
            if count == 1:
                once += pieces
            else:
                for piece in pieces:
                    symbols[piece] += count
            words += count
            tokens += count * len(pieces)
            characters += count * len(word)
            if len(pieces) == 1:
                whole += count
            else:
                unknown += count * self._words.unknown_characters(word, pieces)
        symbols.update(once)
        self._totals = EncodingStatistics(words, whole, tokens, characters, unknown, symbols)
        self._seen.clear()
        self._words.clear()


class BPEEncoder(LineEncoder):
    """Applies BPE codes to lines of words.

    Args:
        merges: the codes.
        cached_words: the size of the cache, in word types.
    """

    def __init__(self, merges: Iterable[Merge], cached_words: int = _CACHED_WORDS) -> None:
        super().__init__(_MergedWords(merges), cached_words)


class _MergedWords(WordSymbols):
    """By BPE codes; the tokenizers library applies them."""

    def __init__(self, merges: Iterable[Merge]) -> None:
        super().__init__()
        pairs = [(left, right) for left, right, _ in merges]
        symbols = {symbol: None for left, right in pairs for symbol in (left, right, left + right)}
        vocabulary = {symbol: number for number, symbol in enumerate([_UNKNOWN, *symbols])}
        self._alphabet = frozenset(character for symbol in symbols for character in symbol.removesuffix(END_OF_WORD))
        # Without an unknown symbol the library would drop such characters silently.
        self._model = BPE(
            vocabulary, pairs, unk_token=_UNKNOWN, fuse_unk=False, end_of_word_suffix=END_OF_WORD, cache_capacity=0
        )

    def segment(self, word: str) -> str:
        pieces = [token.value for token in self._model.tokenize(word)]
        if _UNKNOWN in pieces:
            _put_back(pieces, word)
        if pieces[-1].endswith(END_OF_WORD) and len(pieces[-1]) > len(END_OF_WORD):
            pieces[-1] = pieces[-1][: -len(END_OF_WORD)]
        return f"{CONTINUATION} ".join(pieces)

    def unknown_characters(self, word: str, symbols: Sequence[str]) -> int:
        knows = self._alphabet.issuperset
        return 0 if knows(word) else sum(not knows(character) for character in word)


def _put_back(pieces: list[str], word: str) -> None:
    """Replace each unknown symbol by the character of `word` at its position."""
    position = 0
    for index, piece in enumerate(pieces):
        if piece == _UNKNOWN:
            pieces[index] = piece = word[position]
        position += len(piece)
