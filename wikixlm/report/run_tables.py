"""Tables of a run: what it was made from, the training, the evaluation, time, memory and disk.

Each function gives a table, or None where the run has not got that far.
"""

import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from wikixlm import languages
from wikixlm.config import OPERATIONAL
from wikixlm.errors import UserError
from wikixlm.model.perplexity import interval
from wikixlm.report.run_files import Counts, RunFiles
from wikixlm.run_layout import MODEL, SAVE_DIR
from wikixlm.train.sessions import read_sessions
from wikixlm.workflow import events, job_costs

# Columns of the evaluation's tables that are not figures.
_TEXT_COLUMNS = ("language", "split", "seed", "task", "source", "target", "score")
# Columns that need the record of what jobs asked for.
_REQUESTED = ("retries", "asked_seconds", "asked_cores", "efficiency", "asked_mb", "suggestion")
_HASHES = ("sha256", "sha1", "md5")


def sources(run: RunFiles) -> pd.DataFrame | None:
    """The files each language was made from, a row each: which wiki, date of the dump, size in bytes, hash."""
    rows: list[dict[str, Any]] = []
    for language in run.languages:
        for source in _sources(run, language):
            rows += _files(run, language, source)
    return pd.DataFrame(rows) if rows else None


def _sources(run: RunFiles, language: str) -> list[Counts]:
    """As the model's manifest records them, as downloaded, or as the extraction's counts name them."""
    recorded = (run.manifest or {}).get("sources", {}).get(language)
    if recorded:
        return list(recorded)
    downloaded = run.downloaded(language)
    if downloaded is not None:
        return [downloaded]
    named = dict.fromkeys(path for counts in run.counts("extract", language) for path in counts["files"])
    return [{"path": path} for path in named]


def _files(run: RunFiles, language: str, source: Counts) -> Iterator[dict[str, Any]]:
    if "path" in source:
        yield {
            "language": language,
            "wiki": _host(run, language),
            "date": "",
            "file": Path(source["path"]).name,
        } | _measures(source)
        return
    for file in source["files"]:
        yield {
            "language": language,
            "wiki": _host(run, language),
            "date": source.get("date", ""),
            "file": file["name"],
        } | _measures(file)


def _host(run: RunFiles, language: str) -> str:
    return "own text" if run.own_text(language) else languages.wiki(language).host


def _measures(file: Counts) -> dict[str, Any]:
    path = file.get("path")
    size = file.get("size") or (Path(path).stat().st_size if path and Path(path).is_file() else None)
    digest = next((f"{kind}:{file[kind]}" for kind in _HASHES if kind in file), "")
    return {"size": size, "hash": digest, "address": file.get("url", "")}


def configuration(run: RunFiles, defaults: Mapping[str, Any]) -> pd.DataFrame | None:
    """The keys that differ from the defaults, a row each; operational keys, which shape no result, are left out.

    Empty where nothing differs, None where the run's configuration is not known.
    """
    if run.configuration is None:
        return None
    usual, here = dict(_flat(defaults)), dict(_flat(run.configuration))
    rows = [
        {
            "key": key,
            "default": json.dumps(usual.get(key), ensure_ascii=False),
            "run": json.dumps(value, ensure_ascii=False),
        }
        for key, value in here.items()
        if key not in OPERATIONAL and usual.get(key) != value
    ]
    return pd.DataFrame(rows, columns=["key", "run", "default"])


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """`section.key` and value; values of keys that are mappings themselves stay whole."""
    for section, content in values.items():
        if isinstance(content, Mapping):
            yield from ((f"{section}.{key}", value) for key, value in content.items())
        else:
            yield section, content


def versions(run: RunFiles) -> pd.DataFrame | None:
    """Versions of the code, Python and packages with which the model was made, and the machine."""
    if run.manifest is None:
        return None
    named = {
        "wikixlm": run.manifest.get("wikixlm"),
        "commit of the code": run.manifest.get("git_commit"),
        "Python": run.manifest.get("python"),
        "platform": run.manifest.get("platform"),
        **_machine(run.manifest),
        **run.manifest.get("packages", {}),
    }
    return pd.DataFrame([{"what": name, "version": str(text)} for name, text in named.items() if text])


def _machine(manifest: Counts) -> dict[str, Any]:
    """The hardware of the training's last call where that is recorded, else of the machine that wrote the manifest."""
    calls = (manifest.get("training") or {}).get("sessions") or []
    hardware = calls[-1].get("hardware", {}) if calls else manifest.get("hardware") or {}
    memory = hardware.get("memory_bytes")
    return {
        "processor": hardware.get("cpu"),
        "cores": hardware.get("cores"),
        "memory": f"{memory / 1e9:.0f} GB" if memory else None,
        "GPUs": ", ".join(hardware.get("gpus") or []),
    }


def training(run: RunFiles) -> pd.DataFrame | None:
    """A row for each logged stretch of the training: loss in nats, learning rate, tokens per second and so on."""
    rows = [row for row in run.metrics if row["split"] == "train"]
    return pd.DataFrame(rows).drop(columns="split") if rows else None


def validation(run: RunFiles) -> pd.DataFrame | None:
    """A row for each validation and language, and one of the languages' `mean`."""
    rows: list[dict[str, Any]] = []
    for row in run.metrics:
        if row["split"] == "valid":
            when = {"update": row["update"], "epoch": row["epoch"]}
            figures = {"mean": row, **row.get("languages", {})}
            rows += [
                {**when, "language": language, **{key: each.get(key) for key in ("loss", "perplexity", "accuracy")}}
                for language, each in figures.items()
            ]
    return pd.DataFrame(rows) if rows else None


def perplexity(run: RunFiles) -> pd.DataFrame | None:
    """The evaluation's table as it is, and the perplexity as a share of the unigram baseline.

    Raises:
        UserError: the table lacks a column.
    """
    frame = _read_table(run, "mlm_perplexity.tsv", ("language", "split", "perplexity", "unigram"))
    if frame is not None:
        frame["share_of_baseline"] = frame["perplexity"] / frame["unigram"]
        if "loss_error" in frame:
            bounds = [interval(*pair) for pair in zip(frame["loss"], frame["loss_error"], strict=True)]
            single = frame["language"] != "mean"
            frame["lowest"] = pd.Series([low for low, _ in bounds], frame.index).where(single)
            frame["highest"] = pd.Series([high for _, high in bounds], frame.index).where(single)
    return frame


def xnli(run: RunFiles) -> pd.DataFrame | None:
    """The fine-tuning's table as it is: a row a language, split and seed, and over the seeds `mean` and `std`."""
    return _read_table(run, "xnli.tsv", ("language", "split", "seed", "accuracy"))


def crosslingual(run: RunFiles) -> pd.DataFrame | None:
    """Retrieval of translations: a row a direction and score, with `best_baseline`, and `shared` where it is beaten."""
    baselines = ["chance", "length", "surface"]
    frame = _read_table(run, "crosslingual.tsv", ("source", "target", "score", "accuracy", "lowest", *baselines))
    if frame is not None:
        frame["best_baseline"] = frame[baselines].max(axis=1)
        frame["shared"] = [
            "yes" if low > best else "no" for low, best in zip(frame["lowest"], frame["best_baseline"], strict=True)
        ]
    return frame


def xnli_test(frame: pd.DataFrame) -> pd.DataFrame:
    """Of `xnli`'s rows one a language: its accuracy on test, the mean over seeds."""
    rows = (frame["split"] == "test") & (frame["seed"].astype(str) == "mean") & (frame["language"] != "mean")
    return frame[rows]


def _read_table(run: RunFiles, name: str, needed: tuple[str, ...]) -> pd.DataFrame | None:
    path = run.table("evaluation", name)
    if path is None:
        return None
    # "na" is the code of a Wikipedia: no text means a missing value.
    try:
        text = path.read_text(encoding="utf-8")
        frame = pd.read_csv(io.StringIO(text), sep="\t", keep_default_na=False)
    except (ValueError, OSError) as failure:
        raise UserError(f"{path} is damaged ({failure}); delete it and run again") from failure
    if missing := [column for column in needed if column not in frame]:
        raise UserError(f"{path} has no column {', '.join(missing)}; delete it and run again")
    figures = frame[[column for column in frame if column not in _TEXT_COLUMNS]]
    if not text.endswith("\n") or not all(pd.api.types.is_numeric_dtype(figures[column]) for column in figures):
        raise UserError(f"{path} is damaged or cut short; delete it and run again")
    return frame


def outdated(run: RunFiles, name: str) -> bool:
    """Whether a table of the evaluation is older than the model, and so describes an earlier one."""
    path, model = run.table("evaluation", name), run.directory / MODEL
    return path is not None and model.is_file() and path.stat().st_mtime < model.stat().st_mtime


def baselines(run: RunFiles) -> dict[str, float]:
    """The unigram baseline of the validation split by language, and of their mean."""
    frame = perplexity(run)
    if frame is None:
        return {}
    rows = frame[frame["split"] == "valid"]
    return dict(zip(rows["language"], rows["unigram"], strict=True))


FOLDERS = {
    "dumps": "dumps as downloaded",
    "work": "shards, splits and counts between the stages",
    "monolingual_data/processed": "segmented text",
    "monolingual_data/fairseq_processed": "fairseq's binary data",
    "checkpoints": "checkpoints of the training",
    "models": "the model",
    "export": "the model for Hugging Face",
    "xnli": "XNLI as downloaded",
    "evaluation": "tables of the evaluation",
    "logs": "logs and benchmarks",
}


@dataclass(frozen=True)
class Calls:
    """The calls of snakemake that ran jobs: how many, and the seconds from first to last job of each, together."""

    number: int
    seconds: float


@dataclass(frozen=True)
class Hardware:
    """Where the training ran, in words, and on how many GPUs (0: on the CPU)."""

    where: str
    gpus: int


def stages(run: RunFiles) -> pd.DataFrame | None:
    """A row a stage: its jobs, time and memory used, and what the jobs asked for where that is recorded.

    Seconds are sums over the jobs, memory (`peak_mb` in MiB, `asked_mb` in MB) and cores are those of the largest.
    """
    costs = [stage for stage in job_costs.read_costs(run.directory) if stage.seconds]
    if not costs:
        return None
    table = pd.DataFrame(
        {
            "stage": stage.name,
            "jobs": len(stage.jobs),
            "retries": stage.retries,
            "wall_seconds": float(sum(stage.seconds)),
            "longest_seconds": float(max(stage.seconds)),
            "asked_seconds": stage.minutes * 60.0 if stage.minutes is not None else None,
            "cpu_seconds": float(stage.cpu_seconds),
            "asked_cores": stage.threads,
            "efficiency": stage.efficiency,
            "peak_mb": stage.peak,
            "asked_mb": stage.memory_mb,
            "suggestion": stage.suggestion(),
        }
        for stage in costs
    )
    table = table.astype(dict.fromkeys(["asked_seconds", "efficiency", "peak_mb", "asked_mb"], "float64"))
    table["asked_cores"] = table["asked_cores"].astype("Int64")
    if not run.has_events:
        table = table.drop(columns=list(_REQUESTED))
    _whole_training(run, table)
    return table


def slurm(run: RunFiles) -> pd.DataFrame | None:
    """A row for each kind of job that SLURM's efficiency report covers."""
    rows = [
        {
            "stage": kind.name,
            "jobs": len(kind.jobs),
            "wall_seconds": kind.seconds,
            "cpu_seconds": kind.cpu_seconds,
            "efficiency": kind.efficiency,
            "used_mb": kind.peak,
            "asked_mb": kind.memory,
        }
        for kind in job_costs.read_slurm_costs(run.directory)
    ]
    return pd.DataFrame(rows) if rows else None


def _whole_training(run: RunFiles, table: pd.DataFrame) -> None:
    """A resumed training took more than its last job: take its time from the metrics, its CPU time in proportion."""
    seconds = max((row.get("wall") or 0.0 for row in run.metrics), default=0.0)
    row = table["stage"] == "train_mlm"
    last = table.loc[row, "wall_seconds"].sum()
    if last and seconds > last:
        table.loc[row, "cpu_seconds"] *= seconds / last
        table.loc[row, ["wall_seconds", "longest_seconds"]] = seconds


def disk(run: RunFiles) -> pd.DataFrame:
    """A row a folder of the run: files and bytes as they are now, temporary shards gone."""
    rows: list[dict[str, Any]] = []
    for name, what in FOLDERS.items():
        sizes = list(_sizes(run.directory / name))
        if sizes:
            rows.append({"folder": name, "holds": what, "files": len(sizes), "size": sum(sizes)})
    return pd.DataFrame(rows, columns=["folder", "holds", "files", "size"])


def _sizes(folder: Path) -> Iterator[int]:
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                yield (Path(parent) / name).lstat().st_size
            except FileNotFoundError:
                continue  # a temporary file of a job that runs now


def calls(run: RunFiles) -> Calls:
    """How long the calls of snakemake took that ran jobs; none where no events were recorded."""
    spans: list[list[float]] = []
    for event in events.read(run.directory):
        if isinstance(event, events.RunStarted) or not spans:
            spans.append([])
        spans[-1].append(event.time)
    spans = [span for span in spans if len(span) > 1]
    return Calls(len(spans), sum(span[-1] - span[0] for span in spans))


def hardware(run: RunFiles) -> Hardware | None:
    """Where the last call of the training ran."""
    sessions = read_sessions(run.directory / SAVE_DIR)
    if not sessions or "device" not in sessions[-1]:
        return None
    last = sessions[-1]
    if last["device"] == "cpu":
        return Hardware("the CPU", 0)
    nodes, gpus = last["nodes"], last["gpus"]
    where = f"{gpus} GPU{'s' if gpus > 1 else ''} ({last['device_reason']})"
    return Hardware(where + (f" on each of {nodes} nodes" if nodes > 1 else ""), gpus * nodes)
