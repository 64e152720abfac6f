"""Running `wikixlm train` as a user does, and doing things to it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.support import fairseq_data as factory
from tests.support.waiting import descendants, wait_for
from wikixlm.train import checkpoints

LANGUAGES = ["en", "bg"]
started: "list[subprocess.Popen[str]]" = []


def words(data: Path, folder: Path, *options: str, **changes: Any) -> list[str]:
    """The command of a tiny training with the recipe wikixlm: about 24 updates an epoch."""
    return factory.train_arguments(data, folder, LANGUAGES, *options, **{"recipe": "wikixlm", **changes})


def start(arguments: list[str], log: Path, **options: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "wikixlm", *arguments, "--log", str(log)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    started.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, **options))
    return started[-1]


def finish(arguments: list[str], log: Path, **options: Any) -> tuple[int, str]:
    """Run the command to its end: exit status, and what the terminal shows."""
    process = start(arguments, log, **options)
    output = process.communicate(timeout=240)[1]
    return process.returncode, output


def reaches(moment: Callable[[], Any], process: "subprocess.Popen[str]") -> Any:
    """What `moment()` returns once it is true; the test fails where the process ends before."""
    return wait_for(moment, what="the moment", process=process, interval=0.002)


def updates_logged(log: Path) -> int:
    """The last update that the log tells of, 0 before the first."""
    found = re.findall(r'"num_updates": "?(\d+)', log.read_text(errors="replace")) if log.exists() else []
    return int(found[-1]) if found else 0


def said(log: Path, text: str) -> bool:
    """Whether the log has the text already."""
    return log.exists() and text in log.read_text(errors="replace")


def updates(folder: Path, name: str = "checkpoint_last.pt") -> int:
    return checkpoints.updates(checkpoints.load(folder / "checkpoints" / name))


def same_weights(one: Path, two: Path, name: str = "checkpoint_last.pt") -> bool:
    """Whether two trainings' checkpoints hold the same weights and optimizer state, bit for bit."""
    states = [checkpoints.load(folder / "checkpoints" / name) for folder in (one, two)]
    models = [state["model"] for state in states]
    moments = [list(_tensors(state["last_optimizer_state"])) for state in states]
    assert models[0].keys() == models[1].keys()
    assert len(moments[0]) == len(moments[1]) > 0
    pairs = [(models[0][key], models[1][key]) for key in models[0]] + list(zip(*moments, strict=True))
    return all(torch.equal(first, second) for first, second in pairs)


def _tensors(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _tensors(item)


def send(process: "subprocess.Popen[str]", number: int, to_all: bool = False) -> None:
    """Send a signal to the command, or to every process of it, as SLURM does."""
    pids = [process.pid, *(descendants(process.pid) if to_all else [])]
    for pid in pids:
        os.kill(pid, signal.Signals(number))
