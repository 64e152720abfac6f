"""One request at a time to a dump server: who we are, how long we wait, what an answer means.

Wikimedia refuses clients that do not say who they are, see https://foundation.wikimedia.org/wiki/Policy:User-Agent_policy
"""

import contextlib
import datetime
import email.utils
import logging
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import httpx

from wikixlm import __version__
from wikixlm.download.connection_slots import slot
from wikixlm.errors import UserError

REDIRECTS = 5
DOCUMENT_BYTES = 64 << 20  # no status file or listing comes near this
ASKED_TO_WAIT_TOO_LONG = 3600  # s
_Parsed = TypeVar("_Parsed")


class Break(Exception):
    """The request failed in a way that another try may mend; `retry_after` is what the server asks for, in seconds."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class Refused(Exception):
    """The server's answer is no, and will stay no."""


class NotThere(Refused):
    """There is nothing under this address."""


@dataclass(frozen=True)
class Patience:
    """How often and how long to try."""

    retries: int = 8
    """failures in a row after which a mirror is given up"""
    backoff: float = 2.0
    """seconds before the first retry, doubled for each further one, with jitter"""
    longest: float = 300.0
    """seconds between two tries at most, unless the server asks for more"""
    stall: float = 60.0
    """seconds without a byte, or with too few of them, after which a connection is given up"""
    slowest: float = 1024.0
    """bytes per second below which a connection counts as stalled"""


def user_agent(contact: str) -> str:
    """`wikixlm/<version> (<contact>)`.

    Raises:
        UserError: there is no e-mail address or URL in `contact`.
    """
    if not contact.strip():
        raise UserError(
            "dumps.contact is empty: give your e-mail address or a URL, it goes into the User-Agent;"
            " Wikimedia refuses clients that do not say who they are"
        )
    if not (contact.isascii() and contact.isprintable() and ("@" in contact or "://" in contact)):
        raise UserError(f"dumps.contact is {contact!r}: accepted is an e-mail address or a URL, in plain ASCII")
    return f"wikixlm/{__version__} ({contact.strip()})"


class Client:
    """Requests with our User-Agent, each on a connection of its own that holds one of the machine's slots."""

    def __init__(self, contact: str, patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        # Dumps are compressed files: an encoding on top would change the bytes that ranges and hashes count.
        headers = {"User-Agent": user_agent(contact), "Accept-Encoding": "identity"}
        self._http = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(self.patience.stall, connect=min(30.0, self.patience.stall)),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=0),
        )
        # A line per request, unformatted, is httpx's own; ours name the file and what became of it.
        logging.getLogger("httpx").setLevel(logging.WARNING)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.close()

    @contextlib.contextmanager
    def stream(
        self, url: str, headers: Mapping[str, str] | None = None, method: str = "GET"
    ) -> Iterator[httpx.Response]:
        """Send one request, follow its redirects, and give the answer (200, 206 or 416), its body still to be read.

        Raises:
            Break, Refused: also for what goes wrong while the body is read inside the `with` block.
        """
        try:
            request = self._http.build_request(method, url, headers=dict(headers or {}))
            for _ in range(REDIRECTS + 1):
                with slot(_host(request.url)), contextlib.closing(self._http.send(request, stream=True)) as response:
                    if response.next_request is None:
                        self._judge(response)
                        yield response
                        return
                    logging.info("%s is redirected to %s", request.url, response.next_request.url)
                    request = response.next_request
            raise Refused(f"{url} is redirected more than {REDIRECTS} times")
        except httpx.HTTPError as failure:
            raise _meaning(failure, url) from failure
        except httpx.InvalidURL as failure:
            raise Refused(f"{url} is no address: {failure}") from failure

    def document(self, url: str, parse: Callable[[bytes], _Parsed]) -> _Parsed:
        """A small document, fetched with retries and parsed; a ValueError of `parse` counts as a bad answer.

        Raises:
            Refused: it can't be had.
        """

        def attempt() -> _Parsed:
            with self.stream(url) as response:
                body = b""
                for piece in response.iter_raw():
                    body += piece
                    if len(body) > DOCUMENT_BYTES:
                        raise Refused(f"{url} is larger than {DOCUMENT_BYTES >> 20} MB")
            try:
                return parse(body)
            except ValueError as failure:
                raise Break(f"{url} answers something else than expected: {failure}") from failure

        return self.retry(attempt)

    def size(self, url: str) -> int:
        """The size of a file in bytes, as the server declares it.

        Raises:
            Refused: it can't be had.
        """

        def attempt() -> int:
            with self.stream(url, method="HEAD") as response:
                declared = response.headers.get("Content-Length", "")
                if not declared.isdigit():
                    raise Refused(f"{url}: the server does not say its size")
                return int(declared)

        return self.retry(attempt)

    def retry(self, attempt: Callable[[], _Parsed]) -> _Parsed:
        """Call `attempt` until it does not break.

        Raises:
            Refused: it was refused, or broke too many times.
        """
        for failures in range(self.patience.retries + 1):
            try:
                return attempt()
            except Break as failure:
                if failures == self.patience.retries:
                    raise Refused(f"{failure} ({failures + 1} attempts)") from failure
                self.pause(failures + 1, failure)
        raise AssertionError("unreachable")

    def pause(self, failures: int, failure: Break) -> None:
        """Wait before the next attempt: longer with every failure in a row, and as long as the server asks.

        Raises:
            Refused: the server asks for more than an hour.
        """
        if failure.retry_after > ASKED_TO_WAIT_TOO_LONG:
            raise Refused(f"{failure}; the server asks to come back in {failure.retry_after / 3600:.1f} hours")
        doubled = self.patience.backoff * 2 ** min(max(failures - 1, 0), 30)
        seconds = max(min(doubled, self.patience.longest) * random.uniform(0.5, 1.0), failure.retry_after)
        logging.info("%s; next attempt in %.1f s", failure, seconds)
        time.sleep(seconds)

    def _judge(self, response: httpx.Response) -> None:
        """Raise what a status other than 200, 206 and 416 means."""
        status, url = response.status_code, response.url
        if status in (200, 206, 416):
            return
        said = f"{url} answers {status} {response.reason_phrase}".strip()
        if status in (408, 425, 429, 500, 502, 503, 504):
            raise Break(said, _retry_after(response.headers.get("Retry-After", "")))
        if status in (404, 410):
            raise NotThere(said)
        if status == 403:
            agent = self._http.headers["User-Agent"]
            raise Refused(f"{said}: the server refuses this client; it was told {agent!r}, see dumps.contact")
        raise Refused(said)


def _host(url: httpx.URL) -> str:
    return url.host if url.port is None else f"{url.host}:{url.port}"


def _meaning(failure: httpx.HTTPError, url: str) -> Break | Refused:
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Refused(f"{url}: the server's certificate is not trusted ({cause.verify_message})")
        cause = cause.__cause__ or cause.__context__
    if isinstance(failure, httpx.UnsupportedProtocol):
        return Refused(f"{url} is no address: it must begin with https:// or http://")
    if isinstance(failure, httpx.TimeoutException):
        return Break(f"{url}: no byte for too long ({type(failure).__name__})")
    return Break(f"{url}: {failure or type(failure).__name__}")


def _retry_after(value: str) -> float:
    """Seconds asked for by a Retry-After header: a number of seconds or a date (RFC 9110, 10.2.3)."""
    if value.strip().isdigit():
        return float(value)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return 0.0
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.UTC)
    return max((date - datetime.datetime.now(datetime.UTC)).total_seconds(), 0.0)
