"""fairseq's checkpoints: the one to resume from, and the finished model made of the best.

All loading keeps torch's protection on (weights only): a checkpoint can't run code.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from wikixlm import console
from wikixlm.errors import UserError
from wikixlm.files import atomic_path
from wikixlm.seals import sealed

LAST, BEST = "checkpoint_last.pt", "checkpoint_best.pt"
_INTERVAL = re.compile(r"checkpoint_\d+_(\d+)\.pt")

State = dict[str, Any]


class Checkpoint(NamedTuple):
    """A readable checkpoint, and the updates that it was made after."""

    path: Path
    updates: int


def load(path: Path) -> State:
    """A checkpoint's content, see `wikixlm.model.checkpoint.load_state`."""
    from wikixlm.model.checkpoint import load_state  # imports torch

    return load_state(path)


def refuse_unusable(state: State, path: Path) -> None:
    """Raise a UserError if a checkpoint lacks what resuming needs: its updates and its position in the data."""
    history, extra = state["optimizer_history"], state.get("extra_state")
    last = history[-1] if isinstance(history, list) and history else None
    made = last.get("num_updates") if isinstance(last, dict) else None
    if type(made) is not int or made < 0 or not isinstance(extra, dict) or "train_iterator" not in extra:
        raise UserError(f"{path} is damaged (it has no updates or no position in the data)")


def updates(state: State) -> int:
    """The updates that a checkpoint was made after."""
    return int(state["optimizer_history"][-1]["num_updates"])


def prepare_resume(save_dir: Path) -> int:
    """Make `checkpoint_last.pt` the newest readable checkpoint, so that fairseq resumes from it.

    fairseq looks at no other: were the last one missing or torn (a kill between saving and copying, a broken disk), it
    would start from nothing, or fail. What it was writing when it was killed is removed.

    Returns:
        The updates already made, 0 for a fresh start.
    """
    for leftover in [*save_dir.glob("*.pt.tmp"), *save_dir.glob(".*.pt.*.tmp")]:
        leftover.unlink()
    last = _readable(save_dir / LAST)
    newest = _newest(save_dir, last)
    if newest is None:
        return 0
    if newest is not last:
        state = load(newest.path)
        console.warn(f"resuming from {newest.path.name} (update {newest.updates}), newer than a readable {LAST}")
        if state["extra_state"].get("val_loss") == state["extra_state"].get("best"):
            _copy(newest.path, save_dir / BEST)
        _copy(newest.path, save_dir / LAST)
    return newest.updates


def _newest(save_dir: Path, last: Checkpoint | None) -> Checkpoint | None:
    """The readable checkpoint with the most updates; of equals, the last."""
    newest = last
    candidates = [(int(_INTERVAL.fullmatch(path.name)[1]), path) for path in _intervals(save_dir)]  # type: ignore[index]
    for count, path in sorted(candidates, reverse=True):
        if newest is not None and count <= newest.updates:
            break
        if found := _readable(path):
            newest = found
    best = _readable(save_dir / BEST)
    if best is not None and (newest is None or best.updates > newest.updates):
        newest = best
    return newest


def _best_of_the_others(save_dir: Path) -> Checkpoint:
    """The readable checkpoint with the lowest validation loss, the last one if none was validated.

    Raises:
        UserError: there is none.
    """
    last = save_dir / LAST
    found = [checkpoint for path in [last, *_intervals(save_dir)] if (checkpoint := _readable(path))]
    if not found:
        raise UserError(f"{save_dir} has no readable checkpoint; run the same command again")
    losses = [load(checkpoint.path)["extra_state"].get("val_loss") for checkpoint in found]
    validated = [(loss, place) for place, loss in enumerate(losses) if loss is not None]
    return found[min(validated)[1] if validated else 0]


def _intervals(save_dir: Path) -> Iterator[Path]:
    return (path for path in save_dir.glob("checkpoint_*_*.pt") if _INTERVAL.fullmatch(path.name))


def _readable(path: Path) -> Checkpoint | None:
    """The checkpoint if it can be read; a damaged one is renamed, with a warning."""
    if not path.exists():
        return None
    try:
        state = load(path)
        refuse_unusable(state, path)
        return Checkpoint(path, updates(state))
    except UserError as failure:
        console.warn(f"{failure}; it is kept as {path.name}.damaged")
        path.replace(path.with_name(f"{path.name}.damaged"))
        return None


def _copy(source: Path, target: Path) -> None:
    if source != target:
        with atomic_path(target) as temporary:
            shutil.copyfile(source, temporary)


def export_model(save_dir: Path, output: Path, symbols: list[str], languages: list[str]) -> Checkpoint:
    """Write the finished model: the checkpoint with the best validation loss, without the optimizer's state.

    It stays a fairseq checkpoint (`["model"]` is the state dict) that fairseq's own functions load. Its `task_state`
    names the rows of its embeddings: `symbols` and `languages`. Its hash is written beside it.

    Raises:
        UserError: there is no readable checkpoint, or the model can't be written.
    """
    import torch

    chosen = _readable(save_dir / BEST)
    if chosen is None:
        chosen = _best_of_the_others(save_dir)
        console.warn(f"{save_dir} has no readable {BEST}; {output} is made from {chosen.path.name}")
    state = load(chosen.path)
    state.pop("last_optimizer_state", None)
    state["task_state"] = {**(state.get("task_state") or {}), "symbols": symbols, "languages": languages}
    try:
        with sealed(output), atomic_path(output) as temporary:
            torch.save(state, temporary)
    except RuntimeError as failure:
        raise UserError(f"cannot write {output}: {str(failure).splitlines()[0]}; is the disk full?") from failure
    return chosen
