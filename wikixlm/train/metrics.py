"""The figures of a training: fairseq's JSON log lines become rows in files, and now and then a line on the terminal.

`metrics.jsonl`, in the save directory, has a JSON object a line:

- `split`: `train` or `valid`; `update`; `epoch`; `wall`: seconds of training so far, over all calls of the command;
- `loss`: nats per masked token; `perplexity`: e to it (of `valid`: the languages' arithmetic means);
- `train` only, averages since the row before: `lr`, `gradient_norm`, `updates_per_second`, `tokens_per_second`;
- `valid` only: `accuracy` and `languages`, the three figures of each language; the recipe `tutorial` has neither.

A figure that is infinite or not a number is null.
"""

import contextlib
import json
import logging
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from wikixlm import console, formatting
from wikixlm.errors import UserError
from wikixlm.files import atomic_text
from wikixlm.model.perplexity import perplexity

SECONDS_BETWEEN_LINES = 30
METRICS = "metrics.jsonl"
_SPLITS = ("train", "valid")
_TRAIN, _VALID = " | train_inner | {", " | valid | {"
_FIGURES = {"loss": "loss", "ppl": "perplexity", "accuracy": "accuracy"}

Row = dict[str, Any]


class Sink(Protocol):
    """What the rows of a training go to."""

    def write(self, row: Row) -> None:
        """One row, as described above."""


class LogScale(NamedTuple):
    """From fairseq's figures to those of rows.

    Attributes:
        loss_base: the base of the logged losses' logarithm.
        tokens_per_logged: tokens read for each token in fairseq's count.
        seconds_before: seconds of training in earlier calls.
    """

    loss_base: float
    tokens_per_logged: float
    seconds_before: float = 0.0


class LogParser:
    """Turns fairseq's log, line by line, into rows.

    Args:
        scale: of its figures.
        sinks: get the rows.
    """

    def __init__(self, scale: LogScale, sinks: Sequence[Sink]) -> None:
        self.scale = scale
        self.sinks = sinks
        self._begin = time.monotonic() - scale.seconds_before

    def feed(self, line: str) -> None:
        """Parse one line of fairseq's output."""
        kind = next((kind for kind in (_TRAIN, _VALID) if kind in line), None)
        if kind is None:
            return
        # A line may be cut short, or another one's: neither ends the training.
        with contextlib.suppress(ValueError, KeyError, OverflowError, TypeError):
            figures = json.loads(line[line.index(kind) + len(kind) - 1 :])
            row = self._train_row(figures) if kind is _TRAIN else self._valid_row(figures)
            row["wall"] = round(time.monotonic() - self._begin, 1)
            for sink in self.sinks:
                sink.write(row)

    def _train_row(self, figures: Row) -> Row:
        loss = float(figures["loss"]) * math.log(self.scale.loss_base)
        row = {"split": "train", "update": int(figures["num_updates"]), "epoch": int(figures["epoch"])}
        row |= {"loss": loss, "perplexity": perplexity(loss), "lr": float(figures["lr"])}
        row |= {"updates_per_second": float(figures["ups"])}
        row["tokens_per_second"] = round(float(figures["wps"]) * self.scale.tokens_per_logged, 1)
        if "gnorm" in figures:
            row["gradient_norm"] = float(figures["gnorm"])
        return row

    def _valid_row(self, figures: Row) -> Row:
        row: Row = {"split": "valid", "update": int(figures["valid_num_updates"]), "epoch": int(figures["epoch"])}
        languages: dict[str, Row] = {}
        for key, text in figures.items():
            _, _, name = key.partition("valid_")
            figure, _, language = name.partition("_")
            if figure not in _FIGURES:
                continue
            value = float(text) * math.log(self.scale.loss_base) if figure == "loss" else float(text)
            place = languages.setdefault(language, {}) if language else row
            place[_FIGURES[figure]] = value
        row.setdefault("perplexity", perplexity(row["loss"]))
        return {**row, "languages": languages} if languages else row


class Terminal:
    """Reports now and then how far the training is.

    Args:
        goal: max_update.
    """

    def __init__(self, goal: int) -> None:
        self.goal = goal
        self._next_line = time.monotonic()
        self._valid: Row | None = None
        self._first: tuple[float, int] | None = None

    def write(self, row: Row) -> None:
        """Write a line, unless one was written just before."""
        if row["split"] == "valid":
            self._valid = row
            return
        self._first = self._first or (time.monotonic(), row["update"])
        if time.monotonic() >= self._next_line:
            console.say(self.describe(row))
            self._next_line = time.monotonic() + SECONDS_BETWEEN_LINES

    def describe(self, row: Row) -> str:
        """The line: update, loss in nats, perplexity (and that of the last validation), tokens/s, time left."""
        parts = [f"update {row['update']:,}/{self.goal:,}", f"loss {row['loss']:.3f}"]
        parts.append(f"perplexity {row['perplexity']:,.1f}")
        if self._valid is not None:
            parts[-1] += f" (held-out {self._valid['perplexity']:,.1f})"
        if row["updates_per_second"] > 0:  # unknown at the first update
            parts.append(f"{row['tokens_per_second']:,.0f} tokens/s")
            parts.append(f"{formatting.duration((self.goal - row['update']) / self._rate(row))} left")
        return ", ".join(parts)

    def _rate(self, row: Row) -> float:
        """Updates per second since the first row, validation and saving included; a single row's own is jumpy."""
        if self._first is None or row["update"] == self._first[1]:
            return float(row["updates_per_second"])
        return float((row["update"] - self._first[1]) / (time.monotonic() - self._first[0]))


class MetricsFile:
    """Appends rows to `metrics.jsonl`.

    Args:
        path: the file; created where it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._failed = False

    def write(self, row: Row) -> None:
        """Append it; a full disk is reported once, and does not end the training."""
        try:
            with open(self.path, "a", encoding="utf-8") as stream:
                stream.write(f"{json.dumps(_finite(row))}\n")
        except OSError as failure:
            if not self._failed:
                console.warn(f"cannot write {self.path}: {failure.strerror}; training continues without it")
            self._failed = True


def drop_rows_after(path: Path, resumed: int) -> float:
    """Remove the rows of updates that a training resumed at update `resumed` (0: a new one) makes again.

    Returns:
        seconds of training before, by the rows that stay.
    """
    rows = [row for row in read_metrics(path) if row["update"] <= resumed]
    with atomic_text(path) as stream:
        stream.writelines(f"{json.dumps(row)}\n" for row in rows)
    return max((float(row["wall"]) for row in rows), default=0.0)


def _finite(value: Any) -> Any:
    """A row, or a part of one, with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_metrics(path: Path) -> Iterator[Row]:
    """The rows of a metrics file; none if there is no file. A line cut short by a kill is skipped."""
    if not path.exists():
        return
    with open(path, encoding="utf-8", errors="replace") as stream:
        for line in stream:
            with contextlib.suppress(ValueError):
                row = json.loads(line)
                if isinstance(row, dict) and row.get("split") in _SPLITS:
                    yield row


class TensorBoard:
    """Writes rows as TensorBoard's scalars, one run for training and one for validation.

    Args:
        folder: of the two runs.
        resumed: as for `drop_rows_after`.

    Raises:
        UserError: the package is not installed.
    """

    def __init__(self, folder: Path, resumed: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as failure:
            raise UserError(
                "train.tensorboard is true, but the package tensorboard is not installed: pip install tensorboard "
                "(or wikixlm[tensorboard]), or set it to false"
            ) from failure
        logging.getLogger("tensorboard").setLevel(logging.WARNING)
        purge = resumed + 1 if resumed else None
        self._writers = {split: SummaryWriter(folder / split, purge_step=purge) for split in _SPLITS}

    def write(self, row: Row) -> None:
        """Write its figures under their names, a language's as `loss/en`."""
        writer = self._writers[row["split"]]
        figures = {key: value for key, value in row.items() if isinstance(value, float)}
        for language, values in row.get("languages", {}).items():
            figures |= {f"{key}/{language}": value for key, value in values.items()}
        for key, value in figures.items():
            writer.add_scalar(key, value, row["update"])
        writer.flush()

    def close(self) -> None:
        """Finish the files."""
        for writer in self._writers.values():
            writer.close()
