"""fairseq-train as a child process: launched on every worker, its log read, and ended with its parent."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

from wikixlm import console, processes
from wikixlm.errors import UserError
from wikixlm.train import slurm
from wikixlm.train.fairseq.patches import STOPPED
from wikixlm.train.fairseq.run import LOCK_HANDLE
from wikixlm.train.metrics import LogParser
from wikixlm.train.stop_request import StopRequest

SECONDS_TO_END = 30
_LINES_KEPT = 200

# What ends a training, in the words of fairseq or torch, and what the user can change.
_CAUSES = {
    "CUDA out of memory": "the GPU's memory is too small: halve train.max_tokens, with the same train.batch_tokens (or "
    "twice the train.update_freq), and the training resumes",
    "gradients are Nan/Inf": "the loss became infinite: lower train.lr or raise train.warmup_updates",
    "Minimum loss scale reached": "the loss overflows fp16: lower train.lr, or set train.precision to bf16 or fp32",
    "No space left on device": "the disk is full; make room and run again: it resumes from the last checkpoint",
    "Disk quota exceeded": "your disk quota is used up; make room and run again: it resumes from the last checkpoint",
    "File too large": "a checkpoint can't be written: files may not be that large here (ulimit -f)",
    "PytorchStreamWriter failed": "a checkpoint can't be written (is the disk full?); make room and run again",
    "current learning rate": "the learning rate fell to --stop-min-lr; train.extra_args [--stop-min-lr, '-1'] lifts it",
    "unrecognized arguments": "fairseq-train does not know one of its arguments: look at train.extra_args",
    "invalid choice": "fairseq-train does not know a value: look at train.arch and train.extra_args",
}
# How torchrun and torch's data loader report a process that a signal ended.
_KILLED_WORKER = re.compile(r"\(exitcode: -(\d+)\) local_rank: (\d+) \(pid: (\d+)\)")
_KILLED_LOADER = re.compile(r"DataLoader worker \(pid (\d+)\) is killed by signal: ([\w ]+)")


def launcher(workers: int, nodes: int, threads: int) -> list[str]:
    """The beginning of a command line that runs one of fairseq's commands, in as many processes as there are workers.

    For more than one that is torchrun, which on several nodes runs once on each. The workers meet at this machine, the
    first of the job's nodes; each node gets its number from SLURM (train.fairseq.run).

    Args:
        workers: processes on each machine, one a GPU.
        nodes: machines.
        threads: CPU threads over all workers of a machine.

    Raises:
        UserError: this is no SLURM job with so many nodes.
    """
    python = [sys.executable, "-m", "wikixlm.train.fairseq.run"]
    if nodes > 1:
        meeting = ["--nnodes", str(nodes), "--master-addr", socket.gethostname(), "--master-port", str(free_port())]
        return [*slurm.srun_once_per_node(nodes, threads), *python, *torchrun(workers, meeting)]
    return [*python, *torchrun(workers, ["--standalone"])] if workers > 1 else python


def torchrun(workers: int, meeting: list[str]) -> list[str]:
    return ["torchrun", *meeting, "--nproc-per-node", str(workers), "-m", "wikixlm.train.fairseq.run"]


def free_port() -> int:
    """A port that nobody listens at, on any of this machine's addresses."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


class Outcome(NamedTuple):
    """How a training ended: because it was asked to, or (perhaps) for a reason that its log gives."""

    stopped: bool
    reason: str | None


def environment(threads: int, lock_handle: int, variables: dict[str, str]) -> dict[str, str]:
    """The environment of fairseq-train; the arguments are those of `run`."""
    inherited = processes.environment_for_child()
    if "OMP_WAIT_POLICY" not in inherited:
        # A thread that waits for the others yields its core soon: by default it spins for long, and beside another busy
        # process it does so on the core that the others need.
        inherited.setdefault("GOMP_SPINCOUNT", "1000")
    threading = {"OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    return {**inherited, **threading, **variables, LOCK_HANDLE: str(lock_handle)}


def run(
    command: list[str], threads: int, lock_handle: int, variables: dict[str, str], log: LogParser, stop: StopRequest
) -> Outcome:
    """Run fairseq-train to its end; its output goes to this process's, which is the log.

    Args:
        command: its command line, with what `launcher` gave.
        threads: CPU threads of each worker; results on a CPU depend on it in their last digits.
        lock_handle: what `save_dir.lock` gave.
        variables: for its environment.
        log: is fed each line of output.
        stop: what may ask it to end early.

    Raises:
        UserError: it failed.
    """
    process = stop.start(
        command,
        env=environment(threads, lock_handle, variables),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        pass_fds=(lock_handle,),
    )
    try:
        kept = _follow(process, log)
    finally:
        end(process)
    if any(STOPPED in line for line in kept):
        return Outcome(True, None)
    if process.returncode != 0:
        if own := next((line for line in kept if line.startswith(console.ERROR)), None):
            raise UserError(own.removeprefix(console.ERROR))
        raise UserError(f"training failed: {_cause(kept, process.returncode)}")
    return Outcome(False, next((why for line in reversed(kept) for sign, why in _CAUSES.items() if sign in line), None))


def _follow(process: "subprocess.Popen[str]", log: LogParser) -> "deque[str]":
    """Copy the child's output to this process's, which is the log; give the last lines.

    A disk that is too full for the log is no reason to end a training.
    """
    kept: deque[str] = deque(maxlen=_LINES_KEPT)
    assert process.stdout is not None
    for line in process.stdout:
        with contextlib.suppress(OSError):
            sys.stdout.write(line)
        kept.append(line.strip())
        if line.startswith(console.WARNING):
            console.relay(line.strip())
        log.feed(line)
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    process.wait()
    return kept


def end(process: "subprocess.Popen[str]") -> None:
    """End the child and all that it started: asked first, killed after a while."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(SECONDS_TO_END)


def _cause(lines: "deque[str]", status: int) -> str:
    """One line on why fairseq-train failed, from its last lines and exit status."""
    for line in reversed(lines):
        for sign, reason in _CAUSES.items():
            if sign in line:
                return reason
    if killed := _killed(lines, status):
        return f"{killed} Run again: it resumes from the last checkpoint"
    error = next((line for line in reversed(lines) if _is_exception(line)), "")
    return f"fairseq-train ended with status {status}" + (f": {error}" if error else "") + "; the log has the details"


def _killed(lines: Iterable[str], status: int) -> str:
    """Which process of the training a signal ended, from its last lines and exit status; empty if none."""
    if status < 0:
        return _by_signal("fairseq-train", -status)
    for line in lines:
        if match := _KILLED_WORKER.search(line):
            return _by_signal(f"worker {match[2]} (process {match[3]}) of fairseq-train", int(match[1]))
        if match := _KILLED_LOADER.search(line):
            return f"a data loader (process {match[1]}) was ended ({match[2]}); was the machine out of memory?"
    if any(line.startswith("ConnectionResetError") for line in lines):
        return "a data loader was ended; was the machine out of memory?"
    return ""


def _by_signal(who: str, number: int) -> str:
    memory = "; was the machine out of memory?" if number == signal.SIGKILL else "."
    return f"{who} was ended by {signal.Signals(number).name}{memory}"


def _is_exception(line: str) -> bool:
    name = line.split(":", 1)[0].rsplit(".", 1)[-1]
    return name.isidentifier() and name.endswith(("Error", "Exception", "Interrupt"))
