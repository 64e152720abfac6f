"""Pseudo-log-likelihood: each token masked in turn and predicted from all others (Salazar et al. 2020).

The pseudo-log-likelihood of a line is the sum of its tokens' log-probabilities, each given the rest of the line. With
N tokens in all lines, line ends included, the pseudo-perplexity is exp(-sum / N) ("Masked language model scoring",
ACL 2020, sections 2 and 4: https://aclanthology.org/2020.acl-main.240). A line longer than the model's context is cut
into pieces. It takes a pass of the model for each token, so it is for some lines, not for a corpus.
"""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wikixlm import console
from wikixlm.bpe.codes import SPECIALS
from wikixlm.evaluate.models import SYMBOLS, Model
from wikixlm.evaluate.scoring import bits_per_character
from wikixlm.evaluate.texts import Size
from wikixlm.model.batches import Batch
from wikixlm.model.perplexity import perplexity
from wikixlm.model.stateless_random import Integers

_MASK = SPECIALS.index("<mask>")
SECONDS_BETWEEN_REPORTS = 10


def score(
    model: Model, lines: Sequence[Integers], language: str, sizes: npt.NDArray[np.int64], max_tokens: int
) -> dict[str, float]:
    """The figures of some lines of one language, by column.

    Args:
        model: what to score.
        lines: ids, [tokens] each, with the `</s>` at the end.
        language: one of the model's.
        sizes: characters of each symbol, [vocabulary], see `texts.characters`.
        max_tokens: tokens in a batch; changes speed and memory, not the figures.
    """
    import torch

    pieces = [line[at : at + model.tokens_per_sample - 1] for line in lines
              for at in range(0, len(line), model.tokens_per_sample - 1)]  # fmt: skip
    pieces.sort(key=len)  # so that there is little padding
    size = Size(sum(map(len, pieces)), sum(int(sizes[piece].sum()) for piece in pieces))
    progress = _Progress(f"pseudo-log-likelihood of {len(lines):,} lines in {language}", size.tokens)
    loss, done = 0.0, 0
    for batch in _batches(pieces, model.languages.index(language), max_tokens):
        with torch.inference_mode():
            logits = model.logits(batch["net_input"])
            target = batch["target"].to(model.device)
            loss += float(torch.nn.functional.cross_entropy(logits, target, reduction="none").double().sum())
        done += len(target)
        progress.say(done)
    return {
        "pseudo_lines": len(lines),
        "pseudo_perplexity": perplexity(loss / size.tokens),
        "pseudo_bits_per_character": bits_per_character(loss / size.tokens, size),
    }


def _batches(pieces: Sequence[Integers], language: int, max_tokens: int) -> Iterator[Batch]:
    """Every token of every piece masked once, shortest pieces first."""
    waiting: list[tuple[Integers, int]] = []
    for piece in pieces:
        for place in range(len(piece)):
            if waiting and (len(waiting) + 1) * (len(piece) + 1) > max_tokens:
                yield _batch(waiting, language)
                waiting = []
            waiting.append((piece, place))
    if waiting:
        yield _batch(waiting, language)


def _batch(masked: Sequence[tuple[Integers, int]], language: int) -> Batch:
    """Pieces with one place masked each, as `batches.make_batch` gives its batches."""
    import torch

    width = 1 + max(len(piece) for piece, _ in masked)
    source = np.full((len(masked), width), SYMBOLS.pad, dtype=np.int64)
    columns = np.array([[1 + place] for _, place in masked], dtype=np.int64)
    for row, (piece, _) in zip(source, masked, strict=True):
        row[0] = SYMBOLS.eos
        row[1 : 1 + len(piece)] = piece
    target = np.take_along_axis(source, columns, axis=1)[:, 0]
    np.put_along_axis(source, columns, _MASK, axis=1)
    positions = np.zeros(source.shape, dtype=np.bool_)
    np.put_along_axis(positions, columns, True, axis=1)
    inputs: dict[str, Any] = {
        "src_tokens": torch.from_numpy(source),
        "segment_labels": torch.full((len(masked), 1), language, dtype=torch.int64),
        "masked_tokens": torch.from_numpy(positions),
        "masked_positions": torch.from_numpy(columns),
        "masked_selection": None,
        "padded": bool((source == SYMBOLS.pad).any()),
    }
    return {"net_input": inputs, "target": torch.from_numpy(target)}


class _Progress:
    """Says now and then how far it is, and how long it still takes."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._start = self._said = time.monotonic()

    def say(self, done: int) -> None:
        now = time.monotonic()
        if now - self._said < SECONDS_BETWEEN_REPORTS:
            return
        self._said = now
        left = math.ceil((now - self._start) / done * (self._total - done))
        console.say(f"{self._what}: {done:,} of {self._total:,} tokens, {left} s left")
