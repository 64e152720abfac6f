"""The text to be scored: a split of the binarized data, or a raw text file that the pipeline has never seen."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wikixlm.binarize.indexed_format import IndexedWriter
from wikixlm.bpe.codes import CONTINUATION, SPECIALS, Merge, is_word_internal
from wikixlm.bpe.encoder import BPEEncoder
from wikixlm.errors import UserError
from wikixlm.extract import plain_text
from wikixlm.extract.shards import shard_parts
from wikixlm.model.blocks import Blocks
from wikixlm.model.stateless_random import Integers
from wikixlm.tokenize.line_tokenizer import LineTokenizer

_CHUNK = 1 << 20
_EOS = SPECIALS.index("</s>")
_UNKNOWN = SPECIALS.index("<unk>")


def binarize_raw(
    source: Path, target: Path, tokenizer: LineTokenizer, merges: Sequence[Merge], dictionary: Sequence[str]
) -> None:
    """Take raw text through the pipeline's steps, to the ids that it would give the same text.

    Lines are read as the corpus stage reads them (any of its encodings and compressions; a paragraph a line),
    tokenized, segmented, numbered, and closed by `</s>`; lines that have no token are left out.

    Args:
        source: the text.
        target: where the binarized text goes: the path without `.bin` and `.idx`, to be read by `Blocks`.
        tokenizer: of the text's language.
        merges: the BPE codes.
        dictionary: the symbols by id.

    Raises:
        UserError: the file is missing or damaged, or has no text.
    """
    ids = {symbol: number for number, symbol in enumerate(dictionary)}
    encoder = BPEEncoder(merges)
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


def characters(dictionary: Sequence[str]) -> npt.NDArray[np.int64]:
    """How many characters of tokenized text each symbol stands for, [vocabulary].

    A word-internal symbol (`low@@`) counts its own characters, a word-final one also the space or line end behind it,
    `</s>` none. `<unk>` counts as one character, which it nearly always is, and a space. The sum over a line is its
    length with its line end.
    """
    sizes = [len(symbol) - len(CONTINUATION) if is_word_internal(symbol) else len(symbol) + 1 for symbol in dictionary]
    sizes[: len(SPECIALS)] = [0] * len(SPECIALS)
    sizes[_UNKNOWN] = 2
    return np.array(sizes, dtype=np.int64)


@dataclass(frozen=True)
class Size:
    """A text's tokens, line ends included, and its characters, see `characters`."""

    tokens: int
    characters: int


def measure(path: Path, sizes: npt.NDArray[np.int64]) -> Size:
    """The size of a binarized text (path without suffix), given each symbol's characters, [vocabulary]."""
    total = sum(int(sizes[tokens].sum()) for tokens in _running(path))
    return Size(Blocks(path, _CHUNK).tokens, total)


def first_lines(path: Path, count: int) -> list[Integers]:
    """The first `count` lines of a binarized text (path without suffix), each with the `</s>` at its end."""
    lines: list[Integers] = []
    rest: list[Integers] = []
    for tokens in _running(path):
        *whole, last = np.split(tokens, np.flatnonzero(tokens == _EOS) + 1)
        for line in whole:
            lines.append(np.concatenate([*rest, line]))
            rest = []
            if len(lines) == count:
                return lines
        rest.append(last)
    return lines


def _running(path: Path) -> Iterator[Integers]:
    """The running text in pieces, [tokens]."""
    text = Blocks(path, _CHUNK)
    for number in range(len(text)):
        yield text.read(np.array([number]), pad=0)[0][0]
