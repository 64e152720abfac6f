"""Running `wikixlm train` as a user does, and doing things to it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tests.support import fairseq_data as factory
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


def wait_for(moment: Callable[[], Any], process: "subprocess.Popen[str]", seconds: float = 120) -> bool:
    """Whether the moment came before the process ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if moment():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.002)
    raise AssertionError("it did not happen in time")


def updates_logged(log: Path) -> int:
    """The last update that the log tells of, 0 before the first."""
    found = re.findall(r'"num_updates": "?(\d+)', log.read_text(errors="replace")) if log.exists() else []
    return int(found[-1]) if found else 0


def said(log: Path, text: str) -> bool:
    """Whether the log has the text already."""
    return log.exists() and text in log.read_text(errors="replace")


def descendants(pid: int) -> list[int]:
    """The processes that a process started, and those that they started."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return children + [later for child in children for later in descendants(child)]


def alive(pids: list[int]) -> list[int]:
    """Those that still run (a zombie does not)."""
    states = {}
    for pid in pids:
        try:
            states[pid] = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
    return [pid for pid, state in states.items() if state != "Z"]


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
