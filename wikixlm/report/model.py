"""Tables of the model: the training's curves, perplexity beside the unigram baseline, XNLI."""

from typing import Any

import pandas as pd

from wikixlm.errors import UserError
from wikixlm.report.run import Run


def training(run: Run) -> pd.DataFrame | None:
    """A row for each logged stretch of the training: loss in nats, learning rate, tokens per second and so on."""
    rows = [row for row in run.metrics if row["split"] == "train"]
    return pd.DataFrame(rows).drop(columns="split") if rows else None


def validation(run: Run) -> pd.DataFrame | None:
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


def perplexity(run: Run) -> pd.DataFrame | None:
    """The evaluation's table as it is, and the perplexity as a share of the unigram baseline.

    Raises:
        UserError: the table lacks a column.
    """
    frame = _read(run, "mlm_perplexity.tsv", ("language", "split", "perplexity", "unigram"))
    if frame is not None:
        frame["share_of_baseline"] = frame["perplexity"] / frame["unigram"]
    return frame


def xnli(run: Run) -> pd.DataFrame | None:
    """The fine-tuning's table as it is: a row a language, split and seed, and over the seeds `mean` and `std`."""
    return _read(run, "xnli.tsv", ("language", "split", "seed", "accuracy"))


def xnli_test(frame: pd.DataFrame) -> pd.DataFrame:
    """Of `xnli`'s rows one a language: its accuracy on test, the mean over seeds."""
    rows = (frame["split"] == "test") & (frame["seed"].astype(str) == "mean") & (frame["language"] != "mean")
    return frame[rows]


def _read(run: Run, name: str, needed: tuple[str, ...]) -> pd.DataFrame | None:
    path = run.table("evaluation", name)
    if path is None:
        return None
    # "nan" would be no number, but "na" is a Wikipedia's code: no text stands for a missing value.
    frame = pd.read_csv(path, sep="\t", keep_default_na=False)
    if missing := [column for column in needed if column not in frame]:
        raise UserError(f"{path} has no column {', '.join(missing)}; delete it and run again")
    return frame


def outdated(run: Run, name: str) -> bool:
    """Whether a table of the evaluation is older than the model, and so tells of an earlier one."""
    path, model = run.table("evaluation", name), run.directory / "models" / "mlm" / "model.pt"
    return path is not None and model.is_file() and path.stat().st_mtime < model.stat().st_mtime


def baselines(run: Run) -> dict[str, float]:
    """The unigram baseline of the validation split by language, and of their mean."""
    frame = perplexity(run)
    if frame is None:
        return {}
    rows = frame[frame["split"] == "valid"]
    return dict(zip(rows["language"], rows["unigram"], strict=True))
