"""A stranger's checkpoint or export is data: whatever it holds, opening it runs nothing of it.

Each payload would make a file, the marker, if it were run.
"""

import argparse
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support import fairseq_data
from tests.support.exports import LANGUAGES
from tests.support.stages import run_stage
from wikixlm.errors import UserError
from wikixlm.model.checkpoint import load_state
from wikixlm.train import checkpoints
from wikixlm.train.command import resumed_precision

TRAINING = {"recipe": "wikixlm", "tokens_per_sample": 32, "lr": 0.01, "dropout": 0.0, "save_interval_updates": 100}


class Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


def pickled(good: Path, path: Path, marker: Path) -> None:
    torch.save({**load_state(good), "cfg": Evil(marker)}, path)


def legacy_pickled(good: Path, path: Path, marker: Path) -> None:
    torch.save({**load_state(good), "cfg": Evil(marker)}, path, _use_new_zipfile_serialization=False)


def named_builder(good: Path, path: Path, marker: Path) -> None:
    """Plain values, that name a class of fairseq whose builder evaluates an option."""
    state = load_state(good)
    code = f"__import__('pathlib').Path({str(marker)!r}).touch() or [(8, 1)]"
    decoder = {"decoder_layers": code, "decoder_embed_dim": 16, "decoder_attention": "False"}
    options = {**vars(state["cfg"]["model"]), **decoder, "_name": "fconv_lm", "arch": "fconv_lm"}
    state["cfg"] = {**state["cfg"], "model": options}
    state["args"] = argparse.Namespace(**{**options, "task": "language_modeling", "data": code})
    torch.save(state, path)


CHECKPOINTS: dict[str, Callable[[Path, Path, Path], None]] = {
    "pickle": pickled,
    "legacy": legacy_pickled,
    "builder": named_builder,
}


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "marker"


def test_the_payloads_do_run_where_they_are_trusted(run, tmp_path, marker):
    """So that a marker that is not there means something."""
    pickled(run.model, tmp_path / "evil.pt", marker)
    torch.load(tmp_path / "evil.pt", weights_only=False)
    assert marker.exists()
    marker.unlink()
    named_builder(run.model, tmp_path / "evil.pt", marker)
    from fairseq.models.fconv_lm import FConvLanguageModel

    options = torch.load(tmp_path / "evil.pt", weights_only=False)["args"]
    with pytest.raises(Exception):  # noqa: B017
        FConvLanguageModel.build_model(options, argparse.Namespace(target_dictionary=None))
    assert marker.exists()


def assert_refused_or_harmless(payload: str, action: Callable[[], None]) -> None:
    """What holds code is refused; what only names a class works as the weights that it is."""
    if payload == "builder":
        action()
    else:
        with pytest.raises(UserError, match=r"is refused: it holds more than weights|is damaged or no check") as caught:
            action()
        assert "weights_only" not in str(caught.value), "torch's message advises to switch the protection off"


@pytest.mark.attack(
    "model",
    "a checkpoint that holds a pickled object, in torch's format or its legacy one, or that names one of fairseq's "
    "builders (`fconv_lm` evaluates `decoder_layers`): `wikixlm evaluate`, `export`, `train.init_from`",
    "pickled objects are refused; of a configuration in the file only numbers within bounds are read, and the network "
    "is built from the tensors' sizes",
)
@pytest.mark.parametrize("payload", CHECKPOINTS)
def test_a_checkpoint_runs_nothing(run, tmp_path, marker, payload):
    path = tmp_path / "model.pt"
    CHECKPOINTS[payload](run.model, path, marker)
    words = ["evaluate", "--checkpoint", path, "--data", run.data, "--languages", "en", "--splits", "test"]
    assert_refused_or_harmless(
        payload, lambda: run_stage(*words, "--device", "cpu", "--output", tmp_path / "table.tsv")
    )
    assert_refused_or_harmless(payload, lambda: run_stage(*run.export_arguments(tmp_path / "export", path)))
    words = fairseq_data.train_arguments(run.data, tmp_path, LANGUAGES, **TRAINING, max_update=2, init_from=str(path))
    assert_refused_or_harmless(payload, lambda: run_stage(*words))
    assert not marker.exists()


@pytest.mark.attack(
    "model",
    "the same as `checkpoint_last.pt` of a training that is resumed",
    "pickled objects are set aside as damaged; fairseq's own loading gets neither `cfg` nor `args`",
)
@pytest.mark.parametrize("payload", CHECKPOINTS)
def test_resuming_runs_nothing(run, tmp_path, marker, payload, capfd):
    shutil.copytree(run.folder / "checkpoints", tmp_path / "checkpoints")
    last = tmp_path / "checkpoints" / "checkpoint_last.pt"
    (tmp_path / "good.pt").write_bytes(last.read_bytes())
    last.unlink()
    CHECKPOINTS[payload](tmp_path / "good.pt", last, marker)
    run_stage(*fairseq_data.train_arguments(run.data, tmp_path, LANGUAGES, **TRAINING, max_update=42))
    assert not marker.exists()
    assert (tmp_path / "model.pt").exists()
    assert last.with_name("checkpoint_last.pt.damaged").exists() == (payload != "builder")


@pytest.mark.attack(
    "model",
    "a `checkpoint_last.pt` of plain values without its updates, its position in the data, or its configuration",
    "set aside as damaged, or resumed without them; never an unexpected failure",
)
@pytest.mark.parametrize(
    "change",
    [
        {"optimizer_history": []},
        {"optimizer_history": [{"num_updates": "40"}]},
        {"extra_state": None},
        {"extra_state": {}},
        {"cfg": None},
        {"cfg": {"common": {"fp16": "yes", "bf16": 1}}},
    ],
    ids=["no history", "updates as text", "no state", "no position", "no cfg", "other flags"],
)
def test_a_checkpoint_that_lacks_things_is_no_surprise(run, tmp_path, change):
    last = tmp_path / "checkpoint_last.pt"
    torch.save({**load_state(run.folder / "checkpoints" / "checkpoint_last.pt"), **change}, last)
    resumed = checkpoints.prepare_resume(tmp_path)
    assert resumed == (40 if "cfg" in change else 0)
    assert last.exists() == ("cfg" in change)
    assert resumed_precision(tmp_path) == ("fp32" if "cfg" in change else None)


@pytest.mark.attack(
    "model",
    "a pickled object or a named builder as the model and checkpoints of a run that `wikixlm report`, `plan` or "
    "`verify` looks at",
    "they open no checkpoint",
)
@pytest.mark.parametrize("payload", CHECKPOINTS)
def test_looking_at_a_run_runs_nothing(run, tmp_path, marker, payload, monkeypatch):
    for name in ("models/mlm/model.pt", "checkpoints/mlm/checkpoint_last.pt"):
        (tmp_path / name).parent.mkdir(parents=True)
        CHECKPOINTS[payload](run.model, tmp_path / name, marker)
    (tmp_path / "dumps" / "en").mkdir(parents=True)
    commands = {"report": ["--directory", tmp_path], "plan": ["--sizes", "en=0.1"], "verify": ["--directory", tmp_path]}
    monkeypatch.chdir(tmp_path)
    for command, words in commands.items():
        if command == "verify":
            shutil.copy(run.folder / "manifest.json", tmp_path / "models" / "mlm")
        try:
            run_stage(command, *words)
        except (UserError, SystemExit):  # there is little to look at; nothing else may happen
            continue
    assert not marker.exists()


def remote_code(export: Path, marker: Path) -> None:
    """`auto_map` names code of the folder, and an unknown class."""
    code = f"import pathlib\npathlib.Path({str(marker)!r}).touch()\n"
    for name in ("evil.py", "tokenization_wikixlm.py", "modeling_evil.py"):
        (export / name).write_text(code)
    classes = ("AutoConfig", "AutoModel", "AutoModelForMaskedLM", "AutoModelForSequenceClassification")
    named = {"auto_map": dict.fromkeys(classes, "evil.Evil"), "model_type": "evil", "architectures": ["Evil"]}
    change(export / "config.json", **named)
    tokenizer = {"auto_map": {"AutoTokenizer": ["evil.Evil", None]}, "tokenizer_class": "Evil"}
    change(export / "tokenizer_config.json", **tokenizer)


def pickled_weights(export: Path, marker: Path) -> None:
    (export / "model.safetensors").unlink()
    torch.save({"bert": Evil(marker)}, export / "pytorch_model.bin")


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def export_words(export: Path, folder: Path) -> list[list[Any]]:
    """Each command that opens an export."""
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text("the city\nof Rome\n")
    rows = "".join(f"en\tthe city {number}\t{number % 2}\n" for number in range(8))
    (folder / "train.tsv").write_text(f"language\ttext\tlabel\n{rows}")
    words = ["finetune", "--model", export, "--train", folder / "train.tsv", "--epochs", 1, "--threads", 1]
    device = ["--device", "cpu"]
    return [
        ["evaluate", "--export", export, "--text", f"en={folder / 'a.txt'}", "--output", folder / "t.tsv", *device],
        ["fill", "the [MASK]", "--lang", "en", "--export", export, *device],
        ["embed", folder / "a.txt", "--lang", "en", "--export", export, "--output", folder / "a.npy", *device],
        ["retrieve", folder / "a.txt", folder / "b.txt", "--langs", "en", "bg", "--export", export, *device],
        [*words, "--output", folder / "finetuned", *device],
    ]


COMMANDS = ["evaluate", "fill", "embed", "retrieve", "finetune"]


@pytest.mark.attack(
    "model",
    "an export whose `auto_map` names code of its folder: `evaluate` of an export, `fill`, `embed`, `retrieve`, "
    "`finetune`",
    "`auto_map`, `model_type` and the folder's Python files are ignored: the model is a BERT and the tokenizer is the "
    "installed one; nothing is asked and nothing run",
)
@pytest.mark.parametrize("command", COMMANDS)
def test_an_exports_code_is_not_run(run, tmp_path, marker, command):
    export = tmp_path / "export"
    shutil.copytree(run.export, export)
    remote_code(export, marker)
    words = next(words for words in export_words(export, tmp_path) if words[0] == command)
    run_stage(*words)
    assert not marker.exists()


@pytest.mark.attack(
    "model", "an export with pickled weights instead of safetensors", "refused: only `model.safetensors` is opened"
)
@pytest.mark.parametrize("command", COMMANDS)
def test_an_exports_pickle_is_not_opened(run, tmp_path, marker, command):
    export = tmp_path / "export"
    shutil.copytree(run.export, export)
    pickled_weights(export, marker)
    words = next(words for words in export_words(export, tmp_path) if words[0] == command)
    with pytest.raises(UserError, match=r"model\.safetensors"):
        run_stage(*words)
    assert not marker.exists()


@pytest.mark.attack(
    "model",
    "an export whose config.json claims other sizes than its tensors have, or 10^12 attention heads",
    "sizes are those of the tensors; other numbers are refused out of bounds",
)
def test_an_exports_numbers_are_checked(run, tmp_path):
    export = tmp_path / "export"
    shutil.copytree(run.export, export)
    words = next(words for words in export_words(export, tmp_path) if words[0] == "fill")
    change(export / "config.json", vocab_size=10**12, hidden_size=10**9, num_hidden_layers=10**6)
    run_stage(*words)
    for wrong in (10**12, "8", True, None, 7):
        change(export / "config.json", num_attention_heads=wrong)
        with pytest.raises(UserError, match=r"num_attention_heads|dimensions in 7 heads"):
            run_stage(*words)
