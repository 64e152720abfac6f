"""HTTP requests to a dump server: User-Agent, retry policy, and what each status means.

Wikimedia refuses clients that do not identify themselves:
https://foundation.wikimedia.org/wiki/Policy:User-Agent_policy
"""

import contextlib
import datetime
import email.utils
import logging
import netrc
import os
import random
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx

from wikixlm import __version__
from wikixlm.download.connection_slots import slot
from wikixlm.download.watchdog import Watchdog
from wikixlm.errors import UserError

MAX_REDIRECTS = 5
MAX_DOCUMENT_BYTES = 8 << 20  # far above any status file or listing
MAX_RETRY_AFTER = 3600  # s
_Parsed = TypeVar("_Parsed")


class TransientError(Exception):
    """A failure that a retry may cure; `retry_after` is the wait in seconds that the server asks for."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class PermanentError(Exception):
    """A failure that a retry can't cure."""


class NotFoundError(PermanentError):
    """The server has nothing under this address (404, 410)."""


@dataclass(frozen=True)
class RetryPolicy:
    """How often to retry, and when a connection counts as stalled."""

    retries: int = 8
    """consecutive failures after which a mirror is abandoned"""
    backoff: float = 2.0
    """seconds before the first retry, doubled for each further one, with jitter"""
    max_delay: float = 300.0
    """most seconds between two attempts, unless the server asks for more"""
    stall_timeout: float = 60.0
    """seconds without a byte, or at less than `min_rate`, after which a connection is closed"""
    min_rate: float = 1024.0
    """bytes per second below which a connection counts as stalled"""


def user_agent(contact: str) -> str:
    """`wikixlm/<version> (<contact>)`.

    Raises:
        UserError: there is no e-mail address or URL in `contact`.
    """
    if not contact.strip():
        raise UserError(
            "dumps.contact is empty: give your e-mail address or a URL, it goes into the User-Agent;"
            " Wikimedia refuses clients that do not identify themselves"
        )
    if not (contact.isascii() and contact.isprintable() and ("@" in contact or "://" in contact)):
        raise UserError(f"dumps.contact is {contact!r}: accepted is an e-mail address or a URL, in plain ASCII")
    return f"wikixlm/{__version__} ({contact.strip()})"


def plain_number(text: str) -> int | None:
    """A header's whole number, None for anything else: int() also reads `٣`, and isdigit() is true for `²`."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text.strip()) else None


class Client:
    """Requests with our User-Agent; each opens its own connection, in one of the machine's connection slots."""

    def __init__(self, contact: str, retry_policy: RetryPolicy | None = None) -> None:
        self.retry_policy = retry_policy or RetryPolicy()
        # Dumps are compressed files: an encoding on top would change the bytes that ranges and hashes count.
        stall = self.retry_policy.stall_timeout
        headers = {"User-Agent": user_agent(contact), "Accept-Encoding": "identity"}
        self._http = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(stall, connect=min(30.0, stall)),
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=0),
            auth=_credentials(),
        )
        # httpx logs a line per request; ours name the file and the outcome.
        logging.getLogger("httpx").setLevel(logging.WARNING)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self._http.close()

    @contextlib.contextmanager
    def stream(
        self, url: str, headers: Mapping[str, str] | None = None, method: str = "GET"
    ) -> Iterator[httpx.Response]:
        """Send one request and follow its redirects; yields the response (200, 206 or 416) with its body unread.

        Raises:
            TransientError, PermanentError: the request failed, or reading the body in the `with` block did.
        """
        watchdog = self.watchdog = Watchdog()
        try:
            request = self._http.build_request(method, url, headers=dict(headers or {}))
            for _ in range(MAX_REDIRECTS + 1):
                with slot(_host(request.url)), watchdog.watch(request, 2 * self.retry_policy.stall_timeout):
                    with contextlib.closing(self._http.send(request, stream=True)) as response:
                        if response.next_request is None:
                            self._check_status(response)
                            yield response
                            return
                    request = _checked_redirect(request, response.next_request)
            raise PermanentError(f"{url} is redirected more than {MAX_REDIRECTS} times")
        except httpx.HTTPError as failure:
            if watchdog.fired:
                raise TransientError(f"{url}: {watchdog.reason}") from failure
            raise _classify(failure, url) from failure
        except httpx.InvalidURL as failure:
            raise PermanentError(f"{url} is not a valid address: {failure}") from failure

    def document(self, url: str, parse: Callable[[bytes], _Parsed]) -> _Parsed:
        """Fetch and parse a small document, with retries; a ValueError from `parse` counts as a transient failure.

        Raises:
            PermanentError: the server refuses it, or all retries failed.
        """

        def attempt() -> _Parsed:
            with self.stream(url) as response:
                self.watchdog.extend(5 * self.retry_policy.stall_timeout)
                body = bytearray()
                for piece in response.iter_raw():
                    body += piece
                    if len(body) > MAX_DOCUMENT_BYTES:
                        raise PermanentError(f"{url} is larger than {MAX_DOCUMENT_BYTES >> 20} MB")
            try:
                return parse(bytes(body))
            except ValueError as failure:
                raise TransientError(f"{url} has unexpected content: {failure}") from failure

        return self.retry(attempt)

    def size(self, url: str) -> int:
        """The size of a file in bytes, as the server declares it.

        Raises:
            PermanentError: the server refuses the request or declares no size, or all retries failed.
        """

        def attempt() -> int:
            with self.stream(url, method="HEAD") as response:
                declared = plain_number(response.headers.get("Content-Length", ""))
                if declared is None:
                    raise PermanentError(f"{url}: the server declares no size")
                return declared

        return self.retry(attempt)

    def retry(self, attempt: Callable[[], _Parsed]) -> _Parsed:
        """Call `attempt` again after each TransientError.

        Raises:
            PermanentError: raised by `attempt`, or all retries failed.
        """
        for failures in range(self.retry_policy.retries + 1):
            try:
                return attempt()
            except TransientError as failure:
                if failures == self.retry_policy.retries:
                    raise PermanentError(f"{failure} ({failures + 1} attempts)") from failure
                self.pause(failures + 1, failure)
        raise AssertionError("unreachable")

    def pause(self, failures: int, failure: TransientError) -> None:
        """Wait before the next attempt: exponential backoff, and at least as long as the server asks.

        Raises:
            PermanentError: the server asks for more than an hour.
        """
        if failure.retry_after > MAX_RETRY_AFTER:
            raise PermanentError(f"{failure}; the server asks to come back in {failure.retry_after / 3600:.1f} hours")
        doubled = self.retry_policy.backoff * 2 ** min(max(failures - 1, 0), 30)
        seconds = max(min(doubled, self.retry_policy.max_delay) * random.uniform(0.5, 1.0), failure.retry_after)
        logging.info("%s; next attempt in %.1f s", failure, seconds)
        time.sleep(seconds)

    def _check_status(self, response: httpx.Response) -> None:
        """Raise TransientError or PermanentError for a status other than 200, 206 and 416."""
        status, url = response.status_code, response.url
        encoding = response.headers.get("Content-Encoding", "identity")
        if status in (200, 206) and encoding.strip().lower() not in ("", "identity"):
            raise PermanentError(f"{url} is sent with Content-Encoding {encoding[:20]!r}, which was not asked for")
        if status in (200, 206, 416):
            return
        answer = f"{url} answers {status} {response.reason_phrase}".strip()
        if status in (408, 425, 429, 500, 502, 503, 504):
            raise TransientError(answer, _retry_after(response.headers.get("Retry-After", "")))
        if status in (404, 410):
            raise NotFoundError(answer)
        if status == 403:
            agent = self._http.headers["User-Agent"]
            raise PermanentError(f"{answer}: the server refuses this client ({agent!r}); see dumps.contact")
        raise PermanentError(answer)


def _host(url: httpx.URL) -> str:
    return url.host if url.port is None else f"{url.host}:{url.port}"


def _credentials() -> httpx.NetRCAuth | None:
    """The names and passwords of hosts in ~/.netrc or $NETRC."""
    path = Path(os.environ.get("NETRC") or Path("~/.netrc").expanduser())
    if not path.is_file():
        return None
    try:
        return httpx.NetRCAuth(str(path))
    except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as failure:
        raise UserError(f"cannot read {path}: {failure}") from failure


def _checked_redirect(request: httpx.Request, following: httpx.Request) -> httpx.Request:
    """The request that a redirect asks for; only to the same host, and never from https to another scheme."""
    old, new = request.url, following.url
    shown = f"{old} is redirected to {new.scheme}://{_host(new)}"
    if new.scheme not in ("https", old.scheme):
        raise PermanentError(f"{shown}, which is not followed: the connection would not be encrypted")
    if _host(new) != _host(old) and not (new.scheme != old.scheme and new.host == old.host):
        raise PermanentError(f"{shown}, which is not followed; if you trust that host, name it in dumps.mirrors")
    logging.info("%s%s", shown, new.path)
    return following


def _classify(failure: httpx.HTTPError, url: str) -> TransientError | PermanentError:
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return PermanentError(f"{url}: the server's certificate is not trusted ({cause.verify_message})")
        cause = cause.__cause__ or cause.__context__
    if isinstance(failure, httpx.UnsupportedProtocol):
        return PermanentError(f"{url} is not a valid address: it must begin with https:// or http://")
    if isinstance(failure, httpx.TimeoutException):
        return TransientError(f"{url}: no data in time ({type(failure).__name__})")
    return TransientError(f"{url}: {failure or type(failure).__name__}")


def _retry_after(value: str) -> float:
    """Seconds asked for by a Retry-After header: a number of seconds or a date (RFC 9110, 10.2.3)."""
    seconds = plain_number(value)
    if seconds is not None:
        return float(seconds)
    try:
        date = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return 0.0
    if date.tzinfo is None:
        date = date.replace(tzinfo=datetime.UTC)
    return max((date - datetime.datetime.now(datetime.UTC)).total_seconds(), 0.0)
