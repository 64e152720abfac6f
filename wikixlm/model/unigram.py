"""The unigram baseline: a model that knows only how often each symbol occurs."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wikixlm.model.blocks import Blocks

_CHUNK = 1 << 20


def symbol_counts(train: Sequence[Path], vocab_size: int) -> npt.NDArray[np.int64]:
    """How often each symbol occurs, [vocab_size], line ends included.

    Args:
        train: the binarized training text, in one file or several, without suffix.
    """
    counts = np.zeros(vocab_size, dtype=np.int64)
    for path in train:
        text = Blocks(path, _CHUNK)
        for number in range(len(text)):
            tokens, _ = text.read(np.array([number]), pad=0)
            counts += np.bincount(tokens[0], minlength=vocab_size)
    return counts


def log_probabilities(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Natural logarithms of the unigram probabilities, add-one smoothed: log((count + 1) / (N + V)), [V].

    N is the number of tokens counted, V the number of symbols.
    """
    return np.log(counts + 1) - math.log(counts.sum() + len(counts))
