"""Sampling languages with probabilities proportional to n^alpha.

XLM (Conneau & Lample 2019, https://arxiv.org/abs/1901.07291, section 3.1) draws sentences from language i with
probability q_i = p_i^alpha / sum_j p_j^alpha, where p_i = n_i / sum_j n_j is its share of the corpus; alpha is 0.5 for
learning BPE and 0.7 for training. An alpha below 1 raises the share of small languages.
"""

import hashlib
from collections.abc import Mapping


def probabilities(sizes: Mapping[str, int], alpha: float) -> dict[str, float]:
    """Compute XLM's q_i from `sizes` (lines, tokens or examples: only the proportions matter); 0 for size 0."""
    total = sum(sizes.values())
    weights = {language: (size / total) ** alpha if size else 0.0 for language, size in sizes.items()}
    scale = sum(weights.values()) or 1.0
    return {language: weight / scale for language, weight in weights.items()}


def quotas(sizes: Mapping[str, int], alpha: float, wanted: int) -> dict[str, float]:
    """Distribute `wanted` lines over languages, in expectation.

    Proportional to `probabilities`, but no language gives more than it has; the others make up for it in the same
    proportions. All lines if `wanted` exceeds them.
    """
    given: dict[str, float] = {}
    open_languages = dict(sizes)
    while open_languages:
        left = wanted - sum(given.values())
        shares = probabilities({language: sizes[language] for language in open_languages}, alpha)
        full = [language for language in open_languages if left * shares[language] >= sizes[language]]
        if not full:
            return given | {language: left * share for language, share in shares.items()}
        for language in full:
            given[language] = float(open_languages.pop(language))
    return given


class LineSampler:
    """Selects each line of a language with the same probability, by a seeded 64-bit hash.

    The choice depends on seed, language, document id and the line's text alone: not on shards, their order or cores.
    """

    def __init__(self, seed: int, language: str, share: float) -> None:
        self._start = hashlib.blake2b(f"{seed}:{language}:".encode(), digest_size=8)
        self._limit = int(share * 2**64) if share < 1 else 2**64

    def selects(self, document_id: str, line: str) -> bool:
        digest = self._start.copy()
        digest.update(f"{document_id}\n{line}".encode())
        return int.from_bytes(digest.digest(), "little") < self._limit
