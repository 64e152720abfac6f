"""The size of `xlm_base`, fairseq's and ours: known here alone, and without torch."""

from typing import NamedTuple


class Dimensions(NamedTuple):
    """A transformer's size: embedding width, feed-forward width, attention heads, layers."""

    embed_dim: int
    ffn_dim: int
    num_heads: int
    num_layers: int

    def weights(self, symbols: int) -> int:
        """Weights of the matrices of its layers and of the embeddings of `symbols`, which are the output's too."""
        layer = 4 * self.embed_dim**2 + 2 * self.embed_dim * self.ffn_dim
        return self.num_layers * layer + symbols * self.embed_dim


XLM_BASE = Dimensions(embed_dim=1024, ffn_dim=4096, num_heads=8, num_layers=6)
