"""Progress of one file: a bar for a person at a terminal, a line every 30 s in a log."""

import logging
import time

import rich.console
import rich.progress

from wikixlm import console

INTERVAL = 30.0  # s between two lines


class Progress:
    """The progress of one file of `size` bytes, `start` of which are there; a context manager."""

    def __init__(self, name: str, size: int, start: int = 0, interval: float = INTERVAL) -> None:
        self._name, self._size, self._interval = name, size, interval
        self._last = (time.monotonic(), start)
        self._bar = _progress_bar() if console.on_terminal() else None
        # A line on the terminal would break the bar; in a log file there is no bar.
        self._log_lines = self._bar is None or console.has_log()
        self._task = self._bar.add_task(name, total=size, completed=start) if self._bar else None

    def __enter__(self) -> "Progress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, position: int) -> float | None:
        """Show that `position` bytes are there; returns the rate in bytes per second, once every interval."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=position)
        then, before = self._last
        seconds = time.monotonic() - then
        if seconds < self._interval:
            return None
        self._last = (then + seconds, position)
        rate = (position - before) / seconds
        if self._log_lines:
            logging.info("%s: %s", self._name, describe_progress(position, self._size, rate))
        return rate


def describe_progress(position: int, size: int, rate: float) -> str:
    """`1.20 of 3.40 GB (35 %), 5.60 MB/s, 0:06:34 left`; `position` and `size` in bytes, `rate` in bytes per second."""
    percent = 100 * position // max(size, 1)
    text = f"{position / 1e9:.2f} of {size / 1e9:.2f} GB ({percent} %), {rate / 1e6:.2f} MB/s"
    if rate <= 0:
        return text
    minutes, seconds = divmod(int((size - position) / rate), 60)
    return f"{text}, {minutes // 60}:{minutes % 60:02d}:{seconds:02d} left"


def _progress_bar() -> rich.progress.Progress:
    return rich.progress.Progress(
        rich.progress.TextColumn("{task.description}"),
        rich.progress.BarColumn(),
        rich.progress.DownloadColumn(),
        rich.progress.TransferSpeedColumn(),
        rich.progress.TimeRemainingColumn(),
        console=rich.console.Console(file=console.terminal()),
        transient=True,
    )
