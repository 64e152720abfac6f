"""A trained model as transformers' BertForMaskedLM: the same weights under other names.

With a LayerNorm on its embeddings, fairseq's `xlm_base` is BERT with the language in place of the segment:
`token_type_ids` are the language's id. Positions start at pad + 1 in fairseq and at 0 in BERT, so the rows before are
dropped. fairseq's pooler was never trained and is dropped too.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from wikixlm import hf
from wikixlm.bpe.codes import SPECIALS
from wikixlm.errors import UserError
from wikixlm.model.checkpoint import TrainedModel

PAD, EOS, MASK = (SPECIALS.index(symbol) for symbol in ("<pad>", "</s>", "<mask>"))

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


def refuse_misfit(model: TrainedModel, path: Path) -> None:
    """Raise a UserError if no class of transformers fits the model."""
    model.refuse_unknown_heads()
    if not model.config.embedding_norm:
        raise UserError(
            f"{path} fits no class of transformers: it has no LayerNorm on its embeddings; a model trained with "
            "train.encoder_normalize_before: true has one"
        )


def bert_weights(model: TrainedModel) -> dict[str, Tensor]:
    """The weights under the names of BertForMaskedLM."""
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


def bert_model(model: TrainedModel, extra: Mapping[str, Any]) -> Any:
    """A BertForMaskedLM with the trained weights, in evaluation mode.

    Args:
        model: the trained model.
        extra: further entries of its configuration.
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
        layer_norm_eps=network.norm_eps,
        pad_token_id=PAD,
        bos_token_id=EOS,
        eos_token_id=EOS,
        mask_token_id=MASK,
        **extra,
    )
    bert = transformers.BertForMaskedLM(config)
    bert.load_state_dict(bert_weights(model))
    return bert.eval()
