"""fairseq-preprocess whose failures end it, with their cause.

Its own pool waits for ever for the result of a worker that was killed.
"""

import multiprocessing
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from wikixlm.errors import UserError
from wikixlm.processes import die_with_parent


class Pool:
    """The part of `multiprocessing.Pool` that fairseq uses; a killed worker raises `BrokenProcessPool`.

    Workers end with this process, even when it is killed.
    """

    def __init__(self, processes: int) -> None:
        fork = multiprocessing.get_context("fork")
        self._executor = ProcessPoolExecutor(processes, fork, die_with_parent)

    def apply_async(
        self, function: Callable[..., Any], args: Sequence[Any] = (), kwds: Mapping[str, Any] | None = None
    ) -> "Result":
        """Run `function(*args, **kwds)` in a worker."""
        return Result(self._executor.submit(function, *args, **(kwds or {})))

    def close(self) -> None:
        """Accept no more work."""
        self._executor.shutdown(wait=False)

    def join(self) -> None:
        """Wait for the workers."""
        self._executor.shutdown(wait=True)


class Result:
    """What a worker will return."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def get(self) -> Any:
        """Wait for the result, or raise the worker's exception."""
        return self._future.result()


def cli_main() -> None:
    """Run fairseq-preprocess with the arguments in `sys.argv`.

    Raises:
        UserError: memory or disk were not enough, or a worker was killed.
    """
    from fairseq import binarizer
    from fairseq_cli import preprocess

    binarizer.Pool = Pool
    try:
        preprocess.cli_main()
    except Exception as failure:
        if (cause := cause_of(failure)) is None:
            raise
        traceback.print_exc()
        raise UserError(cause) from failure


def cause_of(failure: Exception) -> str | None:
    """Name the cause of a failure if it is the machine's."""
    if isinstance(failure, BrokenProcessPool):
        return "one of its workers was killed; out of memory?"
    if isinstance(failure, MemoryError) or "can't allocate memory" in str(failure):
        return "out of memory"
    if isinstance(failure, OSError) and failure.strerror:
        return f"{failure.filename}: {failure.strerror}" if failure.filename else failure.strerror
    return None
