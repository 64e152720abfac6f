"""What jobs ask for, beside what sinfo lists; tests/slurm refuses jobs on a real cluster."""

import math
import stat
from dataclasses import replace

import pytest

from wikixlm.workflow import slurm_limits
from wikixlm.workflow.slurm_limits import NodeKind, Request, parse_minutes, parse_sinfo, refusals

SINFO = """\
cpu*|64|UNLIMITED|256000|2-00:00:00|20|(null)
cpu*|128|96|1000000|2-00:00:00|2|(null)
gpu|32+|UNLIMITED|512000+|30:00|4|gpu:a100:4(S:0-1),gpu:v100:2,shard:8
old|16|UNLIMITED|64000|infinite|1|gpu:2
cloud|0|UNLIMITED|0|infinite|0|(null)
CLUSTER: other
a line of an unknown version
"""
KINDS = parse_sinfo(SINFO)


def request(name="learn_bpe", **values):
    asked = {"is_group": False, "partition": "", "cores": 8, "memory": 1000, "minutes": 60, "gpus": 0, "gpu_model": ""}
    return Request(name=name, **{**asked, "nodes": 1, **values})


def refused(*requests, by_slurm=True):
    return refusals(requests, KINDS, lambda request, kinds: by_slurm)


def test_sinfo_is_read():
    assert KINDS[0] == NodeKind("cpu", True, 64, 256000, 2880, 20)
    assert KINDS[1].cores == 96, "the partition gives less than its nodes have"
    assert KINDS[2] == NodeKind("gpu", False, 32, 512000, 30, 4, (("a100", 4), ("v100", 2)))
    assert (KINDS[3].gpus_of(""), KINDS[3].minutes) == (2, math.inf)
    assert [KINDS[2].gpus_of(model) for model in ("", "A100", "h100")] == [6, 4, 0]
    assert len(KINDS) == 5, "other lines are left out"


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        *[("30:00", 30), ("4:00:00", 240), ("1-12:00:00", 2160), ("2-00", 2880), ("90", 90), ("UNLIMITED", math.inf)],
        *[("", None), ("soon", None)],
    ],
)
def test_time_limits(text, minutes):
    assert parse_minutes(text) == minutes


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"cores": 96, "memory": 1000000},
        {"partition": "gpu", "minutes": 30, "gpus": 4, "gpu_model": "a100", "nodes": 4},
        {"partition": "cpu,old", "gpus": 2},
        {"partition": "cloud", "cores": 1000},
        {"partition": "elsewhere", "cores": 1000},
    ],
)
def test_what_can_run_or_is_not_known_is_left_alone(asked):
    assert refused(request(**asked)) == []


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"cores": 97}, "learn_bpe (97 cores): the largest node of partition cpu has 96; set max-threads: 96"),
        (
            {"memory": 2000000},
            "learn_bpe (2000000 MB): the largest node of partition cpu has 1000000; set set-resources",
        ),
        ({"gpus": 1}, "learn_bpe (1 GPU): a node of partition cpu has none; set set-resources: RULE: slurm_partition"),
        (
            {"partition": "gpu", "minutes": 9, "gpus": 1, "gpu_model": "h100"},
            "(1 GPU h100): a node of partition gpu has",
        ),
        ({"minutes": 2881}, "learn_bpe (2881 minutes): the time limit of partition cpu is 2880; set set-resources"),
        (
            {"nodes": 3, "cores": 80},
            "(3 nodes with 80 cores, 1000 MB and 0 GPU together): 2 of partition cpu are large",
        ),
        ({"partition": "cpu,old", "cores": 64, "gpus": 2}, "(1 nodes with 64 cores, 1000 MB and 2 GPU together): 0 of"),
        ({"name": "shards", "is_group": True, "cores": 97}, "a lower number for shards under group-components in prof"),
    ],
)
def test_what_no_node_can_run_is_refused_in_a_line(asked, said):
    (line,) = refused(request(**asked))
    assert said in line
    assert refused(request(**asked), by_slurm=False) == [], "SLURM knows better"


def test_rules_that_ask_for_too_much_share_a_line():
    requests = [request(cores=97), request(cores=99), request("train_mlm", cores=98, minutes=5000)]
    cores, minutes = refused(*requests)
    assert "learn_bpe (99 cores), train_mlm (98 cores)" in cores
    assert "train_mlm (5000 minutes)" in minutes


def program(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_no_sinfo_and_a_broken_one_say_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm_limits.ask_sinfo() == []
    program(tmp_path, "sinfo", "echo 'main*|1|1|1|1:00|1|x'; exit 1")
    assert slurm_limits.ask_sinfo() == []
    program(tmp_path, "sinfo", "printf '\\377|\\n'")
    assert slurm_limits.ask_sinfo() == []


def test_sbatch_has_the_last_word_but_on_time_limits(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    asked = request(cores=500, gpus=2, gpu_model="a100", nodes=2, options=("--account=x",))
    assert not slurm_limits.sbatch_refuses(asked, KINDS[:2]), "there is none"
    program(tmp_path, "sbatch", f"echo $@ > {tmp_path}/words; exit 1")
    assert slurm_limits.sbatch_refuses(asked, KINDS[:2], "--qos=long")
    words = (tmp_path / "words").read_text()
    assert "--cpus-per-task=500 --mem=1000 --gres=gpu:a100:2" in words and "--account=x --qos=long" in words
    program(tmp_path, "sbatch", "exit 0")
    assert not slurm_limits.sbatch_refuses(asked, KINDS[:2])
    late = request(minutes=5000)
    assert slurm_limits.sbatch_refuses(late, KINDS[:2])
    assert not slurm_limits.sbatch_refuses(replace(late, options=("--qos=long",)), KINDS[:2])
