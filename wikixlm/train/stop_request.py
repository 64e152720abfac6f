"""Ending a training early from outside: a signal or a time limit asks the trainer to save a checkpoint and stop.

The signals are SIGTERM, SIGUSR1 (SLURM's) and SIGHUP (of a closed terminal). A second one gives it 30 seconds.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from wikixlm.errors import UserError
from wikixlm.train.fairseq.interruption import SIGNALS

SECONDS_BETWEEN_REQUESTS = 2


class Stopped(UserError):
    """A training was asked to end before its goal, and did, with a checkpoint to go on from."""

    # "Temporary failure: try again" of sysexits.h; for a chain of jobs it is no failure.
    status = os.EX_TEMPFAIL


class StopRequest:
    """A context that handles the signals and the clock.

    Attributes:
        reason: what asked for the stop, for the user; None until then.

    Args:
        minutes: the time limit from now on; None for none.
        clock: the name of that limit, for the user.
    """

    def __init__(self, minutes: float | None = None, clock: str = "") -> None:
        self.reason: str | None = None
        self._minutes = minutes
        self._clock = clock or f"--stop-after-minutes {minutes}"
        self._requested = threading.Event()
        self._timer: threading.Timer | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopRequest":
        for number in SIGNALS:
            if signal.getsignal(number) != signal.SIG_IGN:  # as under nohup
                self._before[number] = signal.signal(number, self._on_signal)
        if self._minutes is not None:
            self._timer = threading.Timer(self._minutes * 60, self._request, [self._clock])
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, kind: type | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.reason is not None:
            if number == signal.SIGHUP:  # a closed terminal sends it, and its shell again
                return
            raise SystemExit(128 + number)
        self._request(signal.Signals(number).name)

    def _request(self, reason: str) -> None:
        if self.reason is None:
            self.reason = reason
            self._requested.set()

    def start(self, command: list[str], **options: Any) -> "subprocess.Popen[str]":
        """Start the trainer, in a process group of its own, to which the request is passed on."""
        # Held back until the child is ready for them (interruption.listen): a new process would die of them.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            process = subprocess.Popen(command, start_new_session=True, **options)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
        threading.Thread(target=self._pass_on, args=[process], daemon=True).start()
        return process

    def _pass_on(self, process: "subprocess.Popen[str]") -> None:
        """Send SIGUSR1 to the whole group once asked; again and again, for a worker may only be about to start."""
        self._requested.wait()
        while process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGUSR1)
            time.sleep(SECONDS_BETWEEN_REQUESTS)
