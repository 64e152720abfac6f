"""Temporary files of jobs that were killed: nothing else would ever remove those whose names are random."""

import contextlib
import os
import platform
import shutil
import stat
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from wikixlm import console, formatting
from wikixlm.files import lock_file, output_of_temporary
from wikixlm.run_layout import RUN_RECORD
from wikixlm.workflow import events

# A job of an earlier call may still run on another machine, where the file system may not show its lock.
SECONDS_ELSEWHERE = 24 * 3600


def clean(workflow: Any, languages: Iterable[str]) -> None:
    """Remove what killed jobs left beside the outputs of this call's jobs, and say how much that was.

    Does nothing without Snakemake's lock on these outputs.

    Args:
        workflow: Snakemake's, whose jobs are planned.
        languages: whose names some stages give to their work folders.
    """
    if not workflow.persistence.locked:
        return
    directory = Path()
    outputs = [Path(path) for job in workflow.dag.needrun_jobs() for path in job.output]
    quiet = SECONDS_ELSEWHERE if ran_elsewhere(directory) else 0
    removed = remove(found_beside([Path(RUN_RECORD), *outputs], languages), quiet)
    if removed:
        number = f"{len(removed)} temporary file{'s' if len(removed) > 1 else ''}"
        console.say(f"removed {number} that killed jobs left ({formatting.size(sum(removed))})")


def ran_elsewhere(directory: Path) -> bool:
    """Whether a call before this one in the directory had jobs on a cluster, or ran on another machine."""
    starts = (event for event in events.read(directory) if isinstance(event, events.RunStarted))
    return any(start.slurm_run_id or start.host != platform.node() for start in starts)


def found_beside(outputs: Iterable[Path], languages: Iterable[str] = ()) -> Iterator[Path]:
    """Temporary files and work folders of the outputs, of their seals, and of folders that are outputs as a whole."""
    names: dict[Path, set[str]] = defaultdict(set)
    for output in outputs:
        names[output.parent] |= {output.name, f".{output.name}.sha256", *languages}
        names[output.parent.parent].add(output.parent.name)
    for folder, own in names.items():
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            yield from [folder / entry.name for entry in entries if output_of_temporary(entry.name) in own]


def remove(paths: Iterable[Path], quiet: float = 0) -> list[int]:
    """Remove those files and folders that are this user's and that no process has locked.

    Args:
        quiet: seconds for which they must not have changed.

    Returns:
        The size of each in bytes.
    """
    return [size for path in paths if (size := _remove(path, quiet)) is not None]


def _remove(path: Path, quiet: float) -> int | None:
    is_folder = path.is_dir() and not path.is_symlink()
    try:
        # NFS locks what is open for writing; where a folder can't be locked at all it stays.
        handle = os.open(path, (os.O_RDONLY if is_folder else os.O_RDWR) | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        state = os.fstat(handle)
        files = [state, *(entry.lstat() for entry in path.rglob("*"))] if is_folder else [state]
        is_own = state.st_uid == os.geteuid() and (is_folder or stat.S_ISREG(state.st_mode))
        is_quiet = not quiet or max(file.st_mtime for file in files) < time.time() - quiet
        if not is_own or not is_quiet or not lock_file(handle):
            return None
        if is_folder:
            shutil.rmtree(path)
        else:
            path.unlink()
        return sum(file.st_size for file in files if stat.S_ISREG(file.st_mode))
    except OSError:
        return None
    finally:
        os.close(handle)
