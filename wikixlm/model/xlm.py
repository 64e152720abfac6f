"""Read a model of facebookresearch/XLM, such as the published mlm_xnli15_1024.pth, as one of this pipeline.

XLM's encoder (xlm/model/transformer.py there) computes what ours does, with another eps in its LayerNorms. Rows are
found by name: `<special1>` is `<mask>`, and languages have the ids of `lang2id`, or of their codes sorted. XLM projects
the last layer's states on the vocabulary as they are, where ours pass BERT's transform before. It starts as nearly the
identity: its matrix undoes the last LayerNorm's gain and bias, GELU sees values so far above 0 that it hardly changes
them, and the transform's own LayerNorm, with the gain and bias that were undone, restores the states.
"""

import importlib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from wikixlm.bpe.codes import SPECIALS
from wikixlm.errors import UserError
from wikixlm.model.checkpoint import PAD, TrainedModel, load_plain
from wikixlm.model.network import MaskedLanguageModel, NetworkConfig

NORM_EPS = 1e-12
MASK = "<special1>"
UNUSED = "<special"  # all others of them
# Standard deviations by which states are raised before GELU: it changes values above 3 by less than 0.005, and bf16
# keeps values below 8 to 0.03.
RAISED = 6.0
# Gains nearer to 0 than this are not undone: their states hardly vary.
LEAST_GAIN = 1e-3

_PARTS = {
    "attentions.{}.q_lin": "self_attn.q_proj",
    "attentions.{}.k_lin": "self_attn.k_proj",
    "attentions.{}.v_lin": "self_attn.v_proj",
    "attentions.{}.out_lin": "self_attn.out_proj",
    "layer_norm1.{}": "self_attn_layer_norm",
    "ffns.{}.lin1": "fc1",
    "ffns.{}.lin2": "fc2",
    "layer_norm2.{}": "final_layer_norm",
}


def read(path: Path) -> TrainedModel | None:
    """The model in a file of XLM's trainer; None where the file is something else.

    Raises:
        UserError: it holds more than tensors and plain values, is damaged, or is a model that ours can't be.
    """
    if not path.is_file():
        return None
    if not (mapped := zipfile.is_zipfile(path)) and not _is_pickle(path):
        return None
    torch.serialization.add_safe_globals(_arrays())
    state = load_plain(path, mapped)
    if not isinstance(state, Mapping) or not {"model", "params", "dico_id2word"} <= state.keys():
        return None
    try:
        return _converted(state, path)
    except (KeyError, TypeError, AttributeError, IndexError, RuntimeError, ValueError) as failure:
        raise UserError(f"{path} is no model of XLM that can be read: {failure!r:.200}") from failure


def _arrays() -> list[Any]:
    """What torch's loading needs to allow for numpy's arrays and numbers, which some of the options are."""
    multiarray = importlib.import_module("numpy._core.multiarray")
    functions = [
        (getattr(multiarray, name), f"numpy.{core}.multiarray.{name}")
        for core in ("core", "_core")
        for name in ("_reconstruct", "scalar")
    ]
    return [*functions, np.ndarray, np.dtype, *(type(np.dtype(kind)) for kind in ("f4", "f8", "i4", "i8", "?"))]


def _is_pickle(path: Path) -> bool:
    """Whether it may be a file of torch before 1.6, as the published ones are."""
    with path.open("rb") as stream:
        return stream.read(2) == b"\x80\x02"


def _converted(state: Mapping[str, Any], path: Path) -> TrainedModel:
    params = state["params"]
    tensors = {name.removeprefix("module."): value.float() for name, value in state["model"].items()}
    _refuse_what_ours_is_not(tensors, params, path)
    rows = _symbol_rows(state["dico_id2word"])
    embeddings, positions = tensors["embeddings.weight"], tensors["position_embeddings.weight"]
    languages = _languages(params)
    segments = tensors.get("lang_embeddings.weight", torch.zeros(len(languages), embeddings.shape[1]))
    numbers = list(rows.values())
    config = NetworkConfig(
        vocab_size=len(rows),
        num_languages=len(languages),
        max_positions=len(positions),
        embed_dim=embeddings.shape[1],
        ffn_dim=len(tensors["ffns.0.lin1.weight"]),
        num_heads=int(params["n_heads"]),
        num_layers=int(params["n_layers"]),
        pad=PAD,
        norm_eps=NORM_EPS,
    )
    weights = MaskedLanguageModel(config).state_dict()  # its pooler, which no loss uses, stays random
    encoder = "sentence_encoder."
    converted = {
        f"{encoder}embed_tokens.weight": embeddings[numbers],
        f"{encoder}segment_embeddings.weight": segments,
        f"{encoder}embed_positions.weight": functional.pad(positions, (0, 0, PAD + 1, 0)),
        "lm_output_learned_bias": tensors["pred_layer.proj.bias"][numbers],
    }
    for kind in ("weight", "bias"):
        converted[f"{encoder}emb_layer_norm.{kind}"] = tensors[f"layer_norm_emb.{kind}"]
        for layer in range(config.num_layers):
            for theirs, ours in _PARTS.items():
                converted[f"{encoder}layers.{layer}.{ours}.{kind}"] = tensors[f"{theirs.format(layer)}.{kind}"]
    last = f"{encoder}layers.{config.num_layers - 1}.final_layer_norm"
    converted |= identity_head(converted[f"{last}.weight"], converted[f"{last}.bias"])
    for name, value in converted.items():
        if value.shape != weights[name].shape:
            raise UserError(f"{path}: {name} would be {list(value.shape)}, expected {list(weights[name].shape)}")
        if not bool(value.isfinite().all()):
            raise UserError(f"{path}: the tensor {name} has values that are not finite (NaN or infinity)")
    return TrainedModel(path, {**weights, **converted}, config, len(positions), list(rows), languages)


def _refuse_what_ours_is_not(tensors: Mapping[str, Tensor], params: Mapping[str, Any], path: Path) -> None:
    reasons = {
        "its activation is not GELU": not params.get("gelu_activation"),
        "it has an adaptive softmax": params.get("asm"),
        "it has memory layers": any(name.startswith("memories.") for name in tensors),
        "it is a decoder": any(name.startswith("encoder_attn.") for name in tensors),
        "it has no output layer": "pred_layer.proj.bias" not in tensors,
        "its output weights are not its token embeddings": not torch.equal(
            tensors.get("pred_layer.proj.weight", tensors["embeddings.weight"]), tensors["embeddings.weight"]
        ),
    }
    for reason, found in reasons.items():
        if found:
            raise UserError(f"train.init_from: {path} is a model of XLM that can't be continued here: {reason}")


def _symbol_rows(words: Mapping[int, str]) -> dict[str, int]:
    """The rows of the symbols that ours has, in our order: special ones first."""
    found = {("<mask>" if word == MASK else str(word)): int(number) for number, word in words.items()}
    special = {symbol: found.pop(symbol) for symbol in SPECIALS}
    return special | {word: number for word, number in found.items() if not word.startswith(UNUSED)}


def _languages(params: Mapping[str, Any]) -> list[str]:
    ids = params.get("lang2id") or {code: number for number, code in enumerate(sorted(params["langs"]))}
    return sorted(ids, key=lambda code: int(ids[code]))


def identity_head(gain: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """Weights of the head's transform that give back states, [embed_dim], of a LayerNorm with `gain` and `bias`."""
    inverse = torch.where(gain.abs() < LEAST_GAIN, torch.zeros_like(gain), 1 / gain)
    return {
        "lm_head_transform_weight.weight": torch.diag(inverse),
        "lm_head_transform_weight.bias": RAISED - bias * inverse,
        "layer_norm.weight": gain,
        "layer_norm.bias": bias,
    }


@torch.no_grad()
def head_difference(model: TrainedModel) -> float:
    """How far the transform is from the identity: relative root mean square over random states."""
    last = f"sentence_encoder.layers.{model.config.num_layers - 1}.final_layer_norm"
    states = functional.layer_norm(
        torch.randn(1_000, model.config.embed_dim, generator=torch.Generator().manual_seed(0)),
        [model.config.embed_dim],
        model.weights[f"{last}.weight"],
        model.weights[f"{last}.bias"],
    )
    head = {name: model.weights[name] for name in identity_head(states[0], states[0])}
    inner = functional.linear(states, head["lm_head_transform_weight.weight"], head["lm_head_transform_weight.bias"])
    given = functional.layer_norm(
        functional.gelu(inner), [model.config.embed_dim], head["layer_norm.weight"], head["layer_norm.bias"]
    )
    return float((given - states).norm() / states.norm())
