"""Whether all shards of a language have read the same file: its size, and a hash of samples of its bytes.

A file that grows between two shards moves the limits of those that follow, and pages would be lost unseen.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

from wikixlm.errors import UserError

SAMPLES, SAMPLE_BYTES = 16, 1 << 16


class InputState(TypedDict):
    """What a shard saw of an input file."""

    size: int
    samples: (
        str  # hash of SAMPLES blocks, evenly spaced from the first to the last; of all bytes, where those are fewer
    )


def input_state(path: Path) -> InputState:
    """The state of a file.

    Raises:
        UserError: the file cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    try:
        with open(path, "rb") as stream:
            size = stream.seek(0, 2)
            last = max(size - SAMPLE_BYTES, 0)
            for number in range(SAMPLES):
                stream.seek(last * number // (SAMPLES - 1))
                digest.update(stream.read(SAMPLE_BYTES))
    except OSError as failure:
        raise UserError(f"cannot read {path}: {failure.strerror}") from failure
    return {"size": size, "samples": digest.hexdigest()}


def check_unchanged(states: Mapping[str, InputState]) -> None:
    """Raise UserError if a file is no longer what it was when its state was recorded."""
    for path, state in states.items():
        if input_state(Path(path)) != state:
            raise UserError(f"{path} changed while it was read; run again once it is complete")
