"""What a training was started from, so that a changed one never goes on from an old checkpoint.

fairseq resumes whatever `checkpoint_last.pt` it finds: after a change of data, vocabulary, architecture or learning
rate it would go on with the old weights, or hand them out as finished. A file in the save directory records
everything that shapes the weights; a training goes on only where it is the same.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from wikixlm.errors import UserError
from wikixlm.files import read_json, sha256, write_json

NAME = "wikixlm_fingerprint.json"

Record = dict[str, Any]


def record(files: dict[str, Path], settings: dict[str, Any], arguments: list[str], earlier: Record | None) -> Record:
    """What the training starts from.

    Args:
        files: what is read, by name, hashed by content.
        settings: the settings that shape the weights, by key.
        arguments: fairseq-train's arguments that shape the weights.
        earlier: a record whose hashes are taken over for files of the same size and modification time.
    """
    known = earlier["files"] if earlier else {}
    hashes = {name: _hash(path, known.get(name, {})) for name, path in files.items()}
    return {"settings": settings, "arguments": arguments, "files": hashes}


def _hash(path: Path, entry: dict[str, Any]) -> dict[str, Any]:
    status = path.stat()
    stamp = {"size": status.st_size, "mtime_ns": status.st_mtime_ns, "path": str(path.resolve())}
    if all(entry.get(key) == value for key, value in stamp.items()):
        return {**stamp, "sha256": entry["sha256"]}
    return {**stamp, "sha256": sha256(path)}


def digest(value: Record) -> str:
    """A short name for what the training starts from: 8 hexadecimal digits."""
    text = json.dumps([value["settings"], value["arguments"], _contents(value)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _contents(value: Record) -> dict[str, str]:
    return {name: entry["sha256"] for name, entry in value["files"].items()}


def differences(old: Record, new: Record) -> list[str]:
    """What differs, in words for the user; empty if a training of `old` may go on as `new`."""
    changed = [f"train.{key}" for key in new["settings"] if old["settings"].get(key) != new["settings"][key]]
    changed += [f"train.{key}" for key in old["settings"] if key not in new["settings"]]
    if not changed and old["arguments"] != new["arguments"]:
        changed.append("languages" if _languages(old) != _languages(new) else "fairseq-train's arguments")
    before, now = _contents(old), _contents(new)
    changed += sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return changed


def _languages(value: Record) -> str:
    arguments = value["arguments"]
    return str(arguments[arguments.index("--monolingual-langs") + 1]) if "--monolingual-langs" in arguments else ""


def read(save_dir: Path) -> Record | None:
    """The record in a save directory; None if it has none, or one that can't be understood."""
    try:
        value = read_json(save_dir / NAME)
        digest(value)
    except (UserError, KeyError, TypeError, AttributeError):
        return None
    return dict(value)


def write(save_dir: Path, value: Record) -> None:
    """Put the record into a save directory."""
    write_json(save_dir / NAME, value)
