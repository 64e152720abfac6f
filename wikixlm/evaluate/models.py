"""Load a model to score: a checkpoint of either recipe, or an exported Hugging Face directory."""

import argparse
import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wikixlm import hf
from wikixlm.bpe.codes import SPECIALS
from wikixlm.errors import UserError
from wikixlm.hf.vocabulary import fairseq_symbol
from wikixlm.model.batches import Batch, Symbols
from wikixlm.model.extend import dictionary_symbols
from wikixlm.model.masking import Masking
from wikixlm.train import checkpoints
from wikixlm.train.fairseq import USER_DIR, compat

if TYPE_CHECKING:
    from torch import Tensor

SYMBOLS = Symbols(pad=SPECIALS.index("<pad>"), eos=SPECIALS.index("</s>"))


@dataclass(frozen=True)
class Model:
    """A model ready to be scored.

    Attributes:
        name: its path, for messages.
        forward: from a batch's `net_input` (see `batches.make_batch`) to the logits of its masked positions,
            [masked, vocabulary], on `device`.
        languages: in the order of their ids.
        tokens_per_sample: tokens of a training example, the leading `</s>` included.
        positions: the model's maximum of tokens.
        dictionary: its symbols in fairseq's style, in the order of their ids, special ones first.
    """

    name: str
    forward: Callable[[Batch], "Tensor"]
    device: str
    languages: Sequence[str]
    tokens_per_sample: int
    positions: int
    dictionary: Sequence[str]

    @property
    def masking(self) -> Masking:
        """How held-out text is masked for it."""
        return Masking(SPECIALS.index("<mask>"), len(SPECIALS), len(self.dictionary))

    def logits(self, net_input: Batch) -> "Tensor":
        """Logits of a batch's masked positions, [masked, vocabulary], as 32-bit floats on `device`."""
        return self.forward({name: _moved(value, self.device) for name, value in net_input.items()}).float()


def _moved(value: Any, device: str) -> Any:
    return value.to(device) if hasattr(value, "to") else value


def from_checkpoint(path: Path, data: Path | None, device: str) -> Model:
    """Load a model of `wikixlm train`, or any of fairseq's checkpoints of it.

    Args:
        data: folder of the binarized data, whose dict.txt must be the model's; None: the checkpoint's own.

    Raises:
        UserError: the checkpoint is missing, unreadable, trained with another dictionary, or does not keep its own.
    """
    state = checkpoints.load(path)
    own = (state["task_state"] or {}).get("symbols")
    if data is not None and not (data / "dict.txt").is_file():
        raise UserError(f"{data / 'dict.txt'} is missing: run the dictionary stage first")
    if data is None and own is None:
        raise UserError(f"{path} does not keep its dictionary, as model.pt does: give --data, the folder with dict.txt")
    compat.apply()
    from fairseq import checkpoint_utils, utils

    if state["cfg"]["common"]["user_dir"]:  # trained with our extension, wherever that was installed
        utils.import_user_module(argparse.Namespace(user_dir=str(USER_DIR)))
    with _data_folder(data, own) as folder:
        dictionary = dictionary_symbols(folder / "dict.txt")
        try:
            models, cfg, _ = checkpoint_utils.load_model_ensemble_and_task([str(path)], {"data": str(folder)})
        except (RuntimeError, KeyError) as failure:
            reason = str(failure).splitlines()[-1]
            raise UserError(f"{path} does not fit {folder / 'dict.txt'}: {reason}") from failure
    if own is not None and list(own) != dictionary:
        raise UserError(f"{path} was trained with another dictionary than {folder / 'dict.txt'}")
    network = models[0].float().to(device).eval()
    return Model(
        name=str(path),
        forward=lambda inputs: network(**inputs)[0],
        device=device,
        languages=[code.strip() for code in cfg.task.monolingual_langs.split(",")],
        tokens_per_sample=int(cfg.task.tokens_per_sample),
        positions=int(network.max_positions()),
        dictionary=dictionary,
    )


@contextlib.contextmanager
def _data_folder(data: Path | None, symbols: Sequence[str] | None) -> Iterator[Path]:
    """A folder with dict.txt, as fairseq's tasks want one: `data`, or one made of the symbols for the time being."""
    if data is not None or symbols is None:
        yield data or Path()
        return
    with tempfile.TemporaryDirectory(prefix="wikixlm-") as folder:
        lines = "".join(f"{symbol} 1\n" for symbol in symbols[len(SPECIALS) :])
        Path(folder, "dict.txt").write_text(lines, encoding="utf-8")
        yield Path(folder)


def from_export(folder: Path, data: Path | None, device: str) -> Model:
    """Load what `wikixlm export` wrote, by transformers alone.

    Args:
        data: folder of the binarized data, whose dict.txt must be the model's; None: the export's own.

    Raises:
        UserError: the export is missing, unreadable or made with another dictionary, or transformers is missing.
    """
    transformers = hf.quietly()
    names = exported_symbols(folder)
    if data is not None and names != dictionary_symbols(data / "dict.txt"):
        raise UserError(f"{folder} was made with another dictionary than {data / 'dict.txt'}")
    try:
        network: Any = transformers.BertForMaskedLM.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as failure:
        raise UserError(f"{folder} is not an exported model: {str(failure).splitlines()[0]}") from failure
    languages = getattr(network.config, "lang2id", None)
    if not languages:
        raise UserError(f"{folder / 'config.json'} has no lang2id: it was not written by `wikixlm export`")
    network = network.float().to(device).eval()
    return Model(
        name=str(folder),
        forward=lambda inputs: _bert_logits(network, inputs),
        device=device,
        languages=sorted(languages, key=languages.__getitem__),
        tokens_per_sample=int(network.config.max_position_embeddings),
        positions=int(network.config.max_position_embeddings),
        dictionary=names,
    )


def _bert_logits(network: Any, inputs: Batch) -> "Tensor":
    """BertForMaskedLM's logits of the masked positions alone, [masked, vocabulary]."""
    tokens = inputs["src_tokens"]
    states = network.bert(
        input_ids=tokens,
        attention_mask=tokens.ne(SYMBOLS.pad).long(),
        token_type_ids=inputs["segment_labels"].expand_as(tokens),
    ).last_hidden_state
    logits: Tensor = network.cls(states[inputs["masked_tokens"]])
    return logits


def exported_symbols(folder: Path) -> list[str]:
    """The symbols of an export's vocab.json in fairseq's style, in the order of their ids.

    Raises:
        UserError: it is missing or damaged.
    """
    path = folder / "vocab.json"
    try:
        ids: dict[str, int] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as failure:
        raise UserError(f"{folder} is not an exported model: cannot read {path} ({failure})") from failure
    return [fairseq_symbol(name) for name in sorted(ids, key=ids.__getitem__)]
