"""The size of `xlm_base`, fairseq's and ours: known here alone, and without torch."""

from typing import NamedTuple


class Dimensions(NamedTuple):
    """A transformer's size: embedding width, feed-forward width, attention heads, layers."""

    embed_dim: int
    ffn_dim: int
    num_heads: int
    num_layers: int


XLM_BASE = Dimensions(embed_dim=1024, ffn_dim=4096, num_heads=8, num_layers=6)
