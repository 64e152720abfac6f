"""What a stage's job takes on this kind of machine, and how its outputs' sizes follow from its inputs'.

The figures that come with the package stand in `wikixlm/data/calibration.json`, each with the command that measured
it. `from_run` takes them from the benchmarks of a run of the user's own, where its jobs were long enough to tell.
"""

import csv
import json
import platform
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wikixlm.errors import UserError
from wikixlm.files import read_json
from wikixlm.plan.measured import Measured

BUILT_IN = Path(__file__).parents[1] / "data" / "calibration.json"
# Below this many seconds beyond the start-up a stage's speed can't be told from its start-up.
SECONDS_TO_TELL = 10.0


@dataclass(frozen=True)
class Speed:
    """One core's time for a job: `seconds`, and one more for each `mb_per_second` of what `of` names."""

    seconds: float
    mb_per_second: float
    of: str
    source: str

    def take(self, megabytes: float) -> float:
        """Core seconds of a job on so many MB."""
        return self.seconds + (megabytes / self.mb_per_second if self.mb_per_second else 0.0)


class Calibration:
    """All figures, as the file has them."""

    def __init__(self, values: dict[str, Any], name: str) -> None:
        self.values = values
        self.name = name

    def speed(self, stage: str) -> Speed:
        """A stage's."""
        entry = self.values["stages"][stage]
        return Speed(entry["seconds"], entry.get("mb_per_second", 0.0), entry.get("of", ""), entry["source"])

    def size(self, name: str) -> float:
        """A ratio of sizes."""
        return float(self.values["sizes"][name]["value"])

    def value(self, name: str) -> float:
        """`cpu_flops_per_core` or `utilisation`."""
        return float(self.values[name]["value"])

    def source(self, name: str) -> str:
        """Where a value comes from."""
        return str(self.values[name]["source"])

    def peak(self, device: str) -> float:
        """A GPU's FLOP/s, by a name that contains the table's: clusters call an A100 `a100_80gb`, say.

        Raises:
            UserError: it is not in the table.
        """
        known = self.values["gpu_flops"]
        names = [name for name in known if name.lower() in device.lower()]
        if not names:
            raise UserError(f"GPU {device} is unknown: --device takes cpu, {', '.join(known)}; or --tokens-per-second")
        return float(known[max(names, key=len)]["value"])


def load(path: Path | None) -> Calibration:
    """The figures of a file that `--calibrate` wrote, or those of the package.

    Raises:
        UserError: it can't be read, or is no such file.
    """
    built_in = read_json(BUILT_IN)
    if path is None:
        return Calibration(built_in, "the package's calibration")
    values = read_json(path)
    if not isinstance(values, dict) or not {"stages", "sizes"} <= values.keys():
        raise UserError(f"{path} is no calibration: `wikixlm plan --calibrate RUN --output FILE` writes one")
    merged = {**built_in, **values}
    for part in ("stages", "sizes"):
        merged[part] = {**built_in[part], **values[part]}
    return Calibration(merged, str(path))


def core_seconds(benchmark: Path, threads: int) -> float:
    """The core time of a job, by the last line of Snakemake's benchmark."""
    with open(benchmark, encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    try:
        wall = float(rows[-1]["s"])
        cpu = float(rows[-1].get("cpu_time") or 0.0)
    except (IndexError, KeyError, ValueError):
        return 0.0
    if threads > 1:
        return max(wall, cpu)
    return wall


def benchmarks(run: Path, own_text: set[str]) -> dict[str, list[Path]]:
    """A run's benchmark files by rule; `own_text`: languages whose text was no dump."""
    found: dict[str, list[Path]] = defaultdict(list)
    root = run / "logs" / "benchmarks"
    for path in sorted(root.rglob("*.tsv")):
        parts = path.relative_to(root).with_suffix("").parts
        rule = parts[0]
        if rule == "apply_bpe" and parts[-1] in ("valid", "test"):
            rule = "apply_bpe_held_out"
        if rule == "extract" and parts[1] in own_text:
            rule = "corpus"
        found[rule].append(path)
    return dict(found)


def from_run(run: Path, old: Calibration) -> tuple[Calibration, list[str]]:
    """Figures of a run where they can be told, the old ones elsewhere; and a line for the user on each stage."""
    measured = Measured(run)
    source = f"{run.resolve().name} on {platform.node()}"
    values = json.loads(json.dumps(old.values))
    lines = []
    for stage, paths in benchmarks(run, measured.own_text).items():
        if stage not in values["stages"]:
            continue
        speed = old.speed(stage)
        seconds = sum(core_seconds(path, measured.threads(stage)) for path in paths)
        megabytes = measured.megabytes(speed.of)
        lines.append(_fit(values["stages"][stage], stage, speed, seconds, len(paths), megabytes, source))
    for name, value in _sizes(measured):
        values["sizes"][name] = {"value": value, "source": source}
    return Calibration(values, str(run)), lines


def _fit(entry: dict[str, Any], stage: str, old: Speed, seconds: float, jobs: int, mb: float, source: str) -> str:
    """Take over what a stage's jobs tell: their speed where they were long, else what they take to start."""
    beyond = seconds - jobs * old.seconds
    if old.mb_per_second and mb and beyond >= SECONDS_TO_TELL:
        entry |= {"mb_per_second": round(mb / beyond, 3), "source": source}
        return f"{stage}: {entry['mb_per_second']:.2f} MB/s of {old.of} (was {old.mb_per_second:.2f})"
    rest = (seconds - (mb / old.mb_per_second if old.mb_per_second else 0.0)) / jobs
    if 0 < rest < seconds and stage != "train_mlm":
        entry |= {
            "seconds": round(rest, 2),
            "source": source if not old.mb_per_second else f"{old.source}; start: {source}",
        }
        return f"{stage}: {rest:.2f} s to start (was {old.seconds:.2f}); too short to tell its speed"
    return f"{stage}: too short to tell"


def _sizes(measured: Measured) -> Iterator[tuple[str, float]]:
    text = measured.megabytes("text")
    if not text:
        return
    pairs = {
        "text_per_dump": (text, measured.megabytes("dump")),
        "bpe_per_text": (measured.megabytes("bpe"), text),
        "tokenized_per_text": (measured.megabytes("tokenized"), text),
        "tokens_per_kb": (measured.tokens / 1000, text),
    }
    for name, (part, whole) in pairs.items():
        if part and whole:
            yield name, round(part / whole, 3)
