"""`package:NAME/path`: a file of an installed package, found through the package's metadata, without importing it."""

from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

PREFIX = "package:"


def locate(name: str) -> Path:
    """The path that `name` means: `package:NAME/path` inside an installed package, any other name unchanged.

    Raises:
        ValueError: the package is not installed, or has no such file.
    """
    if not name.startswith(PREFIX):
        return Path(name)
    package, _, inside = name.removeprefix(PREFIX).partition("/")
    try:
        listed = files(package) or []
    except PackageNotFoundError:
        raise ValueError(f"the package {package} is not installed; pip install {package}") from None
    for entry in listed:
        if entry.as_posix() == f"{package}/{inside}":
            return Path(str(entry.locate()))
    raise ValueError(f"the package {package} has no file {inside}")
