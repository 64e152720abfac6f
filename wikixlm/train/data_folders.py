"""The binarized data that a training reads: a folder, or several of a corpus too large to be binarized in one piece.

fairseq's `a:b:c`: the folders have one dictionary, each holds a part of the training text, and an epoch reads one of
them, in turn. The held-out text is in the first. A small language need not be in every folder.
"""

import argparse
from pathlib import Path

from wikixlm.binarize import dictionary
from wikixlm.errors import UserError


def parse_folders(text: str) -> list[Path]:
    """The folders in `text`, joined by colons: the argument of `--data`."""
    if not all(parts := text.split(":")):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a folder, or several joined by colons")
    return [Path(part) for part in parts]


def joined(data: list[Path]) -> str:
    """The folders in fairseq-train's notation."""
    return ":".join(map(str, data))


def files(data: list[Path], languages: list[str], everywhere: bool = False) -> dict[str, Path]:
    """All files of the binarized data that a training reads, by name; the second folder's begin with `2/`, and so on.

    Args:
        data: the folders.
        languages: the languages to train on.
        everywhere: every folder must have all languages, as fairseq's stock task requires.

    Raises:
        UserError: a file is missing or empty, or the folders have different dictionaries.
    """
    found: dict[str, Path] = {}
    seen: set[str] = set()
    for number, folder in enumerate(data, start=1):
        present = [one for one in languages if everywhere or len(data) == 1 or _has_text(folder, one)]
        seen.update(present)
        names = ["dict.txt", *_of_split("train", present)]
        if number == 1:  # the validation text steers the learning rate and the best checkpoint
            names += _of_split("valid", languages)
        found |= {name if number == 1 else f"{number}/{name}": folder / name for name in names}
    for path in found.values():
        if not path.is_file():
            raise UserError(f"{path} is missing: run the binarize stage for all of {', '.join(languages)} first")
        if path.stat().st_size == 0:
            raise UserError(f"{path} is empty: there is nothing to train on")
    if missing := [one for one in languages if one not in seen]:
        raise UserError(f"no folder of {joined(data)} has training text of {', '.join(missing)}")
    dictionary.check_identical([folder / "dict.txt" for folder in data])
    return found


def _has_text(folder: Path, language: str) -> bool:
    return any((folder / name).exists() for name in _of_split("train", [language]))


def _of_split(split: str, languages: list[str]) -> list[str]:
    return [f"{split}.{language}.{kind}" for language in languages for kind in ("bin", "idx")]
