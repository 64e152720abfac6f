"""Read a checkpoint as tensors and a small typed record; nothing in the file chooses a class, and nothing in it runs.

torch loads it with its weights-only protection on. Sizes are those of the tensors; of the configuration in the file
only a few plain numbers are read, each checked against bounds.
"""

import argparse
import math
import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from wikixlm.bpe.codes import SPECIALS
from wikixlm.errors import UserError
from wikixlm.model.network import MaskedLanguageModel, NetworkConfig

State = dict[str, Any]

PAD = SPECIALS.index("<pad>")
# What every model of this pipeline has, be it fairseq's class or ours, without the prefix `encoder.`.
_REQUIRED = (
    "sentence_encoder.embed_tokens.weight",
    "sentence_encoder.segment_embeddings.weight",
    "sentence_encoder.embed_positions.weight",
    "sentence_encoder.layers.0.fc1.weight",
    "lm_output_learned_bias",
)
_LAYER = re.compile(r"sentence_encoder\.layers\.(\d+)\.")
_MOST_HEADS = 1024


@dataclass(frozen=True)
class TrainedModel:
    """A masked language model as it was trained.

    Attributes:
        path: its checkpoint, for messages.
        weights: its tensors in fp32, by fairseq's names without `encoder.`.
        config: its sizes and dropout rates; `num_heads` is 0 where the checkpoint does not keep it.
        tokens_per_sample: tokens of a training example, the leading `</s>` included.
        symbols: its vocabulary, special symbols first; None where the checkpoint does not keep it.
        languages: its languages in the order of their ids; None where the checkpoint does not keep them.
    """

    path: Path
    weights: dict[str, Tensor]
    config: NetworkConfig
    tokens_per_sample: int
    symbols: list[str] | None
    languages: list[str] | None

    def network(self) -> MaskedLanguageModel:
        """The model in plain torch, in evaluation mode.

        Raises:
            UserError: a tensor is missing, superfluous or of another size, or the number of heads is not known.
        """
        self.refuse_unknown_heads()
        network = MaskedLanguageModel(self.config)
        try:
            network.load_state_dict(self.weights)
        except RuntimeError as failure:
            reason = str(failure).splitlines()[-1].strip()
            raise UserError(f"{self.path} is not a masked language model of this pipeline: {reason}") from failure
        return network.eval()

    def refuse_unknown_heads(self) -> None:
        """Raise a UserError if the checkpoint does not keep its number of attention heads, which no tensor shows."""
        if not self.config.num_heads:
            raise UserError(f"{self.path} does not keep its number of attention heads, as model.pt does")


def load_state(path: Path) -> State:
    """The content of a checkpoint; its tensors are mapped from the file, and read when they are used.

    Raises:
        UserError: the file is missing, cut short, changed, no checkpoint of fairseq, or would run code.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist")
    if not zipfile.is_zipfile(path):
        raise UserError(f"{path} is damaged or no checkpoint of torch ({path.stat().st_size} bytes)")
    _check_content(path)
    state = load_plain(path, mapped=True)
    if not isinstance(state, dict) or not {"model", "cfg", "optimizer_history"} <= state.keys():
        raise UserError(f"{path} is not a checkpoint of fairseq-train")
    return state


def load_plain(path: Path, mapped: bool) -> Any:
    """The content of a file of torch: tensors, plain values and containers of them.

    Raises:
        UserError: it holds anything else, or is damaged.
    """
    # fairseq keeps its options in a Namespace, a plain container of values. (Not by the context manager safe_globals:
    # on its way out it would remove what fairseq's own loading needs.)
    torch.serialization.add_safe_globals([argparse.Namespace])
    try:
        return torch.load(path, map_location="cpu", mmap=mapped, weights_only=True)
    except pickle.UnpicklingError as failure:
        # torch's own words advise to switch the protection off.
        names = re.findall(r"GLOBAL ([\w.]+)", str(failure))
        what = f" ({names[0]})" if names else ""
        raise UserError(f"{path} is refused: it holds more than weights and plain values{what}") from failure
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as failure:
        raise UserError(f"{path} is damaged ({str(failure).splitlines()[0]})") from failure


def _check_content(path: Path) -> None:
    """Compare the bytes of a checkpoint with the checksums that torch wrote into it, as into any zip archive.

    Raises:
        UserError: they differ.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError) as failure:
        raise UserError(f"{path} is damaged ({failure})") from failure
    if damaged is not None:
        raise UserError(f"{path} is damaged: the checksum of {damaged} in it is wrong")


def read_model(path: Path) -> TrainedModel:
    """The model in a checkpoint of either recipe.

    Raises:
        UserError: see `load_state` and `trained_model`.
    """
    return trained_model(load_state(path), path)


def trained_model(state: State, path: Path) -> TrainedModel:
    """The model in the content of a checkpoint.

    Args:
        state: what `load_state` gives.
        path: the file, for messages.

    Raises:
        UserError: it is not a masked language model of this pipeline, a value is out of bounds, a weight not finite.
    """
    refused = f"{path} is not a masked language model of this pipeline"
    weights = _weights(state["model"], path, refused)
    model = options(state, "model")
    if model.get("activation_fn", "gelu") != "gelu":
        raise UserError(f"{refused}: its activation is {model['activation_fn']}, where gelu is expected")
    vocab_size, embed_dim = _matrix(weights, "sentence_encoder.embed_tokens.weight", refused)
    num_languages, _ = _matrix(weights, "sentence_encoder.segment_embeddings.weight", refused)
    positions, _ = _matrix(weights, "sentence_encoder.embed_positions.weight", refused)
    ffn_dim, _ = _matrix(weights, "sentence_encoder.layers.0.fc1.weight", refused)
    config = NetworkConfig(
        vocab_size=vocab_size,
        num_languages=num_languages,
        max_positions=positions - PAD - 1,
        embed_dim=embed_dim,
        ffn_dim=ffn_dim,
        num_heads=_number(model, "encoder_attention_heads", 0, 0, _MOST_HEADS, path),
        num_layers=len({found[1] for name in weights if (found := _LAYER.match(name))}),
        dropout=_number(model, "dropout", 0.1, 0, 1, path),
        attention_dropout=_number(model, "attention_dropout", 0.1, 0, 1, path),
        embedding_norm="sentence_encoder.emb_layer_norm.weight" in weights,
        pad=PAD,
        norm_eps=_number(model, "norm_eps", NetworkConfig.norm_eps, 1e-15, 1e-2, path),
    )
    if config.max_positions < 2 or (config.num_heads and embed_dim % config.num_heads):
        raise UserError(
            f"{refused}: {config.max_positions} positions, {embed_dim} dimensions in {config.num_heads} heads"
        )
    task = options(state, "task")
    names = state.get("task_state") or {}
    languages = names.get("languages") or _split(task.get("monolingual_langs"))
    return TrainedModel(
        path,
        weights,
        config,
        tokens_per_sample=_number(task, "tokens_per_sample", config.max_positions, 2, config.max_positions, path),
        symbols=_names(names.get("symbols"), "symbols", vocab_size, path),
        languages=_names(languages, "languages", num_languages, path),
    )


def _weights(tensors: Any, path: Path, refused: str) -> dict[str, Tensor]:
    if not isinstance(tensors, Mapping):
        raise UserError(f"{refused}: it has no tensors")
    weights = {}
    for name, value in tensors.items():
        if not isinstance(name, str) or not isinstance(value, Tensor) or not value.is_floating_point():
            raise UserError(f"{refused}: {name!r} is not a tensor of weights")
        if not bool(value.isfinite().all()):
            raise UserError(f"{path}: the tensor {name} has values that are not finite (NaN or infinity)")
        weights[name.removeprefix("encoder.")] = value.float()
    for name in _REQUIRED:
        if name not in weights:
            raise UserError(f"{refused}: it has no {name}")
    if "embed_out.weight" in weights:
        raise UserError(f"{refused}: its output weights are not its token embeddings")
    return weights


def options(state: State, section: str) -> Mapping[str, Any]:
    """A section of fairseq's configuration, of which plain numbers and truth values alone may be used."""
    configuration = state["cfg"] or {}
    found = configuration.get(section) if isinstance(configuration, Mapping) else None
    if isinstance(found, argparse.Namespace):
        return vars(found)
    return found if isinstance(found, Mapping) else {}


def _matrix(weights: Mapping[str, Tensor], name: str, refused: str) -> tuple[int, int]:
    if weights[name].dim() != 2:
        raise UserError(f"{refused}: {name} is not a matrix")
    rows, columns = weights[name].shape
    return rows, columns


def _number(section: Mapping[str, Any], name: str, default: Any, least: float, most: float, path: Path) -> Any:
    """A number of a section within bounds: whole, unless the default is a float."""
    value = section.get(name, default)
    known = type(value) in ((int, float) if isinstance(default, float) else (int,))
    if not known or not math.isfinite(value) or not least <= value <= most:
        raise UserError(f"{path}: {name} is {value!r:.80}; accepted are {least} to {most}")
    return value


def _split(codes: Any) -> list[str] | None:
    return [code.strip() for code in codes.split(",")] if isinstance(codes, str) else None


def _names(value: Any, what: str, rows: int, path: Path) -> list[str] | None:
    """The names of an embedding's rows; fewer or more names than rows are an error."""
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        raise UserError(f"{path}: its {what} are not a list of names")
    if len(value) != rows or len(set(value)) != rows:
        raise UserError(f"{path}: it names {len(set(value))} {what} for {rows} rows of its embeddings")
    return list(value)
