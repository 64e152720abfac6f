"""How an update's tokens are spread over workers and batches: the same batch on any number of GPUs of any size."""

import math
from typing import NamedTuple

from wikixlm.config.dimensions import Dimensions
from wikixlm.config.training import TrainSettings
from wikixlm.errors import UserError
from wikixlm.model.device import Device

# `max_tokens: auto`.
TOKENS_ON_CPU = 2048
MOST_TOKENS = 65536
# Bytes in training: of a weight (in half precision; its gradient; in fp32 itself, gradient and two moments), of a
# token's states in a layer (per unit of its width), and of a masked token's logits (per symbol of the vocabulary).
_PER_WEIGHT, _PER_STATE, _PER_LOGIT = 20, 40, 12
_SHARE_OF_MEMORY = 0.6


class BatchLayout(NamedTuple):
    """Batches of up to `max_tokens`, of which each worker accumulates `update_freq` per update."""

    max_tokens: int
    update_freq: int


def layout(settings: TrainSettings, tokens_per_update: int, workers: int, most: int) -> BatchLayout:
    """The layout of an update.

    Args:
        settings: whose max_tokens and update_freq are used as they are, where they give `tokens_per_update`.
        tokens_per_update: over all workers.
        workers: over all nodes.
        most: tokens that fit a batch, for `max_tokens: auto`.

    Raises:
        UserError: there are more workers than an update has blocks.
    """
    if settings.tokens_per_worker is not None and settings.max_tokens != "auto":
        own = BatchLayout(settings.max_tokens, settings.update_freq or 1)
        if own.max_tokens * own.update_freq * workers == tokens_per_update:
            return own
    share = tokens_per_update // workers
    if share < settings.tokens_per_sample:
        raise UserError(
            f"train.batch_tokens is {tokens_per_update}: not one block of train.tokens_per_sample "
            f"{settings.tokens_per_sample} for each of {workers} workers; raise batch_tokens, or lower train.gpus"
        )
    limit = most if settings.max_tokens == "auto" else settings.max_tokens
    given = settings.update_freq if settings.batch_tokens is not None else None
    batches = given or math.ceil(share / max(limit, settings.tokens_per_sample))
    return BatchLayout(max(settings.tokens_per_sample, share // batches), batches)


def tokens_that_fit(settings: TrainSettings, symbols: int, device: Device) -> int:
    """Tokens of a batch for `max_tokens: auto`, on the device where the training runs."""
    if device.kind == "cpu":
        return TOKENS_ON_CPU
    import torch

    memory = torch.cuda.get_device_properties(0).total_memory
    # fairseq's own task computes the logits of all tokens
    share = settings.mask_ratio if settings.recipe == "wikixlm" else 1.0
    return tokens_in(memory, settings.dimensions, symbols, share)


def tokens_in(memory: int, size: Dimensions, symbols: int, share: float) -> int:
    """Tokens of a batch by a rule, not by trying: a power of 2 that leaves a good part of the memory free.

    It allows xlm_base with 60,000 symbols 461 kB a token, where an H200 took 285 (12 GB with batches of 32,768 tokens,
    5 GB with 8,192).

    Args:
        memory: of the GPU, in bytes.
        size: of the network.
        symbols: of the vocabulary.
        share: of the tokens that have logits.
    """
    token = _PER_STATE * size.num_layers * size.embed_dim + _PER_LOGIT * share * symbols
    tokens = max(1.0, (_SHARE_OF_MEMORY * memory - _PER_WEIGHT * size.weights(symbols)) / token)
    return min(MOST_TOKENS, 1 << int(math.log2(tokens)))
