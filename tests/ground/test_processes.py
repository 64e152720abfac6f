"""Processes that end with the one that started them, here by SIGKILL, which nobody can answer."""

import os
import signal
import subprocess
import sys
import time

import pytest

from tests.support.waiting import is_alive

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's part is Linux's")

TIED = "subprocess.Popen(['sleep', '60'], preexec_fn=processes.die_with_this_process())"
FOLLOWING = """subprocess.Popen(
    [sys.executable, '-c', 'import time; from wikixlm import processes; processes.die_with_parent(); time.sleep(60)'],
    env=processes.environment_for_child(),
)"""
PARENT = """
import subprocess, sys, time
from wikixlm import processes
print({start}.pid, flush=True)
time.sleep(60)
"""


def ends(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < end:
        time.sleep(0.02)
    return not is_alive(pid)


@pytest.mark.parametrize("start", [TIED, FOLLOWING], ids=["any program", "a command of ours"])
def test_a_child_ends_with_a_killed_parent(start):
    with subprocess.Popen([sys.executable, "-c", PARENT.format(start=start)], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        time.sleep(1)
        assert is_alive(child)
        parent.kill()
        parent.wait()
        assert ends(child, 10)


def test_a_child_whose_parent_has_ended_already_does_not_start():
    """The parent may be killed between the fork and the child's request."""
    code = f"from wikixlm import processes; processes.die_with({os.getppid()}); print('went on')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "")


def test_without_being_asked_a_command_of_ours_follows_nobody(monkeypatch):
    from wikixlm import processes

    monkeypatch.delenv(processes.DIE_WITH_PARENT, raising=False)
    monkeypatch.setattr(processes, "die_with", lambda parent: pytest.fail(f"tied to {parent}"))
    processes.die_with_parent()
