"""The network's initial weights: BERT's, but for three things that decide how soon context is learned.

A masked language model first learns how often each symbol occurs, and stays there until its attention finds the
neighbours of a masked position; from random weights that takes thousands of updates. Here the first layer's heads find
them from the start. All of it is learned further, and the form of the network is BertForMaskedLM's.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wikixlm.model.network import Attention, MaskedLanguageModel, Shape

BERT_STD = 0.02  # init_bert_params of fairseq and transformers
FASTEST = math.pi  # radians from one position to the next: no two neighbours are further apart


@dataclass(frozen=True)
class Start:
    """What differs from BERT's initial weights; all zeros: nothing.

    Attributes:
        position_scale: amplitude of the sinusoids that the position embeddings start as; 0: random.
        attention_gain: query and key weights start at a standard deviation of gain / sqrt(width), which at gain 1
            gives attention logits of variance 1 whatever the width; 0: `BERT_STD`.
        neighbour_logit: the attention logit by which each head of the first layer starts out to look at one place: the
            one before, the one behind, two before, two behind and so on; 0: none.

    Raises:
        ValueError: `neighbour_logit` without sinusoids, by which it tells places apart.
    """

    position_scale: float = 0.0
    attention_gain: float = 0.0
    neighbour_logit: float = 0.0

    def __post_init__(self) -> None:
        if self.neighbour_logit and not self.position_scale:
            raise ValueError("--neighbour-logit needs sinusoids: a --position-scale above 0")


@torch.no_grad()
def initialise(model: MaskedLanguageModel, start: Start) -> None:
    """Set the weights of a new model."""
    as_bert(model)
    shape, attentions = model.shape, [module for module in model.modules() if isinstance(module, Attention)]
    if start.position_scale:
        positions = model.sentence_encoder.embed_positions.weight[shape.pad + 1 :]
        positions.copy_(start.position_scale * sinusoids(len(positions), shape.width))
    for attention in attentions if start.attention_gain else ():
        for projection in (attention.q_proj, attention.k_proj):
            projection.weight.normal_(0.0, start.attention_gain / math.sqrt(shape.width))
    if start.neighbour_logit:
        look_at_neighbours(attentions[0], start.neighbour_logit, power(shape, start.position_scale))


def as_bert(model: MaskedLanguageModel) -> None:
    """Normal weights of deviation `BERT_STD`, no biases, nothing at the padding."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            module.weight.normal_(0.0, BERT_STD)
        if isinstance(module, nn.Linear):
            module.bias.zero_()
    for embedding in (model.sentence_encoder.embed_positions, model.sentence_encoder.embed_tokens):
        embedding.weight[model.shape.pad].zero_()


def rates(width: int) -> Tensor:
    """Radians per position of each pair of columns, from `FASTEST` down to a ten-thousandth: [width / 2, rounded up].

    Vaswani et al. 2017, section 3.5, begin at 1 radian, which leaves neighbours hard to tell apart.
    """
    return FASTEST * torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))


def sinusoids(count: int, width: int) -> Tensor:
    """Sines in the even, cosines in the odd columns: [count, width]."""
    angles = torch.arange(count)[:, None] * rates(width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :width]


def look_at_neighbours(attention: Attention, logit: float, pair_power: float) -> None:
    """Have heads look 1 before, 1 behind, 2 before, 2 behind, and so on.

    A head's keys are the fastest sinusoids, as many as it has columns, and its queries the same ones turned by the
    angle that lies between a position and the one to look at: moving a sinusoid is a rotation of its pair (Vaswani et
    al. 2017, section 3.5). The logit is then a sum of cosines, highest where the angles meet.

    Args:
        attention: the layer's attention; its queries and keys lose the weights that they have.
        logit: what a position and the one to look at get.
        pair_power: of the sinusoids, as `power` gives it.
    """
    width = attention.q_proj.in_features
    columns = width // attention.heads
    pairs = columns // 2
    if not pairs:
        return  # a head of one column holds no sinusoid
    # |query| |key| / sqrt(columns) is gain^2 x pairs x pair_power / sqrt(columns)
    gain = math.sqrt(logit * math.sqrt(columns) / (pairs * pair_power))
    step = rates(width)[:pairs]  # from one place to the next
    attention.q_proj.weight.zero_()
    attention.k_proj.weight.zero_()
    for head in range(attention.heads):
        distance = head // 2 + 1
        angles = (distance if head % 2 else -distance) * step
        rows = slice(head * columns, head * columns + 2 * pairs)
        attention.q_proj.weight[rows, : 2 * pairs] = gain * rotation(angles)
        attention.k_proj.weight[rows, : 2 * pairs] = gain * torch.eye(2 * pairs)


def power(shape: Shape, position_scale: float) -> float:
    """Mean square of a sinusoid's pair, (sine^2 + cosine^2), in what the first layer sees."""
    square = position_scale**2
    if not shape.embedding_norm:
        return square
    # LayerNorm brings the sum of token, language and position to variance 1
    return square / (square / 2 + 2 * BERT_STD**2)


def rotation(angles: Tensor) -> Tensor:
    """The matrix that turns pairs (sine, cosine) of some angles ahead by these: [2 pairs, 2 pairs]."""
    sine, cosine = angles.sin(), angles.cos()
    turns = torch.stack([torch.stack([cosine, sine], dim=-1), torch.stack([-sine, cosine], dim=-1)], dim=-2)
    matrix: Tensor = torch.block_diag(*turns)  # type: ignore[no-untyped-call]
    return matrix
