"""A deadline for a whole answer: httpx limits the wait for single reads, so that a byte a minute lasts for ever."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx


class Watchdog:
    """Closes a connection at its deadline, whatever the client waits for: a handshake, headers, a body."""

    def __init__(self) -> None:
        self.fired = False
        self.reason = ""
        self._deadline = 0.0
        self._ended = threading.Event()
        self._socket: socket.socket | None = None

    @contextlib.contextmanager
    def watch(self, request: httpx.Request, seconds: float) -> Iterator[None]:
        """Watch the connection of `request`, and give it `seconds`."""
        request.extensions = {**request.extensions, "trace": self._trace}
        self._ended.clear()
        self.extend(seconds)
        thread = threading.Thread(target=self._wait, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def extend(self, seconds: float) -> None:
        """Set the deadline to `seconds` from now."""
        self.reason = f"no complete answer in {seconds:.0f} s"
        self._deadline = time.monotonic() + seconds

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event == "connection.connect_tcp.complete":
            # A descriptor of our own: TLS detaches the one that it wraps.
            self._socket = socket.socket(fileno=socket.dup(info["return_value"].get_extra_info("socket").fileno()))

    def _wait(self) -> None:
        while (left := self._deadline - time.monotonic()) > 0:
            if self._ended.wait(left):
                return
        while not self._ended.wait(0.1):  # a connection may still be in the making
            if self._socket is not None:
                self.fired = True
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)
                return
