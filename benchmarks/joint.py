"""Measure how the two stages that read more than a shard grow: learn-bpe (all languages) and binarize (one language).

    python benchmarks/joint.py                                          # minutes
    python benchmarks/joint.py --lines 1 3 10 --megabytes 250 1000      # the README's figures

Lines of 60 made-up words whose ids are Zipf-distributed (exponent 1.3), so that new word types never stop coming: a
hard case, real text has fewer. learn-bpe reads every line; binarize reads the same lines, segmented. Memory is the sum
of the resident sets of a stage's processes, sampled; memory that fairseq's workers share counts once for each.
"""

import argparse
import json
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from common import dumps  # noqa: E402
from common.measure import measure  # noqa: E402

from wikixlm.documents import Document, write_document  # noqa: E402
from wikixlm.files import atomic_text, write_json  # noqa: E402

WIKIXLM = [sys.executable, "-m", "wikixlm"]
LINES = 500_000  # of a shard
LINES_PER_DOCUMENT = 20
WORDS = 60  # of a line
MILLION = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lines", type=float, nargs="*", default=[0.5, 1], help="millions of lines to learn from")
    parser.add_argument("--megabytes", type=int, nargs="*", default=[50, 100], help="sizes of the text to binarize")
    parser.add_argument("--codes", type=int, default=60_000)
    parser.add_argument("--workers", type=int, default=2, help="fairseq's worker processes, and ours that make text")
    parser.add_argument("--folder", type=Path, help="folder for temporary files, about 0.4 GB per million lines")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "joint.json")
    args = parser.parse_args()
    result: dict[str, Any] = {"codes": args.codes, "workers": args.workers, "learn": [], "binarize": []}
    with tempfile.TemporaryDirectory(prefix="wikixlm-joint-", dir=args.folder) as folder:
        bench = Bench(Path(folder), args.codes, args.workers)
        for lines in sorted(args.lines):
            result["learn"].append(bench.learn(round(lines * MILLION / LINES)))
            save(args.json, result)
        for megabytes in sorted(args.megabytes):
            result["binarize"].append(bench.binarize(megabytes))
            save(args.json, result)
    report(result)


def save(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")


class Bench:
    """Generates shards on demand and measures the stages on them."""

    def __init__(self, folder: Path, codes: int, workers: int) -> None:
        self.folder = folder
        self.codes = codes
        self.workers = workers
        self.shards: list[Path] = []
        self.types = np.array([], dtype=np.int64)
        write_json(folder / "held_out.json.zst", {"documents": [], "lines": []})

    def grow(self, shards: int) -> None:
        """Generate tokenized shards until there are `shards` of them."""
        new = range(len(self.shards), shards)
        paths = [self.folder / f"{number:05d}.jsonl.zst" for number in new]
        with ProcessPoolExecutor(self.workers) as pool:
            for path, ids in zip(paths, pool.map(write_shard, paths, new), strict=True):
                self.shards.append(path)
                self.types = np.union1d(self.types, ids)

    def learn(self, shards: int) -> dict[str, Any]:
        """Measure learn-bpe on all lines of `shards` shards."""
        self.grow(shards)
        split = {"language": "en", "shards": list(map(str, self.shards)), "train_lines": [LINES] * shards}
        write_json(self.folder / "split.json", split)
        command = [*WIKIXLM, "learn-bpe", "--splits", str(self.folder / "split.json"), "--codes", str(self.codes)]
        command += ["--sample-lines", str(shards * LINES), "--output", str(self.folder / "codes")]
        with open(self.folder / "log", "ab") as log:
            usage = measure([*command, "--counts", str(self.folder / "learned.json")], stderr=log, cwd=ROOT)
        counts = json.loads((self.folder / "learned.json").read_text())
        sampled = sum(counts["sampled_lines"].values())
        row = {"lines": sampled, "codes": counts["codes"], "word_types": len(self.types), **asdict(usage)}
        print(row, file=sys.stderr, flush=True)
        return row

    def binarize(self, megabytes: int) -> dict[str, Any]:
        """Measure binarize on the first `megabytes` MB of segmented text, with their vocabulary."""
        if not (self.folder / "codes").exists():
            self.learn(1)
        self.segment(megabytes)
        texts = {"train": self.folder / "train.en", "valid": self.folder / "valid.en", "test": self.folder / "test.en"}
        lines = cut(self.folder / "segmented", texts["train"], megabytes * MILLION)
        for split in ("valid", "test"):
            cut(self.folder / "segmented", texts[split], MILLION)
        options = [option for split, path in texts.items() for option in (f"--{split}", str(path))]
        options += ["--vocabulary", str(self.folder / "vocabulary"), "--output-dir", str(self.folder / "binarized")]
        command = [*WIKIXLM, "binarize", "--language", "en", "--workers", str(self.workers), *options]
        with open(self.folder / "log", "ab") as log:
            usage = measure(command, stderr=log, cwd=ROOT)
        row = {"megabytes": megabytes, "lines": lines, "workers": self.workers, **asdict(usage)}
        print(row, file=sys.stderr, flush=True)
        return row

    def segment(self, megabytes: int) -> None:
        """Segment shards until there are `megabytes` MB of text, and write their vocabulary."""
        whole = self.folder / "segmented"
        number = len(list(self.folder.glob("*.symbols.zst")))
        while not whole.exists() or whole.stat().st_size < megabytes * MILLION:
            self.grow(max(number + 1, len(self.shards)))
            part, symbols = self.folder / "part", self.folder / f"{number}.symbols.zst"
            command = [*WIKIXLM, "apply-bpe", "--codes", str(self.folder / "codes")]
            command += ["--tokenized", str(self.shards[number]), "--held-out", str(self.folder / "held_out.json.zst")]
            with open(self.folder / "log", "ab") as log:
                measure([*command, "--output", str(part), "--symbols", str(symbols)], stderr=log, cwd=ROOT)
            with open(part, "rb") as source, open(whole, "ab") as target:
                while block := source.read(1 << 24):
                    target.write(block)
            number += 1
        symbols_files = [str(path) for path in sorted(self.folder.glob("*.symbols.zst"))]
        vocabulary = [*WIKIXLM, "vocabulary", "--symbols", *symbols_files]
        measure([*vocabulary, "--output", str(self.folder / "vocabulary")], cwd=ROOT)


def write_shard(path: Path, number: int) -> np.ndarray:
    """Write `LINES` lines of made-up words, determined by `number`; return the distinct ids of the words."""
    random = np.random.default_rng((1, number))
    common = list(map(dumps.spell, range(dumps.COMMON)))
    seen = []
    with atomic_text(path) as stream:
        for first in range(0, LINES, LINES_PER_DOCUMENT):
            ids = np.minimum(random.zipf(1.3, size=(LINES_PER_DOCUMENT, WORDS)), 2**50)
            seen.append(np.unique(ids))
            lines = [" ".join([common[i] if i < dumps.COMMON else dumps.spell(i) for i in row]) for row in ids.tolist()]
            write_document(stream, Document(str(number * LINES + first), lines))
    return np.unique(np.concatenate(seen))


def cut(source: Path, target: Path, size: int) -> int:
    """Copy whole lines, at least `size` bytes of them; return their number."""
    lines = 0
    with open(source, "rb") as text, open(target, "wb") as part:
        while part.tell() < size and (batch := text.readlines(min(1 << 24, size - part.tell()))):
            part.writelines(batch)
            lines += len(batch)
    return lines


def report(result: dict[str, Any]) -> None:
    print(f"\ncommand: python {' '.join(sys.argv)}\n")
    if result["learn"]:
        print("| lines | word types | codes | CPU s | s | peak MB | bytes per type |\n|" + " ---: |" * 7)
    for row in result["learn"]:
        print(f"| {row['lines']} | {row['word_types']} | {row['codes']} | {row['cpu']:.0f} | {row['wall']:.0f} "
              f"| {row['peak']:.0f} | {row['peak'] * 1e6 / row['word_types']:.0f} |")  # fmt: skip
    if result["binarize"]:
        print("\n| MB of text | lines | workers | CPU s | s | peak MB |\n|" + " ---: |" * 6)
    for row in result["binarize"]:
        print(f"| {row['megabytes']} | {row['lines']} | {row['workers']} | {row['cpu']:.0f} | {row['wall']:.0f} "
              f"| {row['peak']:.0f} |")  # fmt: skip


if __name__ == "__main__":
    main()
