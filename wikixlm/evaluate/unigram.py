"""The unigram baseline: a model that knows only how often each symbol occurs."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wikixlm.model.blocks import Blocks

_CHUNK = 1 << 20


def log_probabilities(train: Sequence[Path], vocabulary: int) -> npt.NDArray[np.float64]:
    """Natural logarithms of a language's unigram probabilities, add-one smoothed over the vocabulary.

    Args:
        train: the binarized training text, in one file or several, without suffix; line ends count as symbols.
        vocabulary: symbols in the dictionary, V.

    Returns:
        log((count + 1) / (N + V)) for each id, [V], N being the tokens of the text.
    """
    counts = np.zeros(vocabulary, dtype=np.int64)
    for path in train:
        text = Blocks(path, _CHUNK)
        for number in range(len(text)):
            tokens, _ = text.read(np.array([number]), pad=0)
            counts += np.bincount(tokens[0], minlength=vocabulary)
    return np.log(counts + 1) - math.log(counts.sum() + vocabulary)
