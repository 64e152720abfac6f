"""A training that outlives its jobs, and one of several workers: one training, and the weights of an unbroken one."""

import contextlib
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.slurm.cluster import send
from tests.slurm.conftest import SECONDS, Call, SlurmRun
from tests.support.waiting import wait_for
from wikixlm.train import checkpoints

UPDATES = 300
INTERVAL = 20  # updates between checkpoints; there is one at the end of each epoch, too


def wait_for_update(run: SlurmRun, update: int) -> list[int]:
    """Wait until the training is so far, and stop its trainers for now; gives them."""
    wait_for(lambda: run.updates() >= update and run.trainers(), 240, f"update {update}")
    trainers = run.trainers()
    send(signal.SIGSTOP, trainers)
    assert run.updates() < UPDATES, "it was too fast for this test"
    return trainers


def saved(run: SlurmRun) -> int:
    """The update of the last checkpoint."""
    return checkpoints.updates(checkpoints.load(run.directory / "checkpoints" / "mlm" / "checkpoint_last.pt"))


def was_asked_to_stop(pid: int) -> bool:
    """Whether SIGUSR1 or SIGTERM waits for a stopped process, or it has ended: SLURM itself may have woken it."""
    try:
        waiting = re.search(r"(?m)^ShdPnd:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return True
    return any(int(waiting[1], 16) & 1 << number - 1 for number in (signal.SIGUSR1, signal.SIGTERM))


def log(run: SlurmRun) -> str:
    return (run.directory / "logs" / "train_mlm.log").read_text()


def resumed_at(run: SlurmRun) -> int:
    """The update that the last job of a training began with."""
    return int(re.search(rf"resuming from update (\d+) of {UPDATES}", log(run))[1])


def restarts(call: Call) -> int:
    """How often SLURM started the one job of the training again; a retry of snakemake's would be another job."""
    (job,) = call.jobs("train_mlm")
    assert job["JobState"] == "COMPLETED"
    return int(job["Restarts"])


def trained_alike(one: SlurmRun, two: SlurmRun) -> bool:
    models = [checkpoints.load(run.directory / "models" / "mlm" / "model.pt")["model"] for run in (one, two)]
    return models[0].keys() == models[1].keys() and all((models[0][key] == models[1][key]).all() for key in models[0])


@contextlib.contextmanager
def unbroken(run: SlurmRun):
    """Train without SLURM and without a break, beside what happens in the context."""
    with ThreadPoolExecutor() as beside:
        training = beside.submit(run, "train_mlm", "--max-threads", "1", timeout=SECONDS)
        yield
        done = training.result()
        assert done.returncode == 0, done.stdout


def test_a_training_longer_than_its_jobs_goes_on_by_itself(prepare):
    """Walltimes of two minutes; the trainer is held back in the first two jobs, so that every machine needs three."""
    settings = {"max_update": UPDATES, "save_interval_updates": 100000}
    run, whole = (prepare(name, **settings) for name in ("run", "whole"))
    call = run.start("train_mlm", "--set-resources", "train_mlm:runtime=2", "--retries", "0")
    with unbroken(whole):
        for _ in range(2):
            (trainer,) = wait_for_update(run, run.updates() + 1)
            wait_for(lambda pid=trainer: was_asked_to_stop(pid), 140, "the job's last minute")
            send(signal.SIGCONT, [trainer])
            wait_for(lambda: call.jobs("train_mlm")[0]["JobState"] == "PENDING", 60, "the job to go back")
            assert f"job {call.jobs()[0]['JobId']} is requeued: training stopped at update" in log(run)
            assert "by the job's time limit; checkpoint saved" in log(run)
            call.start_again_at_once()
        call.wait_for_success()
    assert restarts(call) == 2
    assert resumed_at(run) > 1
    assert trained_alike(run, whole)


def test_two_gpus_are_one_training_with_two_workers(prepare):
    run = prepare("run", gpus=2)
    call = run.run("train_mlm", "--set-resources", "train_mlm:gpu=2")
    assert call.status == 0, call.text
    (job,) = call.jobs("train_mlm")
    assert job["TresPerJob"] == "gres:gpu:2"
    assert log(run).count("fairseq-train monolingual_data/fairseq_processed") == 1
    assert "'distributed_world_size': 2" in log(run)
    assert set(re.findall(r"distributed init \(rank (\d)\)", log(run))) == {"0", "1"}
    assert checkpoints.load(run.directory / "models" / "mlm" / "model.pt")


def test_two_nodes_are_one_training_and_a_crash_costs_the_updates_since_the_last_checkpoint(prepare):
    settings = {"max_update": UPDATES, "save_interval_updates": INTERVAL}
    run, whole = prepare("run", nodes=2, **settings), prepare("whole", gpus=2, **settings)
    call = run.start("train_mlm", "--set-resources", "train_mlm:slurm_partition=pairs", "--retries", "0")
    with unbroken(whole):
        trainers = wait_for_update(run, INTERVAL + 1)
        workers = {node: run.trainers(SLURMD_NODENAME=node) for node in ("two", "three")}
        assert [len(pids) for pids in workers.values()] == [1, 1], "a worker on each node"
        assert sorted(workers["two"] + workers["three"]) == sorted(trainers), "and no other"
        last = saved(run)
        run.cluster.crash("three")
        wait_for(lambda: call.jobs("train_mlm")[0]["JobState"] == "PENDING", 90, "the job to go back")
        run.cluster.repair("three")
        call.wait_for_success()
    assert restarts(call) == 1
    assert resumed_at(run) == last >= INTERVAL
    assert log(run).count("fairseq-train monolingual_data/fairseq_processed") == 1
    assert set(re.findall(r"distributed init \(rank (\d)\)", log(run))) == {"0", "1"}
    assert trained_alike(run, whole)


@pytest.mark.parametrize(("partition", "node"), [("spare", "four"), ("grace", "five")])
def test_a_training_that_is_preempted_goes_on_later(prepare, partition, node):
    """`grace`: SLURM asks it to end, and kills it a minute later; `spare`: after the cluster's KillWait."""
    settings = {"max_update": UPDATES, "save_interval_updates": INTERVAL}
    run, whole = (prepare(name, **settings) for name in ("run", "whole"))
    call = run.start("train_mlm", "--set-resources", f"train_mlm:slurm_partition={partition}", "--retries", "0")
    with unbroken(whole):
        (trainer,) = wait_for_update(run, INTERVAL + 1)
        last = saved(run)
        urgent = ["--nodelist", node, "--mem=100", "--cpus-per-task=16", "--output=/dev/null", "--wrap", "sleep 5"]
        run.cluster.ask("sbatch", "--partition=urgent", *urgent)
        wait_for(lambda: was_asked_to_stop(trainer), 90, "preemption")
        send(signal.SIGCONT, [trainer])
        call.wait_for_success()
    assert restarts(call) == 1
    assert resumed_at(run) >= last >= INTERVAL
    assert trained_alike(run, whole)
