"""Measure what `wikixlm plan` reckons with: what each data stage takes to start, and how fast it goes on one core.

    python benchmarks/plan.py                    # 30 MB of XML, and its text as a corpus; minutes
    python benchmarks/plan.py --megabytes 100

`snakemake data` on one core, on a dump made of the English sample over and over and on a plain-text file of made-up
paragraphs; then `wikixlm plan --calibrate` on that run. Prints what it took, and writes the calibration, in the format
of wikixlm/data/calibration.json.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=30, help="of XML, and of text")
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--codes", type=int, default=10_000)
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results" / "plan.json")
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
        calibrate = [sys.executable, "-m", "wikixlm", "plan", "--calibrate", str(run), "--output", str(args.output)]
        sys.exit(subprocess.run(calibrate, cwd=ROOT).returncode)


if __name__ == "__main__":
    main()
