"""A small finished run, written file by file in the stages' own forms, with numbers that are easy to add up by hand.

Three languages: `en` from a dump in two shards, `de` from a dump in which a page failed, `ka` from text of one's own.
"""

import dataclasses
import json
import math
import os
from collections import Counter
from pathlib import Path
from typing import Any

from wikixlm.bpe.vocabulary import write_symbols
from wikixlm.evaluate import scoring as evaluation
from wikixlm.extract import extract, plain_text
from wikixlm.files import write_json
from wikixlm.tokenize import tokenize
from wikixlm.workflow import events

SHARDS = {"en": 2, "de": 1, "ka": 1}
CONFIGURATION: dict[str, Any] = {
    "languages": list(SHARDS),
    "corpora": {"local": {"ka": ["ka.txt"]}},
    "extract": {"shards": 1, "shards_per_language": {"en": 2}},
    "bpe": {"codes": 100, "alpha": 0.5, "sample_lines": 60, "codes_file": None},
    "train": {"recipe": "wikixlm", "alpha": 0.7, "tokens_per_sample": 11, "max_update": 40},
}
LINES = {"en": (80, 8, 12), "de": (16, 2, 2), "ka": (4, 1, 1)}  # train, valid, test
SYMBOLS = {"en": {"the": 700, "cat@@": 100, "2026": 200}, "de": {"der": 60, "2026": 40}, "ka": {"და": 25}}
BENCHMARK = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def shard_names(language: str) -> list[str]:
    """The shards of a language."""
    return [f"{number:05d}-of-{SHARDS[language]:05d}" for number in range(SHARDS[language])]


def make_text(directory: Path) -> None:
    """Everything up to the segmented text."""
    counts = directory / "work" / "counts"
    for number, shard in enumerate(shard_names("en")):
        _write(
            counts / "extract" / "en" / f"{shard}.json",
            extract.DumpShardCounts("en", shard, ["en.bz2"], pages=50, redirects=20, other_namespaces=3, other_models=1,
                           duplicates=number, articles=26 - number, documents=24 - number, empty=1, dropped_short=1,
                           lines=53, characters=900, bytes=950),
        )  # fmt: skip
    _write(
        counts / "extract" / "de" / "00000-of-00001.json",
        extract.DumpShardCounts("de", "00000-of-00001", ["de.bz2"], pages=12, redirects=1, articles=11, documents=9,
                       empty=1, skipped=[77], skipped_titles={"77": "Katze <b>(Tier)</b>"},
                       lines=21, characters=300, bytes=310),
    )  # fmt: skip
    _write(
        counts / "extract" / "ka" / "00000-of-00001.json",
        plain_text.TextShardCounts("ka", "00000-of-00001", ["ka.txt"], lines_in=8, empty=2, documents=6, lines=6),
    )
    for language, (train, valid, test) in LINES.items():
        for number, shard in enumerate(shard_names(language)):
            emptied = 2 if language == "en" and not number else 0
            _write(
                counts / "tokenize" / language / f"{shard}.json",
                tokenize.TokenizeCounts(language, lines_emptied=emptied),
            )
            lines = train // SHARDS[language]
            _segmented(counts / "apply_bpe" / language / f"{shard}.json", lines, 5, 10)
        _segmented(counts / "apply_bpe" / language / "valid.json", valid, 5, 11)
        _segmented(counts / "apply_bpe" / language / "test.json", test, 5, 12)
        dropped = {"en": {"train": 3, "held_out": 1}, "de": {"train": 1, "held_out": 0}}
        write_json(
            directory / "work" / "split" / language / "split.json",
            {
                "language": language,
                "shards": [f"work/tokenized/{language}/{shard}.jsonl.zst" for shard in shard_names(language)],
                "lines": {"train": train, "valid": valid, "test": test},
                "dropped": dropped.get(language, {"train": 0, "held_out": 0}),
            },
        )
        write_symbols(directory / "work" / "vocabulary" / f"{language}.zst", Counter(SYMBOLS[language]))
    write_json(counts / "learn_bpe.json", {"codes": 100, "sampled_lines": {"en": 39, "de": 16, "ka": 4}})


def _write(path: Path, counts: Any) -> None:
    write_json(path, dataclasses.asdict(counts))


def _segmented(path: Path, lines: int, words: int, tokens: int) -> None:
    """`words` and `tokens` are per line; a fifth of the words are whole, a tenth of the characters unknown."""
    counts = {"lines_in": lines, "lines_out": lines, "words": lines * words, "tokens": lines * tokens}
    counts |= {"whole_words": lines * words // 5, "characters": lines * 20, "unknown_characters": lines * 2}
    write_json(path, counts)


def make_training(directory: Path) -> None:
    """Curves of 40 updates in two calls, their log and benchmarks."""
    rows: list[dict[str, Any]] = []
    for update in range(5, 41, 5):
        loss = 7 - update / 20
        rows.append(
            {"split": "train", "update": update, "epoch": 1, "loss": loss, "perplexity": 2.718**loss,
             "lr": 1e-3 / update, "tokens_per_second": 1000.0 + update, "wall": update * 3.0}
        )  # fmt: skip
        if update % 20 == 0:
            languages = {each: {"loss": loss, "perplexity": 300.0 - update, "accuracy": 0.2} for each in SHARDS}
            rows.append(
                {"split": "valid", "update": update, "epoch": 1, "loss": loss, "perplexity": 300.0 - update,
                 "accuracy": 0.2, "languages": languages, "wall": update * 3.0}
            )  # fmt: skip
    folder = directory / "checkpoints" / "mlm"
    folder.mkdir(parents=True)
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    session = {"device": "cuda", "device_reason": "A100", "gpus": 2, "workers": 2, "nodes": 2}
    (folder / "wikixlm_sessions.jsonl").write_text(f"{json.dumps(session)}\n")
    benchmarks = directory / "logs" / "benchmarks"
    for name, line in {
        "extract/en/00000-of-00002": "10.0\t0:00:10\t50.0\t0\t0\t0\t0\t0\t90\t9.0",
        "extract/en/00001-of-00002": "20.0\t0:00:20\t100.0\t0\t0\t0\t0\t0\t90\t18.0",
        "extract/de/00000-of-00001": "0.4\t0:00:00\tNA\t0\t0\t0\t0\t0\t0\tNA",
        "train_mlm": "60.0\t0:01:00\t2000.0\t0\t0\t0\t0\t0\t90\t90.0",
    }.items():
        path = benchmarks / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{BENCHMARK}{line}\n")


def perplexities(directory: Path, by_language: dict[str, tuple[float, float]]) -> None:
    """evaluation/mlm_perplexity.tsv: language to perplexity and unigram baseline, the same for valid and test."""
    rows = []
    for split in ("valid", "test"):
        scored = [
            evaluation.EvaluationRow(
                name,
                split,
                dict(zip(evaluation.COLUMNS, (100, math.log(value), value, 0.2, base, 3.0, 0.1), strict=True)),
            )
            for name, (value, base) in by_language.items()
        ]
        rows += [*scored, evaluation.mean_row(scored)]
    evaluation.write_table(directory / "evaluation" / "mlm_perplexity.tsv", rows)


def make_run(directory: Path) -> Path:
    """The whole run."""
    make_text(directory)
    make_training(directory)
    model = directory / "models" / "mlm" / "model.pt"
    model.parent.mkdir(parents=True)
    model.write_bytes(b"a" * 1000)
    os.utime(model, (1e9, 1e9))
    write_json(
        model.parent / "manifest.json",
        {
            "made": "2026-11-24T12:00:00+00:00",
            "wikixlm": "0.1.0",
            "git_commit": "0123456789abcdef",
            "python": "3.11.7",
            "packages": {"torch": "2.13.0"},
            "configuration": CONFIGURATION,
            "sources": {
                "en": [
                    {"host": "en.wikipedia.org", "date": "2026-11-01",
                     "files": [{"name": "en.bz2", "size": 5000, "sha1": "abc", "url": "https://dumps.example/en.bz2"}]}
                ],
                "ka": [{"path": "/home/me/ka.txt", "size": 200, "sha256": "f" * 64}],
            },
        },
    )  # fmt: skip
    perplexities(directory, {"en": (50.0, 100.0), "de": (60.0, 120.0), "ka": (70.0, 200.0)})
    make_events(directory)
    return directory


def make_events(directory: Path) -> None:
    """A call of half an hour: a job that was sent again with more memory, and the training."""
    resources = {"mem_mb": 2000, "runtime": 60}
    job = events.JobSent(10, 1, "extract", True, 1, {"lang": "en", "shard": "00000-of-00002"}, ["x"], [],
                         "logs/benchmarks/extract/en/00000-of-00002.tsv", {**resources, "mem_mb": 1000})  # fmt: skip
    again = dataclasses.replace(job, time=20, resources=resources)
    train = dataclasses.replace(job, rule="train_mlm", jobid=2, threads=4, benchmark="logs/benchmarks/train_mlm.tsv",
                                resources={"mem_mb": 16000, "runtime": 1440})  # fmt: skip
    path = directory / "work" / "events.jsonl"
    for event in (events.RunStarted(0, "snakemake", "here", ""), job, events.JobFailed(15, 1, [], "", ""), again,
                  train, events.RunEnded(1800)):  # fmt: skip
        with open(path, "a", encoding="utf-8") as stream:
            stream.write(json.dumps({"event": event.event, **dataclasses.asdict(event)}) + "\n")
