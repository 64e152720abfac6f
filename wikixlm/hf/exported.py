"""Open an exported model as data: safetensors, a few checked numbers, and our own tokenizer.

Nothing in an export chooses a class or is run: the model is a BERT whatever config.json says, its sizes are those of
its tensors, and `auto_map` and every other setting that is not listed here are ignored.
"""

import argparse
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wikixlm import hf
from wikixlm.bpe.codes import SPECIALS
from wikixlm.errors import UserError
from wikixlm.files import read_json
from wikixlm.hf.vocabulary import fairseq_symbol
from wikixlm.model import device

WEIGHTS = "model.safetensors"
UNIGRAMS = "unigrams.safetensors"  # by language, how often each symbol occurs in the training text, [vocabulary]
_EMBEDDINGS = "bert.embeddings."
_MOST_HEADS = 1024


@dataclass(frozen=True)
class Export:
    """What is known of an export before its weights are read.

    Attributes:
        languages: in the order of their ids.
        positions: its maximum of tokens.
        settings: the arguments of BertConfig, checked.
    """

    folder: Path
    languages: list[str]
    positions: int
    settings: dict[str, Any]


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--directory", type=Path, default=Path(), help="the run whose export/ is used: what snakemake was given"
    )
    place.add_argument("--export", type=Path, help="the exported model's own folder")
    parser.add_argument("--device", choices=device.CHOICES, default="auto", help="auto: a GPU if there is one")


def find_export(export: Path | None, directory: Path) -> Path:
    """The folder `export`, or that of the run in `directory`.

    Raises:
        UserError: it does not exist.
    """
    path = export or directory / "export"
    if not path.is_dir():
        hint = "" if export else "; `snakemake export_hf` makes it once the model is trained"
        raise UserError(f"there is no exported model at {path}{hint}")
    return path


def read_export(folder: Path) -> Export:
    """Read an export's settings and the sizes of its tensors.

    Raises:
        UserError: it is not an export, or a value is out of bounds.
    """
    refused = f"{folder} is not an exported model"
    if not (folder / "config.json").is_file():
        raise UserError(f"{refused}: it has no config.json, which `wikixlm export` writes")
    config = read_json(folder / "config.json")
    if not isinstance(config, dict):
        raise UserError(f"{refused}: its config.json is not an object")
    if config.get("hidden_act", "gelu") != "gelu":
        raise UserError(f"{refused}: its activation is {config['hidden_act']!r:.40}, where gelu is expected")
    sizes = _sizes(folder)
    heads = _number(config, "num_attention_heads", int, 1, _MOST_HEADS, folder)
    if sizes["hidden_size"] % heads:
        raise UserError(f"{refused}: {sizes['hidden_size']} dimensions in {heads} heads")
    languages = _languages(config, sizes["type_vocab_size"], refused)
    pad, eos, mask = (SPECIALS.index(symbol) for symbol in ("<pad>", "</s>", "<mask>"))
    settings = {
        **sizes,
        "num_attention_heads": heads,
        "hidden_act": "gelu",
        "hidden_dropout_prob": _number(config, "hidden_dropout_prob", float, 0, 1, folder),
        "attention_probs_dropout_prob": _number(config, "attention_probs_dropout_prob", float, 0, 1, folder),
        "layer_norm_eps": _number(config, "layer_norm_eps", float, 1e-15, 1e-2, folder),
        **{"pad_token_id": pad, "bos_token_id": eos, "eos_token_id": eos, "mask_token_id": mask},
        "lang2id": {code: number for number, code in enumerate(languages)},
        "id2lang": dict(enumerate(languages)),
        "do_lowercase_and_remove_accent": config.get("do_lowercase_and_remove_accent", True) is not False,
        "japanese_segmenter": str(config.get("japanese_segmenter", "kytea")),
    }
    return Export(folder, languages, sizes["max_position_embeddings"], settings)


def _sizes(folder: Path) -> dict[str, int]:
    """BERT's sizes from the header of the weights' file; the weights are not read."""
    safetensors = hf.require("safetensors")
    refused = f"{folder} is not an exported model"
    try:
        with safetensors.safe_open(folder / WEIGHTS, "pt") as weights:
            shapes = {name: tuple(weights.get_slice(name).get_shape()) for name in weights.keys()}  # noqa: SIM118
    except (OSError, ValueError, safetensors.SafetensorError) as failure:
        raise UserError(f"{refused}: {folder / WEIGHTS} can't be read ({str(failure).splitlines()[0]})") from failure

    def rows(name: str) -> int:
        if len(shapes.get(name, ())) != 2:
            raise UserError(f"{refused}: {folder / WEIGHTS} has no matrix {name}")
        return int(shapes[name][0])

    words = f"{_EMBEDDINGS}word_embeddings.weight"
    return {
        "vocab_size": rows(words),
        "hidden_size": int(shapes[words][1]),
        "num_hidden_layers": len({name.split(".")[3] for name in shapes if name.startswith("bert.encoder.layer.")}),
        "intermediate_size": rows("bert.encoder.layer.0.intermediate.dense.weight"),
        "max_position_embeddings": rows(f"{_EMBEDDINGS}position_embeddings.weight"),
        "type_vocab_size": rows(f"{_EMBEDDINGS}token_type_embeddings.weight"),
    }


def _number(config: Mapping[str, Any], name: str, kind: type, least: float, most: float, folder: Path) -> Any:
    value = config.get(name)
    known = type(value) in ((int,) if kind is int else (int, float))
    if value is None or not known or not math.isfinite(value) or not least <= value <= most:
        raise UserError(f"{folder / 'config.json'}: {name} is {value!r:.80}; accepted are {least} to {most}")
    return value


def _languages(config: Mapping[str, Any], rows: int, refused: str) -> list[str]:
    ids = config.get("lang2id")
    if not isinstance(ids, dict) or not ids:
        raise UserError(f"{refused}: its config.json has no lang2id; it was not written by `wikixlm export`")
    return _in_order(ids, rows, f"{refused}: its lang2id")


def _in_order(ids: Mapping[str, Any], rows: int, what: str) -> list[str]:
    """The names in the order of their ids, which must be 0 to rows - 1."""
    if not all(type(number) is int for number in ids.values()) or sorted(ids.values()) != list(range(rows)):
        raise UserError(f"{what} does not number the {rows} rows of the model's embeddings")
    return sorted(ids, key=ids.__getitem__)


def exported_symbols(export: Export) -> list[str]:
    """The symbols of an export's vocab.json in fairseq's style, in the order of their ids.

    Raises:
        UserError: the file is missing or damaged, or is not the model's.
    """
    path = export.folder / "vocab.json"
    ids = read_json(path)
    if not isinstance(ids, dict):
        raise UserError(f"{path} is not a vocabulary")
    return [fairseq_symbol(name) for name in _in_order(ids, export.settings["vocab_size"], str(path))]


def unigram_counts(export: Export, language: str) -> npt.NDArray[np.int64] | None:
    """How often each symbol occurs in a language's training text, [vocabulary]; None if the export does not say.

    Raises:
        UserError: the counts can't be read, or are not the model's.
    """
    path = export.folder / UNIGRAMS
    if not path.is_file():
        return None
    safetensors = hf.require("safetensors")
    try:
        with safetensors.safe_open(path, "np") as file:
            counts = file.get_tensor(language)
    except (OSError, ValueError, safetensors.SafetensorError) as failure:
        raise UserError(f"{path} can't be read ({str(failure).splitlines()[0]})") from failure
    if counts.shape != (export.settings["vocab_size"],) or counts.dtype != np.int64 or (counts < 0).any():
        raise UserError(f"{path} has no counts of the model's {export.settings['vocab_size']} symbols in {language}")
    return counts


def load_bert(export: Export, class_name: str, **settings: Any) -> Any:
    """An export's model.

    Args:
        class_name: one of transformers' BERT classes, such as `BertForMaskedLM`.
        settings: further arguments of BertConfig.

    Raises:
        UserError: its weights can't be read, or one of them is not finite.
    """
    transformers = hf.quietly()
    folder = export.folder
    if (folder / "adapter_config.json").exists():  # transformers would load what it names
        raise UserError(f"{folder} holds adapter_config.json, which no export writes; move it away")
    config = transformers.BertConfig(**export.settings, **settings)
    options = {"local_files_only": True, "use_safetensors": True, "trust_remote_code": False}
    try:
        model = getattr(transformers, class_name).from_pretrained(folder, config=config, **options)
    except (OSError, ValueError, RuntimeError) as failure:
        raise UserError(f"{folder} can't be loaded: {str(failure).splitlines()[0]}") from failure
    for name, tensor in model.state_dict().items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            stored = name if class_name != "BertModel" else f"bert.{name}"
            raise UserError(f"{folder / WEIGHTS}: the tensor {stored} has values that are not finite (NaN or infinity)")
    return model
