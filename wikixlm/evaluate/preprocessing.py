"""How raw text becomes a model's symbols: from options, or from what an export records."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wikixlm.bpe.codes import Merge, read_codes
from wikixlm.bpe.encoder import BPEEncoder, LineEncoder
from wikixlm.bpe.pieces import PieceEncoder, PieceModel, is_pieces_file, read_pieces
from wikixlm.errors import UserError
from wikixlm.files import read_json, text_lines
from wikixlm.tokenize.line_tokenizer import LineTokenizer
from wikixlm.tokenize.normalization import LineNormalizer
from wikixlm.tokenize.tokenize import Lines


@dataclass(frozen=True)
class Preprocessing:
    """The tokenizer's settings and the BPE codes.

    Attributes:
        lowercase: lower-case the text and remove its accents.
        japanese: the word segmenter for Japanese.
        kytea_model: KyTea's model file; None: where XLMTokenizer looks.
    """

    merges: Sequence[Merge]
    lowercase: bool
    japanese: str
    kytea_model: Path | None = None

    def tokenizer(self, language: str) -> Lines:
        return LineTokenizer(language, self.lowercase, self.japanese, self.kytea_model)

    def encoder(self) -> LineEncoder:
        return BPEEncoder(self.merges)


@dataclass(frozen=True)
class PiecePreprocessing:
    """The scheme `sentencepiece`, alike in every language."""

    pieces: PieceModel

    def tokenizer(self, language: str) -> Lines:
        return LineNormalizer(self.pieces.normalization)

    def encoder(self) -> LineEncoder:
        return PieceEncoder(self.pieces)


@dataclass(frozen=True)
class PreprocessingOptions:
    """What the command line says of the preprocessing; None leaves it to the export, or to the default."""

    codes: Path | None = None
    lowercase: bool | None = None
    japanese: str | None = None
    kytea_model: Path | None = None


def choose_preprocessing(export: Path | None, options: PreprocessingOptions) -> Preprocessing | PiecePreprocessing:
    """The preprocessing: as the options say, else as the export records, else the defaults.

    Raises:
        UserError: neither codes nor an export are given, or one of them can't be read.
    """
    own: dict[str, Any] = read_json(export / "config.json") if export else {}
    if options.codes is None and export is None:
        raise UserError("--text needs --codes, the BPE codes of the model's run: monolingual_data/processed/codes")
    if pieces := _pieces(export, options):
        return PiecePreprocessing(pieces)
    recorded = own.get("do_lowercase_and_remove_accent", False)
    return Preprocessing(
        merges=read_codes(options.codes) if options.codes else _exported_codes(export or Path()),
        lowercase=recorded if options.lowercase is None else options.lowercase,
        japanese=options.japanese or own.get("japanese_segmenter", "kytea"),
        kytea_model=options.kytea_model,
    )


def _pieces(export: Path | None, options: PreprocessingOptions) -> PieceModel | None:
    """The pieces, where the codes or the export have such."""
    path = options.codes or (export or Path()) / "tokenizer.json"
    if not (path.exists() and is_pieces_file(path)):
        return None
    if options.lowercase or options.japanese or options.kytea_model:
        raise UserError(
            f"{path} holds pieces, which need no --lowercase-and-remove-accent, --japanese or --kytea-model"
        )
    return read_pieces(path)


def _exported_codes(export: Path) -> list[Merge]:
    """The merges of an export's merges.txt, `left right` lines."""
    path = export / "merges.txt"
    merges = []
    for number, line in text_lines(path):
        left, _, right = line.partition(" ")
        if not left or not right:
            raise UserError(f"{path}, line {number}: {line!r} is not a merge")
        merges.append(Merge(left, right))
    return merges
