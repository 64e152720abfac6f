"""Drawing the status of a run: Rich on a terminal, plain lines elsewhere."""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from wikixlm import formatting
from wikixlm.console import ERROR
from wikixlm.run_layout import JOINT, PER_LANGUAGE
from wikixlm.workflow import run_record
from wikixlm.workflow.job_costs import describe_costs
from wikixlm.workflow.slurm_queue import advice, held_together
from wikixlm.workflow.status import call as calls
from wikixlm.workflow.status import details
from wikixlm.workflow.status.collect import Cell, Failure, Status, collect, rate, tail

STYLES = {
    "done": "green",
    "running": "bold cyan",
    "queued": "cyan",
    "failed": "bold red",
    "stopped": "yellow",
    "waiting": "dim",
    "-": "dim",
}
STATES = {
    calls.RUNNING: "bold cyan",
    calls.UNKNOWN: "yellow",
    calls.ENDED: "bold",
    calls.KILLED: "bold red",
}
FAILURES = 5  # that are shown in full
LINES = 6  # of each one's log
LONG = 200  # characters of such a line
PLAIN_WIDTH = 400
# A look should cost the login node little: the pause is this many times as long as the look took.
PAUSE = 10


def look(directory: Path) -> Status:
    """The status of the run in a directory.

    Raises:
        UserError: no run has started there, or its record is damaged.
    """
    record = run_record.read(directory)
    return collect(directory, record, calls.read(directory, record))


def cell_text(cell: Cell | None, record_source: str) -> Text:
    """A cell: one word, or how many of how many with what the others are doing."""
    if cell is None:
        return Text(record_source, "dim")
    if cell.total == 1 or cell.is_done or cell.state == "-":
        return Text(cell.state, STYLES[cell.state])
    doing = [(word, getattr(cell, word)) for word in ("failed", "running", "queued", "stopped")]
    words = ", ".join(f"{number} {word}" for word, number in doing if number)
    if not words and not cell.done:
        return Text(f"0/{cell.total}", STYLES["waiting"])
    return Text(f"{cell.done}/{cell.total}" + (f" {words}" if words else ""), STYLES[cell.state])


def render(status: Status, most_rows: int | None = None) -> Iterator[RenderableType]:
    """The parts of the picture, from top to bottom.

    Args:
        most_rows: of the table of languages; where there are more, those that do nothing just now are summed up.
    """
    done, steps = status.steps
    yield Text.assemble(
        (f"{status.directory.resolve().name}: ", "bold"),
        (status.line, STATES[status.state]),
        f"; {done:,} of {steps:,} jobs done" + (f", {len(status.failures):,} failed" if status.failures else ""),
    )
    yield languages_table(status, most_rows)
    yield joint_table(status)
    yield from held_texts(status)
    for failure in status.failures[:FAILURES]:
        yield failure_text(failure)
    if len(status.failures) > FAILURES:
        rest = status.failures[FAILURES:]
        yield Text(f"and {len(rest):,} more failed: {', '.join(failure.name for failure in rest[:20])}")


def _table(*heads: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, no_wrap=True)
    return table


def languages_table(status: Status, most_rows: int | None) -> Table:
    """A row a language, and a last one with sums, rates and times left."""
    table = _table("language", *(stage.name for stage in PER_LANGUAGE))
    hidden = 0
    rows = status.languages.items()
    quiet = {language for language, cells in rows if not any(_is_news(cell) for cell in cells)}
    crowded = most_rows is not None and len(rows) > most_rows
    for language, cells in rows:
        if crowded and language in quiet:
            hidden += 1
            continue
        source = "local" if status.record.sources[language] == run_record.DUMP else "own text"
        shown = [cell_text(cell, source) for cell in cells]
        if cells[0] is not None and cells[0].running and (detail := details.download(status.directory, language)):
            shown[0] = Text(detail, STYLES["running"])
        table.add_row(language, *shown)
    if hidden:
        table.add_row(f"{hidden} others", *([Text("no job now", "dim")] + [Text("")] * (len(PER_LANGUAGE) - 1)))
    table.add_section()
    sums = [_sum(status, place) for place in range(len(PER_LANGUAGE))]
    table.add_row(
        "all", *(Text(f"{cell.done:,}/{cell.total:,}", STYLES[cell.state]) if cell.total else "" for cell in sums)
    )
    speeds = [
        None if cell.is_done else rate(status, stage.rules) for cell, stage in zip(sums, PER_LANGUAGE, strict=True)
    ]
    if any(speeds) and not status.is_over:
        table.add_row("jobs/min", *(f"{speed * 60:,.1f}" if speed else "" for speed in speeds))
        left = [
            formatting.duration((cell.total - cell.done) / speed) if speed else ""
            for cell, speed in zip(sums, speeds, strict=True)
        ]
        table.add_row("time left", *left)
    return table


def _is_news(cell: Cell | None) -> bool:
    return cell is not None and bool(cell.running or cell.failed or cell.stopped)


def _sum(status: Status, place: int) -> Cell:
    """A stage over all languages."""
    total = Cell()
    for cells in status.languages.values():
        if (cell := cells[place]) is not None:
            total.add(cell)
    return total


def joint_table(status: Status) -> Table:
    """A row for each stage on all languages together."""
    table = _table("joint stage", "state", "")
    rules_of = {stage.name: stage.rules for stage in JOINT}
    for name, cell in status.joint.items():
        detail, rules = "", rules_of.get(name, (name,))
        if name == "train_mlm":
            running = cell.running > 0
            detail = details.training(status.directory, status.record.max_update, running)
        elif cell.running:
            sent = next(job for job in status.call.open.values() if job.rule in rules)
            detail = f"for {formatting.duration(time.time() - sent.time)}"
        table.add_row(name, cell_text(cell, ""), detail)
    return table


def held_texts(status: Status) -> Iterator[Text]:
    """A line for each rule and reason for which SLURM does not start jobs."""
    for name, reason, numbers in held_together(status.call.held.values()):
        yield Text.assemble(
            ("not started: ", STYLES["stopped"]), (name, "bold"), f", SLURM's job {numbers}: {reason}; {advice(reason)}"
        )


def failure_text(failure: Failure) -> Text:
    """A job that failed, its log, and that log's last lines."""
    times = f", sent {failure.attempts} times" if failure.attempts > 1 else ""
    text = Text.assemble(("failed: ", STYLES["failed"]), (failure.name, "bold"), times)
    if failure.log is None:
        return text.append("; it left no log")
    text.append(f"\n  {failure.log}")
    lines = tail(failure.log, LINES)
    if not lines:
        text.append("\n  | nothing is in it: the job was ended from outside, or before it began", "dim")
    for line in lines:
        is_error = line.startswith(ERROR)
        text.append(f"\n  | {line if is_error else shorten(line)}", "red" if is_error else "dim")
    return text


def shorten(line: str) -> str:
    """A line of a log without what is too much of it: some name a thousand files."""
    return line if len(line) <= LONG else f"{line[:LONG]} …"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--directory", type=Path, default=Path(), help="the run: what snakemake --directory was given")
    parser.add_argument("--watch", action="store_true", help="look again and again, until the run ends or Ctrl-C")
    parser.add_argument("--jobs", action="store_true", help="what the jobs used, beside what they asked for")
    parser.add_argument("--interval", type=float, default=3.0, metavar="S", help="seconds between two looks")


def main(args: argparse.Namespace) -> None:
    """Show the status, once or until the run ends."""
    if args.jobs:
        print(describe_costs(args.directory))
        return
    console = Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH, no_color=True, highlight=False)
    if args.watch:
        watch(args.directory, console, args.interval)
        return
    show(look(args.directory), console)


def show(status: Status, console: Console) -> None:
    """Print it once."""
    for part in render(status):
        console.print(part, soft_wrap=isinstance(part, Text))


def watch(directory: Path, console: Console, interval: float) -> None:
    """Show it anew until the run ends; on a terminal in place, elsewhere one below the other."""
    try:
        if not console.is_terminal:
            while not _once(directory, console, interval):
                console.print()
            return
        with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                began = time.monotonic()
                status = look(directory)
                live.update(Group(*render(status, max(5, console.height - 20))), refresh=True)
                if status.is_over:
                    return
                time.sleep(max(interval, PAUSE * (time.monotonic() - began)))
    except KeyboardInterrupt:
        return


def _once(directory: Path, console: Console, interval: float) -> bool:
    """One look at a run, and the pause after it; True if it is over."""
    began = time.monotonic()
    status = look(directory)
    show(status, console)
    if not status.is_over:
        time.sleep(max(interval, PAUSE * (time.monotonic() - began)))
    return status.is_over
