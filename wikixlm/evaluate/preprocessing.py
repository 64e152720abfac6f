"""How raw text becomes a model's symbols: what a run was configured with, or what an export says of itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wikixlm.bpe.codes import Merge, read_codes
from wikixlm.errors import UserError
from wikixlm.files import read_json, text_lines
from wikixlm.tokenize.line_tokenizer import LineTokenizer


@dataclass(frozen=True)
class Steps:
    """The tokenizer's settings and the BPE codes.

    Attributes:
        merges: the codes.
        lowercase: whether text is lower-cased and loses its accents.
        japanese: the word segmenter for Japanese.
        kytea_model: KyTea's model file; None: where XLMTokenizer looks.
    """

    merges: Sequence[Merge]
    lowercase: bool
    japanese: str
    kytea_model: Path | None = None

    def tokenizer(self, language: str) -> LineTokenizer:
        """The tokenizer of a language."""
        return LineTokenizer(language, self.lowercase, self.japanese, self.kytea_model)


def choose(
    export: Path | None, codes: Path | None, lowercase: bool | None, japanese: str | None, kytea_model: Path | None
) -> Steps:
    """The steps: as given, else as the export says, else the defaults.

    Raises:
        UserError: there are neither codes nor an export, or one of them can't be read.
    """
    own: dict[str, Any] = read_json(export / "config.json") if export else {}
    if codes is None and export is None:
        raise UserError("--text needs --codes, the BPE codes of the model's run: monolingual_data/processed/codes")
    return Steps(
        merges=read_codes(codes) if codes else _exported_codes(export or Path()),
        lowercase=own.get("do_lowercase_and_remove_accent", True) if lowercase is None else lowercase,
        japanese=japanese or own.get("japanese_segmenter", "kytea"),
        kytea_model=kytea_model,
    )


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
