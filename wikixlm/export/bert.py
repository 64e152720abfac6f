"""A trained model as transformers' BertForMaskedLM: the same weights under other names.

With the LayerNorm on its embeddings fairseq's `xlm_base` is BERT with a language in the place of the segment, so
`token_type_ids` carry the language's id. What differs is where positions start: at pad + 1 in fairseq, at 0 in BERT;
the rows before are dropped. fairseq's pooler was never trained and is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from wikixlm import hf
from wikixlm.bpe.codes import SPECIALS
from wikixlm.errors import UserError
from wikixlm.model.network import MaskedLanguageModel, NetworkConfig

PAD, EOS, MASK = (SPECIALS.index(symbol) for symbol in ("<pad>", "</s>", "<mask>"))
# Of torch's LayerNorm, which fairseq leaves as it is; BERT's own is 1e-12.
LAYER_NORM_EPS = 1e-5

_ENCODER = "sentence_encoder."
_EMBEDDINGS = {
    "embed_tokens": "bert.embeddings.word_embeddings",
    "segment_embeddings": "bert.embeddings.token_type_embeddings",
    "embed_positions": "bert.embeddings.position_embeddings",
    "emb_layer_norm": "bert.embeddings.LayerNorm",
}
_LAYER = {
    "self_attn.q_proj": "attention.self.query",
    "self_attn.k_proj": "attention.self.key",
    "self_attn.v_proj": "attention.self.value",
    "self_attn.out_proj": "attention.output.dense",
    "self_attn_layer_norm": "attention.output.LayerNorm",
    "fc1": "intermediate.dense",
    "fc2": "output.dense",
    "final_layer_norm": "output.LayerNorm",
}
_HEAD = {
    "lm_head_transform_weight": "cls.predictions.transform.dense",
    "layer_norm": "cls.predictions.transform.LayerNorm",
}
_BIAS = "lm_output_learned_bias"


@dataclass(frozen=True)
class Trained:
    """A model as it was trained: its weights by fairseq's names (without `encoder.`), fp32, and its configuration."""

    weights: dict[str, Tensor]
    config: NetworkConfig

    def network(self) -> MaskedLanguageModel:
        """The model in plain torch, for comparison."""
        network = MaskedLanguageModel(self.config)
        network.load_state_dict(self.weights, strict=False)
        return network.eval()


def trained(state: Mapping[str, Any], path: Path) -> Trained:
    """The model in a checkpoint of fairseq, of either recipe.

    Args:
        state: the checkpoint's content.
        path: its file, for messages.

    Raises:
        UserError: a model that no class of transformers fits.
    """
    weights = {name.removeprefix("encoder."): value.float() for name, value in state["model"].items()}
    options = state["cfg"]["model"]
    options = options if isinstance(options, Mapping) else vars(options)
    _check(weights, options, path)
    num_layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith(f"{_ENCODER}layers."))
    vocab_size, embed_dim = weights[f"{_ENCODER}embed_tokens.weight"].shape
    config = NetworkConfig(
        vocab_size=vocab_size,
        num_languages=len(weights[f"{_ENCODER}segment_embeddings.weight"]),
        max_positions=len(weights[f"{_ENCODER}embed_positions.weight"]) - PAD - 1,
        embed_dim=embed_dim,
        ffn_dim=len(weights[f"{_ENCODER}layers.0.fc1.weight"]),
        num_heads=options["encoder_attention_heads"],
        num_layers=num_layers,
        dropout=options["dropout"],
        attention_dropout=options["attention_dropout"],
        pad=PAD,
    )
    return Trained(weights, config)


def _check(weights: Mapping[str, Tensor], options: Mapping[str, Any], path: Path) -> None:
    refused = f"{path} fits no class of transformers"
    if f"{_ENCODER}emb_layer_norm.weight" not in weights:
        raise UserError(
            f"{refused}: it has no LayerNorm on its embeddings; a model trained with "
            "train.encoder_normalize_before: true has one"
        )
    if f"{_ENCODER}embed_positions.weight" not in weights or f"{_ENCODER}segment_embeddings.weight" not in weights:
        raise UserError(f"{refused}: it has no learned positions or no embeddings of the languages")
    if _BIAS not in weights or "embed_out.weight" in weights:
        raise UserError(f"{refused}: its output weights are not its token embeddings")
    if options.get("activation_fn", "gelu") != "gelu":
        raise UserError(f"{refused}: its activation is {options['activation_fn']}, where gelu is expected")


def bert_weights(model: Trained) -> dict[str, Tensor]:
    """The weights by BertForMaskedLM's names."""
    names = {f"{_ENCODER}{ours}": theirs for ours, theirs in _EMBEDDINGS.items()} | _HEAD
    for layer in range(model.config.num_layers):
        for ours, theirs in _LAYER.items():
            names[f"{_ENCODER}layers.{layer}.{ours}"] = f"bert.encoder.layer.{layer}.{theirs}"
    result = {
        f"{theirs}.{kind}": model.weights[f"{ours}.{kind}"]
        for ours, theirs in names.items()
        for kind in ("weight", "bias")
        if f"{ours}.{kind}" in model.weights
    }
    positions = "bert.embeddings.position_embeddings.weight"
    result[positions] = result[positions][PAD + 1 :]
    result["cls.predictions.bias"] = result["cls.predictions.decoder.bias"] = model.weights[_BIAS]
    result["cls.predictions.decoder.weight"] = result["bert.embeddings.word_embeddings.weight"]
    return result


def bert_model(model: Trained, extra: Mapping[str, Any]) -> Any:
    """A BertForMaskedLM with the trained weights, in evaluation mode.

    Args:
        model: the trained model.
        extra: what else its configuration records.
    """
    transformers = hf.require("transformers")
    network = model.config
    config = transformers.BertConfig(
        vocab_size=network.vocab_size,
        hidden_size=network.embed_dim,
        num_hidden_layers=network.num_layers,
        num_attention_heads=network.num_heads,
        intermediate_size=network.ffn_dim,
        hidden_act="gelu",
        hidden_dropout_prob=network.dropout,
        attention_probs_dropout_prob=network.attention_dropout,
        max_position_embeddings=network.max_positions,
        type_vocab_size=network.num_languages,
        layer_norm_eps=LAYER_NORM_EPS,
        pad_token_id=PAD,
        bos_token_id=EOS,
        eos_token_id=EOS,
        mask_token_id=MASK,
        **extra,
    )
    bert = transformers.BertForMaskedLM(config)
    bert.load_state_dict(bert_weights(model))
    return bert.eval()
