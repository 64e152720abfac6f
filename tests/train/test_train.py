"""Training with real fairseq on models of a few thousand weights."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.support import fairseq_data as factory
from tests.support.waiting import wait_for
from wikixlm.errors import UserError
from wikixlm.train import checkpoints, data_folders, save_dir, sessions
from wikixlm.train import command as train
from wikixlm.train import process as training_process
from wikixlm.train.save_dir import lock, open_save_dir

LANGUAGES = ["en", "bg"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return factory.make_data(tmp_path_factory.mktemp("data"), LANGUAGES)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A folder with a training of 4 updates that has ended."""
    folder = tmp_path_factory.mktemp("finished")
    words = factory.train_arguments(data, folder, LANGUAGES, "--keep-checkpoints", "2", save_interval_updates=1)
    factory.call(train, words)
    return folder


@pytest.fixture
def trained(finished, tmp_path):
    """A copy of it to change."""
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


def updates(path: Path) -> int:
    return checkpoints.updates(checkpoints.load(path))


def test_the_model_is_a_checkpoint_that_fairseq_loads(finished, data):
    from fairseq import checkpoint_utils

    path = finished / "model.pt"
    state = torch.load(path, weights_only=True)
    assert "last_optimizer_state" not in state
    assert state["task_state"]["languages"] == LANGUAGES
    assert state["task_state"]["symbols"][:7] == ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "w0", "w1"]
    models, _, task = checkpoint_utils.load_model_ensemble_and_task([str(path)], {"data": str(data)})
    weights = models[0].state_dict()
    assert weights.keys() == state["model"].keys()
    assert all(torch.equal(weights[name], state["model"][name]) for name in weights)
    assert weights["encoder.sentence_encoder.embed_tokens.weight"].shape == (len(task.dictionary), 32)
    assert path.stat().st_size < (finished / "checkpoints" / "checkpoint_best.pt").stat().st_size / 2
    best = checkpoints.load(finished / "checkpoints" / "checkpoint_best.pt")["model"]
    assert all(torch.equal(weights[name], best[name]) for name in weights)


def test_only_the_asked_for_number_of_checkpoints_is_kept(finished):
    names = sorted(path.name for path in (finished / "checkpoints").glob("*.pt"))
    assert names == ["checkpoint_1_3.pt", "checkpoint_1_4.pt", "checkpoint_best.pt", "checkpoint_last.pt"]


def test_at_its_goal_only_the_model_is_written_again(trained, data, capfd):
    (trained / "model.pt").unlink()
    last = trained / "checkpoints" / "checkpoint_last.pt"
    before = last.stat().st_mtime_ns
    factory.call(train, factory.train_arguments(data, trained, LANGUAGES))
    assert (trained / "model.pt").exists()
    assert last.stat().st_mtime_ns == before
    assert "begin training epoch" not in capfd.readouterr().out


def test_a_larger_goal_resumes_from_the_last_checkpoint(trained, data, capfd):
    factory.call(train, factory.train_arguments(data, trained, LANGUAGES, max_update=6, save_interval_updates=3))
    output = capfd.readouterr()
    assert "resuming from update 4 of 6" in output.err
    assert "checkpoint_last.pt (epoch 1 @ 4 updates)" in output.out
    assert updates(trained / "checkpoints" / "checkpoint_last.pt") == 6
    assert [path.name for path in trained.iterdir() if path.is_dir()] == ["checkpoints"]


def test_a_smaller_goal_is_an_error_that_says_what_to_do(trained, data):
    with pytest.raises(UserError, match=r"at update 4 already, beyond train\.max_update 3: set it to 4"):
        factory.call(train, factory.train_arguments(data, trained, LANGUAGES, max_update=3))


def test_changed_settings_start_afresh_and_changing_back_restores_the_old(trained, data, capfd):
    old = (trained / "checkpoints" / "checkpoint_last.pt").read_bytes()
    factory.call(train, factory.train_arguments(data, trained, LANGUAGES, seed=1, max_update=1))
    warning = [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(warning) == 1
    assert "changed: train.seed" in warning[0]
    assert updates(trained / "checkpoints" / "checkpoint_last.pt") == 1
    factory.call(train, factory.train_arguments(data, trained, LANGUAGES))
    assert "restored" in capfd.readouterr().err
    assert (trained / "checkpoints" / "checkpoint_last.pt").read_bytes() == old


def test_the_session_is_recorded(finished):
    (session,) = sessions.read_sessions(finished / "checkpoints")
    assert (session["from_update"], session["to_update"]) == (0, 4)
    assert "--max-update" in session["command"]


def test_changed_data_is_noticed(trained, data, tmp_path):
    other = tmp_path / "data"
    shutil.copytree(data, other)
    factory.make_data(other, ["bg"], seed=5)
    assert open_save_dir(trained / "checkpoints", files(other), factory.train_settings(), LANGUAGES, 1).done == 0
    assert len(list(trained.glob("checkpoints.*"))) == 1


def test_a_folder_of_unknown_origin_is_not_resumed(trained, data, capfd):
    (trained / "checkpoints" / "wikixlm_fingerprint.json").unlink()
    assert open_save_dir(trained / "checkpoints", files(data), factory.train_settings(), LANGUAGES, 1).done == 0
    assert (trained / "checkpoints.unknown" / "checkpoint_last.pt").exists()
    assert "it has no fingerprint" in capfd.readouterr().err


def files(data: Path) -> dict[str, Path]:
    return data_folders.files([data], LANGUAGES)


@pytest.mark.parametrize("damage", ["torn", "zero bytes", "missing"])
def test_a_damaged_last_checkpoint_falls_back_to_the_newest_readable(trained, damage, capfd):
    folder = trained / "checkpoints"
    last, newest = folder / "checkpoint_last.pt", folder / "checkpoint_1_4.pt"
    if damage == "missing":
        last.unlink()
    else:
        last.write_bytes(last.read_bytes()[: 1000 if damage == "torn" else 0])
    (folder / "checkpoint_best.pt").write_bytes(b"")
    (folder / "checkpoint_1_6.pt").write_bytes(b"PK")  # one that was being written
    (folder / ".checkpoint_last.pt.abc.tmp").write_bytes(b"x")
    (folder / "checkpoint_1_6.pt.tmp").write_bytes(b"x")
    assert checkpoints.prepare_resume(folder) == 4
    assert last.read_bytes() == newest.read_bytes()
    assert "warning: resuming from checkpoint_1_4.pt (update 4)" in capfd.readouterr().err
    assert not list(folder.glob("*.tmp")) + list(folder.glob(".*.tmp"))
    assert (folder / "checkpoint_1_6.pt.damaged").exists()


def test_without_any_readable_checkpoint_it_starts_from_nothing(tmp_path, capfd):
    (tmp_path / "checkpoint_last.pt").write_bytes(b"")
    assert checkpoints.prepare_resume(tmp_path) == 0
    assert "warning: " in capfd.readouterr().err


@pytest.mark.parametrize("damage", ["torn", "zero bytes", "missing"])
def test_a_damaged_best_checkpoint_makes_the_model_from_the_next_best(trained, damage, capfd):
    folder = trained / "checkpoints"
    best = folder / "checkpoint_best.pt"
    if damage == "missing":
        best.unlink()
    else:
        best.write_bytes(best.read_bytes()[: 1000 if damage == "torn" else 0])
    chosen = checkpoints.export_model(folder, trained / "model.pt", ["<s>"], LANGUAGES)
    losses = {path.name: checkpoints.load(path)["extra_state"]["val_loss"] for path in folder.glob("checkpoint_*.pt")}
    assert len(losses) == 3
    assert losses[chosen.path.name] == min(losses.values())
    model = checkpoints.load(trained / "model.pt")["model"]
    expected = checkpoints.load(chosen.path)["model"]
    assert all(torch.equal(model[name], expected[name]) for name in expected)
    assert "has no readable checkpoint_best.pt" in capfd.readouterr().err


@pytest.mark.parametrize("name", ["checkpoint_last.pt", "checkpoint_best.pt"])
def test_a_flipped_bit_in_a_checkpoint_is_noticed(trained, name, capfd):
    """Torch maps a checkpoint and does not look at its checksums."""
    path = trained / "checkpoints" / name
    flip_a_bit_of_a_weight(path)
    with pytest.raises(UserError, match=rf"{name} is damaged: the checksum of .*/data/\d+ in it is wrong"):
        checkpoints.load(path)
    assert checkpoints.prepare_resume(trained / "checkpoints") == 4
    checkpoints.export_model(trained / "checkpoints", trained / "model.pt", ["<s>"], LANGUAGES)
    assert f"{name} is damaged" in capfd.readouterr().err
    assert (trained / "checkpoints" / f"{name}.damaged").exists()


def test_a_flipped_bit_in_the_model_is_noticed(trained):
    hashed = subprocess.run(["sha256sum", "-c", ".model.pt.sha256"], cwd=trained, capture_output=True, check=False)
    assert hashed.returncode == 0
    flip_a_bit_of_a_weight(trained / "model.pt")
    with pytest.raises(UserError, match=r"model\.pt is damaged"):
        checkpoints.load(trained / "model.pt")


def flip_a_bit_of_a_weight(path: Path) -> None:
    weights = checkpoints.load(path)["model"]
    content = max(weights.values(), key=torch.Tensor.numel).numpy().tobytes()
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(content) + len(content) // 2] ^= 1
    path.write_bytes(damaged)


def test_without_any_readable_checkpoint_there_is_no_model(tmp_path):
    (tmp_path / "checkpoint_best.pt").write_bytes(b"")
    with pytest.raises(UserError, match="has no readable checkpoint"):
        checkpoints.export_model(tmp_path, tmp_path / "model.pt", ["<s>"], LANGUAGES)
    assert not (tmp_path / "model.pt").exists()


@pytest.mark.parametrize("languages", [["en"], pytest.param(LANGUAGES, marks=pytest.mark.slow)])
def test_one_line_a_split_and_a_resume_in_a_later_epoch(tmp_path, languages):
    data = factory.make_data(tmp_path / "data", languages, train=1, held_out=1)
    factory.call(train, factory.train_arguments(data, tmp_path, languages, max_update=1, save_interval_updates=100))
    factory.call(train, factory.train_arguments(data, tmp_path, languages, max_update=3, save_interval_updates=100))
    assert updates(tmp_path / "checkpoints" / "checkpoint_last.pt") == 3
    state = checkpoints.load(tmp_path / "checkpoints" / "checkpoint_last.pt")
    assert state["extra_state"]["train_iterator"]["epoch"] >= 3


def test_a_training_that_stops_early_is_a_failure_that_says_why(data, tmp_path):
    words = factory.train_arguments(data, tmp_path, LANGUAGES, extra_args=["--stop-min-lr", "1"])
    with pytest.raises(UserError, match="stopped at update 0 of 4: the learning rate fell to --stop-min-lr"):
        factory.call(train, words)
    assert not (tmp_path / "model.pt").exists()


def test_a_failing_trainer_is_one_line_with_its_reason(data, tmp_path):
    words = factory.train_arguments(data, tmp_path, LANGUAGES, extra_args=["--no-such-flag"])
    with pytest.raises(UserError, match=r"does not know one of its arguments: look at train\.extra_args"):
        factory.call(train, words)


def test_a_training_can_start_from_a_model_with_fewer_languages(finished, data, tmp_path):
    more = [*LANGUAGES, "de"]
    other = factory.make_data(tmp_path / "data", more)
    words = factory.train_arguments(other, tmp_path, more, max_update=1, lr=1e-7, init_from=str(finished / "model.pt"))
    factory.call(train, words)
    old, new = (torch.load(folder / "model.pt", weights_only=True)["model"] for folder in (finished, tmp_path))
    name = "encoder.sentence_encoder.segment_embeddings.weight"
    assert new[name].shape == (3, 32)
    assert torch.allclose(new[name][:2], old[name], atol=1e-6)
    name = "encoder.sentence_encoder.embed_tokens.weight"
    assert torch.allclose(new[name], old[name], atol=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_model_with_weights_that_are_not_finite_is_no_start(trained, data, tmp_path, value):
    state = checkpoints.load(trained / "model.pt")
    name = "encoder.sentence_encoder.layers.1.fc1.weight"
    state["model"][name][3, 5] = value
    torch.save(state, trained / "nan.pt")
    words = factory.train_arguments(data, tmp_path, LANGUAGES, init_from=str(trained / "nan.pt"))
    with pytest.raises(UserError, match=rf"nan\.pt: the tensor {name} has values that are not finite"):
        factory.call(train, words)
    assert not (tmp_path / "model.pt").exists()


def test_several_nodes_need_a_job_of_slurm(data, tmp_path, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(UserError, match=r"train\.nodes is 2; several nodes need a SLURM job"):
        factory.call(train, factory.train_arguments(data, tmp_path, LANGUAGES, "--nodes", "2"))
    assert not list(tmp_path.iterdir())


def test_threads_of_the_trainer_give_way_unless_the_user_says_otherwise(monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    environment = training_process.environment(threads=3, lock_handle=7, variables={})
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["GOMP_SPINCOUNT"] == "1000"
    assert environment["PATH"] == os.environ["PATH"]
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert "GOMP_SPINCOUNT" not in training_process.environment(threads=3, lock_handle=7, variables={})
    monkeypatch.delenv("OMP_WAIT_POLICY")
    monkeypatch.setenv("GOMP_SPINCOUNT", "5")
    assert training_process.environment(threads=3, lock_handle=7, variables={})["GOMP_SPINCOUNT"] == "5"


def test_long_blocks_warn_of_memory(data, tmp_path, capfd, no_waiting):
    with lock(tmp_path / "checkpoints"), pytest.raises(UserError):
        factory.call(train, factory.train_arguments(data, tmp_path, LANGUAGES, tokens_per_sample=300, max_tokens=300))
    assert "warning: train.tokens_per_sample 300 is above 256" in capfd.readouterr().err


@pytest.fixture
def no_waiting(monkeypatch):
    monkeypatch.setattr(save_dir, "SECONDS_TO_WAIT", 0.2)


def test_a_second_trainer_is_kept_out(data, tmp_path, no_waiting):
    with lock(tmp_path / "checkpoints"), pytest.raises(UserError, match=f"in use by process {os.getpid()} on "):
        factory.call(train, factory.train_arguments(data, tmp_path, LANGUAGES))
    with lock(tmp_path / "checkpoints"):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_trainer_outlives_its_command(data, tmp_path, number):
    words = factory.train_arguments(data, tmp_path, LANGUAGES, max_update=100000, save_interval_updates=100)
    log = tmp_path / "log"
    process = subprocess.Popen([sys.executable, "-m", "wikixlm", *words, "--log", str(log)])
    child = wait_for(lambda: trainer_of(process.pid), 60, "the trainer")
    wait_for(lambda: log.exists() and "begin training epoch" in log.read_text(), 60, "the first epoch")
    process.send_signal(number)
    assert process.wait(40) != 0
    wait_for(lambda: not Path(f"/proc/{child}").exists(), 20, "the trainer's end")
    with lock(tmp_path / "checkpoints"):
        pass


def trainer_of(pid: int) -> int:
    """The process id of a command's fairseq-train, or 0."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return next((int(c) for c in children if "fairseq-train" in Path(f"/proc/{c}/cmdline").read_text()), 0)
