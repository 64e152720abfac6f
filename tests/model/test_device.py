"""Where to compute."""

import pytest
import torch

from wikixlm.errors import UserError
from wikixlm.model import device


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch):
    for name in ("SLURM_JOB_ID", *device._SLURM_LISTS, *device._SLURM_NUMBERS):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_auto_takes_the_cpu_where_there_is_no_gpu(no_gpu):
    assert device.choose("auto") == ("cpu", "no GPU found")


def test_cuda_without_a_gpu_is_an_error(no_gpu):
    with pytest.raises(UserError, match="device cuda was asked for"):
        device.choose("cuda")


@pytest.mark.parametrize(
    "variables",
    [{"SLURM_JOB_GPUS": "0"}, {"SLURM_GPUS": "1"}, {"CUDA_VISIBLE_DEVICES": "0"}, {"SLURM_GPUS_ON_NODE": "2"}],
)
def test_a_slurm_job_that_asked_for_a_gpu_needs_one(no_gpu, monkeypatch, variables):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert device.choose("auto").kind == "cpu", "outside SLURM these variables say nothing"
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(UserError, match=f"asked for a GPU .{next(iter(variables))}="):
        device.choose("auto")
    assert device.choose("cpu").kind == "cpu"


@pytest.mark.parametrize(
    "variables", [{}, {"CUDA_VISIBLE_DEVICES": ""}, {"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, {"SLURM_GPUS_ON_NODE": "0"}]
)
def test_a_slurm_job_without_gpus_trains_on_the_cpu(no_gpu, monkeypatch, variables):
    for name, value in {"SLURM_JOB_ID": "7", **variables}.items():
        monkeypatch.setenv(name, value)
    assert device.choose("auto").kind == "cpu"


def test_more_gpus_than_there_are_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda number: "a GPU")
    assert device.choose("auto") == ("cuda", "a GPU")
    with pytest.raises(UserError, match="gpus is 4, but torch finds 1"):
        device.choose("auto", gpus=4)


def test_precision():
    cpu = device.Device("cpu", "no GPU found")
    assert device.choose_precision("auto", cpu, None) == "fp32"
    assert device.choose_precision("auto", cpu, "bf16") == "bf16", "goes on as it was started"
    assert device.choose_precision("fp32", cpu, "bf16") == "fp32"
    for wanted, resumed in (("fp16", None), ("auto", "fp16")):
        with pytest.raises(UserError, match="precision fp16 needs a GPU"):
            device.choose_precision(wanted, cpu, resumed)
