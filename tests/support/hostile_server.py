"""A server on loopback that speaks raw bytes, for answers that no HTTP library sends."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType

Answer = Callable[[socket.socket], None]


def trickle(data: bytes, seconds: float = 0.2) -> Answer:
    """Send a byte every `seconds`."""

    def answer(connection: socket.socket) -> None:
        for position in range(len(data)):
            connection.sendall(data[position : position + 1])
            time.sleep(seconds)

    return answer


def repeat(data: bytes, first: bytes = b"", seconds: float = 0.0) -> Answer:
    """Send `first`, then `data` until the client goes away."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(first)
        while True:
            connection.sendall(data)
            time.sleep(seconds)

    return answer


def plain(data: bytes) -> Answer:
    """Send `data` and close."""
    return lambda connection: connection.sendall(data)


class HostileServer:
    """`with HostileServer(answer) as server:` gives every request at `server.url` the same answer."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.requests: list[bytes] = []

    def __enter__(self) -> "HostileServer":
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            self.requests.append(connection.recv(1 << 16))
            self._answer(connection)
