"""Run the workflow on generated dumps of growing size: memory, disk, and what a second core brings.

    python benchmarks/scale.py                         # 100 MB of XML, minutes
    python benchmarks/scale.py --megabytes 100 1000    # the README's figures

The dumps are multistream dumps of made-up articles whose words are Zipf-distributed, so that the vocabulary goes on
growing; each goes through `snakemake data` in 8 shards on 2 cores. Memory is the sum of the resident sets of a stage's
processes, sampled several times a second; disk is the whole working directory at its fullest, the dump not counted.
The second core: extract and tokenize of the smallest dump, bound to one core and on two, in turns; how long the same
call takes when all is there already, which a second core makes no shorter; and what the second core brings to processes
that share nothing, since the cores of a rented machine are often halves of one.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import psutil
import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from common import dumps  # noqa: E402

SHARD_STAGES = ("extract", "tokenize", "split", "apply-bpe", "concatenate")
OTHER_STAGES = ("learn-bpe", "vocabulary", "binarize")
LIMIT_MB = 500
LOOP = "sum(len(str(number)) for number in range(15_000_000))"  # a second or two of one core


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, nargs="+", default=[100], help="sizes of the dumps' XML")
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--codes", type=int, default=30_000)
    parser.add_argument("--only", choices=["data", "speedup"], help="one of the two measurements")
    parser.add_argument("--pairs", type=int, default=3, help="how often one core and more take turns")
    parser.add_argument("--no-binarize", action="store_true", help="stop before it: it takes more than all before it")
    parser.add_argument("--folder", type=Path, help="where the work goes, about 3 times the largest dump")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "scale.json")
    args = parser.parse_args()
    result: dict[str, Any] = {"shards": args.shards, "cores": args.cores, "codes": args.codes, "runs": []}
    with tempfile.TemporaryDirectory(prefix="wikixlm-scale-", dir=args.folder) as folder:
        for megabytes in sorted(args.megabytes):
            dump = Path(folder, f"{megabytes}.xml.bz2")
            dumps.write_multistream(dump, dumps.zipf(megabytes))
            if "speedup" not in result and args.only != "data":
                result["speedup"] = {"megabytes": megabytes, **speedup(dump, Path(folder), args)}
            if args.only != "speedup":
                run = Run(dump, Path(folder, f"run-{megabytes}"), args)
                result["runs"].append({"megabytes": megabytes, "dump_bytes": dump.stat().st_size, **run.data()})
            dump.unlink()
            args.json.parent.mkdir(parents=True, exist_ok=True)
            args.json.write_text(json.dumps(result, indent=1) + "\n")
    report(result)


def speedup(dump: Path, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    """Wall-clock seconds of extract and tokenize in all shards.

    `busy` is the share of the cores' time that was used, `independent` what the cores bring to processes that share
    nothing, measured before and after each turn.
    """
    pairs = []
    for number in range(args.pairs):
        runs = {cores: Run(dump, folder / f"{cores}-{number}", args) for cores in (1, args.cores)}
        before = independent(args.cores)
        one, more = (run.shards(cores) for cores, run in runs.items())
        pairs.append({"one_core": one.seconds, "cores": more.seconds, "times": one.seconds / more.seconds,
                      "busy_one": one.cpu / one.seconds, "busy": more.cpu / more.seconds / args.cores,
                      "independent": (before + independent(args.cores)) / 2})  # fmt: skip
    again = runs[args.cores].shards(args.cores).seconds
    without = [(pair["one_core"] - again) / (pair["cores"] - again) for pair in pairs]
    times = statistics.median(pair["times"] for pair in pairs)
    return {"times": times, "times_without_start": statistics.median(without), "start_seconds": again, "pairs": pairs,
            "independent": statistics.median(pair["independent"] for pair in pairs)}  # fmt: skip


def independent(cores: int) -> float:
    """How many times the work of one process as many as there are cores do at once."""

    def seconds(count: int) -> float:
        start = time.perf_counter()
        processes = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(count)]
        for process in processes:
            process.wait()
        return time.perf_counter() - start

    return cores * seconds(1) / seconds(cores)


class Run:
    """A run of the workflow on one dump, in a directory of its own."""

    def __init__(self, dump: Path, directory: Path, args: argparse.Namespace) -> None:
        self.directory = directory
        self.args = args
        directory.mkdir()
        settings = {
            "languages": ["en"],
            "dumps": {"local": {"en": str(dump)}},
            "extract": {"shards": args.shards},
            "split": {"valid": 1000, "test": 1000},
            "bpe": {"codes": args.codes},
            "binarize": {"workers": args.cores},
        }
        (directory / "overlay.yaml").write_text(yaml.safe_dump(settings))

    def snakemake(self, cores: int, *targets: str) -> "Watch":
        command = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(ROOT / "Snakefile")]
        command += ["--directory", str(self.directory), "--configfile", str(self.directory / "overlay.yaml")]
        bound = set(sorted(os.sched_getaffinity(0))[:cores])
        with open(self.directory / "snakemake.log", "ab") as log:
            process = subprocess.Popen(
                [*command, "--cores", str(cores), *targets],
                stdout=log,
                stderr=log,
                preexec_fn=lambda: os.sched_setaffinity(0, bound),
            )
            watch = Watch(process, self.directory)
        if process.returncode:
            sys.exit((self.directory / "snakemake.log").read_text()[-3000:])
        return watch

    def shards(self, cores: int) -> "Watch":
        """Run extract and tokenize of all shards."""
        names = [f"{shard:05d}-of-{self.args.shards:05d}" for shard in range(self.args.shards)]
        return self.snakemake(cores, *(f"work/tokenized/en/{name}.jsonl.zst" for name in names))

    def data(self) -> dict[str, Any]:
        """The whole way to the binarized data."""
        watch = self.snakemake(self.args.cores, "work/vocabulary/en.zst" if self.args.no_binarize else "data")
        return {
            "seconds": watch.seconds,
            "cpu_seconds": watch.cpu,
            "peak_mb": {stage: watch.peak[stage] / 1e6 for stage in (*SHARD_STAGES, *OTHER_STAGES)},
            "disk_peak_bytes": watch.disk,
            "disk_end_bytes": size_of(self.directory),
        }


class Watch:
    """Looks at a running workflow until it ends: memory by stage, disk."""

    def __init__(self, process: "subprocess.Popen[bytes]", directory: Path) -> None:
        self.peak: dict[str, float] = defaultdict(float)
        self.disk = 0
        self._stages: dict[tuple[int, float], str] = {}
        start = looked = time.perf_counter()
        while True:
            pid, status, used = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            self._memory(process.pid)
            if time.perf_counter() - looked > 1:
                looked = time.perf_counter()
                self.disk = max(self.disk, size_of(directory))
                (directory / "so_far.json").write_text(json.dumps({"peak_bytes": self.peak, "disk": self.disk}))
            time.sleep(0.2)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.seconds = time.perf_counter() - start
        self.cpu = used.ru_utime + used.ru_stime

    def _memory(self, pid: int) -> None:
        try:
            processes = psutil.Process(pid).children(recursive=True)
        except psutil.Error:
            return
        memory: dict[int, float] = {}
        parents: dict[int, int] = {}
        stages: dict[int, str] = {}
        for process in processes:
            try:
                with process.oneshot():
                    memory[process.pid] = process.memory_info().rss
                    parents[process.pid] = process.ppid()
                    stages[process.pid] = self._stage(process)
            except psutil.Error:
                continue
        totals: dict[int, float] = defaultdict(float)
        for each, resident in memory.items():
            job: int | None = each
            while job is not None and not stages.get(job):
                job = parents.get(job)
            if job is not None:
                totals[job] += resident
        for job, total in totals.items():
            self.peak[stages[job]] = max(self.peak[stages[job]], total)

    def _stage(self, process: psutil.Process) -> str:
        """The stage that a process was started for: `python -m wikixlm STAGE …`; empty for any other."""
        key = (process.pid, process.create_time())
        if not self._stages.get(key):
            words = process.cmdline()
            at = words.index("wikixlm") if "wikixlm" in words else len(words)
            self._stages[key] = words[at + 1] if at + 1 < len(words) else ""
        return self._stages[key]


def size_of(directory: Path) -> int:
    """Bytes on disk of all files in a directory."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512  # noqa: PTH118
            except FileNotFoundError:
                continue
    return total


def report(result: dict[str, Any]) -> None:
    runs = result["runs"]
    print(f"\ncommand: python {' '.join(sys.argv)}\n{result['shards']} shards, {result['cores']} cores\n")
    if runs:
        print_runs(runs)
    if "speedup" in result:
        print_speedup(result["speedup"], result["cores"])


def print_speedup(speed: dict[str, Any], cores: int) -> None:
    each = ", ".join(f"{pair['times']:.2f}" for pair in speed["pairs"])
    busy = statistics.median(pair["busy"] for pair in speed["pairs"])
    print(f"\nextract and tokenize of {speed['megabytes']} MB of XML, {cores} cores against one: "
          f"{speed['times']:.2f} times ({each}; goal: 1.8)\n"
          f"without the {speed['start_seconds']:.1f} s that snakemake takes to find nothing to do: "
          f"{speed['times_without_start']:.2f} times; {busy:.0%} of the {cores} cores' time was used\n"
          f"{cores} processes that share nothing: {speed['independent']:.2f} times one")  # fmt: skip


def print_runs(runs: list[dict[str, Any]]) -> None:
    print("| | " + " | ".join(f"{run['megabytes']} MB of XML" for run in runs) + " |")
    print("| --- |" + " ---: |" * len(runs))
    for stage in (*SHARD_STAGES, *OTHER_STAGES):
        cells = " | ".join(f"{run['peak_mb'][stage]:.0f}" for run in runs)
        print(f"| peak memory of a job of {stage}, MB | {cells} |")
    rows = {
        "disk at its fullest, GB per GB of XML": lambda run: run["disk_peak_bytes"] / run["megabytes"] / 1e6,
        "disk at its fullest, GB per GB of compressed dump": lambda run: run["disk_peak_bytes"] / run["dump_bytes"],
        "disk in the end, GB per GB of XML": lambda run: run["disk_end_bytes"] / run["megabytes"] / 1e6,
        "CPU seconds per MB of XML": lambda run: run["cpu_seconds"] / run["megabytes"],
        "minutes": lambda run: run["seconds"] / 60,
    }
    for name, value in rows.items():
        print(f"| {name} | " + " | ".join(f"{value(run):.2f}" for run in runs) + " |")
    most = max(run["peak_mb"][stage] for run in runs for stage in SHARD_STAGES)
    print(f"\nmost memory of a shard's job: {most:.0f} MB (goal: under {LIMIT_MB} MB)")


if __name__ == "__main__":
    main()
