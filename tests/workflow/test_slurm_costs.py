"""The efficiency report of SLURM's plugin, made by the plugin from what a `sacct` prints."""

import logging
import re

from snakemake_executor_plugin_slurm.efficiency_report import create_efficiency_report

from wikixlm.workflow import job_costs

# JobID, JobName, Comment, Elapsed, TotalCPU, NNodes, NCPUS, MaxRSS, ReqMem
SACCT = """\
7|RUN|rule_train_mlm|00:10:00|00:50:00|1|8||16000M
7.batch|batch||00:10:00|00:00:05|1|8|90000K|
7.0|python||00:10:00|00:40:00|1|8|4096000K|
8|RUN|rule_split_wildcards_en|00:01:00|00:00:30|1|1||1000M
8.0|python||00:01:00|00:00:30|1|1|500M|
9|RUN|rule_split_wildcards_de|00:03:00|00:01:00|1|1||2000M
9.0|python||00:03:00|00:01:30|1|1|700M|
"""


def test_a_row_for_each_kind_of_job(tmp_path, monkeypatch):
    sacct = tmp_path / "bin" / "sacct"
    sacct.parent.mkdir()
    sacct.write_text(f"#!/bin/sh\ncat <<'END'\n{SACCT}END\n")
    sacct.chmod(0o755)
    monkeypatch.setenv("PATH", str(sacct.parent), prepend=":")
    create_efficiency_report(0.5, "RUN", tmp_path, logging.getLogger())
    train, split = job_costs.read_slurm_costs(tmp_path)
    assert (train.name, len(train.jobs), train.seconds, train.efficiency) == ("train_mlm", 1, 600, 0.5)
    assert (train.peak, train.memory) == (4000, 16000)
    assert (split.name, len(split.jobs), split.seconds, split.efficiency) == ("split", 2, 240, 0.5)
    assert (split.peak, split.memory) == (700, 2000), "the largest of each"

    benchmark = tmp_path / "logs" / "benchmarks" / "split" / "en.tsv"
    benchmark.parent.mkdir(parents=True)
    benchmark.write_text("s\n1\n")
    table = job_costs.describe_costs(tmp_path).partition("As SLURM measured them")[2]
    rows = [re.split(r"  +", line) for line in table.splitlines()]
    assert ["train_mlm", "1", "10 min", "50%", "4.0 GB", "16.0 GB"] in rows


def test_no_report(tmp_path):
    assert job_costs.read_slurm_costs(tmp_path) == []
