"""How a trainer's process ends."""

import subprocess
import sys

import pytest


def ending(outcome: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of fairseq's that leaves a thread at work, a function for the end, and this outcome."""
    program = f"""
import atexit, sys, threading, time, types
from wikixlm.errors import UserError
from wikixlm.train.fairseq import run

def cli_main():
    threading.Thread(target=time.sleep, args=(600,)).start()
    atexit.register(print, "registered")
    {outcome}

sys.modules["command"] = types.SimpleNamespace(cli_main=cli_main)
run.COMMANDS["fairseq-train"] = "command"
sys.argv = ["run", "fairseq-train"]
run.main()
"""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("outcome", "status", "says"),
    [
        ("print('trained')", 0, "trained"),
        ("raise UserError('lower it')", 1, "error: lower it"),
        ("raise RuntimeError('CUDA out of memory')", 1, "RuntimeError: CUDA out of memory"),
    ],
)
def test_no_thread_keeps_a_trainer_from_ending(outcome, status, says):
    done = ending(outcome)
    assert done.returncode == status
    assert says in (done.stdout + done.stderr).splitlines()
    assert done.stdout.splitlines()[-1] == "registered"
