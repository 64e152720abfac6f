"""Bring one file home: over breaks, from several mirrors, byte-identical or not at all."""

import logging
import re
import time
from pathlib import Path

import httpx

from wikixlm import console
from wikixlm.download.client import Break, Client, NotThere, Patience, Refused
from wikixlm.download.layouts import DumpFile
from wikixlm.download.partial import Partial, Record
from wikixlm.download.progress import Progress
from wikixlm.errors import UserError

# How files begin, by the end of their names.
MAGIC = {".bz2": ("bzip2", b"BZh"), ".zip": ("zip", b"PK\x03\x04")}
WORTH_IT = 1 << 16  # bytes after which a broken attempt counts as progress, not as a failure


class OtherContent(UserError):
    """What the mirrors have is not what the primary server published: another size, another hash."""


class Gone(UserError):
    """No mirror has the file."""


class _OtherSize(Refused):
    """A mirror's file has another size."""


def fetch(client: Client, file: DumpFile, mirrors: list[str], folder: Path) -> Record:
    """Download a file into `folder`, going on from what is there, and return its record.

    A file with a wrong hash is set aside and fetched once more, from the next mirror if there is one.

    Raises:
        OtherContent: the content is wrong.
        Gone: no mirror has the file.
        UserError: no mirror gives the file, or it can't be written.
    """
    with Partial(folder, file) as partial:
        if partial.is_finished():
            logging.info("%s is complete", partial.target)
            return partial.record
        partial.load()
        first = _complete(client, partial, mirrors)
        if wrong := partial.finish():
            console.warn(f"{file.name}: {'; '.join(wrong)}; fetching it again")
            behind = mirrors.index(first) + 1 if first in mirrors else 0
            _complete(client, partial, mirrors[behind:] + mirrors[:behind])
            if wrong := partial.finish():
                raise OtherContent(f"{file.name} was downloaded twice and is wrong: {'; '.join(wrong)}")
        return partial.record


def _complete(client: Client, partial: Partial, mirrors: list[str]) -> str:
    """Fetch until the part has all its bytes; returns the mirror that gave the last ones."""
    refusals: list[Refused] = []
    with Progress(partial.file.name, partial.file.size, partial.size) as progress:
        for mirror in mirrors:
            if partial.size == partial.file.size:
                break
            try:
                _from_mirror(client, partial, mirror, progress)
                return mirror
            except Refused as failure:
                logging.warning("giving up on %s: %s", mirror, failure)
                refusals.append(failure)
    if partial.size == partial.file.size:
        return partial.record.mirror
    kept = f"; {partial.size} of {partial.file.size} bytes are kept for the next run" if partial.size else ""
    raise _kind(refusals)(f"cannot download {partial.file.name}: {'. '.join(map(str, refusals))}{kept}")


def _kind(refusals: list[Refused]) -> type[UserError]:
    if any(isinstance(failure, _OtherSize) for failure in refusals):
        return OtherContent
    return Gone if all(isinstance(failure, NotThere) for failure in refusals) else UserError


def _from_mirror(client: Client, partial: Partial, mirror: str, progress: Progress) -> None:
    """Fetch the rest from one mirror, however many attempts that takes.

    Raises:
        Refused: the mirror gives no more of it.
    """
    failures = 0
    while partial.size < partial.file.size:
        before, begun = partial.size, time.monotonic()
        try:
            _attempt(client, partial, mirror, progress)
        except Break as failure:
            gained = partial.size - before
            useful = gained >= min(WORTH_IT, partial.file.size // 100 + 1)
            quick = gained >= client.patience.slowest * (time.monotonic() - begun)
            failures = 0 if useful and quick else failures + 1
            if failures > client.patience.retries:
                raise Refused(f"{failure} ({failures} attempts without progress)") from failure
            client.pause(failures, failure)


def _attempt(client: Client, partial: Partial, mirror: str, progress: Progress) -> None:
    """One request for the rest of the file.

    Raises:
        Break, Refused: see Client.stream.
    """
    url = f"{mirror}/{partial.file.path}"
    headers = {}
    known = partial.record.validators.get(mirror, "")
    if partial.size:
        headers["Range"] = f"bytes={partial.size}-"
        if known:
            headers["If-Range"] = known
    with client.stream(url, headers) as response:
        skip = _place(response, partial, known, url)
        partial.begin(mirror, url, _validator(response))
        pace = _Pace(client.patience, url)
        for data in response.iter_raw():
            pace.count(len(data))
            new = data[skip:] if skip else data
            skip -= len(data) - len(new)
            _append(partial, new, url)
            progress.at(partial.size)
    if partial.size < partial.file.size:
        raise Break(f"{url} ended after {partial.size} of {partial.file.size} bytes")


def _place(response: httpx.Response, partial: Partial, known: str, url: str) -> int:
    """Check that the body belongs behind the bytes that are there; how many of its bytes to skip for that.

    A server that ignores Range sends everything: what is there already is skipped. A file that changed since
    (another ETag or date) starts over.
    """
    if "html" in response.headers.get("Content-Type", "").lower():
        raise Refused(f"{url} answers with a web page instead of the file")
    changed = known not in ("", _validator(response))
    if response.status_code == 200:
        _check_size(response.headers.get("Content-Length", ""), partial, url)
        if changed and partial.size:
            logging.warning("%s changed since the download began: starting over", url)
            partial.restart()
        return partial.size
    given = response.headers.get("Content-Range", "")
    if response.status_code == 416:
        _check_size(given.rpartition("/")[2], partial, url)
        raise Refused(f"{url} does not give the bytes from {partial.size} on (416)")
    match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", given.strip())
    if match is None or int(match[1]) != partial.size:
        raise Refused(f"{url} was asked for the bytes from {partial.size} on and gives {given or 'others'!r}")
    _check_size(match[3], partial, url)
    if changed:
        partial.restart()
        raise Break(f"{url} changed since the download began: starting over")
    return 0


def _check_size(declared: str, partial: Partial, url: str) -> None:
    if declared.strip().isdigit() and int(declared) != partial.file.size:
        raise _OtherSize(f"{url} has {declared} bytes, the published size is {partial.file.size}")


def _validator(response: httpx.Response) -> str:
    """What If-Range may carry: a strong ETag, else the modification date (RFC 9110, 13.1.5)."""
    etag: str = response.headers.get("ETag", "")
    if etag.startswith('"'):
        return etag
    modified: str = response.headers.get("Last-Modified", "")
    return modified


def _append(partial: Partial, data: bytes, url: str) -> None:
    kind, magic = MAGIC[Path(partial.file.name).suffix]
    if partial.size < len(magic):
        wanted = magic[partial.size : partial.size + len(data)]
        if not data.startswith(wanted):
            partial.restart()
            raise Refused(f"{url} is no {kind} file: it begins with {data[:20]!r}")
    if partial.size + len(data) > partial.file.size:
        partial.restart()
        raise _OtherSize(f"{url} has more than the published {partial.file.size} bytes")
    partial.append(data)


class _Pace:
    """Gives up on a connection that trickles."""

    def __init__(self, patience: Patience, url: str) -> None:
        self._patience, self._url = patience, url
        self._since, self._bytes = time.monotonic(), 0

    def count(self, size: int) -> None:
        self._bytes += size
        seconds = time.monotonic() - self._since
        if seconds < self._patience.stall:
            return
        if self._bytes < self._patience.slowest * seconds:
            raise Break(f"{self._url}: only {self._bytes} bytes in {seconds:.0f} s")
        self._since, self._bytes = time.monotonic(), 0
