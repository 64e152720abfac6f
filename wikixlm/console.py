"""What the user sees on the terminal, and where the details go.

With a log file, standard output and standard error of the process (and of every program it starts) go to that file,
and only the lines written through this module reach the terminal as well.
"""

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import TextIO

from wikixlm.errors import UserError

# The beginnings of an error's and a warning's line.
ERROR, WARNING = "error: ", "warning: "

_terminal: TextIO | None = None


def open_closed_streams() -> None:
    """Open what of standard input, output and error is closed, so that no other file takes its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", closefd=False))


def open_log(path: Path, first_line: str) -> None:
    """Send file descriptors 1 and 2 to `path` (created with its folder, truncated) and keep the terminal for `say`.

    Raises:
        UserError: it can't be written, or the disk is full.
    """
    global _terminal
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
        os.write(log, f"{first_line}\n".encode(errors="surrogateescape"))
    except OSError as failure:
        raise UserError(f"cannot write the log {path}: {failure.strerror}") from failure
    _terminal = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="replace", buffering=1)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def printable(text: str) -> str:
    """`text` with its control characters escaped: what a server or a file says must not steer the terminal."""
    return "".join(
        letter if letter.isprintable() or letter in "\n\t" else letter.encode("unicode_escape").decode()
        for letter in text
    )


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def start_logging() -> None:
    """Python's logging on standard error: time, level, message."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%Y-%m-%d %H:%M:%S"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def say(line: str) -> None:
    """Write one line to the terminal, and to the log where there is one."""
    relay(line)
    # The log's disk may be full, or standard error closed.
    with contextlib.suppress(OSError):
        print(printable(line), file=sys.stderr, flush=True)


def warn(message: str) -> None:
    """Say `warning: message`, for what a user should know though the run continues."""
    say(f"{WARNING}{' '.join(message.split())}")


def relay(line: str) -> None:
    """Show on the terminal what a program that was started here has said, where until now only the log has it."""
    if _terminal is not None:
        with contextlib.suppress(OSError):  # it was closed
            print(printable(line), file=_terminal, flush=True)


def error(message: str) -> None:
    """Say `error: message`, for what stopped the run."""
    say(f"{ERROR}{' '.join(message.split())}")


def terminal() -> TextIO:
    """Where the user looks: standard error, as it was before any log file took its place."""
    return _terminal if _terminal is not None else sys.stderr


def has_log() -> bool:
    """Whether a log file took the place of standard output and standard error."""
    return _terminal is not None


def on_terminal() -> bool:
    """Whether a person is likely to be watching: standard error (before any log) is a terminal."""
    return terminal().isatty()
