"""Reading Snakemake's logs; the texts are as version 9.27 wrote them on one machine and through SLURM."""

from wikixlm.workflow.snakemake_log import Failed, Finished, Header, Planned, Sent, events, seconds

HEAD = """\
SNAKEMAKE
=========
  Host: login1
  Command: snakemake --cores 2

Building DAG of jobs...
SLURM run ID: 06d071b3
Job stats:
job         count
--------  -------
corpus          1
tokenize        1
total           2

"""
GROUP = """\
[Tue Nov 24 14:58:46 2026] Group job shards (jobs in lexicogr. order):
    [Tue Nov 24 14:58:46 2026]
    rule corpus:
        input: en.txt
        output: work/extracted/en/00000-of-00001.jsonl.zst, work/counts/extract/en/00000-of-00001.json
        log: logs/extract/en/00000-of-00001.log
        jobid: 1
        wildcards: lang=en, shard=00000-of-00001
        resources: tmpdir=<TBD>, mem_mb=1000, mem=1 GB, runtime=240
    [Tue Nov 24 14:58:46 2026]
    rule tokenize:
        output: work/tokenized/en/00000-of-00001.jsonl.zst
        jobid: 0
        wildcards: lang=en, shard=00000-of-00001
Job 7d03d524 has been submitted with SLURM jobid 2 (log: /run/slurm_logs/2.log).
"""
FAILED = """\
[Tue Nov 24 14:59:19 2026]
    message: Error in group shards
    log: /run/slurm_logs/2.log (check log file(s) for error details)
    jobs:
        rule corpus:
            jobid: 1
            output: work/extracted/en/00000-of-00001.jsonl.zst
            log: logs/extract/en/00000-of-00001.log (check log file(s) for error details)
    [Tue Nov 24 14:59:19 2026]
    Error in rule corpus:
        message: None
        jobid: 1
        output: work/extracted/en/00000-of-00001.jsonl.zst
        log: logs/extract/en/00000-of-00001.log (check log file(s) for error details)
        shell:
            wikixlm corpus
            jobid: 7
            (command exited with non-zero exit code)
Trying to restart job 7d03d524.
"""
LOCAL = """\
[Tue Nov 24 15:00:00 2026]
localrule train_mlm:
    output: models/mlm/model.pt
    jobid: 12
    benchmark: logs/benchmarks/train_mlm.tsv
    threads: 2
[Tue Nov 24 15:00:00 2026]
localrule all:
    input: models/mlm/model.pt
    jobid: 13
[Tue Nov 24 15:03:00 2026]
Finished jobid: 12 (Rule: train_mlm)
2 of 2 steps (100%) done
"""


def read(text):
    return list(events(text.encode().splitlines(keepends=True)))


def test_the_head_tells_host_cluster_and_plan():
    host, command, cluster, planned = read(HEAD)
    assert (host, command) == (Header("Host", "login1"), Header("Command", "snakemake --cores 2"))
    assert cluster == Header("SLURM run ID", "06d071b3")
    assert planned == Planned({"corpus": 1, "tokenize": 1})


def test_jobs_of_a_group_are_sent_one_by_one():
    corpus, tokenize = read(GROUP)
    assert isinstance(corpus, Sent)
    assert (corpus.rule, corpus.jobid, corpus.local, corpus.language) == ("corpus", "1", False, "en")
    assert corpus.wildcards == {"lang": "en", "shard": "00000-of-00001"}
    assert corpus.resources["mem_mb"] == "1000"
    assert corpus.log == ["logs/extract/en/00000-of-00001.log"]
    assert (tokenize.rule, tokenize.output) == ("tokenize", ["work/tokenized/en/00000-of-00001.jsonl.zst"])


def test_a_failed_group_names_the_clusters_log_and_sends_nothing_anew():
    *sent, failed = read(GROUP + FAILED)
    assert [type(event) for event in sent] == [Sent, Sent]
    assert isinstance(failed, Failed)
    assert (failed.rule, failed.jobid, failed.group) == ("corpus", "1", "/run/slurm_logs/2.log")
    assert failed.log == ["logs/extract/en/00000-of-00001.log"]


def test_local_jobs_targets_and_ends():
    train, target, finished = read(LOCAL)
    assert (train.local, train.threads, train.benchmark) == (True, 2, "logs/benchmarks/train_mlm.tsv")
    assert train.language == ""
    assert (train.is_target, target.is_target) == (False, True)
    assert finished == Finished("12", "Tue Nov 24 15:03:00 2026")
    assert seconds(finished.when) - seconds(train.when) == 180


def test_a_log_that_is_being_written_ends_anywhere():
    whole = read(HEAD + GROUP + FAILED + LOCAL)
    text = HEAD + GROUP + FAILED + LOCAL
    for end in range(0, len(text), 7):
        assert len(read(text[:end])) <= len(whole)
