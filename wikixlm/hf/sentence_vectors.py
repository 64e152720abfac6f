"""Sentence vectors from an exported model: the mean of the last layer's states over a text's symbols.

The framing `</s>` and padding are excluded. A text longer than the model's positions is cut into pieces, each framed,
and the mean is over the symbols of all of them.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wikixlm import hf
from wikixlm.hf.exported import add_model_arguments, load_bert, read_export

Vectors = npt.NDArray[np.float32]


def add_embedder_arguments(parser: argparse.ArgumentParser) -> None:
    """The model, and how much of a text it reads at once."""
    parser.add_argument(
        "--max-tokens", type=int, default=8192, help="symbols in a batch; changes speed and memory only"
    )
    add_model_arguments(parser)


class SentenceEmbedder:
    """Turns texts of one language into vectors.

    Args:
        path: the export.
        kind: `cpu` or `cuda`.
        max_tokens: symbols in a batch, padding included; changes speed and memory only.
    """

    def __init__(self, path: Path, lang: str, kind: str = "cpu", max_tokens: int = 8192) -> None:
        self._path = path
        self.bind(lang)
        self._model = load_bert(read_export(path), "BertModel").to(kind).eval()
        self._kind = kind
        self._max_tokens = max_tokens

    def bind(self, lang: str) -> None:
        """Set the language of the texts to come.

        Raises:
            UserError: the model was not trained on it.
        """
        self._tokenizer = hf.load(self._path, lang)

    @property
    def embed_dim(self) -> int:
        return int(self._model.config.hidden_size)

    def embed(self, texts: Sequence[str]) -> tuple[Vectors, list[int]]:
        """The vectors of texts, [texts, embed_dim], and the numbers of those without a symbol, whose vectors are 0."""
        vectors, empty = self._mean_states(texts, every_layer=False)
        return vectors[:, 0], empty

    def embed_layers(self, texts: Sequence[str]) -> tuple[Vectors, list[int]]:
        """The same of the embeddings and of every layer, [texts, layers + 1, embed_dim]."""
        return self._mean_states(texts, every_layer=True)

    def _mean_states(self, texts: Sequence[str], every_layer: bool) -> tuple[Vectors, list[int]]:
        pieces = [
            (number, piece) for number, text in enumerate(texts) for piece in self._pieces(self._symbols_of(text))
        ]
        layers = self._model.config.num_hidden_layers + 1 if every_layer else 1
        sums = np.zeros((len(texts), layers, self.embed_dim), dtype=np.float64)
        counts = np.zeros(len(texts), dtype=np.int64)
        for batch in self._batches(pieces):
            states = self._states([piece for _, piece in batch], every_layer)
            for (number, piece), state in zip(batch, states, strict=True):
                sums[number] += state
                counts[number] += len(piece)
        vectors = (sums / np.maximum(counts, 1)[:, None, None]).astype(np.float32)
        return vectors, np.flatnonzero(counts == 0).tolist()

    def symbols(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text's symbols."""
        return [self._symbols_of(text) for text in texts]

    def _symbols_of(self, text: str) -> list[int]:
        symbols = self._tokenizer.tokenize(text, split_special_tokens=True)
        ids: Any = self._tokenizer.convert_tokens_to_ids(symbols)
        return ids

    def _pieces(self, symbols: list[int]) -> list[list[int]]:
        room = self._model.config.max_position_embeddings - 2
        return [symbols[start : start + room] for start in range(0, len(symbols), room)]

    def _batches(self, pieces: list[tuple[int, list[int]]]) -> Iterator[list[tuple[int, list[int]]]]:
        """The pieces in batches, the longest first: little is padded, and too large a batch fails at once."""
        ordered = sorted(pieces, key=lambda entry: -len(entry[1]))
        start = 0
        while start < len(ordered):
            size = max(1, self._max_tokens // (len(ordered[start][1]) + 2))
            yield ordered[start : start + size]
            start += size

    def _states(self, pieces: list[list[int]], every_layer: bool) -> npt.NDArray[np.float64]:
        """Each piece's states summed over its symbols, [pieces, layers, embed_dim]; only the last layer, or all."""
        import torch

        framed = [{"input_ids": self._tokenizer.build_inputs_with_special_tokens(piece)} for piece in pieces]
        for encoding in framed:
            encoding["token_type_ids"] = [self._tokenizer.language_id] * len(encoding["input_ids"])
        inputs = self._tokenizer.pad(framed, return_tensors="pt").to(self._kind)
        with torch.inference_mode():
            output = self._model(**inputs, output_hidden_states=every_layer)
        states = output.hidden_states if every_layer else (output.last_hidden_state,)
        lengths = torch.tensor([len(piece) for piece in pieces], device=self._kind)
        positions = torch.arange(states[0].shape[1], device=self._kind)
        inside = (positions >= 1) & (positions <= lengths[:, None])
        sums = [(layer.double() * inside[:, :, None]).sum(dim=1) for layer in states]
        return torch.stack(sums, dim=1).cpu().numpy()
