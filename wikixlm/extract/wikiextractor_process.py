"""Text out of wikitext, by wikiextractor 3.1.0, run as the program it is (AGPL-3: never imported).

The program is fed pages one after another and answers each with a line of JSON. It runs in its one-process mode
(`--article`): the same text as its parallel mode, but a page that it stumbles over ends it at once, instead of leaving
it waiting for ever or short of pages with exit status 0. What it would lose silently is kept from it:

- it takes only pages of namespace 0, without a redirect, whose title does not begin with the name of the Template
  namespace: every page fed is given as namespace 0, and that namespace gets a name no title can have;
- it drops a page whose id equals the one before: pages are fed with ids counted from 1;
- it takes `<text>` line by line, escaped as MediaWiki does: the feed is written in exactly that form.

Answers are compared with what was fed, one by one and in order.
"""

import contextlib
import json
import logging
import os
import selectors
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from xml.sax.saxutils import escape

from wikixlm import processes
from wikixlm.errors import UserError
from wikixlm.extract.dump_reader import Page

VERSION = "3.1.0"
STALL_SECONDS = 300
PIPE_BYTES = 1 << 20
# Tells the program the Template namespace's name. No title can hold a brace, so no page is taken for a template.
TEMPLATES = "<page>\n<title>{Template:none</title>\n<ns>10</ns>\n<text>none</text>\n</page>\n"

Fed = tuple[int, Page]  # number in the feed, from 1; page


class Failed(Exception):
    """The program ended or stalled before it had answered everything; `retry`: perhaps not the page's doing."""

    def __init__(self, cause: str, retry: bool) -> None:
        super().__init__(cause)
        self.retry = retry


def check_installed() -> None:
    """Raise UserError unless the version that the feed is written for is installed beside this interpreter."""
    try:
        found = metadata.version("wikiextractor")
    except metadata.PackageNotFoundError:
        raise UserError(
            f"wikiextractor is not installed for {sys.executable}; install wikiextractor=={VERSION}"
        ) from None
    if found != VERSION:
        raise UserError(f"wikiextractor {found} is installed for {sys.executable}; accepted is {VERSION}")


def extract_texts(
    pages: Iterable[Page], stall_seconds: int = STALL_SECONDS, command: list[str] | None = None
) -> Iterator[tuple[Page, str | None]]:
    """Each page with its text (paragraphs joined by `\\n`), in order; None for one that the program fails on.

    Args:
        pages: pages of wikitext.
        stall_seconds: how long the program may neither read nor write.
        command: the program and its first arguments, for tests.

    Raises:
        UserError: the program answered without an error and yet left pages out.
    """
    source = enumerate(pages, start=1)
    unanswered: deque[Fed] = deque()
    retried = 0
    with tempfile.TemporaryDirectory(prefix="wikixlm-") as folder:
        templates = Path(folder, "templates.xml")
        templates.write_text(TEMPLATES, encoding="utf-8")
        program = [*(command or default_command()), "--article", "--json", "--quiet", "--templates", str(templates)]
        while True:
            try:
                with Conversation([*program, "/dev/stdin"], unanswered, source, stall_seconds) as conversation:
                    yield from conversation.answers()
                return
            except Failed as failure:
                if not unanswered:
                    raise UserError(f"wikiextractor failed after its last page: {failure}") from failure
                number, page = unanswered[0]
                logging.warning("wikiextractor, at page %d (%s): %s", page.id, page.title, failure)
                if failure.retry and retried != number:
                    retried = number
                    continue
                unanswered.popleft()
                yield page, None


def default_command() -> list[str]:
    """The program under the running interpreter.

    -P: not a folder of that name in the working directory. -u: an answer is not held back, so that the first page
    without one is the page at work.
    """
    return [sys.executable, "-P", "-u", "-m", "wikiextractor.WikiExtractor"]


class Conversation:
    """One run of the program: pages in, answers out, without either side waiting for the other for ever."""

    def __init__(self, command: list[str], unanswered: deque[Fed], source: Iterator[Fed], stall_seconds: int) -> None:
        self._unanswered = unanswered  # fed or to be fed again, oldest first
        self._again = deque(unanswered)
        self._source = source
        self._stall_seconds = stall_seconds
        self._outgoing = memoryview(b"")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, preexec_fn=processes.tie()
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)
        self._selector.register(self._input, selectors.EVENT_WRITE)
        os.set_blocking(self._input.fileno(), False)
        _widen(self._input.fileno())

    def __enter__(self) -> "Conversation":
        return self

    def __exit__(self, *_: object) -> None:
        """Leave no process behind, however the conversation ends."""
        self._process.kill()
        self._process.wait()
        self._selector.close()
        self._output.close()
        with contextlib.suppress(BrokenPipeError):
            self._input.close()

    def answers(self) -> Iterator[tuple[Page, str]]:
        """Each page with its text, until all are answered."""
        buffer = b""
        quiet_seconds = 0
        while True:
            # Waits of one second, counted: a job that was suspended for an hour has not stalled for an hour.
            events = self._selector.select(timeout=1)
            quiet_seconds = 0 if events else quiet_seconds + 1
            if quiet_seconds >= self._stall_seconds:
                raise Failed(f"neither reads nor writes for {quiet_seconds} s", retry=False)
            for key, _ in events:
                if key.fileobj is self._input:
                    self._send()
                    continue
                data = os.read(self._output.fileno(), PIPE_BYTES)
                if not data:
                    self._finish(buffer)
                    return
                *lines, rest = data.split(b"\n")
                if lines:
                    lines[0] = buffer + lines[0]
                    buffer = b""
                buffer += rest
                for line in lines:
                    yield self._match(line)

    def _send(self) -> None:
        if not self._outgoing and not self._next():
            self._close_input()
            return
        try:
            self._outgoing = self._outgoing[os.write(self._input.fileno(), self._outgoing[:PIPE_BYTES]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # it has ended; its output says how far it came
            self._close_input()

    def _next(self) -> bool:
        if self._again:
            number, page = self._again.popleft()
        else:
            fed = next(self._source, None)
            if fed is None:
                return False
            number, page = fed
            self._unanswered.append(fed)
        self._outgoing = memoryview(feed(number, page))
        return True

    def _close_input(self) -> None:
        self._outgoing = memoryview(b"")
        self._selector.unregister(self._input)
        with contextlib.suppress(BrokenPipeError):
            self._input.close()

    def _match(self, line: bytes) -> tuple[Page, str]:
        try:
            answer = json.loads(line)
            number, text = int(answer["id"]), str(answer["text"])
        except (ValueError, KeyError, TypeError) as failure:
            raise Failed(f"answered {line[:80]!r}, which is no document: {failure}", retry=True) from failure
        if not self._unanswered or number != self._unanswered[0][0]:
            lost = [str(page.id) for fed, page in self._unanswered if fed < number]
            raise UserError(f"wikiextractor left out pages that it was given: ids {_some(lost) or '(none; a surplus)'}")
        return self._unanswered.popleft()[1], unescape(text)

    def _finish(self, rest: bytes) -> None:
        try:
            status = self._process.wait(timeout=self._stall_seconds)
        except subprocess.TimeoutExpired as failure:
            raise Failed("closed its output and goes on", retry=False) from failure
        if status < 0:
            raise Failed(f"killed by signal {-status}", retry=True)
        if status > 0:
            raise Failed(f"exit status {status}", retry=False)
        if rest:
            raise Failed(f"its last answer is cut short: {rest[:80]!r}", retry=True)
        if self._unanswered or self._again:
            lost = [str(page.id) for _, page in self._unanswered]
            raise UserError(f"wikiextractor left out pages that it was given: ids {_some(lost)}")


def feed(number: int, page: Page) -> bytes:
    """A page in the lines that the program looks for, escaped as MediaWiki escapes."""
    # A carriage return would end a line of the feed, as it does in XML.
    text = escape(page.text, {'"': "&quot;", "\r": "\n"})
    title = escape(page.title, {'"': "&quot;", "\r": " ", "\n": " "})
    return (
        f"<page>\n<title>{title}</title>\n<ns>0</ns>\n<id>{number}</id>\n"
        f'<text xml:space="preserve">{text}</text>\n</page>\n'
    ).encode()


def unescape(text: str) -> str:
    """Undo the program's last step, `html.escape(text, quote=False)`, exactly."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _some(ids: list[str]) -> str:
    return ", ".join(ids[:20]) + (f" and {len(ids) - 20} more" if len(ids) > 20 else "")


def _widen(pipe: int) -> None:
    """Let the pipe hold more than a page or two, so that the program need not wait while a bz2 block is read."""
    if sys.platform.startswith("linux"):
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
