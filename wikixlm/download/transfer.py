"""Download one file: resume, fall back to other mirrors, verify size and hash."""

import logging
import re
import time
from pathlib import Path

import httpx

from wikixlm import console
from wikixlm.download.client import (
    Client,
    NotFoundError,
    PermanentError,
    RetryPolicy,
    TransientError,
    plain_number,
)
from wikixlm.download.layouts import DumpFile
from wikixlm.download.partial import PartialFile, TransferRecord
from wikixlm.download.progress import Progress
from wikixlm.errors import UserError

# First bytes of a file, by the suffix of its name.
MAGIC = {".bz2": ("bzip2", b"BZh"), ".zip": ("zip", b"PK\x03\x04")}
MIN_GAIN = 1 << 16  # bytes after which a broken attempt counts as progress, not as a failure


class ContentMismatchError(UserError):
    """The mirrors' file differs from what the primary server published: another size or hash."""


class MissingFileError(UserError):
    """No mirror has the file."""


class _SizeMismatchError(PermanentError):
    """A mirror's file has another size than the primary server published."""


def download_file(client: Client, file: DumpFile, mirrors: list[str], folder: Path) -> TransferRecord:
    """Download a file into `folder`, resuming behind the bytes that are there, and return its record.

    A file with a wrong hash is renamed and downloaded once more, starting with the mirror after the one that sent it.

    Raises:
        ContentMismatchError: the content is wrong.
        MissingFileError: no mirror has the file.
        UserError: all mirrors failed, or the file can't be written.
    """
    with PartialFile(folder, file) as partial:
        if partial.is_finished():
            logging.info("%s is complete", partial.target)
            return partial.record
        partial.load()
        source = _complete(client, partial, mirrors)
        if wrong := partial.finish():
            console.warn(f"{file.name}: {'; '.join(wrong)}; downloading it again")
            following = mirrors.index(source) + 1 if source in mirrors else 0
            _complete(client, partial, mirrors[following:] + mirrors[:following])
            if wrong := partial.finish():
                raise ContentMismatchError(f"{file.name} was downloaded twice and is wrong: {'; '.join(wrong)}")
        return partial.record


def _complete(client: Client, partial: PartialFile, mirrors: list[str]) -> str:
    """Download until the part file has all its bytes; returns the mirror that sent the last ones."""
    failures: list[PermanentError] = []
    with Progress(partial.file.name, partial.file.size, partial.size) as progress:
        for mirror in mirrors:
            if partial.size == partial.file.size:
                break
            try:
                _download_from(client, partial, mirror, progress)
                return mirror
            except PermanentError as failure:
                logging.warning("giving up on %s: %s", mirror, failure)
                failures.append(failure)
    if partial.size == partial.file.size:
        return partial.record.mirror
    kept = f"; {partial.size} of {partial.file.size} bytes are kept for the next run" if partial.size else ""
    raise _error_class(failures)(f"cannot download {partial.file.name}: {'. '.join(map(str, failures))}{kept}")


def _error_class(failures: list[PermanentError]) -> type[UserError]:
    if any(isinstance(failure, _SizeMismatchError) for failure in failures):
        return ContentMismatchError
    return MissingFileError if all(isinstance(failure, NotFoundError) for failure in failures) else UserError


def _download_from(client: Client, partial: PartialFile, mirror: str, progress: Progress) -> None:
    """Download the rest of the file from one mirror, with retries; only failures without progress count.

    Raises:
        PermanentError: the mirror refuses, or the retries are used up.
    """
    failures = 0
    while partial.size < partial.file.size:
        size_before, begun = partial.size, time.monotonic()
        try:
            _attempt(client, partial, mirror, progress)
        except TransientError as failure:
            gained = partial.size - size_before
            useful = gained >= min(MIN_GAIN, partial.file.size // 100 + 1)
            quick = gained >= client.retry_policy.min_rate * (time.monotonic() - begun)
            failures = 0 if useful and quick else failures + 1
            if failures > client.retry_policy.retries:
                raise PermanentError(f"{failure} ({failures} attempts without progress)") from failure
            client.pause(failures, failure)


def _attempt(client: Client, partial: PartialFile, mirror: str, progress: Progress) -> None:
    """Send one request for the rest of the file.

    Raises:
        TransientError, PermanentError: see Client.stream.
    """
    url = f"{mirror}/{partial.file.path}"
    headers = {}
    validator = partial.record.validators.get(mirror, "")
    if partial.size:
        headers["Range"] = f"bytes={partial.size}-"
        if validator:
            headers["If-Range"] = validator
    with client.stream(url, headers) as response:
        skip = _check_response(response, partial, validator, url)
        partial.begin(mirror, url, _validator(response))
        rate = _RateCheck(client.retry_policy, url)
        client.watchdog.extend(2 * client.retry_policy.stall_timeout)
        for data in response.iter_raw():
            rate.add(len(data))
            client.watchdog.extend(2 * client.retry_policy.stall_timeout)
            new = data[skip:] if skip else data
            skip -= len(data) - len(new)
            _append(partial, new, url)
            partial.note_rate(progress.update(partial.size))
    if partial.size < partial.file.size:
        raise TransientError(f"{url} ended after {partial.size} of {partial.file.size} bytes")


def _check_response(response: httpx.Response, partial: PartialFile, validator: str, url: str) -> int:
    """Check that the body continues the bytes that are there; returns how many of its first bytes to skip.

    A server that ignores Range sends the whole file, whose first part is skipped. A file that changed since the last
    attempt (another ETag or date) starts over.
    """
    if "html" in response.headers.get("Content-Type", "").lower():
        raise PermanentError(f"{url} answers with a web page instead of the file")
    changed = validator not in ("", _validator(response))
    if response.status_code == 200:
        _check_size(response.headers.get("Content-Length", ""), partial, url)
        if changed and partial.size:
            logging.warning("%s changed since the download began: starting over", url)
            partial.restart()
        return partial.size
    content_range = response.headers.get("Content-Range", "")
    if response.status_code == 416:
        _check_size(content_range.rpartition("/")[2], partial, url)
        raise PermanentError(f"{url} does not serve the bytes from {partial.size} on (416)")
    match = re.fullmatch(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", content_range.strip())
    if match is None or int(match[1]) != partial.size:
        raise PermanentError(
            f"{url} was asked for the bytes from {partial.size} on and sends {content_range or 'others'!r}"
        )
    _check_size(match[3], partial, url)
    if changed:
        partial.restart()
        raise TransientError(f"{url} changed since the download began: starting over")
    return 0


def _check_size(declared: str, partial: PartialFile, url: str) -> None:
    if plain_number(declared) not in (None, partial.file.size):
        raise _SizeMismatchError(f"{url} has {declared} bytes, the published size is {partial.file.size}")


def _validator(response: httpx.Response) -> str:
    """The value for If-Range: a strong ETag, else the modification date (RFC 9110, 13.1.5)."""
    etag: str = response.headers.get("ETag", "")
    if etag.startswith('"'):
        return etag
    modified: str = response.headers.get("Last-Modified", "")
    return modified


def _append(partial: PartialFile, data: bytes, url: str) -> None:
    file_type, magic = MAGIC[Path(partial.file.name).suffix]
    if partial.size < len(magic):
        expected = magic[partial.size : partial.size + len(data)]
        if not data.startswith(expected):
            partial.restart()
            raise PermanentError(f"{url} is not a {file_type} file: it begins with {data[:20]!r}")
    if partial.size + len(data) > partial.file.size:
        partial.restart()
        raise _SizeMismatchError(f"{url} has more than the published {partial.file.size} bytes")
    partial.append(data)


class _RateCheck:
    """Closes a connection whose rate stays below the policy's minimum."""

    def __init__(self, policy: RetryPolicy, url: str) -> None:
        self._policy, self._url = policy, url
        self._since, self._bytes = time.monotonic(), 0

    def add(self, size: int) -> None:
        self._bytes += size
        seconds = time.monotonic() - self._since
        if seconds < self._policy.stall_timeout:
            return
        if self._bytes < self._policy.min_rate * seconds:
            raise TransientError(f"{self._url}: only {self._bytes} bytes in {seconds:.0f} s")
        self._since, self._bytes = time.monotonic(), 0
