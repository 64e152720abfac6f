"""Which of SLURM's reasons last, and when they are reported; tests/slurm waits for one on a real cluster."""

import pytest

from wikixlm.workflow.slurm_queue import QueuedJob, QueueWatch, is_lasting, parse_squeue

QUEUE = """\
7|PENDING|PartitionConfig|rule_learn_bpe
8|PENDING|ReqNodeNotAvail, UnavailableNodes:one|rule_shards_corpus_tokenize_wildcards_en_00000-of-00002
9|RUNNING|None|rule_split_wildcards_en
a line of an unknown version
"""


@pytest.fixture
def watch():
    reported = []
    watch = QueueWatch("run", reported.append)
    watch.reported = reported
    return watch


def test_squeue_is_read():
    jobs = parse_squeue(QUEUE)
    assert [job.name for job in jobs] == ["learn_bpe", "shards_corpus_tokenize", "split"]
    assert jobs[1].reason == "ReqNodeNotAvail, UnavailableNodes:one"


@pytest.mark.parametrize(
    ("reason", "others_run", "lasting"),
    [
        *((reason, True, True) for reason in ("PartitionConfig", "BadConstraints", "InvalidAccount", "JobHeldUser")),
        *((reason, True, True) for reason in ("AssocMaxWallDurationPerJobLimit", "QOSMaxGRESPerJob")),
        *((reason, others, not others) for reason in ("QOSGrpCpuLimit", "AssocGrpGRES") for others in (True, False)),
        *((reason, False, False) for reason in ("Priority", "Resources", "BeginTime", "None", "Dependency")),
    ],
)
def test_reasons_that_last(reason, others_run, lasting):
    assert is_lasting(reason, others_run) == lasting


def test_a_reason_is_reported_after_a_minute_and_said_once(watch, capsys):
    jobs = [QueuedJob(str(number), "PENDING", "PartitionConfig", "learn_bpe") for number in range(3)]
    watch.look(jobs, 0)
    watch.look(jobs[1:], 59)
    assert watch.reported == []
    watch.look(jobs, 60)
    assert sorted(watch.reported) == jobs[1:], "the first was not seen in between"
    watch.look(jobs, 200)
    assert sorted(watch.reported) == jobs
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: SLURM does not start learn_bpe (job ") and "and 1 more): PartitionConfig" in line
    watch.look([], 230)
    assert sorted(watch.reported[3:]) == [job._replace(reason="") for job in jobs]


def test_a_reason_that_passes_is_not_reported(watch, capsys):
    job = QueuedJob("1", "PENDING", "PartitionDown", "split")
    watch.look([job], 0)
    watch.look([job._replace(reason="Resources")], 30)
    watch.look([job], 60)
    assert watch.reported == [] and capsys.readouterr().err == ""
