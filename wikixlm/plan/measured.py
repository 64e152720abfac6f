"""What went through the stages of a run, in MB, from its counts and from what lies on disk."""

from functools import cached_property
from pathlib import Path

from wikixlm.errors import UserError
from wikixlm.files import read_json

MB = 1e6


class Measured:
    """A finished run, or one that has at least its data.

    Raises:
        UserError: it has no counts.
    """

    def __init__(self, run: Path) -> None:
        self.run = run
        counts = run / "work" / "counts"
        self._extract = [read_json(path) for path in sorted((counts / "extract").glob("*/*.json"))]
        self._segmented = [read_json(path) for path in sorted((counts / "apply_bpe").glob("*/*.json"))]
        if not self._extract:
            raise UserError(f"{counts / 'extract'} has no counts: give the directory of a run with its data")

    def megabytes(self, of: str) -> float:
        """MB of `dump`, `text`, `sample`, `held out`, `bpe`, `tokenized` or `binary`; 0 where unknown."""
        return float(getattr(self, f"_{of.replace(' ', '_')}", 0.0)) / MB if of else 0.0

    @property
    def tokens(self) -> int:
        """BPE tokens of all splits."""
        return sum(int(entry["tokens"]) for entry in self._segmented)

    @property
    def own_text(self) -> set[str]:
        """The languages made from plain-text files."""
        return {entry["language"] for entry in self._extract if "pages" not in entry}

    def threads(self, stage: str) -> int:
        """More than 1 for a stage whose jobs use more than one core."""
        return 2 if stage in ("learn_bpe", "binarize", "train_mlm", "evaluate_mlm") else 1

    @cached_property
    def _dump(self) -> int:
        files = {name for entry in self._extract if "pages" in entry for name in entry["files"]}
        return sum(path.stat().st_size for name in files if (path := self.run / name).is_file())

    @property
    def _text(self) -> int:
        return sum(int(entry["bytes"]) for entry in self._extract)

    @cached_property
    def _sample(self) -> float:
        """The text that BPE was learned from."""
        path = self.run / "work" / "counts" / "learn_bpe.json"
        sampled = sum(read_json(path).get("sampled_lines", {}).values()) if path.is_file() else 0
        lines = sum(int(entry["lines"]) for entry in self._extract)
        return self._text * min(1.0, sampled / max(1, lines))

    @property
    def _held_out(self) -> int:
        return self._processed("valid.*") + self._processed("test.*")

    @property
    def _bpe(self) -> int:
        return self._processed("train.*") + self._held_out

    @property
    def _tokenized(self) -> int:
        return _size(self.run / "work" / "tokenized", "*/*.zst")

    @property
    def _binary(self) -> int:
        return _size(self.run / "monolingual_data" / "fairseq_processed", "*")

    def _processed(self, pattern: str) -> int:
        return _size(self.run / "monolingual_data" / "processed", pattern)


def _size(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern))
