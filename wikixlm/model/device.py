"""Device and number format: the CPU or GPUs, fp32, fp16 or bf16."""

import os
from typing import NamedTuple

from wikixlm.errors import UserError

CHOICES = ("auto", "cpu", "cuda")
PRECISIONS = ("auto", "fp32", "fp16", "bf16")

# Set by SLURM in a job with GPUs: lists of devices (0 is the first), and numbers of them (0 is none).
_SLURM_LISTS = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "CUDA_VISIBLE_DEVICES")
_SLURM_NUMBERS = ("SLURM_GPUS", "SLURM_GPUS_ON_NODE", "SLURM_GPUS_PER_NODE", "SLURM_GPUS_PER_TASK")
_NO_LIST = ("", "-1", "none", "NoDevFiles")


class Device(NamedTuple):
    """`kind` is cpu or cuda; `reason` says in a few words why, for the user."""

    kind: str
    reason: str


def choose(wanted: str, gpus: int = 1) -> Device:
    """The device for `wanted`; auto: GPUs where there are any, and the CPU elsewhere.

    Raises:
        UserError: GPUs were requested, by `cuda` or of SLURM, and can't be used; or there are fewer than `gpus`.
    """
    if wanted == "cpu":
        return Device("cpu", "as asked for")
    import torch

    available = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if available:
        if available < gpus:
            raise UserError(
                f"train.gpus is {gpus}, but torch finds {available} here ({torch.cuda.get_device_name(0)}); "
                f"set train.gpus: {available}"
            )
        return Device("cuda", torch.cuda.get_device_name(0))
    if wanted == "cuda":
        raise UserError(f"device cuda was asked for, but {_why_none()}; use device auto or cpu to run on the CPU")
    if asked := _asked_of_slurm():
        raise UserError(
            f"this SLURM job asked for a GPU ({asked}), but {_why_none()}; mend the job's GPU, or set device: cpu"
        )
    return Device("cpu", "no GPU found")


def _why_none() -> str:
    import torch

    if torch.version.cuda is None and torch.version.hip is None:
        return f"the installed torch {torch.__version__} is a build for CPUs only"
    return f"torch {torch.__version__} finds no working GPU (is the driver installed and recent enough?)"


def _asked_of_slurm() -> str:
    """The variable that shows that this SLURM job has GPUs; empty if none does."""
    if "SLURM_JOB_ID" not in os.environ:
        return ""
    for names, nothing in ((_SLURM_LISTS, _NO_LIST), (_SLURM_NUMBERS, ("", "0"))):
        for name in names:
            if os.environ.get(name, "") not in nothing:
                return f"{name}={os.environ[name]}"
    return ""


def choose_precision(wanted: str, device: Device, resumed: str | None) -> str:
    """fp32, fp16 or bf16.

    Args:
        wanted: one of PRECISIONS. auto: the precision of the checkpoint to resume; else fp32 on a CPU, and on a GPU
            bf16, or fp16 where it has no bf16.
        device: where to compute.
        resumed: the precision that the training to resume was started in, if any. (fairseq's optimizer state differs
            in half precision, and it refuses to resume in another one.)

    Raises:
        UserError: fp16 on a CPU.
    """
    precision = wanted if wanted != "auto" else resumed or _native_precision(device)
    if precision == "fp16" and device.kind == "cpu":
        hint = "set train.precision: fp32" if wanted == "fp16" else "this training was started in fp16 on a GPU"
        raise UserError(f"precision fp16 needs a GPU, and this machine trains on the CPU ({device.reason}); {hint}")
    return precision


def _native_precision(device: Device) -> str:
    if device.kind == "cpu":
        return "fp32"
    import torch

    if torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16"
    return "fp16" if torch.cuda.get_device_capability() >= (7, 0) else "fp32"
