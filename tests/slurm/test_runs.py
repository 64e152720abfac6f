"""The workflow through profiles/slurm: a whole run, GPUs, and a training that outlives its jobs."""

import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.slurm.conftest import Call, SlurmRun
from wikixlm import checkpoints

# Of work for one core, by a measurement: a job of one minute has time for 40 to 45 seconds of it.
SECONDS_OF_TRAINING = 110


@pytest.fixture(scope="module")
def finished(tmp_path_factory, cluster):
    """A whole run, and the call that made it."""
    run = SlurmRun(tmp_path_factory.mktemp("finished"), cluster)
    run.small()
    return run, run.run()


@pytest.fixture(scope="module")
def data(tmp_path_factory, cluster):
    """A run with all its data and no model, made without SLURM."""
    run = SlurmRun(tmp_path_factory.mktemp("data"), cluster)
    run.small()
    done = run("data")
    assert done.returncode == 0, done.stdout
    return run.directory


@pytest.fixture
def prepared(data, tmp_path, cluster):
    """A function that gives runs that lack nothing but the model, with changes of the section `train`."""

    def prepare(name: str, **train: object) -> SlurmRun:
        run = SlurmRun(tmp_path / name, cluster)
        shutil.copytree(data, run.directory)
        run.small(train=train)
        return run

    yield prepare
    cluster.cancel_all()


def test_every_job_of_a_whole_run_is_in_slurms_records(finished):
    run, call = finished
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


def test_gpus_are_asked_for_by_number_and_kind(prepared):
    """The GPUs are fakes, so the training ends with what it says of GPUs that do not work."""
    run = prepared("run", device="auto", gpus=2, gpu_model="fake")
    call = run.run("train_mlm", "--retries", "0")
    (job,) = call.jobs("train_mlm")
    assert job["TresPerJob"] == "gres:gpu:fake:2"
    assert job["NumNodes"] == "1"
    assert job["JobState"] == "FAILED"
    log = (run.directory / "logs" / "train_mlm.log").read_text()
    assert "error: this SLURM job asked for a GPU" in log


def test_two_gpus_are_one_training_with_two_workers(prepared):
    run = prepared("run", gpus=2)
    call = run.run("train_mlm", "--set-resources", "train_mlm:gpu=2")
    assert call.status == 0, call.text
    (job,) = call.jobs("train_mlm")
    assert job["TresPerJob"] == "gres:gpu:2"
    log = (run.directory / "logs" / "train_mlm.log").read_text()
    assert log.count("fairseq-train monolingual_data/fairseq_processed") == 1
    assert "'distributed_world_size': 2" in log
    assert set(re.findall(r"distributed init \(rank (\d)\)", log)) == {"0", "1"}
    assert checkpoints.load(run.directory / "models" / "mlm" / "model.pt")


@pytest.mark.timeout(900)
def test_a_training_longer_than_its_jobs_goes_on_by_itself(prepared):
    """Walltimes of one minute, no retry, and the weights of one long run."""
    settings = {"update_freq": 4, "save_interval_updates": 100000}
    trial = prepared("trial", **settings, max_update=200)
    assert trial("train_mlm", "--max-threads", "1").returncode == 0
    goal = round(SECONDS_OF_TRAINING * updates_per_second(trial) / 100) * 100
    run, whole = (prepared(name, **settings, max_update=goal) for name in ("run", "whole"))
    call = run.start("train_mlm", "--set-resources", "train_mlm:runtime=1", "--retries", "0")
    with ThreadPoolExecutor() as beside:
        uninterrupted = beside.submit(whole, "train_mlm", "--max-threads", "1", timeout=540)
        start_again_at_once(run, call)
    assert uninterrupted.result().returncode == 0
    assert call.status == 0, call.text
    (job,) = call.jobs("train_mlm")
    assert job["JobState"] == "COMPLETED"
    assert int(job["Restarts"]) >= 2, f"{goal} updates took less than three jobs"
    models = [checkpoints.load(one.directory / "models" / "mlm" / "model.pt")["model"] for one in (run, whole)]
    assert models[0].keys() == models[1].keys()
    assert all((models[0][key] == models[1][key]).all() for key in models[0])


def start_again_at_once(run: SlurmRun, call: Call) -> None:
    """Until the call ends, spare its requeued jobs the two minutes that SLURM lets such jobs wait."""
    while call.status is None:
        for job in call.jobs("train_mlm"):
            if job["JobState"] == "PENDING" and job["Reason"] == "BeginTime":
                run.cluster.ask("scontrol", "update", f"JobId={job['JobId']}", "StartTime=now")
        time.sleep(1)


def updates_per_second(run: SlurmRun) -> float:
    log = (run.directory / "logs" / "train_mlm.log").read_text()
    return float(re.findall(r'"train_ups": "([\d.]+)"', log)[-1])
