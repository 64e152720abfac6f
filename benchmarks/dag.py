"""How long Snakemake takes to lay out a large run: `snakemake -n` for 100 languages and 1,000 shards, offline.

    python benchmarks/dag.py                       # a table: jobs, and seconds of three dry runs
    python benchmarks/dag.py --languages 20 --shards 10 --limit 5

The configuration is generated in a temporary folder: the Wikipedias of the table, none of them downloaded, so that
every job of every stage is in the plan. Exits 1 if the fastest run takes longer than --limit seconds.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from wikixlm import languages  # noqa: E402


def configuration(count: int, shards: int) -> dict[str, object]:
    """An overlay of config.yaml with `count` languages of `shards` shards each."""
    codes = [wiki.code for wiki in languages.all_wikis() if not wiki.closed][:count]
    return {
        "languages": codes,
        "dumps": {"contact": "benchmark@example.org"},
        "extract": {"shards": shards},
    }


def dry_run(folder: Path, target: str) -> tuple[float, float, int]:
    """Seconds on the clock, seconds of CPU, and number of jobs of one dry run in `folder`."""
    command = [sys.executable, "-m", "snakemake", target, "--dry-run", "--quiet", "rules", "--cores", "2"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(folder / "overlay.yaml")]
    started, cpu = time.monotonic(), _cpu()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.monotonic() - started
    if done.returncode:
        sys.exit(f"error: snakemake failed:\n{done.stdout}{done.stderr}")
    total = re.search(r"^total\s+(\d+)", done.stdout + done.stderr, re.MULTILINE)
    return seconds, _cpu() - cpu, int(total[1]) if total else 0


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--languages", type=int, default=100, help="how many (default: 100)")
    parser.add_argument("--shards", type=int, default=10, help="per language (default: 10)")
    parser.add_argument("--repeats", type=int, default=3, help="dry runs per target (default: 3)")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds allowed (default: 20)")
    args = parser.parse_args()
    overlay = configuration(args.languages, args.shards)
    print(f"{args.languages} languages, {args.languages * args.shards} shards, {os.cpu_count()} cores")
    print("target     jobs  seconds (of CPU)")
    slowest = 0.0
    for target in ("download", "all"):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "overlay.yaml").write_text(json.dumps(overlay), encoding="utf-8")
            runs = [dry_run(folder, target) for _ in range(args.repeats)]
        slowest = max(slowest, min(seconds for seconds, _, _ in runs))
        times = "  ".join(f"{seconds:5.1f} ({cpu:.1f})" for seconds, cpu, _ in runs)
        print(f"{target:9} {runs[0][2]:5}  {times}")
    if slowest > args.limit:
        sys.exit(f"error: {slowest:.1f} s, allowed are {args.limit:.1f} s")


if __name__ == "__main__":
    main()
