"""The stages of a run, and which files say that a part of them is done."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wikixlm.run_layout import shard_name
from wikixlm.workflow import run_record
from wikixlm.workflow.run_record import Record


@dataclass(frozen=True)
class Stage:
    """A stage that every language goes through.

    Attributes:
        name: the head of its column.
        rules: whose jobs they are.
        folder: where each part leaves a file, `{lang}` for the language.
        files: that file's names: `{lang}`, and `{shard}` where there is one for every shard.
    """

    name: str
    rules: tuple[str, ...]
    folder: str
    files: tuple[str, ...]

    def parts(self, language: str, record: Record) -> list[str]:
        """The names of the files that a language leaves when it is done; none if it skips this stage."""
        if self.name == "download" and record.sources[language] != run_record.WIKIMEDIA:
            return []
        number = record.shards[language] if "{shard}" in self.files[0] else 1
        shards = (shard_name(shard, number) for shard in range(number))
        return [name.format(lang=language, shard=shard) for shard in shards for name in self.files]

    def done(self, directory: Path, language: str, parts: Iterable[str]) -> int:
        """How many of the parts are on disk."""
        try:
            with os.scandir(directory / self.folder.format(lang=language)) as entries:
                there = {entry.name for entry in entries}
        except FileNotFoundError:
            return 0
        return sum(name in there for name in parts)


PER_LANGUAGE = (
    Stage("download", ("resolve_dump", "download_dump"), "dumps/{lang}", ("manifest.json",)),
    Stage("extract", ("extract", "corpus"), "work/counts/extract/{lang}", ("{shard}.json",)),
    Stage("tokenize", ("tokenize",), "work/counts/tokenize/{lang}", ("{shard}.json",)),
    Stage("split", ("split",), "work/split/{lang}", ("split.json",)),
    Stage("apply_bpe", ("apply_bpe",), "work/counts/apply_bpe/{lang}", ("{shard}.json",)),
    Stage("held_out", ("apply_bpe_held_out",), "work/counts/apply_bpe/{lang}", ("valid.json", "test.json")),
    Stage("concatenate", ("concatenate",), "monolingual_data/processed", ("train.{lang}",)),
    Stage("binarize", ("binarize",), "monolingual_data/fairseq_processed", ("dict.{lang}.txt",)),
)

# Stages on all languages together, and the file that says that they are done.
JOINT = {
    "learn_bpe": "monolingual_data/processed/codes",
    "vocabulary": "monolingual_data/processed/vocab_mlm",
    "dictionary": "monolingual_data/fairseq_processed/dict.txt",
    "train_mlm": "models/mlm/model.pt",
    "provenance": "models/mlm/manifest.json",
    "evaluate_mlm": "evaluation/mlm_perplexity.tsv",
    "export_hf": "export/config.json",
    "finetune_xnli": "evaluation/xnli.tsv",
    "report": "report.html",
}
