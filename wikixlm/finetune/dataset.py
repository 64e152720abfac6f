"""Encode examples for the model, each with the tokenizer bound to its language."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wikixlm import console, hf
from wikixlm.finetune.examples import Example
from wikixlm.tokenize.characters import lowercase_and_remove_accents


class EncodedExamples:
    """A torch dataset in a few arrays; an item is the model's input, without padding.

    Args:
        ids: an array of token ids per example, special tokens included.
        languages: the language id of each example, the value of its `token_type_ids`.
        labels: the label id of each example.
    """

    def __init__(self, ids: Sequence[npt.NDArray[np.int32]], languages: Sequence[int], labels: Sequence[int]) -> None:
        self._ends = np.cumsum([len(each) for each in ids], dtype=np.int64)
        self._ids = np.concatenate(ids) if ids else np.empty(0, np.int32)
        self.languages = np.asarray(languages, dtype=np.int64)
        """[examples]"""
        self.labels = np.asarray(labels, dtype=np.int64)
        """[examples]"""

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def lengths(self) -> list[int]:
        """Tokens per example."""
        lengths: list[int] = np.diff(self._ends, prepend=0).tolist()
        return lengths

    def __getitem__(self, number: int) -> dict[str, Any]:
        end = self._ends[number]
        ids = self._ids[self._ends[number - 1] if number else 0 : end].tolist()
        language = int(self.languages[number])
        label = int(self.labels[number])
        return {
            "input_ids": ids,
            "token_type_ids": [language] * len(ids),
            "attention_mask": [1] * len(ids),
            "labels": label,
        }

    def select(self, wanted: npt.NDArray[np.bool_]) -> "EncodedExamples":
        """The examples where `wanted`, [examples], is true."""
        parts = np.split(self._ids, self._ends[:-1])
        chosen = [part for part, keep in zip(parts, wanted, strict=True) if keep]
        return EncodedExamples(chosen, self.languages[wanted].tolist(), self.labels[wanted].tolist())

    def digest(self) -> str:
        """SHA-256 of the content."""
        hashes = hashlib.sha256()
        for array in (self._ends, self._ids, self.languages, self.labels):
            hashes.update(np.ascontiguousarray(array).data)
        return hashes.hexdigest()


class ExampleEncoder:
    """Encodes examples for an exported model.

    Args:
        model: the export's folder.
        labels: label to its id.
        max_length: tokens of an example, special ones included; longer examples lose the end of their longer text.
    """

    def __init__(self, model: Path, labels: dict[str, int], max_length: int) -> None:
        self._model = model
        self._labels = labels
        self._max_length = max_length
        self._tokenizers: dict[str, Any] = {}

    def tokenizer(self, language: str) -> Any:
        """The tokenizer bound to a language."""
        if language not in self._tokenizers:
            self._tokenizers[language] = hf.load(self._model, lang=language)
        return self._tokenizers[language]

    def encode(self, examples: Sequence[Example], title: str, tokenized: bool = False) -> EncodedExamples:
        """The examples as the model's input, in order; the number of truncated ones is reported.

        Args:
            title: the examples' name in messages.
            tokenized: the texts are tokens already, separated by spaces: they are only lower-cased, if the model is,
                and segmented.
        """
        ids, languages, cut = [], [], 0
        for example in examples:
            tokenizer = self.tokenizer(example.language)
            symbols = [_symbols(tokenizer, text, tokenized) for text in example.texts]
            parts = [tokenizer.convert_tokens_to_ids(each) for each in symbols]
            encoding = tokenizer.prepare_for_model(*parts, truncation="longest_first", max_length=self._max_length)
            whole = sum(map(len, parts)) + tokenizer.num_special_tokens_to_add(pair=len(parts) > 1)
            cut += len(encoding["input_ids"]) < whole
            ids.append(np.array(encoding["input_ids"], dtype=np.int32))
            languages.append(tokenizer.language_id)
        if cut:
            console.say(f"{title}: {cut:,} of {len(ids):,} examples are truncated to {self._max_length} tokens")
        return EncodedExamples(ids, languages, [self._labels[example.label] for example in examples])


def _symbols(tokenizer: Any, text: str, tokenized: bool) -> list[str]:
    if not tokenized:
        symbols: list[str] = tokenizer.tokenize(text)
        return symbols
    words = text.split()
    if tokenizer.do_lowercase_and_remove_accent:
        words = lowercase_and_remove_accents(words)
    return [symbol for word in words for symbol in tokenizer.bpe(word).split(" ")]
