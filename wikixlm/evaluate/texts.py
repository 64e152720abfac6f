"""The text to score: a split of the binarized data, or a file of raw text."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wikixlm.binarize.indexed_format import IndexedWriter
from wikixlm.bpe.codes import CONTINUATION, SPECIALS, is_word_internal
from wikixlm.bpe.encoder import LineEncoder
from wikixlm.bpe.pieces import has_bytes, piece_characters
from wikixlm.errors import UserError
from wikixlm.extract import plain_text
from wikixlm.extract.shards import shard_parts
from wikixlm.model.blocks import Blocks
from wikixlm.model.stateless_random import Integers
from wikixlm.tokenize.tokenize import Lines

_CHUNK = 1 << 20
_EOS = SPECIALS.index("</s>")
_UNKNOWN = SPECIALS.index("<unk>")


def binarize_raw(source: Path, target: Path, tokenizer: Lines, encoder: LineEncoder, dictionary: Sequence[str]) -> None:
    """Binarize raw text as the pipeline does.

    Lines are read as the corpus stage reads them (any of its encodings and compressions; a paragraph a line),
    tokenized, segmented, numbered, and closed by `</s>`; lines without a token are dropped.

    Args:
        target: path of the output without `.bin` and `.idx`, as `Blocks` reads it.
        tokenizer: of the text's language.
        encoder: of the codes.
        dictionary: the symbols, in the order of their ids.

    Raises:
        UserError: the file is missing or damaged, or has no text.
    """
    ids = {symbol: number for number, symbol in enumerate(dictionary)}
    counts = plain_text.TextShardCounts("", "", [str(source)])
    lines = unknown = total = 0
    with IndexedWriter(target) as writer:
        for document in plain_text.read_text_documents(shard_parts([source], 0, 1), counts):
            tokens = tokenizer.tokenize(document.lines[0])
            if not tokens:
                continue
            symbols = encoder.encode(" ".join(tokens)).split(" ")
            numbers = [ids.get(symbol, _UNKNOWN) for symbol in symbols]
            lines, total, unknown = lines + 1, total + len(numbers), unknown + numbers.count(_UNKNOWN)
            writer.write([*numbers, _EOS])
    logging.info("%s: %d of %d lines have text; %d tokens, %d unknown", source, lines, counts.lines_in, total, unknown)
    if not lines:
        raise UserError(f"{source}: no text in {counts.lines_in} lines")


def symbol_lengths(dictionary: Sequence[str]) -> npt.NDArray[np.int64]:
    """How many characters of tokenized text each symbol stands for, [vocabulary].

    A word-internal symbol (`low@@`) counts its own characters, a word-final one also the space or line end behind it,
    `</s>` none. `<unk>` counts as one character, which it nearly always is, and a space. The sum over a line is its
    length with its line end. Pieces have the space before them (`▁low`); a character in bytes counts with the first.
    """
    pieces = has_bytes(dictionary)
    sizes = [piece_characters(symbol) if pieces else _bpe_characters(symbol) for symbol in dictionary]
    sizes[: len(SPECIALS)] = [0] * len(SPECIALS)
    if not pieces:
        sizes[_UNKNOWN] = 2
    return np.array(sizes, dtype=np.int64)


def _bpe_characters(symbol: str) -> int:
    return len(symbol) - len(CONTINUATION) if is_word_internal(symbol) else len(symbol) + 1


@dataclass(frozen=True)
class TextSize:
    """A text's tokens, line ends included, and its characters, see `symbol_lengths`."""

    tokens: int
    characters: int


def text_size(path: Path, lengths: npt.NDArray[np.int64]) -> TextSize:
    """The size of a binarized text (path without suffix), given its symbols' lengths, [vocabulary]."""
    characters = sum(int(lengths[tokens].sum()) for tokens in _chunks(path))
    return TextSize(Blocks(path, _CHUNK).tokens, characters)


def first_lines(path: Path, count: int) -> list[Integers]:
    """The first `count` lines of a binarized text (path without suffix), each with the `</s>` at its end."""
    lines: list[Integers] = []
    rest: list[Integers] = []
    for tokens in _chunks(path):
        *whole, last = np.split(tokens, np.flatnonzero(tokens == _EOS) + 1)
        for line in whole:
            lines.append(np.concatenate([*rest, line]))
            rest = []
            if len(lines) == count:
                return lines
        rest.append(last)
    return lines


def _chunks(path: Path) -> Iterator[Integers]:
    """The text in consecutive chunks, [tokens] each."""
    text = Blocks(path, _CHUNK)
    for number in range(len(text)):
        yield text.read(np.array([number]), pad=0)[0][0]
