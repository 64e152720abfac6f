"""A dump server on loopback: Wikimedia's two layouts, filled with small generated dumps, misbehaving on demand.

Faults are queued per file name: each GET of that file takes the next one from the queue, and is served properly when
the queue is empty. The server counts what it sends.
"""

import asyncio
import bz2
import hashlib
import json
import random
import re
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType

from aiohttp import web

PIECE = 4096  # bytes per write
GENERIC = re.compile(r"(?!wikixlm/\S+ \(.*(@|://).*\)$)")  # every User-Agent that is not ours

Fault = Callable[["WikimediaServer", web.Request, bytes], Awaitable[web.StreamResponse]]


def multistream(pages: int, seed: int) -> bytes:
    """A small dump: concatenated bz2 streams, the first with <siteinfo>, then 20 pages each, then the footer."""
    words = random.Random(seed)
    header = '<mediawiki xml:lang="xx"><siteinfo><namespaces><namespace key="0"/></namespaces></siteinfo>\n'
    streams = [header]
    for first in range(1, pages + 1, 20):
        streams.append(
            "".join(
                f"<page><title>T{number}</title><ns>0</ns><id>{number}</id><revision><text>"
                f"{words.randbytes(500).hex()}</text></revision></page>\n"
                for number in range(first, min(first + 20, pages + 1))
            )
        )
    return b"".join(bz2.compress(text.encode()) for text in [*streams, "</mediawiki>\n"])


@dataclass
class WikimediaServer:
    """`with WikimediaServer() as server:` serves `server.files` at `server.url`."""

    files: dict[str, bytes] = field(default_factory=dict)
    """path without the first slash -> content"""
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    """file name -> faults of the next requests"""
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """method, path and headers, in order of arrival"""
    sent: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """path -> bytes of bodies sent"""
    rate: float = 0.0
    """bytes per second and connection; 0: as fast as it goes"""
    connections: int = 3
    """connections open at once after which further ones are refused"""
    open: int = 0
    most_open: int = 0
    refused: int = 0

    def add_multistream(
        self, wiki: str, date: str, content: bytes | list[bytes], *, status: str = "done", hashes: bool = True
    ) -> list[str]:
        """A run of the classic dumps, in one file or in parts; returns the names."""
        folder = f"{wiki}/{date}"
        stem = f"{wiki}-{date}-pages-articles-multistream"
        parts = [content] if isinstance(content, bytes) else content
        names = [f"{stem}.xml.bz2"]
        if len(parts) > 1:
            names = [f"{stem}{k}.xml-p{k}00p{k}99.bz2" for k in range(1, len(parts) + 1)]
        listed = {}
        for name, data in zip(names, parts, strict=True):
            self.files[f"{folder}/{name}"] = data
            listed[name] = {"size": len(data), "url": f"/{folder}/{name}"}
            if hashes:
                listed[name] |= {"sha1": hashlib.sha1(data).hexdigest(), "md5": hashlib.md5(data).hexdigest()}
        listed[f"{stem}-index.txt.bz2"] = {"size": 7, "url": "/x", "sha1": "0" * 40}
        job = {"status": status, "updated": "2026-11-01 00:00:00", "files": listed}
        jobs = {"articlesmultistreamdump": job, "metahistorybz2dump": {"status": "waiting"}}
        self.files[f"{folder}/dumpstatus.json"] = json.dumps({"version": "0.8", "jobs": jobs}).encode()
        return names

    def add_content_current(self, wiki: str, day: str, parts: list[bytes], *, success: bool = True) -> list[str]:
        """An export of the newer layout; returns the names."""
        folder = f"other/mediawiki_content_current/{wiki}/{day}/xml/bzip2"
        names = [f"{wiki}-{day}-p{k}00p{k}99.xml.bz2" for k in range(1, len(parts) + 1)]
        for name, data in zip(names, parts, strict=True):
            self.files[f"{folder}/{name}"] = data
        # In the order of their names as text, p100 before p20, which is not the order of the pages.
        sums = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in zip(names, parts, strict=True)]
        self.files[f"{folder}/SHA256SUMS"] = "".join(sorted(sums)).encode()
        if success:
            self.files[f"{folder}/_SUCCESS"] = b""
        return names

    def of(self, name: str) -> list[dict[str, str]]:
        """The headers of the GET requests for a file name."""
        return [headers for method, path, headers in self.requests if method == "GET" and path.endswith(f"/{name}")]

    def __enter__(self) -> "WikimediaServer":
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        self.requests.append((request.method, request.path, dict(request.headers)))
        if GENERIC.match(request.headers.get("User-Agent", "")):
            return web.Response(status=403, text="identify yourself")
        if self.open >= self.connections:
            self.refused += 1
            return await refuse()(self, request, b"")
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            return await self._answer(request, path)
        except ConnectionError:  # the client went away
            return web.Response()
        finally:
            self.open -= 1

    async def _answer(self, request: web.Request, path: str) -> web.StreamResponse:
        queue = self.faults[path.rpartition("/")[2]]
        if queue and request.method == "GET":
            return await queue.pop(0)(self, request, self.files.get(path, b""))
        if path in self.files:
            return await self.serve(request, self.files[path])
        below = [name[len(path) :] for name in self.files if name.startswith(path)]
        entries = {name.split("/")[0] for name in below}
        if not entries or not path.endswith("/"):
            return web.Response(status=404, text="<html>404 Not Found</html>", content_type="text/html")
        listing = "".join(f'<a href="{entry}/">{entry}/</a>\n' for entry in sorted({"..", *entries}))
        return web.Response(text=f"<html><pre>{listing}</pre></html>", content_type="text/html")

    async def serve(
        self,
        request: web.Request,
        body: bytes,
        *,
        ranges: bool = True,
        etag: str | None = None,
        stop: int | None = None,
        declare: int | None = None,
        rate: float | None = None,
    ) -> web.StreamResponse:
        """Answer like a well-behaved server, but for a broken connection or a wrong length.

        It closes the connection after `stop` bytes of the body, or declares a Content-Length of `declare` (-1: none,
        chunked).
        """
        etag = etag or f'"{hashlib.sha1(body).hexdigest()[:16]}"'
        start, headers = 0, {"ETag": etag, "Content-Type": "application/octet-stream"}
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        response = web.StreamResponse(headers=headers)
        if asked and ranges and request.headers.get("If-Range", etag) == etag:
            start = int(asked[1])
            if start >= len(body):
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(body)}"})
            response.set_status(206)
            response.headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        rest = body[start:]
        if declare == -1:
            response.enable_chunked_encoding()
        else:
            response.content_length = len(rest) if declare is None else declare
        await response.prepare(request)
        if request.method == "GET":
            await self._send(request, response, rest[: len(rest) if stop is None else stop], rate)
        if stop is not None and stop < len(rest):
            close(request)
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse, body: bytes, rate: float | None) -> None:
        rate = self.rate if rate is None else rate
        for begin in range(0, len(body), PIECE):
            piece = body[begin : begin + PIECE]
            if rate:
                await asyncio.sleep(len(piece) / rate)
            await response.write(piece)
            self.sent[request.path] += len(piece)


def close(request: web.Request) -> None:
    """Close the connection in the middle of an answer, what was written still being delivered."""
    if request.transport is not None:
        request.transport.close()


def drop(at: int) -> Fault:
    """Close the connection after `at` bytes."""

    async def fault(server: WikimediaServer, request: web.Request, body: bytes) -> web.StreamResponse:
        return await server.serve(request, body, stop=at)

    return fault


def ignore_range() -> Fault:
    """Send the whole file whatever was asked."""

    async def fault(server: WikimediaServer, request: web.Request, body: bytes) -> web.StreamResponse:
        return await server.serve(request, body, ranges=False)

    return fault


def other_range() -> Fault:
    """Answer a range request with a range that begins elsewhere."""

    async def fault(server: WikimediaServer, request: web.Request, body: bytes) -> web.StreamResponse:
        headers = {"Content-Range": f"bytes 0-{len(body) - 1}/{len(body)}"}
        return web.Response(status=206, headers=headers, body=body)

    return fault


def content(body: bytes, **options: object) -> Fault:
    """Serve other content under the same name."""

    async def fault(server: WikimediaServer, request: web.Request, _: bytes) -> web.StreamResponse:
        return await server.serve(request, body, **options)  # type: ignore[arg-type]

    return fault


def answer(status: int, text: str = "", **headers: str) -> Fault:
    """Answer with a status; headers as Retry_After="1"."""

    async def fault(server: WikimediaServer, request: web.Request, body: bytes) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, text=text, headers=named)

    return fault


def web_page() -> Fault:
    """A friendly error page with status 200."""
    return answer(200, "<!DOCTYPE html><html>Down for maintenance</html>", Content_Type="text/html; charset=utf-8")


def redirect(location: str) -> Fault:
    """302 to another address."""
    return answer(302, Location=location)


def stall(after: int) -> Fault:
    """Send `after` bytes, then nothing, and keep the connection open until the client gives up."""

    async def fault(server: WikimediaServer, request: web.Request, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse(headers={"ETag": f'"{hashlib.sha1(body).hexdigest()[:16]}"'})
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[:after])
        server.sent[request.path] += after
        while request.transport is not None:
            await asyncio.sleep(0.02)
        return response

    return fault


def trickle() -> Fault:
    """A byte every 50 ms."""

    async def fault(server: WikimediaServer, request: web.Request, body: bytes) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(body)
        await response.prepare(request)
        for position in range(len(body)):
            await response.write(body[position : position + 1])
            await asyncio.sleep(0.05)
        return response

    return fault


def refuse() -> Fault:
    """Reset the connection without an answer, as a server does that has enough of this address."""

    async def fault(server: WikimediaServer, request: web.Request, body: bytes) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    return fault
