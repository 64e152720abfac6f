"""When and where a training ran: `wikixlm_sessions.jsonl` in the save directory, a JSON object for each call.

- `started`, `ended`: UTC, ISO 8601; a call that was killed has no `ended`.
- `host`, `hardware`: the machine (see `hardware`).
- `device`: `cpu` or `cuda`; `device_reason`: the GPU's name, or why the CPU is used; `gpus`: GPUs per node, 0 on a CPU;
  `workers`: processes per node; `nodes`.
- `command`: fairseq-train's arguments.
- `from_update`, `to_update`: a call resumes from the last checkpoint, and makes the updates after it again.
"""

import contextlib
import json
import logging
import os
import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from wikixlm.files import atomic_text
from wikixlm.model.device import Device

SESSIONS = "wikixlm_sessions.jsonl"

Session = dict[str, Any]


@contextlib.contextmanager
def record_session(
    save_dir: Path, command: list[str], from_update: int, device: Device, workers: int, nodes: int
) -> Iterator[Session]:
    """Record a call that trains: at its beginning, and again at its end, with what the caller put into it by then.

    A file that can't be written does not end the training.
    """
    earlier = read_sessions(save_dir) if from_update else []
    this: Session = {
        "started": now(),
        "host": platform.node(),
        "hardware": hardware(gpus=device.kind == "cuda"),
        "device": device.kind,
        "device_reason": device.reason,
        "gpus": workers if device.kind == "cuda" else 0,
        "workers": workers,
        "nodes": nodes,
        "command": command,
        "from_update": from_update,
    }
    _write(save_dir, [*earlier, this])
    try:
        yield this
    finally:
        this["ended"] = now()
        _write(save_dir, [*earlier, this])


def read_sessions(save_dir: Path) -> list[Session]:
    """The sessions of a save directory, the oldest first; none where there is no record."""
    path = save_dir / SESSIONS
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(ValueError):
            found.append(dict(json.loads(line)))
    return found


def summary(save_dir: Path) -> dict[str, Any]:
    """For the model's manifest: start of the first session, end of the last, the number of resumes, and all of them."""
    found = read_sessions(save_dir)
    if not found:
        return {}
    ended = found[-1].get("ended")
    return {"started": found[0]["started"], "ended": ended, "resumes": len(found) - 1, "sessions": found}


def hardware(gpus: bool) -> dict[str, Any]:
    """CPU, cores and memory of this machine; GPUs, driver and CUDA only where asked for, as that loads torch."""
    found: dict[str, Any] = {"cpu": _cpu(), "cores": os.cpu_count(), "memory_bytes": _memory()}
    if gpus:
        import torch

        found["gpus"] = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        found["cuda"] = torch.version.cuda
        found["driver"] = _driver()
    return found


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _write(save_dir: Path, sessions: list[Session]) -> None:
    try:
        with atomic_text(save_dir / SESSIONS) as stream:
            stream.writelines(f"{json.dumps(each, ensure_ascii=False)}\n" for each in sessions)
    except Exception as failure:
        logging.warning("%s: %s", save_dir / SESSIONS, failure)


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None


def _driver() -> str | None:
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        lines = subprocess.run(query, capture_output=True, text=True, timeout=30, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return None
    return lines[0] if lines else None
