"""Extract text from wikitext with wikiextractor 3.1.0, run as a separate program (AGPL-3: never imported).

The program reads pages one after another and answers each with a line of JSON. It runs in its single-process mode
(`--article`), which gives the same text as its parallel mode, but exits on a page that it fails on, instead of hanging
or silently dropping pages with exit status 0. Its input is written such that it loses nothing silently:

- it extracts only pages of namespace 0, without a redirect, whose title does not begin with the name of the Template
  namespace: every page is sent as namespace 0, and that namespace is given a name that no title can have;
- it drops a page whose id equals the previous one: pages are sent with ids counted from 1;
- it parses `<text>` line by line, escaped as MediaWiki does: the input is written in exactly that form.

Answers are compared with the pages sent, one by one and in order.
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
# Sets the name of the Template namespace. No title can contain a brace, so no page counts as a template.
TEMPLATE_NAMESPACE_PAGE = "<page>\n<title>{Template:none</title>\n<ns>10</ns>\n<text>none</text>\n</page>\n"

NumberedPage = tuple[int, Page]  # number in the input, from 1; page


class ExtractorFailure(Exception):
    """The program ended or stalled before it had answered everything; `retry`: the page may not be the cause."""

    def __init__(self, cause: str, retry: bool) -> None:
        super().__init__(cause)
        self.retry = retry


def check_installed() -> None:
    """Raise UserError unless the supported version is installed for this interpreter."""
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
    """Yield each page with its text (paragraphs joined by `\\n`), in order; None for one that the program fails on.

    Args:
        pages: pages of wikitext.
        stall_seconds: how long the program may neither read nor write before its current page is given up.
        command: the program and its first arguments, for tests.

    Raises:
        UserError: the program exited without an error, but did not answer all pages.
    """
    source = enumerate(pages, start=1)
    unanswered: deque[NumberedPage] = deque()
    retried = 0
    with tempfile.TemporaryDirectory(prefix="wikixlm-") as folder:
        templates = Path(folder, "templates.xml")
        templates.write_text(TEMPLATE_NAMESPACE_PAGE, encoding="utf-8")
        program = [*(command or default_command()), "--article", "--json", "--quiet", "--templates", str(templates)]
        while True:
            try:
                with WikiExtractorProcess([*program, "/dev/stdin"], unanswered, source, stall_seconds) as process:
                    yield from process.answers()
                return
            except ExtractorFailure as failure:
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
    """The program's command line under the running interpreter.

    -P ignores a folder of that name in the working directory. -u disables buffering of the answers, so that the first
    page without an answer is the one being processed.
    """
    return [sys.executable, "-P", "-u", "-m", "wikiextractor.WikiExtractor"]


class WikiExtractorProcess:
    """One run of the program: pages in, answers out, multiplexed so that the pipes cannot deadlock."""

    def __init__(
        self, command: list[str], unanswered: deque[NumberedPage], source: Iterator[NumberedPage], stall_seconds: int
    ) -> None:
        self._unanswered = unanswered  # sent, or to be sent again, oldest first
        self._to_resend = deque(unanswered)
        self._source = source
        self._stall_seconds = stall_seconds
        self._outgoing = memoryview(b"")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            preexec_fn=processes.die_with_this_process(),
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)
        self._selector.register(self._input, selectors.EVENT_WRITE)
        os.set_blocking(self._input.fileno(), False)
        _enlarge_pipe(self._input.fileno())

    def __enter__(self) -> "WikiExtractorProcess":
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the process, also after an error."""
        self._process.kill()
        self._process.wait()
        self._selector.close()
        self._output.close()
        with contextlib.suppress(BrokenPipeError):
            self._input.close()

    def answers(self) -> Iterator[tuple[Page, str]]:
        """Yield each page with its text, until all are answered."""
        buffer = b""
        quiet_seconds = 0
        while True:
            # Counts waits of one second, not the clock: a job suspended for an hour has not stalled for an hour.
            events = self._selector.select(timeout=1)
            quiet_seconds = 0 if events else quiet_seconds + 1
            if quiet_seconds >= self._stall_seconds:
                raise ExtractorFailure(f"neither reads nor writes for {quiet_seconds} s", retry=False)
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
                    yield self._match_answer(line)

    def _send(self) -> None:
        if not self._outgoing and not self._load_next_page():
            self._close_input()
            return
        try:
            self._outgoing = self._outgoing[os.write(self._input.fileno(), self._outgoing[:PIPE_BYTES]) :]
        except BlockingIOError:
            return
        except BrokenPipeError:  # the process has ended; its answers show how far it got
            self._close_input()

    def _load_next_page(self) -> bool:
        if self._to_resend:
            number, page = self._to_resend.popleft()
        else:
            numbered = next(self._source, None)
            if numbered is None:
                return False
            number, page = numbered
            self._unanswered.append(numbered)
        self._outgoing = memoryview(encode_page(number, page))
        return True

    def _close_input(self) -> None:
        self._outgoing = memoryview(b"")
        self._selector.unregister(self._input)
        with contextlib.suppress(BrokenPipeError):
            self._input.close()

    def _match_answer(self, line: bytes) -> tuple[Page, str]:
        try:
            answer = json.loads(line)
            number, text = int(answer["id"]), str(answer["text"])
        except (ValueError, KeyError, TypeError) as failure:
            raise ExtractorFailure(
                f"answered {line[:80]!r}, which is not a document: {failure}", retry=True
            ) from failure
        if not self._unanswered or number != self._unanswered[0][0]:
            lost = [str(page.id) for sent, page in self._unanswered if sent < number]
            raise UserError(
                f"wikiextractor left out pages that it was given: ids {_join_ids(lost) or '(none; a surplus)'}"
            )
        return self._unanswered.popleft()[1], undo_html_escape(text)

    def _finish(self, rest: bytes) -> None:
        try:
            status = self._process.wait(timeout=self._stall_seconds)
        except subprocess.TimeoutExpired as failure:
            raise ExtractorFailure("closed its output without exiting", retry=False) from failure
        if status < 0:
            raise ExtractorFailure(f"killed by signal {-status}", retry=True)
        if status > 0:
            raise ExtractorFailure(f"exit status {status}", retry=False)
        if rest:
            raise ExtractorFailure(f"its last answer is cut short: {rest[:80]!r}", retry=True)
        if self._unanswered or self._to_resend:
            lost = [str(page.id) for _, page in self._unanswered]
            raise UserError(f"wikiextractor left out pages that it was given: ids {_join_ids(lost)}")


def encode_page(number: int, page: Page) -> bytes:
    """A page as the lines of XML that the program parses, escaped as MediaWiki escapes."""
    # A carriage return would end a line of the input, as it does in XML.
    text = escape(page.text, {'"': "&quot;", "\r": "\n"})
    title = escape(page.title, {'"': "&quot;", "\r": " ", "\n": " "})
    return (
        f"<page>\n<title>{title}</title>\n<ns>0</ns>\n<id>{number}</id>\n"
        f'<text xml:space="preserve">{text}</text>\n</page>\n'
    ).encode()


def undo_html_escape(text: str) -> str:
    """Undo the program's last step, `html.escape(text, quote=False)`, exactly."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def _join_ids(ids: list[str]) -> str:
    return ", ".join(ids[:20]) + (f" and {len(ids) - 20} more" if len(ids) > 20 else "")


def _enlarge_pipe(pipe: int) -> None:
    """Make the pipe hold several pages, so that the program need not wait while a bz2 block is decompressed."""
    if sys.platform.startswith("linux"):
        import fcntl

        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
