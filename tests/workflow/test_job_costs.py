"""What jobs asked for and used, from the events and benchmarks of a real snakemake."""

import subprocess
import sys
from pathlib import Path

import pytest

from wikixlm import cli
from wikixlm.errors import UserError
from wikixlm.workflow import job_costs

SNAKEFILE = """
from snakemake.logging import logger
from wikixlm.workflow import events

onstart:
    events.start(logger)

rule all:
    input: "large", expand("small{n}", n=[1, 2])

rule large:
    output: "large"
    benchmark: "benchmarks/large.tsv"
    threads: 2
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=30,
    shell:
        "test -e tried || {{ touch tried; exit 1; }};"
        " python3 -c 'import time; block = bytearray(200_000_000); end = time.monotonic() + 2;"
        " [0 for now in iter(time.monotonic, 0) if now > end and exit()]';"
        " touch {output}"

rule small:
    output: "small{n}"
    resources: mem_mb=500
    shell: "touch {output}"
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    directory = tmp_path_factory.mktemp("run")
    (directory / "Snakefile").write_text(SNAKEFILE)
    snakemake = Path(sys.executable).with_name("snakemake")
    done = subprocess.run(
        [snakemake, "--directory", directory, "--snakefile", directory / "Snakefile", "--cores", "2", "--retries", "1"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return directory


def test_jobs_retries_and_what_they_took(run):
    large, small = job_costs.read_costs(run)
    assert (large.name, len(large.jobs), large.retries) == ("large", 1, 1)
    assert large.memory_mb == 2000, "what the second attempt asked for"
    assert 180 < large.peak < 500
    assert 1.5 < sum(large.seconds) < 30
    assert 0 < large.efficiency <= 0.75, "one busy core of two"
    assert (small.name, len(small.jobs), small.retries, small.memory_mb) == ("small", 2, 0, 500)
    assert small.peak is None


def test_the_table_has_a_row_a_rule(run, capsys):
    cli.main(["status", "--jobs", "--directory", str(run)])
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["stage", "jobs", "retries"]
    assert {row.split()[0]: row.split()[1:3] for row in rows} == {"large": ["1", "1"], "small": ["2", "0"]}


def test_suggestions_only_for_requests_far_off():
    def stage(seconds=600.0, memory=8000, peak=500.0, cpu=600.0, minutes=60, threads=1):
        job = job_costs.JobCost("r", None, threads, memory, minutes, seconds=seconds, cpu_seconds=cpu, peak=peak)
        return job_costs.StageCost("r", [job]).suggestion()

    assert stage() == "mem_mb=1500"
    assert stage(memory=1200) == ""
    assert stage(memory=800) == "mem_mb=1500"
    assert stage(memory=1200, threads=8, cpu=700) == "threads=2"
    assert stage(memory=1200, minutes=11) == "runtime=22"
    assert stage(memory=1200, minutes=1440) == "runtime=60"
    assert stage(seconds=5, minutes=1440) == "", "too short to tell"


def test_a_directory_without_a_run(tmp_path):
    with pytest.raises(UserError, match="has no record of jobs"):
        job_costs.describe_costs(tmp_path)


def test_a_run_of_an_older_version_has_no_requests(tmp_path):
    benchmark = tmp_path / "logs" / "benchmarks" / "split" / "en.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\th:m:s\tmax_rss\tcpu_time\n100\t0:01:40\t200\t90\n")
    shown = job_costs.describe_costs(tmp_path)
    assert shown.splitlines()[1].split() == "split 1 0 1 min 40 s 1 min 40 s - 210 MB -".split()  # noqa: SIM905
    assert "What the jobs asked for is unknown: work/events.jsonl is missing" in shown
