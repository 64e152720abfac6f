"""Real trainings through `python -m wikixlm.train.fairseq.run fairseq-train`: resumed, on two workers, from a model."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.support.blocks_data import write_data
from wikixlm.model.checkpoint import load_state, read_model
from wikixlm.model.extend import write_start_checkpoint
from wikixlm.model.network import MaskedLanguageModel, NetworkConfig
from wikixlm.train.fairseq import USER_DIR

RECIPE = f"""
    --user-dir {USER_DIR} --task wikixlm_mlm --arch wikixlm_base --criterion wikixlm_masked_lm
    --optimizer wikixlm_adamw --lr-scheduler wikixlm_warmup --lr 2e-3 --clip-norm 1 --warmup-updates 4
    --tokens-per-sample 16 --encoder-embed-dim 32 --encoder-ffn-embed-dim 64 --encoder-layers 1
    --encoder-attention-heads 2 --cpu --num-workers 0 --log-format json --log-interval 1 --no-epoch-checkpoints
    --distributed-no-spawn --ddp-backend legacy_ddp --distributed-backend gloo
"""
# the user folder's path may hold spaces
RECIPE_ARGUMENTS = [str(USER_DIR) if word == "@" else word for word in RECIPE.replace(str(USER_DIR), "@").split()]


def train(
    data: Path, save_dir: Path, *options: str, languages: str = "en,bg", workers: int = 1
) -> list[dict[str, str]]:
    """Run fairseq-train; returns the validations' figures, in order."""
    return figures(run(data, save_dir, *options, languages=languages, workers=workers), "valid")


def run(data: Path, save_dir: Path, *options: str, languages: str = "en,bg", workers: int = 1) -> str:
    """Run fairseq-train; returns its log."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={workers}"] if workers > 1 else []
    command = [sys.executable, *launcher, "-m", "wikixlm.train.fairseq.run", "fairseq-train", str(data)]
    command += [*RECIPE_ARGUMENTS, "--monolingual-langs", languages, "--save-dir", str(save_dir), *options]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def figures(log: str, kind: str) -> list[dict[str, str]]:
    """The rows of a kind (`train_inner`, `valid`) in a log, in order."""
    lines = [line.partition(f"| INFO | {kind} | ")[2] for line in log.splitlines()]
    return [json.loads(line) for line in lines if line.startswith("{")]


def weights(save_dir: Path, name: str = "checkpoint_last.pt") -> dict[str, torch.Tensor]:
    return load_state(save_dir / name)["model"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """About six batches of 256 tokens an epoch."""
    return write_data(tmp_path_factory.mktemp("data"), {"en": 900, "bg": 300}, held_out=150)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A finished training of 12 updates, into epoch 2, and its save directory."""
    save_dir = tmp_path_factory.mktemp("whole")
    figures = train(data, save_dir, "--max-tokens", "256", "--max-update", "12", "--save-interval-updates", "5")
    return figures, save_dir


def test_it_learns_logs_every_language_and_keeps_the_best(finished):
    figures, save_dir = finished
    assert float(figures[-1]["valid_loss"]) < float(figures[0]["valid_loss"])
    for figure in figures:
        assert {f"valid_{name}_{code}" for name in ("loss", "ppl", "accuracy") for code in ("en", "bg")} <= set(figure)
    checkpoint = load_state(save_dir / "checkpoint_last.pt")
    assert checkpoint["task_state"]["languages"] == ["en", "bg"]
    assert len(checkpoint["task_state"]["symbols"]) == 105
    best = load_state(save_dir / "checkpoint_best.pt")["extra_state"]["val_loss"]
    assert best == pytest.approx(min(float(figure["valid_loss"]) for figure in figures), rel=1e-5)


def assert_resumed_is_identical(data: Path, whole: Path, updates: int, save_dir: Path, *options: str) -> None:
    """Go on from the checkpoint that the finished training in `whole` made after so many updates."""
    (checkpoint,) = whole.glob(f"checkpoint_*_{updates}.pt")
    save_dir.mkdir(exist_ok=True)
    shutil.copy(checkpoint, save_dir / "checkpoint_last.pt")
    train(data, save_dir, *options)
    one, two = weights(whole), weights(save_dir)
    assert all(torch.equal(one[name], two[name]) for name in one)


# in epoch 1, and in epoch 2
@pytest.mark.parametrize("updates", [pytest.param(5, marks=pytest.mark.slow), 10])
def test_a_resumed_run_ends_bit_identical(data, finished, tmp_path, updates):
    options = ["--max-tokens", "256", "--max-update", "12", "--save-interval-updates", "5"]
    assert_resumed_is_identical(data, finished[1], updates, tmp_path, *options)


def test_a_resumed_run_in_half_precision_ends_bit_identical(data, tmp_path):
    options = ["--max-tokens", "256", "--max-update", "8", "--save-interval-updates", "4", "--bf16"]
    train(data, tmp_path / "whole", *options)
    assert_resumed_is_identical(data, tmp_path / "whole", 4, tmp_path / "resumed", *options)


MUON = ["--optimizer", "wikixlm_muon", "--lr", "0.01", "--embedding-lr", "2e-3", "--hidden-gain", "0.2"]


@pytest.mark.parametrize("precision", [pytest.param([], marks=pytest.mark.slow), ["--bf16"]], ids=["fp32", "bf16"])
def test_a_resumed_run_with_muon_ends_bit_identical(data, tmp_path, precision):
    options = ["--max-tokens", "256", "--max-update", "8", "--save-interval-updates", "4", *MUON, *precision]
    figures = train(data, tmp_path / "whole", *options)
    assert float(figures[-1]["valid_loss"]) < float(figures[0]["valid_loss"])
    assert_resumed_is_identical(data, tmp_path / "whole", 4, tmp_path / "resumed", *options)


def test_two_workers_with_muon_give_the_figures_of_one(data, tmp_path):
    """And one that goes on, with what each of the two has saved, from update 4."""
    options = ["--max-tokens", "128", "--dropout", "0", "--attention-dropout", "0", "--lr-decay", "none", *MUON]
    one = train(data, tmp_path / "one", *options, "--max-update", "8", "--update-freq", "2")
    train(data, tmp_path / "two", *options, "--max-update", "4", workers=2)
    options += ["--load-checkpoint-on-all-dp-ranks"]  # as `wikixlm train` has it
    two = train(data, tmp_path / "two", *options, "--max-update", "8", workers=2)
    for name in one[-1]:
        assert float(one[-1][name]) == pytest.approx(float(two[-1][name]), abs=2e-3)


@pytest.mark.slow
def test_two_workers_give_the_figures_of_one_with_update_freq_2(data, tmp_path):
    options = ["--max-tokens", "128", "--max-update", "8", "--dropout", "0", "--attention-dropout", "0"]
    one = train(data, tmp_path / "one", *options, "--update-freq", "2")
    two = train(data, tmp_path / "two", *options, workers=2)
    assert len(one) == len(two) >= 1
    for name in one[-1]:
        assert float(one[-1][name]) == pytest.approx(float(two[-1][name]), abs=1e-4)


def test_the_last_gradients_of_an_epoch_have_the_right_size(data, tmp_path):
    """15 batches, four an update: the second worker's last one doesn't count, but the one before it does."""
    options = ["--max-tokens", "96", "--max-update", "4", "--dropout", "0", "--attention-dropout", "0"]
    options += ["--disable-validation"]
    one = figures(run(data, tmp_path / "one", *options, "--update-freq", "4"), "train_inner")
    two = figures(run(data, tmp_path / "two", *options, "--update-freq", "2", workers=2), "train_inner")
    assert len(one) == len(two) == 4
    for name in ("gnorm", "loss"):
        assert [float(row[name]) for row in two] == pytest.approx([float(row[name]) for row in one], abs=2e-3)


def test_going_on_with_another_language_starts_from_what_was_learned(finished, tmp_path):
    figures, save_dir = finished
    more = write_data(tmp_path / "data", {"de": 300, "en": 900, "bg": 300}, symbols=120, held_out=150)
    languages = ["de", "en", "bg"]
    model = read_model(save_dir / "checkpoint_last.pt")
    write_start_checkpoint(model, more / "dict.txt", languages, tmp_path / "start.pt", 0)
    after = train(
        more, tmp_path / "more", "--max-tokens", "256", "--max-update", "1", "--max-positions", "16",
        "--finetune-from-model", str(tmp_path / "start.pt"), languages=",".join(languages),
    )  # fmt: skip
    assert float(after[0]["valid_loss_en"]) < float(figures[0]["valid_loss_en"])
    config = NetworkConfig(
        vocab_size=125, num_languages=3, max_positions=16, embed_dim=32, ffn_dim=64, num_heads=2, num_layers=1
    )
    trained = {name.removeprefix("encoder."): value for name, value in weights(tmp_path / "more").items()}
    MaskedLanguageModel(config).load_state_dict(trained)


def test_one_language_and_one_update(data, tmp_path):
    figures = train(data, tmp_path, "--max-tokens", "256", "--max-update", "1", languages="bg")
    assert set(figures[0]) >= {"valid_loss", "valid_loss_bg"}
    assert "valid_loss_en" not in figures[0]


@pytest.mark.slow
@pytest.mark.skipif(" " in sys.prefix, reason="torch's compiler does not quote the path of its own libraries")
def test_compiled_layers_give_the_same_model(data, finished, tmp_path):
    options = ["--max-tokens", "256", "--max-update", "12", "--save-interval-updates", "5", "--compile-layers"]
    figures = train(data, tmp_path, *options)
    assert float(figures[-1]["valid_loss"]) == pytest.approx(float(finished[0][-1]["valid_loss"]), abs=0.05)
    assert set(weights(tmp_path)) == set(weights(finished[1]))
