"""How far a file is: a bar with rate and time left for a person at a terminal, a line every 30 s for a log."""

import logging
import re
import time

import rich.console
import rich.progress

from wikixlm import console

INTERVAL = 30.0  # s between two lines


class Progress:
    """The progress of one file; a context manager, told the number of bytes there with `at`."""

    def __init__(self, name: str, size: int, start: int = 0, interval: float = INTERVAL) -> None:
        self._name, self._size, self._interval = name, size, interval
        self._last = (time.monotonic(), start)
        self._bar = _bar() if console.on_terminal() else None
        # A line on the terminal would tear the bar apart; in a log file it stands alone.
        self._lines = self._bar is None or console.has_log()
        self._task = self._bar.add_task(name, total=size, completed=start) if self._bar else None

    def __enter__(self) -> "Progress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def at(self, position: int) -> None:
        """`position` bytes are there."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=position)
        then, before = self._last
        seconds = time.monotonic() - then
        if self._lines and seconds >= self._interval:
            self._last = (then + seconds, position)
            logging.info("%s: %s", self._name, describe(position, self._size, (position - before) / seconds))


def describe(position: int, size: int, rate: float) -> str:
    """`1.2 of 3.4 GB (35 %), 5.6 MB/s, 0:06:34 left`; `rate` in bytes per second."""
    percent = 100 * position // max(size, 1)
    text = f"{position / 1e9:.2f} of {size / 1e9:.2f} GB ({percent} %), {rate / 1e6:.2f} MB/s"
    if rate <= 0:
        return text
    minutes, seconds = divmod(int((size - position) / rate), 60)
    return f"{text}, {minutes // 60}:{minutes % 60:02d}:{seconds:02d} left"


def rate_in(line: str) -> float | None:
    """The rate in a line that `describe` wrote, in bytes per second; None if it is another line."""
    match = re.search(r" GB \(\d+ %\), ([\d.]+) MB/s", line)
    return float(match[1]) * 1e6 if match else None


def _bar() -> rich.progress.Progress:
    return rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.DownloadColumn(),
        rich.progress.TransferSpeedColumn(),
        rich.progress.TimeRemainingColumn(),
        console=rich.console.Console(file=console.terminal()),
        transient=True,
    )
