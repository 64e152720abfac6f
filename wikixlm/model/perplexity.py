"""Perplexity, defined once for training, evaluation and reports."""

import math

# Above it, exp is beyond what a float holds.
LARGEST_LOSS = 700.0


def perplexity(loss: float) -> float:
    """E to a mean loss in nats per token; losses above `LARGEST_LOSS` count as that."""
    return math.exp(min(loss, LARGEST_LOSS))


def interval(loss: float, error: float) -> tuple[float, float]:
    """The 95 % interval of a perplexity: e to the mean loss plus and minus 1.96 of its standard errors."""
    return perplexity(loss - 1.96 * error), perplexity(loss + 1.96 * error)
