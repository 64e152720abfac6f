"""The workflow through profiles/slurm: a whole run, and where its jobs go."""

import signal
from collections import Counter

import pytest
from snakemake_executor_plugin_slurm.partitions import read_partition_file

from tests.slurm.conftest import PROFILE
from tests.support.waiting import wait_for
from wikixlm.workflow import events
from wikixlm.workflow.status import show


def test_every_job_of_a_whole_run_is_in_slurms_records(run):
    run.small()
    call = run.run()
    assert call.status == 0, call.text
    jobs = call.jobs()
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    rules = [job["Comment"].removeprefix("rule_").split("_wildcards_")[0] for job in jobs]
    assert len(rules) == len(set(rules)), "two shards are one job"
    assert {"shards_corpus_tokenize", "segments_apply_bpe_apply_bpe_held_out", "train_mlm", "evaluate_mlm"} <= set(
        rules
    )
    assert not {"vocabulary", "dictionary"} & set(rules), "tiny joint steps take no place in the queue"
    assert {job["Partition"] for job in jobs} == {"main"}, "the default partition"
    assert not [job for job in jobs if "gpu" in job["TRES"] or "TresPerJob" in job], "device: cpu asks for no GPU"
    assert (run.directory / "models" / "mlm" / "model.pt").is_file()
    assert len((run.directory / "evaluation" / "mlm_perplexity.tsv").read_text().splitlines()) > 2
    finished_jobs = {entry["JobId"] for entry in run.cluster.completed() if entry["Name"] == call.run_id}
    assert finished_jobs == {job["JobId"] for job in jobs}
    # The Snakemake inside a job finds the same file, and leaves it alone.
    found = Counter(type(event).__name__ for event in events.read(run.directory))
    assert found["RunStarted"] == found["RunEnded"] == 1
    assert show.look(run.directory).steps == (found["JobSent"], found["JobSent"])


@pytest.mark.attack(
    "cluster",
    "jobs that ask for more cores, memory, GPUs or time than any node of their partition has",
    "refused before the first is sent: rules, request, what there is, the key",
)
def test_what_no_node_can_run_is_refused_before_anything_is_sent(run):
    run.small(train={"device": "auto"})
    small = ["--default-resources", "slurm_partition=small", "mem_mb=1500", "runtime=60", "--max-threads", "16"]
    call = run.run(*small, "--set-resources", "split:mem_mb=70000", "concatenate:runtime=3000")
    assert call.status == 1
    assert not call.run_id or not call.jobs()
    lines = [line for line in call.text.splitlines() if line.startswith("error: SLURM could never start ")]
    for part in (
        *("learn_bpe (8 cores)", "the largest node of partition small has 2; set max-threads: 2"),
        *("split (70000 MB)", "has 64000", "concatenate (3000 minutes)", "is 2160", "train_mlm (1 GPU)", "has none"),
    ):
        assert sum(part in line for line in lines) == 1, call.text
    assert len(lines) == len([line for line in call.text.splitlines() if "rror" in line]) == 5


@pytest.mark.attack(
    "cluster",
    "a job that SLURM keeps waiting for a reason that does not pass by itself",
    "a warning after a minute; `wikixlm status` shows it",
)
def test_a_job_that_slurm_does_not_start_is_a_warning(run):
    """The partition's own limit of memory is none of sinfo's figures."""
    run.small(extract={"shards": 1})
    call = run.start(
        "work/counts/extract/en/00000-of-00001.json",
        "--set-resources",
        "corpus:slurm_partition=small",
        "corpus:mem_mb=9000",
    )
    job = call.wait_for_job("corpus", "PENDING")
    wait_for(lambda: "warning: SLURM does not start shards_corpus" in call.text, 180, "the warning")
    assert f"(job {job['JobId']}): MaxMemPerLimit, which does not pass by itself; " in call.text
    (line,) = show.held_texts(show.look(run.directory))
    assert f"shards_corpus, SLURM's job {job['JobId']}: MaxMemPerLimit" in line.plain
    call.kill(signal.SIGINT)
    assert call.wait(60) != 0
    assert not list(show.held_texts(show.look(run.directory))), "the call has ended"


def test_gpus_are_asked_for_by_number_and_kind_in_the_partition_that_has_them(prepare):
    """The GPUs are fakes, so the training ends with what it says of GPUs that do not work."""
    run = prepare("run", device="auto", gpus=2, gpu_model="fake")
    table = run.directory / "partitions.yaml"
    table.write_text("partitions: {main: {max_runtime: 2880}, gpus: {max_runtime: 1440, max_gpu: 2}}\n")
    call = run.run("train_mlm", "--retries", "0", "--slurm-partition-config", str(table))
    (job,) = call.jobs("train_mlm")
    assert job["TresPerJob"] == "gres:gpu:fake:2"
    assert job["NumNodes"] == "1"
    assert job["Partition"] == "gpus"
    assert job["JobState"] == "FAILED"
    log = (run.directory / "logs" / "train_mlm.log").read_text()
    assert "error: this SLURM job asked for a GPU" in log


def test_the_example_of_a_partition_table_is_one():
    assert [partition.name for partition in read_partition_file(PROFILE / "partitions.yaml")] == [
        "short",
        "long",
        "gpu",
    ]
