"""A tokenizer bound to one language: from raw text to the ids that a wikixlm model was trained on.

This file is the same in the Python package and in every exported model, where `AutoTokenizer.from_pretrained(path,
lang="de", trust_remote_code=True)` opens it. It needs transformers and sacremoses; Thai needs pythainlp, Chinese
rjieba, Japanese kytea or fugashi with unidic-lite, as in the model's training.
"""

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import BatchEncoding, XLMTokenizer
from transformers.models.xlm.tokenization_xlm import lowercase_and_remove_accent, romanian_preprocessing

WordSegmenter = Callable[[str], list[str]]

SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
# Where XLMTokenizer looks for KyTea's model, and where KyTea's own installation and Linux distributions put it.
KYTEA_MODELS = ("~/local/share/kytea/model.bin", "/usr/local/share/kytea/model.bin", "/usr/share/kytea/model.bin")


class WikixlmTokenizer(XLMTokenizer):
    """transformers' XLMTokenizer, bound to a language.

    A text becomes `</s> a </s>`, as in training; a pair becomes `</s> a </s> b </s>`, as in XLM's own XNLI code
    (`concat_batches` in facebookresearch/XLM, xlm/utils.py). `token_type_ids` are the language's id at every position.

    Of the special tokens only the mask is recognised in text; any other, `</s>` say, is segmented as plain text, as in
    training (`split_special_tokens=True` does so with the mask too). The text before a mask and the text behind it are
    tokenized separately.

    Args:
        vocab_file, merges_file: `vocab.json` and `merges.txt` of the exported model.
        lang: code of the language, one of `lang2id`; optional if there is only one. It is not saved.
        lang2id: language codes and their ids, the rows of the model's token type embeddings.
        japanese_segmenter: as in training: `kytea`, `fugashi` or `moses` (splits off punctuation only).
        **kwargs: as XLMTokenizer's.

    Raises:
        ValueError: the language is missing, or the model was not trained on it.
        ImportError: a package for the language, or KyTea's model, is missing.
    """

    model_input_names = ["input_ids", "token_type_ids", "attention_mask"]  # noqa: RUF012
    # Saving then copies this file, so that a saved tokenizer opens as an exported one does.
    _auto_class = "AutoTokenizer"

    def __init__(
        self,
        vocab_file: str,
        merges_file: str,
        lang: str | None = None,
        lang2id: dict[str, int] | None = None,
        japanese_segmenter: str = "kytea",
        **kwargs: Any,
    ) -> None:
        if not lang2id:
            raise ValueError("the tokenizer's settings have no lang2id: this is not an exported wikixlm model")
        self.japanese_segmenter = japanese_segmenter
        self._language = _checked(lang, lang2id)
        self._segment = _segmenter(self._language, japanese_segmenter)
        kwargs["id2lang"] = {number: code for code, number in lang2id.items()}
        kwargs.setdefault("additional_special_tokens", [])  # else XLMTokenizer's ten, which the model has no rows for
        super().__init__(vocab_file, merges_file, lang2id=lang2id, japanese_segmenter=japanese_segmenter, **kwargs)

    @property
    def lang(self) -> str:
        """Code of the language; set it to change the language."""
        return self._language

    @lang.setter
    def lang(self, code: str) -> None:
        self._segment = _segmenter(_checked(code, self.lang2id), self.japanese_segmenter)
        self._language = code

    @property
    def language_id(self) -> int:
        """The language's id, the value of all `token_type_ids`."""
        number: int = self.lang2id[self._language]
        return number

    @property
    def pad_token_type_id(self) -> int:
        """Padding has the text's language."""
        return self.language_id

    def tokenize(self, text: str, **kwargs: Any) -> list[str]:
        """The symbols of a text; a word's last one ends in `</w>`, the mask and added tokens are kept whole."""
        if kwargs.pop("split_special_tokens", self.split_special_tokens):
            return self._tokenize(text)
        framing = {self.bos_token, self.eos_token, self.sep_token, self.cls_token, self.pad_token, self.unk_token}
        whole = self._added_tokens_encoder.keys() - (framing - {self.mask_token})
        symbols: list[str] = []
        plain = ""
        for piece in self.tokens_trie.split(text):
            if piece in whole:
                symbols += [*self._tokenize(plain), piece]
                plain = ""
            else:
                plain += piece
        return symbols + self._tokenize(plain)

    def _tokenize(self, text: str, lang: str | None = None, bypass_tokenizer: bool = False) -> list[str]:
        """The symbols of a text without special tokens, in the tokenizer's own language (`lang` changes nothing)."""
        words = text.split() if bypass_tokenizer else self._words(text)
        return [symbol for word in words if word for symbol in self.bpe(word).split(" ")]

    def _words(self, text: str) -> list[str]:
        if self._segment is None:
            text = self.moses_pipeline(text, lang=self._language)
            if self._language == "ro" and self.do_lowercase_and_remove_accent:
                text = romanian_preprocessing(text)
            words = self.moses_tokenize(text, lang=self._language)
        elif self._language == "zh":
            words = self.moses_pipeline(" ".join(self._segment(text)), lang="zh").split()
        else:
            # Segmenters may give words with white space, which the model's symbols never contain.
            segmented = self._segment(self.moses_pipeline(text, lang=self._language))
            words = [part for word in segmented for part in word.split()]
        return lowercase_and_remove_accent(words) if self.do_lowercase_and_remove_accent else words

    def get_vocab(self) -> dict[str, int]:
        """Ids by the symbols' names as `wikixlm fill` prints them: `the` is the whole word, `the@@` its beginning.

        transformers' fill-mask looks its `targets` up here.
        """
        vocab = {}
        for symbol, number in super().get_vocab().items():
            if symbol in SPECIALS or symbol in self._added_tokens_encoder:
                vocab[symbol] = number
            else:
                vocab[symbol.removesuffix("</w>") if symbol.endswith("</w>") else f"{symbol}@@"] = number
        return vocab

    def _convert_token_to_id(self, token: str) -> int:
        number = self.encoder.get(token)
        return self.encoder[self.unk_token] if number is None else number

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Join symbols to words, with spaces between words and around special tokens."""
        special = set(self.all_special_tokens)
        text = "".join(f" {token} " if token in special else token.replace("</w>", " ") for token in tokens)
        return " ".join(text.split())

    def create_token_type_ids_from_sequences(
        self, token_ids_0: list[int], token_ids_1: list[int] | None = None
    ) -> list[int]:
        """The language's id at every position."""
        return [self.language_id] * len(self.build_inputs_with_special_tokens(token_ids_0, token_ids_1))

    def prepare_for_model(self, ids: list[int], pair_ids: list[int] | None = None, **kwargs: Any) -> BatchEncoding:
        """As in the base class, with the language's id in `token_type_ids` also without special tokens."""
        encoding = super().prepare_for_model(ids, pair_ids, **kwargs)
        types = encoding.get("token_type_ids")
        if isinstance(types, list):
            encoding["token_type_ids"] = [self.language_id] * len(types)
        elif types is not None:
            types[...] = self.language_id
        return encoding

    def _save_pretrained(self, save_directory: Any, file_names: tuple[str, ...], *args: Any, **kwargs: Any) -> Any:
        # AutoTokenizer without trust_remote_code looks for a class of transformers.
        path = Path(file_names[0])
        settings = json.loads(path.read_text(encoding="utf-8")) | {"tokenizer_class": "XLMTokenizer"}
        path.write_text(json.dumps(settings, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
        return super()._save_pretrained(save_directory, file_names, *args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        # Segmenters can't be pickled.
        return {**super().__getstate__(), "_segment": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._segment = _segmenter(self._language, self.japanese_segmenter)


def _checked(lang: str | None, lang2id: dict[str, int]) -> str:
    if lang is None and len(lang2id) == 1:
        return next(iter(lang2id))
    if lang not in lang2id:
        languages = ", ".join(sorted(lang2id, key=lang2id.__getitem__))
        what = "this tokenizer needs a language" if lang is None else f"the model was not trained on {lang}"
        raise ValueError(f"{what}; accepted as lang: {languages}")
    return lang


def _segmenter(lang: str, japanese: str) -> WordSegmenter | None:
    """The word segmenter of a language without spaces; None: the Moses tokenizer."""
    if lang == "th":
        return _package("pythainlp.tokenize", "pythainlp", lang).word_tokenize
    if lang == "zh":
        return _package("rjieba", "rjieba", lang).cut
    if lang == "ja" and japanese == "kytea":
        return _kytea()
    if lang == "ja" and japanese == "fugashi":
        return _fugashi()
    return None


def _package(module: str, package: str, lang: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as failure:
        raise ImportError(f"language {lang} needs {module} ({failure}); install it: pip install {package}") from failure


def _kytea() -> WordSegmenter:
    model = next((place for name in KYTEA_MODELS if (place := Path(name).expanduser()).is_file()), None)
    if model is None:
        raise ImportError(
            f"language ja needs KyTea's model, which is not at {' or '.join(KYTEA_MODELS)}; install KyTea"
        )
    tagger = _package("Mykytea", "kytea", "ja").Mykytea(f"-model {model}")
    return lambda text: list(tagger.getWS(text))


def _fugashi() -> WordSegmenter:
    folder = _package("unidic_lite", "unidic-lite", "ja").DICDIR
    fugashi = _package("fugashi", "fugashi", "ja")
    tagger = fugashi.GenericTagger(f'-Owakati -r "{folder}/mecabrc" -d "{folder}"')
    return lambda text: tagger.parse(text).split()
