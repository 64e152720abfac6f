"""The XLM encoder and its masked-LM head in plain torch.

The parameters carry the names of fairseq 0.12.2's `masked_lm` model (fairseq/models/masked_lm.py), so a state dict
loads in either, and with the LayerNorm on the embeddings both are transformers' BertForMaskedLM in other words.
What differs is the work done: attention is one `scaled_dot_product_attention`, positions and languages are added as
slices instead of looked up token by token, the last layer answers for the positions to predict only (all others are
but its keys and values), only these meet the vocabulary, and nothing asks the device for a value in mid-step.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """Sizes and rates of a model.

    Attributes:
        vocabulary, languages: rows of the token and segment embeddings.
        positions: the longest example, `</s>` at its head included.
        width, inner, heads, layers: embedding width, feed-forward width, attention heads, layers.
        dropout, attention_dropout, activation_dropout: rates.
        embedding_norm: LayerNorm on the summed embeddings, as in XLM's own code and in BERT.
        pad: id of the padding; positions are counted from pad + 1, as fairseq counts them.
    """

    vocabulary: int
    languages: int
    positions: int
    width: int = 1024
    inner: int = 4096
    heads: int = 8
    layers: int = 6
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.0
    embedding_norm: bool = True
    pad: int = 1


class Attention(nn.Module):
    """Multi-head attention of some positions, [examples, queries, model width], over all, [examples, width, …]."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.dropout = shape.attention_dropout
        self.k_proj = nn.Linear(shape.width, shape.width)
        self.v_proj = nn.Linear(shape.width, shape.width)
        self.q_proj = nn.Linear(shape.width, shape.width)
        self.out_proj = nn.Linear(shape.width, shape.width)

    def forward(self, queries: Tensor, x: Tensor, visible: Tensor | None) -> Tensor:
        """Attend; `visible`, [examples, 1, 1, width], is False at padding, None where there is none."""
        query, key, value = (
            projection(states).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for projection, states in ((self.q_proj, queries), (self.k_proj, x), (self.v_proj, x))
        )
        dropout = self.dropout if self.training else 0.0
        x = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible, dropout_p=dropout)
        projected: Tensor = self.out_proj(x.transpose(1, 2).flatten(2))
        return projected


class Layer(nn.Module):
    """A post-norm transformer layer."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.dropout = nn.Dropout(shape.dropout)
        self.activation_dropout = nn.Dropout(shape.activation_dropout)
        self.self_attn = Attention(shape)
        self.self_attn_layer_norm = nn.LayerNorm(shape.width)
        self.fc1 = nn.Linear(shape.width, shape.inner)
        self.fc2 = nn.Linear(shape.inner, shape.width)
        self.final_layer_norm = nn.LayerNorm(shape.width)

    def forward(self, x: Tensor, visible: Tensor | None, columns: Tensor | None = None) -> Tensor:
        """New states of all positions, or of those at `columns`, [examples, queries], alone."""
        queries = x if columns is None else x.gather(1, columns.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
        x = self.self_attn_layer_norm(queries + self.dropout(self.self_attn(queries, x, visible)))
        inner = self.activation_dropout(functional.gelu(self.fc1(x)))
        normed: Tensor = self.final_layer_norm(x + self.dropout(self.fc2(inner)))
        return normed


class SentenceEncoder(nn.Module):
    """Embeddings and layers."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.pad = shape.pad
        self.dropout = nn.Dropout(shape.dropout)
        self.embed_tokens = nn.Embedding(shape.vocabulary, shape.width, shape.pad)
        self.segment_embeddings = nn.Embedding(shape.languages, shape.width)
        self.embed_positions = nn.Embedding(shape.positions + shape.pad + 1, shape.width, shape.pad)
        self.emb_layer_norm = nn.LayerNorm(shape.width) if shape.embedding_norm else None
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))

    def forward(
        self, src_tokens: Tensor, segment_labels: Tensor, columns: Tensor | None = None, padded: bool | None = None
    ) -> Tensor:
        """The last layer's states, [examples, width, model width], or of `columns` alone, [examples, queries, …].

        The other arguments are those of `MaskedLanguageModel.forward`.
        """
        width = src_tokens.shape[1]
        positions = self.embed_positions.weight[self.pad + 1 : self.pad + 1 + width]
        if len(positions) < width:
            raise ValueError(f"an example has {width} tokens, the model has {len(positions)} positions")
        # In BERT's order, so that the exported model rounds as this one does.
        x = self.embed_tokens(src_tokens) + self.segment_embeddings(segment_labels) + positions
        if self.emb_layer_norm is not None:
            x = self.emb_layer_norm(x)
        x = self.dropout(x)
        visible = src_tokens.ne(self.pad)
        if padded is None:
            padded = not bool(visible.all())
        mask = visible[:, None, None, :] if padded else None
        for layer in self.layers[:-1]:
            x = layer(x, mask)
        last: Tensor = self.layers[-1](x, mask, columns)
        return last


class MaskedLanguageModel(nn.Module):
    """The encoder with its head, whose output weights are the token embeddings."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.sentence_encoder = SentenceEncoder(shape)
        # Of no use to the loss; it is in fairseq's state dict, so it is in ours, and stays as it was initialised.
        self.masked_lm_pooler = nn.Linear(shape.width, shape.width).requires_grad_(False)
        self.lm_head_transform_weight = nn.Linear(shape.width, shape.width)
        self.layer_norm = nn.LayerNorm(shape.width)
        self.lm_output_learned_bias = nn.Parameter(torch.zeros(shape.vocabulary))

    def forward(
        self,
        src_tokens: Tensor,
        segment_labels: Tensor,
        masked_tokens: Tensor | None = None,
        masked_columns: Tensor | None = None,
        masked_places: Tensor | None = None,
        padded: bool | None = None,
    ) -> Tensor:
        """Logits.

        Args:
            src_tokens: ids, [examples, width], padded on the right.
            segment_labels: language ids, [examples, width] or [examples, 1].
            masked_tokens: which positions to predict, [examples, width]; as fairseq's models take them; or
            masked_columns: the same as column numbers, [examples, most per example], which spares the last layer the
                other positions and a GPU the counting; examples with fewer are filled up with any column, and then
            masked_places: which of the flattened columns are meant, [masked].
            padded: whether there is any padding; looked up where it isn't given.

        Returns:
            [masked, vocabulary], or [examples, width, vocabulary] where no positions are given.
        """
        x = self.sentence_encoder(src_tokens, segment_labels, masked_columns, padded)
        if masked_columns is not None:
            x = x.flatten(0, 1)
            x = x if masked_places is None else x.index_select(0, masked_places)
        elif masked_tokens is not None:
            x = x[masked_tokens]
        x = self.layer_norm(functional.gelu(self.lm_head_transform_weight(x)))
        return functional.linear(x, self.sentence_encoder.embed_tokens.weight, self.lm_output_learned_bias)


def summed_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """The loss, in nats, of logits of any number format, [masked, vocabulary], and ids, [masked]; reckoned in fp32."""
    return functional.cross_entropy(logits.float(), target, reduction="sum")
