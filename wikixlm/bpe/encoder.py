"""Byte-pair encoding as XLM uses it: the codes file, and applying the codes to words.

A word is a sequence of characters whose last one carries the end mark `</w>`; codes are merges of two neighbouring
symbols, applied in their order (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909, section 3.2). Segmented text
and the vocabulary are written in fairseq's style: a symbol that goes on has the joint `@@` at its end, a symbol that
ends a word has nothing (`lower` -> `low@@ er`).

The codes file has fastBPE's format: a line `left right count` a merge, no header. fastBPE insists on the third column
and never reads it. subword-nmt and transformers want the first two, subword-nmt below a line `#version: 0.2`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tokenizers.models import BPE

from wikixlm.errors import UserError
from wikixlm.files import atomic_text, open_binary

END = "</w>"
JOINT = "@@"
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""What fairseq's MaskedLMDictionary puts before the symbols of a vocabulary file, ids 0 to 4."""

# What a word must not contain to be learned from: a symbol made of these could not be told from a joint, from an end
# mark, or from a special symbol of fairseq or XLMTokenizer (which looks symbols up as plain strings).
RESERVED = (JOINT, END, *SPECIALS, "<special", "madeupword")

_UNKNOWN = " "  # stands for a character that no merge knows; no symbol can contain a space
_CACHED_WORDS = 400_000  # word types; about 100 bytes each, twice (segmentation, count)


class Merge(NamedTuple):
    """Two symbols that become one, and how often that happened in the sample (0: not known)."""

    left: str
    right: str
    frequency: int = 0


def write_codes(path: Path, merges: Iterable[Merge]) -> None:
    """Write merges, first learned first, in fastBPE's format."""
    with atomic_text(path) as stream:
        stream.writelines(f"{left} {right} {frequency}\n" for left, right, frequency in merges)


def read_codes(path: Path) -> list[Merge]:
    """Read a codes file of fastBPE (three columns) or subword-nmt (two columns below `#version: 0.2`).

    Raises:
        UserError: a line is not a merge, repeats one, uses a symbol that no earlier line makes, or makes a symbol
            that segmented text could not show; the message names file and line.
    """
    merges: list[Merge] = []
    made: dict[str, int] = {}
    columns = 3
    for number, line in text_lines(path):
        if number == 1 and line.startswith("#version:"):
            columns = 2
            if line.split() != ["#version:", "0.2"]:
                raise UserError(f"{path}, line 1: {line!r}; of subword-nmt's formats only `#version: 0.2` is accepted")
            continue
        merge = _parse(line, columns)
        problem = merge if isinstance(merge, str) else _problem(merge, made)
        if isinstance(merge, str) or problem:
            raise UserError(f"{path}, line {number}: {problem}")
        made[merge.left + merge.right] = number
        merges.append(merge)
    if not any(merge.right.endswith(END) for merge in merges):
        what = f"none of its {len(merges)} merges ends a word with {END}" if merges else "it has no merges"
        raise UserError(f"{path}: {what}; these are not BPE codes of fastBPE or subword-nmt")
    return merges


def text_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line of a UTF-8 file, without its line end; a bad byte is a UserError."""
    with open_binary(path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                yield number, line.decode().removesuffix("\n").removesuffix("\r")
            except UnicodeDecodeError as failure:
                raise UserError(f"{path}, line {number}: not UTF-8 ({failure.reason})") from failure


def _parse(line: str, columns: int) -> Merge | str:
    fields = line.split(" ")
    wanted = "`left right count` (fastBPE's codes)" if columns == 3 else "`left right` (subword-nmt's codes)"
    if len(fields) != columns or any(field.split() != [field] for field in fields):
        return f"{line!r}, where {wanted} is expected; two columns need the first line `#version: 0.2`"
    if columns == 2:
        return Merge(fields[0], fields[1])
    if not (fields[2].isascii() and fields[2].isdigit()):
        return f"the count is {fields[2]!r}, where {wanted} is expected"
    return Merge(fields[0], fields[1], int(fields[2]))


def _problem(merge: Merge, made: dict[str, int]) -> str | None:
    """What keeps a merge from being applied, or its symbol from being written, in one way only."""
    symbol = merge.left + merge.right
    body = symbol.removesuffix(END) if merge.right.endswith(END) else symbol
    if merge.right == END or END in body:
        return f"the symbol {symbol!r} has {END} elsewhere than behind the last character of a word"
    if merge.right.endswith(END) and body.endswith(JOINT) and body != JOINT:
        return f"the word-final symbol {body!r} can't be told from a joint; delete the line, and those that use it"
    if body in SPECIALS:
        return f"{body!r} is a special symbol of the model; delete the line, and those that use it"
    if symbol in made:
        return f"{symbol!r} is made already in line {made[symbol]}"
    for part in (merge.left, merge.right):
        if len(part.removesuffix(END)) > 1 and part not in made:
            return f"no earlier line makes the symbol {part!r}"
    return None


class SplitStatistics(NamedTuple):
    """How words were split: totals over all words segmented so far, and the counts of the symbols written.

    `whole_words` counts words of a single symbol; `unknown_characters` those characters of longer words that occur
    nowhere in the codes (a character that stands alone, such as a comma, needs no codes).
    """

    words: int
    whole_words: int
    tokens: int
    characters: int
    unknown_characters: int
    symbols: Counter[str]


class Segmenter:
    """Applies codes to lines of words, byte-identical to subword-nmt, and counts the symbols.

    Words are segmented once and remembered; when the table is full it is emptied, so memory stays flat.
    """

    def __init__(self, merges: Iterable[Merge], cached_words: int = _CACHED_WORDS) -> None:
        self._words = _Words(merges)
        self._cached_words = cached_words
        self._seen: Counter[str] = Counter()
        self._totals = SplitStatistics(0, 0, 0, 0, 0, Counter())

    def segment(self, line: str) -> str:
        """Segment a line of words separated by single spaces.

        Raises:
            UserError: a word contains other white space, at which fairseq would split it.
        """
        words = line.split(" ")
        if "" in words:
            words = [word for word in words if word]
        self._seen.update(words)
        segmented = " ".join(map(self._words.__getitem__, words))
        if len(self._words) > self._cached_words:
            self._forget()
        return segmented

    def statistics(self) -> SplitStatistics:
        """The totals over all lines so far."""
        self._forget()
        return self._totals

    def _forget(self) -> None:
        words, whole, tokens, characters, unknown, symbols = self._totals
        knows = self._words.alphabet.issuperset
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
            elif not knows(word):
                unknown += count * sum(not knows(character) for character in word)
        symbols.update(once)
        self._totals = SplitStatistics(words, whole, tokens, characters, unknown, symbols)
        self._seen.clear()
        self._words.clear()


class _Words(dict[str, str]):
    """Word -> its symbols, joined by `@@ `; a missing word is segmented by the tokenizers library."""

    def __init__(self, merges: Iterable[Merge]) -> None:
        super().__init__()
        pairs = [(left, right) for left, right, _ in merges]
        symbols = {symbol: None for left, right in pairs for symbol in (left, right, left + right)}
        vocabulary = {symbol: number for number, symbol in enumerate([_UNKNOWN, *symbols])}
        self.alphabet = frozenset(character for symbol in symbols for character in symbol.removesuffix(END))
        # Without a symbol for what is unknown the library would drop such characters silently.
        self._model = BPE(
            vocabulary, pairs, unk_token=_UNKNOWN, fuse_unk=False, end_of_word_suffix=END, cache_capacity=0
        )

    def __missing__(self, word: str) -> str:
        if word.split() != [word]:
            raise UserError(
                f"the token {word!r} contains white space, where tokenized text with one space between tokens is "
                "expected; run the tokenize stage again"
            )
        pieces = [token.value for token in self._model.tokenize(word)]
        if _UNKNOWN in pieces:
            _put_back(pieces, word)
        if pieces[-1].endswith(END) and len(pieces[-1]) > len(END):
            pieces[-1] = pieces[-1][: -len(END)]
        segmented = f"{JOINT} ".join(pieces)
        self[word] = segmented
        return segmented


def _put_back(pieces: list[str], word: str) -> None:
    """Replace each mark for an unknown character by the character of `word` that it stands for."""
    position = 0
    for index, piece in enumerate(pieces):
        if piece == _UNKNOWN:
            pieces[index] = piece = word[position]
        position += len(piece)
