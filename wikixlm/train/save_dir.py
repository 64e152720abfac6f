"""The save directory of a training: one training at a time, and never resumed by another one.

fairseq resumes whatever `checkpoint_last.pt` it finds: after a change of data, vocabulary, architecture or learning
rate it would continue with the old weights, or hand them out as finished. `wikixlm_fingerprint.json` in the save
directory records everything that shapes the weights; a training resumes only where it is the same. How a batch is
spread over GPUs, nodes and accumulated batches is not part of it: the batch is, in tokens.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from wikixlm import console
from wikixlm.config.training import TrainSettings
from wikixlm.errors import UserError
from wikixlm.files import read_json, sha256, write_json
from wikixlm.seals import check_hash
from wikixlm.train import checkpoints
from wikixlm.train.fairseq import USER_DIR
from wikixlm.train.rates import Rates, peak_rates
from wikixlm.train.recipes import RECIPES, shaping_settings

FINGERPRINT = "wikixlm_fingerprint.json"
# Of fingerprints from before these keys, and from when these options were among the arguments.
ADDED_SETTINGS: dict[str, Any] = {"optimizer": "adamw", "embedding_lr": None, "hidden_gain": 0.0}
NO_LONGER_ARGUMENTS = (
    *("--max-tokens", "--update-freq"),
    *("--warmup-updates", "--warmup-init-lr", "--lr", "--embedding-lr"),
)
# In a fingerprint: batches mix the languages. It forbids no resume.
MIXED = "mixed_batches"
# The data loader of a killed training looks only every few seconds whether its trainer is still there.
SECONDS_TO_WAIT = 15

Fingerprint = dict[str, Any]
Batch = dict[str, int | None]


@contextlib.contextmanager
def lock(save_dir: Path) -> Iterator[int]:
    """Hold `save_dir` for one training; gives the descriptor that holds it, for the child to hold too.

    The lock is the kernel's and ends with the last process that holds it, so it never outlives a crash. It lies beside
    the directory, which may be renamed.

    Raises:
        UserError: another process holds it.
    """
    path = save_dir.with_name(f".{save_dir.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    if not _acquire(handle):
        holder = os.read(handle, 200).decode(errors="replace").strip() or "another process"
        os.close(handle)
        raise UserError(
            f"{save_dir} is in use by {holder}; two trainings can't share it; "
            "wait for it, or run in another --directory"
        )
    os.ftruncate(handle, 0)
    os.write(handle, f"process {os.getpid()} on {os.uname().nodename}".encode())
    try:
        yield handle
    finally:
        os.close(handle)


def _acquire(handle: int) -> bool:
    """Lock an open file, waiting a little for a process that is about to release it."""
    end = time.monotonic() + SECONDS_TO_WAIT
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.1)


class Opened(NamedTuple):
    """What a training resumes: the updates it has made, and what stays as it began."""

    done: int
    tokens_per_update: int
    warmup_updates: int
    rates: Rates


def open_save_dir(
    save_dir: Path, files: dict[str, Path], settings: TrainSettings, languages: list[str], workers: int
) -> Opened:
    """Make `save_dir` the one of this training.

    The directory of another training is archived, and this one's is restored if it was archived before.

    Args:
        save_dir: created where it is missing.
        files: the binarized data, by name (see `data_folders.files`).
        settings: of the training.
        languages: in the order of their ids.
        workers: over all nodes. Where `max_tokens` and `update_freq` give the batch, it is theirs at the start; a
            training that resumes with other workers keeps it.

    Raises:
        UserError: it is beyond max_update already.
    """
    shaping = shaping_settings(settings)
    if model := shaping.pop("init_from"):
        files = {**files, Path(model).name: Path(model)}
    # Where the extension lies changes no weight: a checkout may be moved.
    arguments = [
        USER_DIR.name if word == str(USER_DIR) else word
        for word in RECIPES[settings.recipe].arguments(settings, languages)
    ]
    earlier = read_fingerprint(save_dir)
    tokens = settings.tokens_per_update(workers)
    batch: Batch = {"tokens_per_update": tokens, "per_worker": settings.tokens_per_worker}
    batch["any"] = settings.batch_tokens is None and settings.update_freq is None
    now = fingerprint(files, shaping, arguments, batch, earlier)
    now |= {"warmup_updates": settings.warmup_length(), MIXED: True}
    now["rates"] = peak_rates(settings, tokens)
    if earlier is not None and differences(earlier, now):
        archive_save_dir(save_dir, earlier, now)
    elif earlier is None and any(save_dir.glob("checkpoint*.pt")):
        archive_save_dir(save_dir, None, now)
    save_dir.mkdir(parents=True, exist_ok=True)
    done = checkpoints.prepare_resume(save_dir)
    if done and (began := read_fingerprint(save_dir)):
        now["batch"]["tokens_per_update"] = began["batch"]["tokens_per_update"] or now["batch"]["tokens_per_update"]
        now |= {key: began.get(key, now[key]) for key in ("warmup_updates", "rates")}
        if settings.recipe == "wikixlm" and len(languages) > 1 and not began.get(MIXED):
            console.warn("this training began with one language a batch; from here on batches mix the languages")
    write_json(save_dir / FINGERPRINT, now)
    if done > settings.max_update:
        raise UserError(
            f"{save_dir} is at update {done} already, beyond train.max_update {settings.max_update}: set it to {done} "
            f"or more, or move {save_dir} away to train from the start"
        )
    if done:
        console.say(f"resuming from update {done:,} of {settings.max_update:,}")
    return Opened(done, now["batch"]["tokens_per_update"], now["warmup_updates"], Rates(*now["rates"]))


def archive_save_dir(save_dir: Path, earlier: Fingerprint | None, now: Fingerprint) -> None:
    """Rename the save directory of another training, and restore this one's if it was archived before."""
    name = digest(earlier) if earlier else "unknown"
    reason = f"changed: {', '.join(differences(earlier, now))}" if earlier else "it has no fingerprint"
    archive = save_dir.with_name(f"{save_dir.name}.{name}")
    number = 1
    while archive.exists():
        number += 1
        archive = save_dir.with_name(f"{save_dir.name}.{name}-{number}")
    save_dir.rename(archive)
    own = save_dir.with_name(f"{save_dir.name}.{digest(now)}")
    if own.is_dir() and own != archive:
        own.rename(save_dir)
        outcome = f"restored {own}, which has the present ones"
    else:
        outcome = "training starts from update 0"
    console.warn(f"{save_dir} has other data or settings ({reason}); kept as {archive}; {outcome}")


def fingerprint(
    files: dict[str, Path],
    settings: dict[str, Any],
    arguments: list[str],
    batch: Batch,
    earlier: Fingerprint | None,
) -> Fingerprint:
    """What a training starts from.

    Args:
        files: what is read, by name, hashed by content.
        settings: the settings that shape the weights, by key.
        arguments: fairseq-train's arguments that shape the weights.
        batch: `tokens_per_update`; `per_worker`, where max_tokens and update_freq give it; `any`: whether max_tokens
            stands alone, which limits a batch, and decides on its size only where a training begins.
        earlier: a fingerprint whose hashes are reused for files of the same size and modification time.

    Raises:
        UserError: a file is not what its stage wrote.
    """
    known = earlier["files"] if earlier else {}
    hashes = {name: _hash(path, known.get(name, {})) for name, path in files.items()}
    return {"settings": settings, "arguments": arguments, "batch": batch, "files": hashes}


def _hash(path: Path, entry: dict[str, Any]) -> dict[str, Any]:
    status = path.stat()
    stamp = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "path": str(path.resolve())}
    unchanged = all(entry.get(key) == value for key, value in stamp.items())
    found = entry["sha256"] if unchanged else sha256(path)
    check_hash(path, found)
    return {**stamp, "sha256": found}


def digest(value: Fingerprint) -> str:
    """A short name for what the training starts from: 8 hexadecimal digits."""
    batch = value["batch"]["per_worker"] or value["batch"]["tokens_per_update"]
    text = json.dumps([value["settings"], batch, sorted(value["arguments"]), _contents(value)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _contents(value: Fingerprint) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in value["files"].items()}


def differences(old: Fingerprint, new: Fingerprint) -> list[str]:
    """What differs, as the user knows it; empty if a training of `old` may resume as `new`."""
    changed = [f"train.{key}" for key in new["settings"] if old["settings"].get(key) != new["settings"][key]]
    changed += [f"train.{key}" for key in old["settings"] if key not in new["settings"]]
    if not _same_batch(old["batch"], new["batch"]):
        changed.append("train.batch_tokens")
    if not changed and sorted(old["arguments"]) != sorted(new["arguments"]):
        changed.append("languages" if _languages(old) != _languages(new) else "fairseq-train's arguments")
    before, now = _contents(old), _contents(new)
    changed += sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return changed


def _same_batch(old: Batch, new: Batch) -> bool:
    """Whether an update has as many tokens, or the batch is kept: other workers alone make the difference, or `any`."""
    if new.get("any"):
        return True
    per_worker = new["per_worker"] is not None and old["per_worker"] == new["per_worker"]
    return per_worker or old["tokens_per_update"] == new["tokens_per_update"]


def _languages(value: Fingerprint) -> str:
    arguments = value["arguments"]
    return str(arguments[arguments.index("--monolingual-langs") + 1]) if "--monolingual-langs" in arguments else ""


def read_fingerprint(save_dir: Path) -> Fingerprint | None:
    """The fingerprint in a save directory; None if it has none, or a damaged one."""
    try:
        value = _as_today(read_json(save_dir / FINGERPRINT))
        digest(value)
    except (UserError, KeyError, TypeError, AttributeError):
        return None
    return dict(value)


def _as_today(value: Fingerprint) -> Fingerprint:
    """A fingerprint as it is now, of one written when batch layout and rates were among the arguments."""
    settings, arguments = dict(value["settings"]), list(value["arguments"])
    batch: Batch = {"tokens_per_update": None, "per_worker": None}
    if "batch" not in value and "max_tokens" in settings:
        batch["per_worker"] = settings.pop("max_tokens") * settings.pop("update_freq")
        settings.pop("compile", None)
    if settings.get("recipe") == "wikixlm" and "optimizer" not in settings:
        settings |= ADDED_SETTINGS
        arguments += ["--hidden-gain", str(settings["hidden_gain"])]
    for option in NO_LONGER_ARGUMENTS:
        if option in arguments:
            del arguments[(place := arguments.index(option)) : place + 2]
    arguments = [word for word in arguments if word != "--compile-layers"]
    return {"batch": batch, **value, "settings": settings, "arguments": arguments}
