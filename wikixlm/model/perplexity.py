"""Perplexity, defined once for training, evaluation and reports."""

import math

# Above it, exp is beyond what a float holds.
LARGEST_LOSS = 700.0


def perplexity(loss: float) -> float:
    """E to a mean loss in nats per token; losses above `LARGEST_LOSS` count as that."""
    return math.exp(min(loss, LARGEST_LOSS))
