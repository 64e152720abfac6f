"""Load a model to score: a checkpoint of either recipe, or an exported Hugging Face directory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wikixlm.bpe.codes import SPECIALS
from wikixlm.errors import UserError
from wikixlm.hf.exported import exported_symbols, load_bert, read_export, unigram_counts
from wikixlm.model.batches import Batch, Symbols
from wikixlm.model.extend import dictionary_symbols
from wikixlm.model.masking import Masking

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
        unigrams: how often each symbol occurs in a language's training text, [vocabulary]; None where not known.
    """

    name: str
    forward: Callable[[Batch], "Tensor"]
    device: str
    languages: Sequence[str]
    tokens_per_sample: int
    positions: int
    dictionary: Sequence[str]
    unigrams: Callable[[str], npt.NDArray[np.int64] | None] = lambda language: None

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

    The network is built from the tensors' sizes; nothing in the file chooses a class (see `wikixlm.model.checkpoint`).

    Args:
        data: folder of the binarized data, whose dict.txt must be the model's; None: the checkpoint's own.

    Raises:
        UserError: the checkpoint is missing, unreadable, trained with another dictionary, or does not keep its own.
    """
    from wikixlm.model.checkpoint import read_model

    trained = read_model(path)
    if trained.languages is None:
        raise UserError(f"{path} does not keep its languages, as model.pt does")
    network = trained.network().to(device)
    return Model(
        name=str(path),
        forward=lambda inputs: network(**inputs),
        device=device,
        languages=trained.languages,
        tokens_per_sample=trained.tokens_per_sample,
        positions=trained.config.max_positions,
        dictionary=_dictionary(path, trained.symbols, data, trained.config.vocab_size),
    )


def _dictionary(path: Path, own: list[str] | None, data: Path | None, vocab_size: int) -> list[str]:
    """The model's symbols, from the checkpoint or from the data's dict.txt; the two must not differ."""
    if data is None:
        if own is None:
            raise UserError(
                f"{path} does not keep its dictionary, as model.pt does: give --data, the folder with dict.txt"
            )
        return own
    file = data / "dict.txt"
    if not file.is_file():
        raise UserError(f"{file} is missing: run the dictionary stage first")
    symbols = dictionary_symbols(file)
    if len(symbols) != vocab_size:
        raise UserError(f"{path} does not fit {file}: {vocab_size} rows of embeddings, {len(symbols)} symbols")
    if own is not None and own != symbols:
        raise UserError(f"{path} was trained with another dictionary than {file}")
    return symbols


def from_export(folder: Path, data: Path | None, device: str) -> Model:
    """Load what `wikixlm export` wrote.

    Args:
        data: folder of the binarized data, whose dict.txt must be the model's; None: the export's own.

    Raises:
        UserError: the export is missing, unreadable or made with another dictionary, or transformers is missing.
    """
    export = read_export(folder)
    symbols = exported_symbols(export)
    if data is not None and symbols != dictionary_symbols(data / "dict.txt"):
        raise UserError(f"{folder} was made with another dictionary than {data / 'dict.txt'}")
    network = load_bert(export, "BertForMaskedLM").float().to(device).eval()
    return Model(
        name=str(folder),
        forward=lambda inputs: _bert_logits(network, inputs),
        device=device,
        languages=export.languages,
        tokens_per_sample=export.positions,
        positions=export.positions,
        dictionary=symbols,
        unigrams=lambda language: unigram_counts(export, language),
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
