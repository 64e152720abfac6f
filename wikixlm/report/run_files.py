"""What a run directory holds, for the report: every file that may not be there yet is None or missing from a list.

Only shards and languages of the configuration count: what an earlier configuration left behind under work/ is passed
over, so that nothing is counted twice.
"""

import re
from functools import cached_property
from pathlib import Path
from typing import Any

from wikixlm.errors import UserError
from wikixlm.files import read_json
from wikixlm.run_layout import EVENTS
from wikixlm.train.metrics import METRICS, read_metrics

Counts = dict[str, Any]
PARTS = ("train", "valid", "test")
_LANGUAGE = re.compile("[a-z0-9_-]+")
_SHARD = re.compile(r"\d+-of-(\d+)")


class RunFiles:
    """A run directory and the configuration it was made with.

    Args:
        directory: what `snakemake --directory` was given.
        configuration: the configuration of the run; by default the one that models/mlm/manifest.json records.

    Attributes:
        configuration: None where neither is there.

    Raises:
        UserError: there is no run in the directory.
    """

    def __init__(self, directory: Path, configuration: dict[str, Any] | None = None) -> None:
        self.directory = directory
        self.configuration = configuration or (self.manifest or {}).get("configuration")
        if not self.languages:
            raise UserError(
                f"{directory.absolute()} holds no run: neither dumps/ nor work/counts/ name a language; "
                "give --directory what snakemake --directory was given"
            )

    @cached_property
    def languages(self) -> list[str]:
        """The languages of the run, in the order of their ids where the configuration is known."""
        if self.configuration:
            return list(self.configuration["languages"])
        folders = [self.directory / "dumps", self.directory / "work" / "counts" / "extract"]
        names = {entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir() if entry.is_dir()}
        return sorted(name for name in names if _LANGUAGE.fullmatch(name))

    @cached_property
    def manifest(self) -> Counts | None:
        """What the model was made of, models/mlm/manifest.json."""
        return self._json("models", "mlm", "manifest.json")

    @cached_property
    def has_events(self) -> bool:
        """Whether the run recorded what its jobs asked for."""
        return (self.directory / EVENTS).is_file()

    def setting(self, section: str, key: str) -> Any:
        """A value of the configuration; None where it is not known."""
        return ((self.configuration or {}).get(section) or {}).get(key)

    def own_text(self, language: str) -> bool:
        """Whether a language is made from text of your own instead of a Wikipedia."""
        return language in (self.setting("corpora", "local") or {}) or any(
            "pages" not in counts for counts in self.counts("extract", language)
        )

    def shards(self, language: str) -> list[str]:
        """The names of a language's shards: as split recorded, as configured, or of the files written last."""
        split = self.split(language)
        if split is not None:
            return [Path(shard).name.split(".")[0] for shard in split["shards"]]
        if self.configuration:
            own = self.setting("extract", "shards_per_language") or {}
            count = own.get(language, self.setting("extract", "shards"))
        else:
            files = sorted(self._counts_files("extract", language), key=lambda path: path.stat().st_mtime)
            count = int(_SHARD.fullmatch(files[-1].stem)[1]) if files else 0  # type: ignore[index]
        return [f"{number:05d}-of-{count:05d}" for number in range(count)]

    def counts(self, stage: str, language: str) -> list[Counts]:
        """The counts of a stage for each shard that has been through it."""
        folder = self.directory / "work" / "counts" / stage / language
        found = (self._json(folder / f"{shard}.json") for shard in self.shards(language))
        return [counts for counts in found if counts is not None]

    def split(self, language: str) -> Counts | None:
        """What the split stage counted of a language."""
        return self._json("work", "split", language, "split.json")

    def segmented(self, language: str, part: str) -> list[Counts]:
        """The counts of the BPE stage for `train` (one a shard), `valid` or `test` (one each)."""
        if part == "train":
            return self.counts("apply_bpe", language)
        counts = self._json("work", "counts", "apply_bpe", language, f"{part}.json")
        return [] if counts is None else [counts]

    @cached_property
    def learned(self) -> Counts | None:
        """What BPE was learned from."""
        return self._json("work", "counts", "learn_bpe.json")

    def symbols(self, language: str) -> Path | None:
        """The symbol counts of a language's training text."""
        path = self.directory / "work" / "vocabulary" / f"{language}.zst"
        return path if path.is_file() else None

    @cached_property
    def metrics(self) -> list[Counts]:
        """The rows of the training so far."""
        return list(read_metrics(self.directory / "checkpoints" / "mlm" / METRICS))

    def table(self, *names: str) -> Path | None:
        """A tab-separated table of the run, if it is there."""
        path = self.directory.joinpath(*names)
        return path if path.is_file() else None

    def downloaded(self, language: str) -> Counts | None:
        """The manifest of a downloaded dump."""
        return self._json("dumps", language, "manifest.json")

    def _counts_files(self, stage: str, language: str) -> list[Path]:
        folder = self.directory / "work" / "counts" / stage / language
        return [path for path in folder.glob("*.json") if _SHARD.fullmatch(path.stem)]

    def _json(self, *names: str | Path) -> Counts | None:
        path = self.directory.joinpath(*names)
        return dict(read_json(path)) if path.is_file() else None
