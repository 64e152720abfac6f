"""Weights that are not finite are refused by name, wherever a model is opened."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.stages import run_stage
from wikixlm.errors import UserError
from wikixlm.model.checkpoint import load_state

NAME = "encoder.sentence_encoder.layers.1.fc2.weight"


@pytest.mark.attack(
    "model",
    "a checkpoint or an export with a weight that is NaN or infinite",
    "refused, with the tensor's name, by `evaluate`, `export`, `train.init_from`, `fill`, `embed`, `retrieve`, "
    "`finetune`",
)
@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_checkpoint_is_refused_with_the_tensors_name(run, tmp_path, value):
    state = load_state(run.model)
    state["model"][NAME] = state["model"][NAME].clone()
    state["model"][NAME][1, 2] = value
    torch.save(state, tmp_path / "model.pt")
    words = ["evaluate", "--checkpoint", tmp_path / "model.pt", "--data", run.data, "--device", "cpu"]
    for command in (words, run.export_arguments(tmp_path / "export", tmp_path / "model.pt")):
        with pytest.raises(UserError, match=f"the tensor {NAME} has values that are not finite"):
            run_stage(*command)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_export_is_refused_with_the_tensors_name(run, tmp_path, value):
    export = tmp_path / "export"
    shutil.copytree(run.export, export)
    weights = load_file(export / "model.safetensors")
    name = "bert.encoder.layer.0.output.dense.bias"
    weights[name][0] = value
    save_file(weights, export / "model.safetensors", metadata={"format": "pt"})
    (tmp_path / "a.txt").write_text("the city\n")
    commands = [
        ["evaluate", "--export", export, "--text", f"en={tmp_path / 'a.txt'}", "--output", tmp_path / "t.tsv"],
        ["fill", "the [MASK]", "--lang", "en", "--export", export],
        ["embed", tmp_path / "a.txt", "--lang", "en", "--export", export, "--output", tmp_path / "a.npy"],
    ]
    for words in commands:
        with pytest.raises(UserError, match=f"the tensor {name} has values that are not finite"):
            run_stage(*words, "--device", "cpu")
    assert not (tmp_path / "t.tsv").exists() and not (tmp_path / "a.npy").exists()


@pytest.mark.attack(
    "model",
    "a model whose weights are finite and whose loss is not",
    "`evaluate` ends with one line that names the text, and writes no table",
)
def test_a_loss_that_is_not_finite_is_refused(run, tmp_path):
    state = load_state(run.model)
    state["model"][NAME] = torch.full_like(state["model"][NAME], 3e38)
    torch.save(state, tmp_path / "model.pt")
    words = ["evaluate", "--checkpoint", tmp_path / "model.pt", "--data", run.data, "--device", "cpu"]
    with pytest.raises(UserError, match=r"model\.pt: the loss on valid\.en is nan"):
        run_stage(*words, "--languages", "en", "--output", tmp_path / "table.tsv")
    assert not (tmp_path / "table.tsv").exists()
