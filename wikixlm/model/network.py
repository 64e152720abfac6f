"""The XLM encoder and its masked-LM head in plain torch.

The parameters have the names of fairseq 0.12.2's `masked_lm` model (fairseq/models/masked_lm.py), so a state dict
loads in either; with the LayerNorm on the embeddings the network computes what transformers' BertForMaskedLM computes.
It does less work for it: attention is one `scaled_dot_product_attention`, positions and languages are added as slices
instead of looked up token by token, the last layer computes only the keys and values of positions that aren't
predicted, only predicted positions are projected on the vocabulary, and nothing waits for a value from the device.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from wikixlm.config.dimensions import XLM_BASE


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes and rates of a network; by default those of xlm_base.

    Attributes:
        vocab_size, num_languages: rows of the token and segment embeddings.
        max_positions: tokens of the longest example, its leading `</s>` included.
        embed_dim, ffn_dim, num_heads, num_layers: embedding width, feed-forward width, attention heads, layers.
        dropout, attention_dropout, activation_dropout: rates.
        embedding_norm: LayerNorm on the summed embeddings, as in XLM's own code and in BERT.
        pad: id of the padding; positions are counted from pad + 1, as fairseq counts them.
        norm_eps: added to a variance in each LayerNorm; fairseq's, or XLM's in a model that started as one of its.
    """

    vocab_size: int
    num_languages: int
    max_positions: int
    embed_dim: int = XLM_BASE.embed_dim
    ffn_dim: int = XLM_BASE.ffn_dim
    num_heads: int = XLM_BASE.num_heads
    num_layers: int = XLM_BASE.num_layers
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation_dropout: float = 0.0
    embedding_norm: bool = True
    pad: int = 1
    norm_eps: float = 1e-5

    def layer_norm(self) -> nn.LayerNorm:
        """A LayerNorm of the states."""
        return nn.LayerNorm(self.embed_dim, eps=self.norm_eps)


class Attention(nn.Module):
    """Multi-head attention of some positions to all."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.dropout = config.attention_dropout
        self.k_proj = nn.Linear(config.embed_dim, config.embed_dim)
        self.v_proj = nn.Linear(config.embed_dim, config.embed_dim)
        self.q_proj = nn.Linear(config.embed_dim, config.embed_dim)
        self.out_proj = nn.Linear(config.embed_dim, config.embed_dim)

    def forward(self, queries: Tensor, x: Tensor, visible: Tensor | None) -> Tensor:
        """Attention's output, [batch, num_queries, embed_dim].

        Args:
            queries: states that attend, [batch, num_queries, embed_dim].
            x: states to attend to, [batch, seq_len, embed_dim].
            visible: False at padding, [batch, 1, 1, seq_len]; None where there is no padding.
        """
        query, key, value = (
            projection(states).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for projection, states in ((self.q_proj, queries), (self.k_proj, x), (self.v_proj, x))
        )
        dropout = self.dropout if self.training else 0.0
        x = functional.scaled_dot_product_attention(query, key, value, attn_mask=visible, dropout_p=dropout)
        projected: Tensor = self.out_proj(x.transpose(1, 2).flatten(2))
        return projected


class Layer(nn.Module):
    """A post-norm transformer layer."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.dropout = nn.Dropout(config.dropout)
        self.activation_dropout = nn.Dropout(config.activation_dropout)
        self.self_attn = Attention(config)
        self.self_attn_layer_norm = config.layer_norm()
        self.fc1 = nn.Linear(config.embed_dim, config.ffn_dim)
        self.fc2 = nn.Linear(config.ffn_dim, config.embed_dim)
        self.final_layer_norm = config.layer_norm()

    def forward(self, x: Tensor, visible: Tensor | None, positions: Tensor | None = None) -> Tensor:
        """New states of all positions, [batch, seq_len, embed_dim], or of `positions`, [batch, num_queries], alone."""
        queries = x if positions is None else x.gather(1, positions.unsqueeze(-1).expand(-1, -1, x.shape[-1]))
        x = self.self_attn_layer_norm(queries + self.dropout(self.self_attn(queries, x, visible)))
        inner = self.activation_dropout(functional.gelu(self.fc1(x)))
        normed: Tensor = self.final_layer_norm(x + self.dropout(self.fc2(inner)))
        return normed


class SentenceEncoder(nn.Module):
    """Embeddings and layers."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.pad = config.pad
        self.dropout = nn.Dropout(config.dropout)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.embed_dim, config.pad)
        self.segment_embeddings = nn.Embedding(config.num_languages, config.embed_dim)
        self.embed_positions = nn.Embedding(config.max_positions + config.pad + 1, config.embed_dim, config.pad)
        self.emb_layer_norm = config.layer_norm() if config.embedding_norm else None
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))

    def forward(
        self, src_tokens: Tensor, segment_labels: Tensor, positions: Tensor | None = None, padded: bool | None = None
    ) -> Tensor:
        """The last layer's states, [batch, seq_len, embed_dim], or of `positions`, [batch, num_queries], alone.

        The other arguments are those of `MaskedLanguageModel.forward`.

        Raises:
            ValueError: the examples are longer than the model has positions.
        """
        seq_len = src_tokens.shape[1]
        position_rows = self.embed_positions.weight[self.pad + 1 : self.pad + 1 + seq_len]
        if len(position_rows) < seq_len:
            raise ValueError(f"an example has {seq_len} tokens, the model has {len(position_rows)} positions")
        # In BERT's order, so that the exported model rounds as this one does.
        x = self.embed_tokens(src_tokens) + self.segment_embeddings(segment_labels) + position_rows
        if self.emb_layer_norm is not None:
            x = self.emb_layer_norm(x)
        x = self.dropout(x)
        visible = src_tokens.ne(self.pad)
        if padded is None:
            padded = not bool(visible.all())
        mask = visible[:, None, None, :] if padded else None
        for layer in self.layers[:-1]:
            x = layer(x, mask)
        last: Tensor = self.layers[-1](x, mask, positions)
        return last


class MaskedLanguageModel(nn.Module):
    """The encoder with its head, whose output weights are the token embeddings."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.sentence_encoder = SentenceEncoder(config)
        # The loss doesn't use it. It is in fairseq's state dict, so it is in ours, and keeps its initial weights.
        self.masked_lm_pooler = nn.Linear(config.embed_dim, config.embed_dim).requires_grad_(False)
        self.lm_head_transform_weight = nn.Linear(config.embed_dim, config.embed_dim)
        self.layer_norm = config.layer_norm()
        self.lm_output_learned_bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(
        self,
        src_tokens: Tensor,
        segment_labels: Tensor,
        masked_tokens: Tensor | None = None,
        masked_positions: Tensor | None = None,
        masked_selection: Tensor | None = None,
        padded: bool | None = None,
    ) -> Tensor:
        """Logits.

        Args:
            src_tokens: ids, [batch, seq_len], padded on the right.
            segment_labels: language ids, [batch, seq_len] or [batch, 1].
            masked_tokens: which positions to predict, [batch, seq_len], as fairseq's models expect them; or
            masked_positions: the same as position numbers, [batch, max_masked]: the last layer then skips all other
                positions, and a GPU doesn't count. Rows with fewer are filled up with any position; then also
            masked_selection: which entries of the flattened `masked_positions` are real, [num_masked].
            padded: whether there is any padding; None: looked up in `src_tokens`.

        Returns:
            [num_masked, vocab_size], or [batch, seq_len, vocab_size] where no positions are given.
        """
        x = self.sentence_encoder(src_tokens, segment_labels, masked_positions, padded)
        if masked_positions is not None:
            x = x.flatten(0, 1)
            x = x if masked_selection is None else x.index_select(0, masked_selection)
        elif masked_tokens is not None:
            x = x[masked_tokens]
        x = self.layer_norm(functional.gelu(self.lm_head_transform_weight(x)))
        return functional.linear(x, self.sentence_encoder.embed_tokens.weight, self.lm_output_learned_bias)


def summed_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy in nats, summed and computed in fp32, of `logits`, [num_masked, vocab_size], and ids `target`."""
    return functional.cross_entropy(logits.float(), target, reduction="sum")
