"""The SHA-256 of kept outputs, beside each, so that a stage never reads what was damaged since it was written.

The seal of `train.en` is `.train.en.sha256`, a line as `sha256sum` writes it. Files without a seal (a user's own, or
of an older run) are not checked.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from wikixlm.errors import UserError
from wikixlm.files import atomic_text, open_text, sha256


def seal_file(path: Path) -> Path:
    """Where the seal of `path` is."""
    return path.with_name(f".{path.name}.sha256")


@contextlib.contextmanager
def sealed(*paths: Path) -> Iterator[None]:
    """Seal the files `paths`, which the block writes, when it ends well; old seals go before it begins."""
    for path in paths:
        seal_file(path).unlink(missing_ok=True)
    yield
    for path in paths:
        with atomic_text(seal_file(path)) as stream:
            stream.write(f"{sha256(path)}  {path.name}\n")


def check_seals(*paths: Path) -> None:
    """Compare files with their seals.

    Raises:
        UserError: a file is not what its stage wrote. Missing files are left to their readers.
    """
    for path in paths:
        if path.is_file() and seal_file(path).is_file():
            check_hash(path, sha256(path))


def check_hash(path: Path, digest: str) -> None:
    """Compare a file's SHA-256 with its seal, where there is one.

    Raises:
        UserError: they differ.
    """
    seal = seal_file(path)
    if not seal.is_file():
        return
    with open_text(seal) as stream:
        expected = stream.read().split()
    if expected[:1] != [digest]:
        raise UserError(
            f"{path} is damaged or was changed: its SHA-256 is not the one in {seal}; delete it and run again, or "
            f"delete {seal.name} if the change is yours"
        )
