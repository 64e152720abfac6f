"""The workflow through profiles/slurm: a whole run, and where its jobs go."""

from snakemake_executor_plugin_slurm.partitions import read_partition_file

from tests.slurm.conftest import PROFILE


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
