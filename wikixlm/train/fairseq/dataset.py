"""The training and validation examples of all languages, as fairseq's iterators read them.

An epoch. Languages are sampled in proportion to n^alpha, n being a language's number of examples (blocks); with alpha
below 1 smaller languages repeat. An epoch is the shortest round in which every example of every language is drawn at
least once: the largest language passes exactly once, a language of n examples is drawn from n^alpha * n_max^(1 - alpha)
times. With alpha = 1, or with one language, every example is drawn exactly once. Within a language no example is drawn
again before all others were, also across epochs: each pass over a language has its own shuffle, and an epoch continues
where the one before stopped.

A training batch mixes the languages in the proportions of the epoch: updates of one language each hold a model back.
A held-out batch is of one language, since its figures are reported by language.

The epoch's number is the only state: which block the i-th draw of an epoch is, and how it is masked, are functions of
(seed, epoch, i). Therefore fairseq can resume in mid-epoch, shard batches over workers, and prefetch, with the same
result.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from fairseq.data import FairseqDataset

from wikixlm.model.batches import Batch, Symbols, held_out_batch, make_batch
from wikixlm.model.blocks import Blocks
from wikixlm.model.masking import Masking
from wikixlm.model.stateless_random import Integers, derive_key, permuted

GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Language:
    """A language's blocks and its id, the row of the segment embeddings that marks it."""

    code: str
    id: int
    blocks: Blocks


def draws_per_epoch(examples: Sequence[int], alpha: float) -> list[int]:
    """How many examples an epoch draws from each language: n^alpha * n_max^(1 - alpha), at least n.

    Args:
        examples: examples of each language, all above 0.
        alpha: 1 samples languages as they are, 0 all equally (Lample and Conneau 2019, section 3.1: 0.7 in training).
    """
    largest = max(examples)
    return [max(count, round(count**alpha * largest ** (1 - alpha))) for count in examples]


def spread_step(count: int) -> int:
    """The step by which to walk range(count) so that every part of the walk is spread evenly over it.

    Multiples of the golden ratio leave the smallest gaps (Knuth, The Art of Computer Programming, volume 3, section
    6.4). Coprime with `count`, so that the walk comes everywhere before it repeats.
    """
    step = max(1, round(count * GOLDEN_RATIO))
    while math.gcd(step, count) > 1:
        step += 1
    return step


class _Examples(FairseqDataset):
    """Base of both datasets.

    An item is its index: all work is done in `collater`, once a batch, vectorised.
    """

    # fairseq would otherwise keep one iterator over all epochs, whose data-loader workers never learn of a new epoch
    can_reuse_epoch_itr_across_epochs = False

    def __init__(self, languages: Sequence[Language], counts: Sequence[int], masking: Masking, symbols: Symbols):
        self.languages = list(languages)
        self.counts = list(counts)
        self.masking = masking
        self.symbols = symbols
        self.offsets = np.concatenate([[0], np.cumsum(self.counts)])

    def __len__(self) -> int:
        return int(self.offsets[-1])

    def __getitem__(self, index: int) -> int:
        return index

    def num_tokens(self, index: int) -> int:
        return self.languages[0].blocks.length + 1

    def size(self, index: int) -> int:
        return self.num_tokens(index)

    def ordered_indices(self) -> range:
        return range(len(self))

    def filter_indices_by_size(self, indices: Any, max_sizes: Any) -> tuple[Any, list[int]]:
        """All of `indices`: no block is too long."""
        return indices, []

    def batch_by_size(
        self,
        indices: Any,
        max_tokens: int | None = None,
        max_sentences: int | None = None,
        required_batch_size_multiple: int = 1,
    ) -> list[range]:
        """The epoch's batches, in order; a `range` each, since a large corpus has millions of them."""
        seq_len = self.num_tokens(0)
        size = max_sentences or len(self)
        if max_tokens is not None:
            size = min(size, max_tokens // seq_len)
        if size < 1:
            raise ValueError(f"max_tokens is {max_tokens}: not one example of tokens_per_sample {seq_len} fits a batch")
        borders = self._borders()
        return [
            range(start, min(start + size, stop))
            for begin, stop in pairwise(borders.tolist())
            for start in range(begin, stop, size)
        ]

    def _borders(self) -> Integers:
        """The indices over which no batch reaches, from 0 to `len(self)`."""
        raise NotImplementedError

    def collater(self, samples: Sequence[int]) -> Batch:
        """The batch of the examples `samples`.

        A worker that has none left gets one example that doesn't count. (From {}, fairseq makes a batch of its own, for
        which it zeroes the sample size of all this worker's batches of the update: gradients come out too large.)
        """
        if len(samples) == 0:
            return {**self.collater([0]), "ntargets": 0, "ntokens": 0, "nsentences": 0}
        return self._batch(np.asarray(samples, dtype=np.int64))

    def _batch(self, indices: Integers) -> Batch:
        """The batch of `indices`, [batch]."""
        raise NotImplementedError


class TrainingExamples(_Examples):
    """Examples of mixed languages, shuffled, with new masks in every epoch.

    Args:
        languages: all languages of the training data that have text in this folder.
        alpha: how much small languages are oversampled, see `draws_per_epoch`.
        masking: how to mask.
        symbols: special ids.
        seed: of order and masks.
        folders: number of data folders of the corpus; fairseq reads one an epoch, in turn.
    """

    def __init__(
        self,
        languages: Sequence[Language],
        alpha: float,
        masking: Masking,
        symbols: Symbols,
        seed: int,
        folders: int = 1,
    ) -> None:
        draws = draws_per_epoch([len(language.blocks) for language in languages], alpha)
        super().__init__(languages, draws, masking, symbols)
        self.step = spread_step(len(self))
        self.seed = seed
        self.folders = folders
        self.epoch = 1

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def _borders(self) -> Integers:
        return np.array([0, len(self)])

    def draws(self, indices: Integers) -> Integers:
        """Which draws of the epoch are at `indices`; draws are numbered by language, the first language's first.

        Consecutive indices are spread evenly over the draws, so every batch has each language's share.
        """
        return indices * self.step % len(self)

    def block_ids(self, position: int, draws: Integers) -> Integers:
        """The blocks of this epoch's `draws`, [batch] from 0 to below counts[position], of the language there."""
        language = self.languages[position]
        size = len(language.blocks)
        visit = (self.epoch - 1) // self.folders
        passes, positions = np.divmod(visit * self.counts[position] + draws, size)
        folder = (self.epoch - 1) % self.folders
        return permuted(positions, size, derive_key(self.seed, folder, language.id, passes))

    def _batch(self, indices: Integers) -> Batch:
        draws = self.draws(indices)
        positions = np.searchsorted(self.offsets, draws, side="right") - 1
        tokens = np.full((len(indices), self.languages[0].blocks.length), self.symbols.pad, dtype=np.int64)
        lengths, ids = np.zeros_like(indices), np.zeros_like(indices)
        for position in np.unique(positions):
            language, rows = self.languages[position], np.flatnonzero(positions == position)
            block_ids = self.block_ids(position, draws[rows] - self.offsets[position])
            read, lengths[rows] = language.blocks.read(block_ids, self.symbols.pad)
            tokens[rows, : read.shape[1]] = read
            ids[rows] = language.id
        tokens = tokens[:, : lengths.max()]
        return make_batch(tokens, lengths, ids, draws, self.masking, self.seed, self.epoch, self.symbols)


class HeldOutExamples(_Examples):
    """Every held-out block once, in order, with masks that depend on `seed` and the block's number alone.

    The training's seed, the set of languages and the number of workers don't change them.
    """

    def __init__(self, languages: Sequence[Language], masking: Masking, symbols: Symbols, seed: int) -> None:
        super().__init__(languages, [len(language.blocks) for language in languages], masking, symbols)
        self.seed = seed

    def _borders(self) -> Integers:
        return self.offsets

    def _batch(self, indices: Integers) -> Batch:
        position = int(np.searchsorted(self.offsets, indices[0], side="right")) - 1
        language, block_ids = self.languages[position], indices - self.offsets[position]
        batch = held_out_batch(language.blocks, block_ids, language.id, self.masking, self.seed, self.symbols)
        return {**batch, "language": language.id}
