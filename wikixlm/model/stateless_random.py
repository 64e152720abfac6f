"""Random numbers without a state: each is a pure function of a few integers.

Data order and masks use these, so they do not depend on how examples are batched, which worker reads them, or where a
killed run stopped. The generator is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom
number generators", OOPSLA 2014) read by position; the shuffle is a Feistel network over the smallest even number of
bits, repeated until it lands inside the range (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA
2002).
"""

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FEISTEL_ROUNDS = 4


def mix(words: Words) -> Words:
    """SplitMix64's finaliser: a bijection of 64-bit words that turns neighbours into unrelated words."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def derive_key(*parts: int | Integers) -> Words:
    """One 64-bit key for each combination of the integers in `parts` (arrays broadcast); their order matters."""
    key = np.zeros(1, dtype=np.uint64)
    for part in parts:
        words = np.atleast_1d(np.asarray(part, dtype=np.int64)).view(np.uint64)
        key = mix(key + words + _GOLDEN)
    return key


def random_words(key: Words, counters: Integers) -> Words:
    """The random 64-bit words of `key` at `counters` (broadcast against each other)."""
    return mix(key + (counters.astype(np.uint64) + np.uint64(1)) * _GOLDEN)


def permuted(positions: Integers, size: int, key: Words) -> Integers:
    """Apply a random permutation of range(size), chosen by `key`, to `positions`.

    Args:
        positions: integers in [0, size), any shape.
        size: the length of the range; memory is independent of it.
        key: one key, or one for each position.
    """
    if size <= 1:
        return np.zeros_like(positions)
    half = np.uint64(((size - 1).bit_length() + 1) // 2)
    low = np.uint64((1 << int(half)) - 1)
    key = np.broadcast_to(key, positions.shape)
    result = _feistel(positions.astype(np.uint64), key, half, low)
    while (outside := result >= np.uint64(size)).any():
        result[outside] = _feistel(result[outside], key[outside], half, low)
    return result.astype(np.int64)


def _feistel(values: Words, key: Words, half: np.uint64, low: np.uint64) -> Words:
    left, right = values >> half, values & low
    for number in range(_FEISTEL_ROUNDS):
        left, right = right, left ^ (mix(key + right * _GOLDEN + np.uint64(number)) & low)
    return (left << half) | right
