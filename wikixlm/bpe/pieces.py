"""Pieces, the symbols of the scheme `sentencepiece`, and the tokenizer.json of Hugging Face's tokenizers that has them.

Text is normalized (`wikixlm.tokenize.normalization`), each word gets a `▁` before it (SentencePiece's Metaspace; Kudo
and Richardson 2018, https://arxiv.org/abs/1808.06226), and is cut where letters, digits and other signs meet. A
Unigram model (Kudo 2018, https://arxiv.org/abs/1804.10959) or BPE merges then cut these parts into pieces. A character
that is no piece is spelled in bytes, `<0xE2> <0x96> <0x87>`: none is ever unknown. Text that contains the name of a
special symbol or of a byte, `<mask>` or `<0xE2>`, is cut into several pieces as any other.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE, Unigram

from wikixlm.bpe.codes import SPECIALS
from wikixlm.bpe.encoder import LineEncoder, WordSymbols
from wikixlm.errors import UserError
from wikixlm.files import atomic_text, open_binary, read_json
from wikixlm.tokenize.normalization import WORD_START, normalizer

BYTES = tuple(f"<0x{byte:02X}>" for byte in range(256))
MODELS = ("unigram", "bpe")
# The score of what no text is cut into: the log-probability of any other way is higher.
UNREACHABLE = -1e4
_UNKNOWN = SPECIALS[3]
_BYTE_SET = frozenset(BYTES)
# UTF-8's bytes 0x80 to 0xBF continue a character.
_CONTINUING = frozenset(BYTES[0x80:0xC0])
# Letters with their marks and joiners; between them an apostrophe, a middle dot, the marks within Armenian and Hebrew
# words, or the point between Tibetan syllables.
_LETTER = r"[\p{L}\p{M}\x{200C}\x{200D}]"
_WITHIN = r"['\x{2019}\x{B7}\x{55A}-\x{55E}\x{5F3}\x{5F4}\x{F0B}]"
PATTERN = (
    rf"{WORD_START}?{_LETTER}+(?:{_WITHIN}{_LETTER}+)*|{WORD_START}?\p{{N}}+"
    rf"|{WORD_START}?[^\p{{L}}\p{{M}}\p{{N}}\x{{200C}}\x{{200D}}{WORD_START}]+|{WORD_START}"
)
_FORMS = {"NFKC": "nfkc", "NFC": "nfc", "Replace": "none"}  # by the type of the first normalizer


@dataclass(frozen=True)
class PieceModel:
    """How text is cut into pieces.

    Attributes:
        kind: one of `MODELS`.
        normalization: of the text before, one of `NORMALIZATIONS`.
        scores: the pieces without bytes, with their log-probabilities (of BPE: 0).
        merges: of BPE, in their order.
    """

    kind: str
    normalization: str
    scores: Mapping[str, float]
    merges: tuple[tuple[str, str], ...] = field(default=())

    @property
    def symbols(self) -> list[str]:
        """All symbols that text can be cut into."""
        return [*self.scores, *BYTES]

    def tokenizer(self, vocabulary: Sequence[str] | None = None) -> Tokenizer:
        """The tokenizer, from raw text to pieces.

        Args:
            vocabulary: symbols in the order of their ids, among them `<unk>` and all of `symbols`.
        """
        names = list(vocabulary or [_UNKNOWN, *self.symbols])
        if self.kind == "unigram":
            scored = [(name, self.scores.get(name, UNREACHABLE)) for name in names]
            model: Any = Unigram(scored, unk_id=names.index(_UNKNOWN), byte_fallback=True)
        else:
            ids = {name: number for number, name in enumerate(names)}
            model = BPE(ids, list(self.merges), unk_token=_UNKNOWN, byte_fallback=True)
        tokenizer = Tokenizer(model)
        tokenizer.normalizer = normalizer(self.normalization)
        tokenizer.pre_tokenizer = pre_tokenizer()
        tokenizer.decoder = decoder()
        return tokenizer


def pre_tokenizer() -> pre_tokenizers.Sequence:
    """Cuts normalized text into the parts that pieces don't cross.

    Only the beginning of a text begins a word by itself, not what follows a mask without a space.
    """
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(WORD_START, "first", split=False),
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
        ]
    )


def decoder() -> decoders.Sequence:
    """Puts pieces together to text."""
    return decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(WORD_START, "first")])


def write_pieces(path: Path, model: PieceModel) -> None:
    """Write a tokenizer.json."""
    with atomic_text(path) as stream:
        stream.write(model.tokenizer().to_str(pretty=True) + "\n")


def is_pieces_file(path: Path) -> bool:
    """Whether codes are a tokenizer.json, and not merges."""
    with open_binary(path) as stream:
        return stream.read(1) == b"{"


def read_pieces(path: Path) -> PieceModel:
    """Read a tokenizer.json of `wikixlm learn-bpe` or of an export. Only pieces, scores and merges are taken from it.

    Raises:
        UserError: the file is missing or damaged, or has other rules than this package.
    """
    content = read_json(path)
    refused = f"{path} is not a tokenizer.json of wikixlm"
    try:
        model, kind = content["model"], content["model"]["type"].lower()
        normalization = _FORMS[content["normalizer"]["normalizers"][0]["type"]]
        pattern = content["pre_tokenizer"]["pretokenizers"][1]["pattern"]["Regex"]
        scored = model["vocab"] if kind == "unigram" else [(name, 0.0) for name in model["vocab"]]
        names = [str(name) for name, _ in scored]
        scores = {str(name): float(score) for name, score in scored if score != UNREACHABLE and name not in _BYTE_SET}
        merges = tuple((str(left), str(right)) for left, right in model.get("merges", []))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as failure:
        raise UserError(f"{refused} ({failure!r:.80})") from failure
    if kind not in MODELS or not model.get("byte_fallback") or pattern != PATTERN:
        raise UserError(f"{refused}: it cuts text by other rules")
    if len(set(names)) < len(names) or not _BYTE_SET.issubset(names):
        raise UserError(f"{refused}: a piece is there twice, or a byte is missing")
    reached = {left + right for left, right in merges} if kind == "bpe" else set()
    pieces = {name: score for name, score in scores.items() if kind == "unigram" or len(name) == 1 or name in reached}
    for name, score in pieces.items():
        if name.split() != [name] or name in SPECIALS or not math.isfinite(score):
            raise UserError(f"{refused}: {name!r} can't be a piece")
    if any(part not in pieces for merge in merges for part in merge):
        raise UserError(f"{refused}: a merge joins what is no piece")
    return PieceModel(kind, normalization, pieces, merges)


class _PiecedWords(WordSymbols):
    def __init__(self, model: PieceModel) -> None:
        super().__init__()
        self._tokenizer = model.tokenizer()

    def segment(self, word: str) -> str:
        return " ".join(self._tokenizer.encode(word, add_special_tokens=False).tokens)

    def unknown_characters(self, word: str, symbols: Sequence[str]) -> int:
        return sum(symbol in _BYTE_SET and symbol not in _CONTINUING for symbol in symbols)


class PieceEncoder(LineEncoder):
    """Splits lines of words into pieces, as the model's tokenizer does with the whole line."""

    def __init__(self, model: PieceModel) -> None:
        super().__init__(_PiecedWords(model))


def decode(pieces: str) -> str:
    """The normalized text of a line of pieces that are joined by spaces."""
    return decoder().decode(pieces.split(" "))


def has_bytes(symbols: Sequence[str]) -> bool:
    """Whether a vocabulary is one of pieces: it has all bytes."""
    return _BYTE_SET.issubset(symbols)


def piece_characters(piece: str) -> int:
    """How many characters of the text a piece stands for; a character in bytes counts with its first one."""
    return int(piece not in _CONTINUING) if piece in _BYTE_SET else len(piece)


def dump(model: PieceModel, vocabulary: Sequence[str]) -> dict[str, Any]:
    """The content of the tokenizer.json with these ids."""
    content: dict[str, Any] = json.loads(model.tokenizer(vocabulary).to_str())
    return content
