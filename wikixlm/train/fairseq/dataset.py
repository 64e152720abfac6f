"""The training and validation examples of all languages, as fairseq's iterators want them.

What an epoch is. Batches are of one language each, and languages take part in proportion to n^alpha, n being a
language's number of examples (blocks). With alpha below 1 that means that smaller languages repeat. An epoch is the
shortest round in which every example of every language comes up at least once: the largest language passes exactly
once, a language of n examples is drawn from n^alpha * n_max^(1 - alpha) times. With alpha = 1, or with one language,
every example comes up exactly once. Within a language no example comes up again before all others did, also across
epochs: each pass over a language is a shuffle of its own, and an epoch goes on where the one before stopped.

Nothing here has a state but the epoch's number: which block the i-th draw of an epoch is, and how it is masked, are
functions of (seed, epoch, i). That is what lets fairseq resume in mid-epoch, shard batches over workers, and prefetch,
with the same result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from fairseq.data import FairseqDataset

from wikixlm.model.batches import Batch, Symbols, held_out_batch, make_batch
from wikixlm.model.blocks import Blocks
from wikixlm.model.masking import Masking
from wikixlm.model.stateless_random import Integers, keys, shuffled


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
        alpha: 1 takes languages as they are, 0 all equally (Lample and Conneau 2019, section 3.1: 0.7 in training).
    """
    largest = max(examples)
    return [max(count, round(count**alpha * largest ** (1 - alpha))) for count in examples]


class _Examples(FairseqDataset):
    """What the two datasets share: one run of consecutive indices for each language, batches of one language each.

    An item is nothing but its index: everything happens in `collater`, once a batch, vectorised.
    """

    # fairseq would otherwise keep one iterator over all epochs, whose data-loader workers never hear of a new epoch
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
        """Blocks are all of the right size."""
        return indices, []

    def batch_by_size(
        self,
        indices: Any,
        max_tokens: int | None = None,
        max_sentences: int | None = None,
        required_batch_size_multiple: int = 1,
    ) -> list[range]:
        """The epoch's batches, in order of language; a `range` each, since a large corpus has millions of them."""
        width = self.num_tokens(0)
        size = max_sentences or len(self)
        if max_tokens is not None:
            size = min(size, max_tokens // width)
        if size < 1:
            raise ValueError(f"max_tokens is {max_tokens}: not one example of tokens_per_sample {width} fits a batch")
        return [
            range(start, min(start + size, int(stop)))
            for begin, stop in zip(self.offsets[:-1], self.offsets[1:], strict=True)
            for start in range(int(begin), int(stop), size)
        ]

    def collater(self, samples: Sequence[int]) -> Batch:
        """The batch of the examples `samples`, which are of one language; an empty one for a worker without work."""
        if len(samples) == 0:
            return {}
        place = int(np.searchsorted(self.offsets, samples[0], side="right")) - 1
        numbers = np.asarray(samples, dtype=np.int64) - self.offsets[place]
        return self._batch(place, numbers)

    def _batch(self, place: int, numbers: Integers) -> Batch:
        raise NotImplementedError


class TrainingExamples(_Examples):
    """Examples drawn by language, shuffled, with new masks in every epoch.

    Args:
        languages: all languages of the training data that have text in this folder.
        alpha: how strongly small languages are favoured, see `draws_per_epoch`.
        masking: how to mask.
        symbols: special ids.
        seed: of order and masks.
        folders: over how many folders the corpus is spread; fairseq reads one an epoch, in turn.
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
        self.seed = seed
        self.folders = folders
        self.epoch = 1

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def numbers_of(self, place: int, draws: Integers) -> Integers:
        """Which blocks of the language at `place` are this epoch's `draws`, [draws] from 0 below counts[place]."""
        language = self.languages[place]
        size = len(language.blocks)
        visit = (self.epoch - 1) // self.folders
        passes, positions = np.divmod(visit * self.counts[place] + draws, size)
        folder = (self.epoch - 1) % self.folders
        return shuffled(positions, size, keys(self.seed, folder, language.id, passes))

    def _batch(self, place: int, numbers: Integers) -> Batch:
        language = self.languages[place]
        blocks = self.numbers_of(place, numbers)
        return make_batch(
            language.blocks, blocks, numbers, language.id, self.masking, self.seed, self.epoch, self.symbols
        )


class HeldOutExamples(_Examples):
    """Every held-out block once, in order, with masks that depend on `seed` and the block's number alone.

    They change neither with the training's seed nor with the set of languages nor with the number of workers.
    """

    def __init__(self, languages: Sequence[Language], masking: Masking, symbols: Symbols, seed: int) -> None:
        super().__init__(languages, [len(language.blocks) for language in languages], masking, symbols)
        self.seed = seed

    def _batch(self, place: int, numbers: Integers) -> Batch:
        language = self.languages[place]
        return held_out_batch(language.blocks, numbers, language.id, self.masking, self.seed, self.symbols)
