"""Pseudo-log-likelihood: each token masked in turn and predicted from all others (Salazar et al. 2020).

The pseudo-log-likelihood of a line is the sum of its tokens' log-probabilities, each given the rest of the line. With
N tokens in all lines, line ends included, the pseudo-perplexity is exp(-sum / N) ("Masked language model scoring",
ACL 2020, sections 2 and 4: https://aclanthology.org/2020.acl-main.240). A line longer than the model's context is cut
into pieces. It needs a pass of the model per token, so it is for some lines, not for a corpus.
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
from wikixlm.evaluate.texts import TextSize
from wikixlm.model.batches import Batch
from wikixlm.model.perplexity import perplexity
from wikixlm.model.stateless_random import Integers

_MASK = SPECIALS.index("<mask>")
SECONDS_BETWEEN_REPORTS = 10


def score_lines(
    model: Model, lines: Sequence[Integers], language: str, lengths: npt.NDArray[np.int64], max_tokens: int
) -> dict[str, float]:
    """The scores of some lines of one language, by column.

    Args:
        lines: ids, [tokens] each, with the `</s>` at the end.
        language: one of the model's.
        lengths: characters of each symbol, [vocabulary], see `texts.symbol_lengths`.
        max_tokens: tokens in a batch; changes speed and memory, not the scores.
    """
    import torch

    pieces = [line[at : at + model.tokens_per_sample - 1] for line in lines
              for at in range(0, len(line), model.tokens_per_sample - 1)]  # fmt: skip
    pieces.sort(key=len)  # so that there is little padding
    size = TextSize(sum(map(len, pieces)), sum(int(lengths[piece].sum()) for piece in pieces))
    progress = _Progress(f"pseudo-log-likelihood of {len(lines):,} lines in {language}", size.tokens)
    loss, done = 0.0, 0
    for batch in _batches(pieces, model.languages.index(language), max_tokens):
        with torch.inference_mode():
            logits = model.logits(batch["net_input"])
            target = batch["target"].to(model.device)
            loss += float(torch.nn.functional.cross_entropy(logits, target, reduction="none").double().sum())
        done += len(target)
        progress.report(done)
    return {
        "pseudo_lines": len(lines),
        "pseudo_perplexity": perplexity(loss / size.tokens),
        "pseudo_bits_per_character": bits_per_character(loss / size.tokens, size),
    }


def _batches(pieces: Sequence[Integers], language: int, max_tokens: int) -> Iterator[Batch]:
    """Every token of every piece masked once, shortest pieces first."""
    waiting: list[tuple[Integers, int]] = []
    for piece in pieces:
        for position in range(len(piece)):
            if waiting and (len(waiting) + 1) * (len(piece) + 1) > max_tokens:
                yield _batch(waiting, language)
                waiting = []
            waiting.append((piece, position))
    if waiting:
        yield _batch(waiting, language)


def _batch(masked: Sequence[tuple[Integers, int]], language: int) -> Batch:
    """Pieces with one position masked each, in the form of `batches.make_batch`."""
    import torch

    seq_len = 1 + max(len(piece) for piece, _ in masked)
    src_tokens = np.full((len(masked), seq_len), SYMBOLS.pad, dtype=np.int64)
    positions = np.array([[1 + position] for _, position in masked], dtype=np.int64)
    for row, (piece, _) in zip(src_tokens, masked, strict=True):
        row[0] = SYMBOLS.eos
        row[1 : 1 + len(piece)] = piece
    target = np.take_along_axis(src_tokens, positions, axis=1)[:, 0]
    np.put_along_axis(src_tokens, positions, _MASK, axis=1)
    is_masked = np.zeros(src_tokens.shape, dtype=np.bool_)
    np.put_along_axis(is_masked, positions, True, axis=1)
    inputs: dict[str, Any] = {
        "src_tokens": torch.from_numpy(src_tokens),
        "segment_labels": torch.full((len(masked), 1), language, dtype=torch.int64),
        "masked_tokens": torch.from_numpy(is_masked),
        "masked_positions": torch.from_numpy(positions),
        "masked_selection": None,
        "padded": bool((src_tokens == SYMBOLS.pad).any()),
    }
    return {"net_input": inputs, "target": torch.from_numpy(target)}


class _Progress:
    """Reports every few seconds how much is done and how long the rest takes."""

    def __init__(self, what: str, total: int) -> None:
        self._what, self._total = what, total
        self._start = self._reported = time.monotonic()

    def report(self, done: int) -> None:
        now = time.monotonic()
        if now - self._reported < SECONDS_BETWEEN_REPORTS:
            return
        self._reported = now
        left = math.ceil((now - self._start) / done * (self._total - done))
        console.say(f"{self._what}: {done:,} of {self._total:,} tokens, {left} s left")
