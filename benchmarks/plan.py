"""Measure the speeds that `wikixlm plan` estimates with: how long each data stage takes per MB on one core.

    python benchmarks/plan.py                    # 30 MB of XML, and as much plain text; minutes
    python benchmarks/plan.py --megabytes 100

Runs `snakemake data` on one core, on a dump made of the English sample over and over and on a plain-text file of
made-up paragraphs, and prints seconds and MB/s by stage; the speeds are SPEEDS in wikixlm/plan/estimate.py, whose
seconds to start a job are taken off.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from wikixlm.plan.estimate import SPEEDS

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from common import dumps  # noqa: E402


def write_text(path: Path, megabytes: float) -> None:
    """Paragraphs of made-up words, the same at every call and none twice."""
    articles = dumps.Articles((1, 0))
    size = 0
    with open(path, "w", encoding="utf-8") as stream:
        for number in range(10**9):
            text = " ".join(articles.page(number).split())
            size += stream.write(f"{text}\n")
            if size >= megabytes * 1e6:
                return


def size_of(folder: Path, pattern: str) -> float:
    """MB of the files that match."""
    return sum(path.stat().st_size for path in folder.glob(pattern)) / 1e6


def megabytes_read(run: Path, dump: Path) -> dict[str, float]:
    """MB of what a stage's speed is per: of the dump, the text (of one source, or all), the segmented text."""
    counts = [json.loads(path.read_text()) for path in sorted((run / "work" / "counts" / "extract").glob("*/*.json"))]
    own = sum(each["bytes"] for each in counts if "pages" not in each) / 1e6
    text = sum(each["bytes"] for each in counts) / 1e6
    sampled = json.loads((run / "work" / "counts" / "learn_bpe.json").read_text())["sampled_lines"]
    processed = run / "monolingual_data" / "processed"
    held_out = size_of(processed, "valid.*") + size_of(processed, "test.*")
    found = {"dump": dump.stat().st_size / 1e6, "text": text, "own text": own, "held out": held_out}
    found["bpe"] = size_of(processed, "train.*") + held_out
    found["sample"] = text * min(1.0, sum(sampled.values()) / sum(each["lines"] for each in counts))
    return found


def seconds(run: Path) -> dict[str, list[float]]:
    """Core seconds of each job, by the names that SPEEDS has for stages."""
    found: dict[str, list[float]] = {}
    root = run / "logs" / "benchmarks"
    for path in sorted(root.rglob("*.tsv")):
        parts = path.relative_to(root).with_suffix("").parts
        stage = "corpus" if parts[:2] == ("extract", "simple") else parts[0]
        stage += "_held_out" if parts[0] == "apply_bpe" and parts[-1] in ("valid", "test") else ""
        with open(path, encoding="utf-8", newline="") as stream:
            last = list(csv.DictReader(stream, delimiter="\t"))[-1]
        cpu = float(last["cpu_time"]) if stage in ("learn_bpe", "binarize") and last["cpu_time"] != "NA" else 0.0
        found.setdefault(stage, []).append(max(float(last["s"]), cpu))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=30, help="of XML, and of text")
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--codes", type=int, default=10_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wikixlm-plan-") as name:
        folder = Path(name)
        dump, text = folder / "en.xml.bz2", folder / "text.txt"
        dumps.write_multistream(dump, dumps.replicated(args.megabytes))
        write_text(text, args.megabytes)
        overlay = {
            "languages": ["en", "simple"],
            "dumps": {"local": {"en": str(dump)}},
            "corpora": {"local": {"simple": [str(text)]}},
            "extract": {"shards": args.shards},
            "split": {"valid": 500, "test": 500},
            "bpe": {"codes": args.codes},
            "binarize": {"workers": 1},
        }
        (folder / "overlay.yaml").write_text(yaml.safe_dump(overlay))
        snakemake = [str(Path(sys.executable).with_name("snakemake")), "data", "--cores", "1"]
        snakemake += ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(folder / "overlay.yaml")]
        run = folder / "benchmarks" / "plan.py"
        done = subprocess.run([*snakemake, "--directory", str(run)], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stdout[-3000:] + done.stderr[-3000:])
        read = megabytes_read(run, dump)
        for stage, took in seconds(run).items():
            if stage in SPEEDS:
                speed = SPEEDS[stage]
                size = read["own text" if stage == "corpus" else speed.of]
                beyond = sum(took) - len(took) * speed.seconds
                rate = f"{size / beyond:.2f} MB/s" if beyond > 0 else "too short to tell"
                print(f"{stage:20} {len(took):3} jobs {sum(took):8.1f} s {size:8.1f} MB of {speed.of}: {rate}")


if __name__ == "__main__":
    main()
