"""Stock fairseq under today's Python and torch."""

import argparse
import dataclasses
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.support import fairseq_data as factory
from wikixlm.errors import UserError
from wikixlm.files import sha256
from wikixlm.train import checkpoints
from wikixlm.train.fairseq import compat, patches

HISTORY = {"criterion_name": "", "optimizer_name": "", "lr_scheduler_state": {"best": None}, "num_updates": 1}


@pytest.fixture(autouse=True)
def applied():
    compat.apply()


def test_python_refuses_mutable_defaults_again_afterwards():
    compat.apply()

    @dataclasses.dataclass
    class Inner:
        values: int = 0

    with pytest.raises(ValueError, match="mutable default"):

        @dataclasses.dataclass
        class Outer:
            inner: Inner = Inner()  # noqa: RUF009


def test_a_checkpoint_that_would_run_code_is_refused(tmp_path):
    from fairseq import checkpoint_utils

    class Evil:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path}/ran",)

    path = tmp_path / "evil.pt"
    torch.save({"model": {}, "cfg": Evil(), "optimizer_history": []}, path)
    with pytest.raises(UserError, match="is refused"):
        checkpoints.load(path)
    with pytest.raises(Exception, match=r"weights_only|Weights only"):
        checkpoint_utils.load_checkpoint_to_cpu(str(path))
    assert not (tmp_path / "ran").exists()


def task_of(data: Path, languages: str, **options):
    from fairseq.tasks.cross_lingual_lm import CrossLingualLMTask

    values = {"tokens_per_sample": 16, "seed": 0, "distributed_world_size": 1, "dataset_impl": "mmap", "shuffle": False}
    args = argparse.Namespace(data=str(data), monolingual_langs=languages, **{**values, **options})
    return CrossLingualLMTask.setup_task(args)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return factory.make_data(tmp_path_factory.mktemp("data"), ["en", "bg"])


def test_data_is_loaded_in_any_epoch(data):
    task = task_of(data, "en,bg")
    task.load_dataset("train", epoch=1)
    first = len(task.datasets["train"])
    task.load_dataset("train", epoch=7)
    assert len(task.datasets["train"]) == first > 0


def test_directories_take_turns_by_epoch(data, tmp_path):
    other = factory.make_data(tmp_path / "other", ["en", "bg"], train=5, seed=1)
    task = task_of(data, "en,bg")
    task.args.data = f"{data}:{other}"
    sizes = []
    for epoch in (1, 2, 3, 4):
        task.load_dataset("train", epoch=epoch)
        sizes.append(len(task.datasets["train"]))
    assert sizes[0] == sizes[2] > sizes[1] == sizes[3]


def uneven_batch(data: Path, languages: str, language: str):
    task = task_of(data, languages)
    task.load_dataset("valid")
    dataset = task.datasets["valid"].datasets[language]
    batch = dataset.collater([dataset[0], dataset[len(dataset) - 1]])
    assert (batch["net_input"]["src_tokens"] == task.dictionary.pad()).any(), "the test needs a padded batch"
    return task, batch


def test_one_language_has_segments_within_one_segment(data):
    _, batch = uneven_batch(data, "en", "en")
    assert batch["net_input"]["segment_labels"].unique().tolist() == [0]


def test_padding_the_segments_changes_no_result(data):
    from fairseq.models.masked_lm import MaskedLMModel, xlm_architecture

    task, batch = uneven_batch(data, "en,bg", "en")
    args = argparse.Namespace(tokens_per_sample=16, num_segment=2, encoder_layers=2, encoder_embed_dim=32)
    args.encoder_attention_heads, args.encoder_ffn_embed_dim = 2, 64
    xlm_architecture(args)
    model = MaskedLMModel.build_model(args, task).eval()
    tokens, labels = batch["net_input"]["src_tokens"], batch["net_input"]["segment_labels"]
    padding = tokens == task.dictionary.pad()
    stock = labels.masked_fill(padding, task.dictionary.pad())
    with torch.no_grad():
        ours, theirs = model(tokens, labels)[0], model(tokens, stock)[0]
    assert not labels.equal(stock)
    assert torch.equal(ours[~padding], theirs[~padding])


def test_a_copy_that_breaks_off_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    from fairseq.file_io import PathManager

    (tmp_path / "new.pt").write_bytes(b"new" * 1000)
    (tmp_path / "last.pt").write_bytes(b"old")

    def full_disk(source, target):
        Path(target).write_bytes(b"ne")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(compat.shutil, "copyfile", full_disk)
        with pytest.raises(UserError, match="No space left"):
            PathManager.copy(str(tmp_path / "new.pt"), str(tmp_path / "last.pt"), overwrite=True)
    assert (tmp_path / "last.pt").read_bytes() == b"old"
    assert PathManager.copy(str(tmp_path / "new.pt"), str(tmp_path / "last.pt"), overwrite=True)
    assert sha256(tmp_path / "last.pt") == sha256(tmp_path / "new.pt")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["last.pt", "new.pt"]


def test_preprocess_with_workers_gives_the_same_files_as_one(tmp_path):
    rng = np.random.default_rng(0)
    lines = [" ".join(f"w{number}" for number in line) for line in factory.text(rng, 50)]
    factory.write_dictionary(tmp_path)
    (tmp_path / "train.en").write_text("\n".join([*lines, ""]), encoding="utf-8")
    arguments = ["--task", "cross_lingual_lm", "--srcdict", tmp_path / "dict.txt", "--only-source"]
    arguments += ["--trainpref", tmp_path / "train", "--source-lang", "en", "--workers"]
    for workers in ("1", "3"):
        command = [sys.executable, "-m", "wikixlm.train.fairseq.run", "fairseq-preprocess", *arguments, workers]
        subprocess.run([*map(str, command), "--destdir", str(tmp_path / workers)], check=True, timeout=120)
    for kind in ("bin", "idx"):
        name = f"train.en-None.en.{kind}"
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()


def test_spawned_workers_apply_it_too(monkeypatch):
    calls = []
    monkeypatch.setattr(compat, "apply", lambda: calls.append(1))
    runpy.run_module("wikixlm.train.fairseq.run", run_name="__mp_main__")
    assert calls == [1]


def test_an_unknown_command_is_a_usage_error(monkeypatch):
    from wikixlm.train.fairseq import run

    monkeypatch.setattr(run, "sys", SimpleNamespace(argv=["run", "fairseq-translate"], exit=sys.exit))
    with pytest.raises(SystemExit, match="usage"):
        run.main()


@pytest.mark.parametrize(("words", "tpu"), [(["--bf16"], False), (["--bf16", "--tpu"], True), ([], False)])
def test_bf16_is_a_number_format_and_no_tpu(words, tpu):
    compat.apply()
    from fairseq import options

    line = ["data", "--task", "cross_lingual_lm", "--arch", "xlm_base", "--criterion", "legacy_masked_lm_loss", *words]
    args = options.parse_args_and_arch(options.get_training_parser(), line)
    assert args.tpu is tpu
    assert args.bf16 is ("--bf16" in words)


def test_a_checkpoint_is_mapped_and_not_read(tmp_path, monkeypatch):
    """So that the workers of a machine share one copy of it."""
    from fairseq import checkpoint_utils

    monkeypatch.setattr(checkpoint_utils, "load_checkpoint_to_cpu", None)
    patches.load_checkpoint()
    state = {"model": {"weight": torch.ones(1000)}, "optimizer_history": [HISTORY], "cfg": None}
    state |= {"extra_state": {"train_iterator": {"epoch": 1}}, "args": None}
    torch.save(state, tmp_path / "checkpoint.pt")
    weight = checkpoint_utils.load_checkpoint_to_cpu(str(tmp_path / "checkpoint.pt"))["model"]["weight"]
    assert mapped_file(weight.data_ptr()) == str(tmp_path / "checkpoint.pt")
    assert weight.sum() == 1000


def mapped_file(address):
    """The file that lies at an address of this process's memory; empty where it is no file's."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        between, _, _, _, _, *name = line.split(maxsplit=5)
        start, end = (int(number, 16) for number in between.split("-"))
        if start <= address < end:
            return "".join(name)
    return ""
