"""The network's initial weights: BERT's, except for four things that decide how soon context is learned.

A masked language model first learns how often each symbol occurs, and stays there until its attention finds the
neighbours of a masked position; from random weights that needs thousands of updates. Here the first layer's heads
attend to neighbours from the start. All of it is trained further, and the network's form is BertForMaskedLM's.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wikixlm.model.network import Attention, Layer, MaskedLanguageModel, NetworkConfig

BERT_STD = 0.02  # init_bert_params of fairseq and transformers
MAX_FREQUENCY = math.pi  # radians per position, at which neighbours are as far apart as can be


@dataclass(frozen=True)
class InitConfig:
    """What differs from BERT's initial weights; all zeros: nothing.

    Attributes:
        position_scale: amplitude of the sinusoids that the position embeddings start as; 0: random.
        attention_gain: query and key weights start at a standard deviation of gain / sqrt(embed_dim), which at gain 1
            gives attention logits of variance 1 at any width; 0: `BERT_STD`.
        neighbour_logit: the attention logit with which each head of the first layer attends to one relative position:
            one before, one behind, two before, two behind and so on; 0: none.
        hidden_gain: all other matrices of the layers, and the head's, start at a standard deviation of
            gain / sqrt(embed_dim), which keeps the sizes of their outputs from growing with the width; 0: `BERT_STD`.

    Raises:
        ValueError: `neighbour_logit` without sinusoids, by which relative positions are distinguished.
    """

    position_scale: float = 0.0
    attention_gain: float = 0.0
    neighbour_logit: float = 0.0
    hidden_gain: float = 0.0

    def __post_init__(self) -> None:
        if self.neighbour_logit and not self.position_scale:
            raise ValueError("--neighbour-logit needs sinusoids: a --position-scale above 0")


@torch.no_grad()
def initialize(model: MaskedLanguageModel, init: InitConfig) -> None:
    """Set the weights of a new model."""
    initialize_as_bert(model)
    config, attentions = model.config, [module for module in model.modules() if isinstance(module, Attention)]
    if init.position_scale:
        positions = model.sentence_encoder.embed_positions.weight[config.pad + 1 :]
        positions.copy_(init.position_scale * sinusoids(len(positions), config.embed_dim))
    for attention in attentions if init.attention_gain else ():
        for projection in (attention.q_proj, attention.k_proj):
            projection.weight.normal_(0.0, init.attention_gain / math.sqrt(config.embed_dim))
    if init.hidden_gain:
        for matrix in hidden_matrices(model):
            matrix.mul_(init.hidden_gain / math.sqrt(config.embed_dim) / BERT_STD)
    if init.neighbour_logit:
        mean_square = pair_mean_square(config, init.position_scale)
        attend_to_neighbours(attentions[0], init.neighbour_logit, mean_square)


def initialize_as_bert(model: MaskedLanguageModel) -> None:
    """Normal weights of deviation `BERT_STD`, zero biases, zeros at the padding."""
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            module.weight.normal_(0.0, BERT_STD)
        if isinstance(module, nn.Linear):
            module.bias.zero_()
    for embedding in (model.sentence_encoder.embed_positions, model.sentence_encoder.embed_tokens):
        embedding.weight[model.config.pad].zero_()


def hidden_matrices(model: MaskedLanguageModel) -> list[Tensor]:
    """The weights of values, attention outputs, feed-forward layers and the head's transform."""
    modules = [model.lm_head_transform_weight]
    for layer in model.sentence_encoder.layers:
        assert isinstance(layer, Layer)
        modules += [layer.self_attn.v_proj, layer.self_attn.out_proj, layer.fc1, layer.fc2]
    return [module.weight for module in modules]


def angular_frequencies(embed_dim: int) -> Tensor:
    """Radians per position of each sine/cosine pair, from `MAX_FREQUENCY` down to a ten-thousandth of it.

    Vaswani et al. 2017, section 3.5, start at 1 radian, which leaves neighbours hard to distinguish.

    Returns:
        [embed_dim / 2, rounded up].
    """
    return MAX_FREQUENCY * torch.exp(torch.arange(0, embed_dim, 2) * (-math.log(10_000.0) / embed_dim))


def sinusoids(count: int, embed_dim: int) -> Tensor:
    """Sines in even, cosines in odd columns, [count, embed_dim]."""
    angles = torch.arange(count)[:, None] * angular_frequencies(embed_dim)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :embed_dim]


def attend_to_neighbours(attention: Attention, logit: float, mean_square: float) -> None:
    """Set query and key weights so that heads attend 1 before, 1 behind, 2 before, 2 behind, and so on.

    A head's keys are the fastest sinusoids, as many as fit its dimension. Its queries are the same ones rotated by the
    angle between a position and the one to attend to: moving along a sinusoid is a rotation of its pair (Vaswani et
    al. 2017, section 3.5). The logit is then a sum of cosines, highest where the angles agree.

    Args:
        attention: the layer's attention, whose query and key weights are overwritten.
        logit: the attention logit of a position and the one it attends to.
        mean_square: of a sinusoid's pair, see `pair_mean_square`.
    """
    embed_dim = attention.q_proj.in_features
    head_dim = embed_dim // attention.num_heads
    pairs = head_dim // 2
    if not pairs:
        return  # a head of one dimension holds no sinusoid
    # |query| |key| / sqrt(head_dim) is gain^2 x pairs x mean_square / sqrt(head_dim)
    gain = math.sqrt(logit * math.sqrt(head_dim) / (pairs * mean_square))
    step = angular_frequencies(embed_dim)[:pairs]
    attention.q_proj.weight.zero_()
    attention.k_proj.weight.zero_()
    for head in range(attention.num_heads):
        distance = head // 2 + 1
        angles = (distance if head % 2 else -distance) * step
        rows = slice(head * head_dim, head * head_dim + 2 * pairs)
        attention.q_proj.weight[rows, : 2 * pairs] = gain * rotation(angles)
        attention.k_proj.weight[rows, : 2 * pairs] = gain * torch.eye(2 * pairs)


def pair_mean_square(config: NetworkConfig, position_scale: float) -> float:
    """Mean square of a sinusoid's pair, sine^2 + cosine^2, in the first layer's input."""
    square = position_scale**2
    if not config.embedding_norm:
        return square
    # LayerNorm scales the sum of token, language and position to variance 1
    return square / (square / 2 + 2 * BERT_STD**2)


def rotation(angles: Tensor) -> Tensor:
    """The matrix that rotates (sine, cosine) pairs forward by `angles`, [2 pairs, 2 pairs]."""
    sine, cosine = angles.sin(), angles.cos()
    blocks = torch.stack([torch.stack([cosine, sine], dim=-1), torch.stack([-sine, cosine], dim=-1)], dim=-2)
    matrix: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return matrix
