"""fairseq's side of the network: the model `wikixlm` and its architecture `wikixlm_base` (XLM's dimensions)."""

import argparse
from collections.abc import Callable
from typing import Any

import torch
from fairseq.models import BaseFairseqModel, register_model, register_model_architecture
from fairseq.models.masked_lm import MaskedLMModel
from torch import Tensor

from wikixlm.config.dimensions import XLM_BASE
from wikixlm.model.initialization import InitConfig, initialize
from wikixlm.model.network import MaskedLanguageModel, NetworkConfig, summed_cross_entropy
from wikixlm.train.fairseq.muon import tag_hidden_matrices

# What `xlm_base` means in fairseq, with XLM's LayerNorm on the embeddings.
_BASE = {
    "encoder_embed_dim": XLM_BASE.embed_dim,
    "encoder_ffn_embed_dim": XLM_BASE.ffn_dim,
    "encoder_layers": XLM_BASE.num_layers,
    "encoder_attention_heads": XLM_BASE.num_heads,
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "act_dropout": 0.0,
    "encoder_normalize_before": True,
    "encoder_learned_pos": True,
    "share_encoder_input_output_embed": True,
    "no_token_positional_embeddings": False,
    "sent_loss": False,
    "apply_bert_init": True,
    "activation_fn": "gelu",
    "position_scale": InitConfig.position_scale,
    "attention_gain": InitConfig.attention_gain,
    "neighbour_logit": InitConfig.neighbour_logit,
    "hidden_gain": 0.0,
    "norm_eps": NetworkConfig.norm_eps,
    "compile_layers": False,
}
# Options that the network, as BertForMaskedLM, has one value for; another one would be ignored silently.
_FIXED = (
    "encoder_learned_pos",
    "share_encoder_input_output_embed",
    "no_token_positional_embeddings",
    "sent_loss",
    "activation_fn",
)


def network_config(args: argparse.Namespace, vocab_size: int, num_languages: int, pad: int) -> NetworkConfig:
    """The network's sizes and rates from fairseq's options.

    Raises:
        ValueError: an option has a value that this network (and the exported one) does not support.
    """
    for name in _FIXED:
        value = getattr(args, name, _BASE[name])
        if value != _BASE[name]:
            raise ValueError(f"--{name.replace('_', '-')} is {value}; the wikixlm recipe has {_BASE[name]} only")
    return NetworkConfig(
        vocab_size=vocab_size,
        num_languages=num_languages,
        max_positions=getattr(args, "max_positions", None) or args.tokens_per_sample,
        embed_dim=args.encoder_embed_dim,
        ffn_dim=args.encoder_ffn_embed_dim,
        num_heads=args.encoder_attention_heads,
        num_layers=args.encoder_layers,
        dropout=args.dropout,
        attention_dropout=args.attention_dropout,
        activation_dropout=args.act_dropout,
        embedding_norm=args.encoder_normalize_before,
        pad=pad,
        norm_eps=args.norm_eps,
    )


@register_model("wikixlm")
class WikixlmModel(BaseFairseqModel):
    """The masked language model; its state dict is that of fairseq's `xlm_base`."""

    def __init__(self, encoder: MaskedLanguageModel) -> None:
        super().__init__()
        self.encoder = encoder
        self.cross_entropy: Callable[[Tensor, Tensor], Tensor] = summed_cross_entropy

    @staticmethod
    def add_args(parser: argparse.ArgumentParser) -> None:
        """Fairseq's options of the model, and ours."""
        MaskedLMModel.add_args(parser)
        parser.add_argument(
            "--position-scale",
            type=float,
            metavar="A",
            help="position embeddings start as sinusoids of this amplitude and are learned from there "
            "(0: random, as BERT's)",
        )
        parser.add_argument(
            "--attention-gain",
            type=float,
            metavar="G",
            help="query and key weights start with standard deviation G / sqrt(width) (0: 0.02, as BERT's)",
        )
        parser.add_argument(
            "--neighbour-logit",
            type=float,
            metavar="L",
            help="the first layer's heads start out attending to positions 1, 2, … before and behind, with this logit "
            "(0: to none)",
        )
        parser.add_argument(
            "--hidden-gain",
            type=float,
            metavar="G",
            help="value, output, feed-forward and head weights start with standard deviation G / sqrt(width) "
            "(0: 0.02, as BERT's)",
        )
        parser.add_argument(
            "--norm-eps", type=float, metavar="E", help="added to a variance in each LayerNorm (default: 1e-5)"
        )
        parser.add_argument(
            "--compile-layers", action="store_true", help="compile each layer, and the loss, with torch.compile"
        )

    @classmethod
    def build_model(cls, args: argparse.Namespace, task: Any) -> "WikixlmModel":
        """A freshly initialised model for the task's dictionary and languages."""
        base_architecture(args)
        args.num_segment = len(task.languages)
        dictionary = task.source_dictionary
        config = network_config(args, len(dictionary), len(task.languages), dictionary.pad())
        args.max_positions = config.max_positions
        network = MaskedLanguageModel(config)
        initialize(
            network, InitConfig(args.position_scale, args.attention_gain, args.neighbour_logit, args.hidden_gain)
        )
        for part in (network.sentence_encoder.layers, network.lm_head_transform_weight):
            tag_hidden_matrices(part)
        model = cls(network)
        if args.compile_layers:
            model.compile_parts()
        return model

    def compile_parts(self) -> None:
        """Have torch.compile fuse each layer, and the loss, whose fp32 logits are then never written to memory."""
        for layer in self.encoder.sentence_encoder.layers:
            layer.compile()
        # Training, validation, padding and the last layer each have graphs of their own, for fixed and for any shapes.
        torch._dynamo.config.recompile_limit = 32
        self.cross_entropy = torch.compile(summed_cross_entropy)

    def forward(self, src_tokens: Tensor, segment_labels: Tensor, **masks: Any) -> tuple[Tensor, dict[str, Any]]:
        """Logits as fairseq's models give them; see `MaskedLanguageModel.forward`."""
        return self.encoder(src_tokens, segment_labels, **masks), {}

    def max_positions(self) -> int:
        return self.encoder.config.max_positions


@register_model_architecture("wikixlm", "wikixlm_base")
def base_architecture(args: argparse.Namespace) -> None:
    """Fill in what isn't given."""
    for name, value in _BASE.items():
        setattr(args, name, getattr(args, name, value))
