"""Patches that stock fairseq 0.12.2 needs to run on today's Python, torch and numpy: `apply()`, before fairseq is used.

The installed package is not changed; `PATCHES` adjust the running process, and leave fairseq's results as they are.
fairseq itself is started through `python -m wikixlm.train.fairseq.run`, which calls `apply()` first, also in worker
processes.
"""

import argparse
import contextlib
import dataclasses
import functools
import importlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from wikixlm.files import atomic_path

_applied = False


def apply() -> None:
    """Import fairseq and adjust it. Calling it again does nothing."""
    global _applied
    if _applied:
        return
    with _defaults_that_are_dataclasses():
        importlib.import_module("fairseq")
    for patch in PATCHES:
        patch()
    _applied = True


@contextlib.contextmanager
def _defaults_that_are_dataclasses() -> Iterator[None]:
    """Let a dataclass field have a dataclass instance as its default, as Python did up to 3.10.

    Python 3.11 considers any unhashable default mutable and refuses it. fairseq's configuration is built from such
    defaults, and reads them back from the fields, so they can't become factories; they get a hash instead.
    """
    original = dataclasses.dataclass

    def relaxed(cls: type | None = None, /, **options: Any) -> Any:
        if cls is None:
            return functools.partial(relaxed, **options)
        for default in list(vars(cls).values()):
            if isinstance(default, dataclasses.Field):
                default = default.default
            kind = type(default)
            if dataclasses.is_dataclass(kind) and kind.__hash__ is None:
                kind.__hash__ = object.__hash__
        return original(cls, **options)

    dataclasses.dataclass = relaxed
    try:
        yield
    finally:
        dataclasses.dataclass = original


def allow_fairseq_checkpoints() -> None:
    """Let torch load fairseq's checkpoints with its weights-only protection on (part of `apply`; needs no fairseq).

    They hold the command line as an `argparse.Namespace`, a plain container of values. Everything else that could run
    code at loading stays refused, so a checkpoint from a stranger is data and nothing more.
    """
    import torch

    torch.serialization.add_safe_globals([argparse.Namespace])


def _resume_in_later_epochs() -> None:
    """Loading data in epoch n must not need n data directories.

    The cross_lingual_lm task reads directory (epoch - 1) modulo their number, as documented, and then logs directory
    epoch - 1: IndexError on every resume in epoch 2 or later. It gets the epoch of the first round instead.
    """
    from fairseq import utils
    from fairseq.tasks.cross_lingual_lm import CrossLingualLMTask

    original: Callable[..., None] = CrossLingualLMTask.load_dataset

    @functools.wraps(original)
    def load_dataset(self: Any, split: str, epoch: int = 1, **options: Any) -> None:
        directories = len(utils.split_paths(self.args.data))
        original(self, split, epoch=(epoch - 1) % directories + 1, **options)

    CrossLingualLMTask.load_dataset = load_dataset


def _pad_segments_with_the_segment() -> None:
    """Pad a batch's language labels with the language, not with the dictionary's id of `<pad>`.

    That id is 1: IndexError in the embedding of a model with one segment (`--num-segment 1`, one language), as soon as
    a batch has blocks of different lengths. Padded positions are zeroed and never attended to: results are the same.
    """
    from fairseq.data.legacy.masked_lm_dataset import MaskedLMDataset

    original: Callable[..., dict[str, Any]] = MaskedLMDataset._collate

    @functools.wraps(original)
    def collate(self: Any, samples: list[dict[str, Any]], pad_idx: int, eos_idx: int) -> dict[str, Any]:
        batch = original(self, samples, pad_idx, eos_idx)
        if batch and not self.has_pairs:
            batch["net_input"]["segment_labels"].fill_(self.segment_id)
        return batch

    MaskedLMDataset._collate = collate


def _copy_checkpoints_atomically() -> None:
    """Copy `checkpoint_best` and `checkpoint_last` under a temporary name and rename them.

    fairseq saves each checkpoint that way once, and then copies it plainly over the last and the best one: a process
    killed in the middle leaves neither the old nor the new. A full disk, likewise.
    """
    from fairseq.file_io import PathManager

    def copy(src_path: str, dst_path: str, overwrite: bool = False) -> bool:
        with atomic_path(Path(dst_path)) as temporary:
            shutil.copyfile(src_path, temporary)
        return True

    PathManager.copy = staticmethod(copy)


def _bf16_without_a_tpu() -> None:
    """`--bf16` means the number format alone; a TPU is what `--tpu` asks for.

    fairseq was written when only TPUs had bf16: it confuses the two options, and then looks for torch_xla.
    """
    from fairseq import options

    original: Callable[..., Any] = options.parse_args_and_arch

    @functools.wraps(original)
    def parse_args_and_arch(parser: argparse.ArgumentParser, *rest: Any, **named: Any) -> Any:
        parsed = original(parser, *rest, **named)
        args = parsed[0] if isinstance(parsed, tuple) else parsed
        words = rest[0] if rest else named.get("input_args")
        args.tpu = "--tpu" in (sys.argv if words is None else words)
        return parsed

    options.parse_args_and_arch = parse_args_and_arch


PATCHES = (
    allow_fairseq_checkpoints,
    _resume_in_later_epochs,
    _pad_segments_with_the_segment,
    _copy_checkpoints_atomically,
    _bf16_without_a_tpu,
)
