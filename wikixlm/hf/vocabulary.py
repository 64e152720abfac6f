"""The tokenizer's files: fairseq's dictionary and the BPE codes in XLMTokenizer's terms.

fairseq marks word-internal symbols (`low@@`), XLMTokenizer word-final ones (`er</w>`). The ids stay.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wikixlm import hf
from wikixlm.bpe.codes import CONTINUATION, END_OF_WORD, SPECIALS, Merge, codes_symbol
from wikixlm.errors import UserError


def xlm_symbol(symbol: str) -> str:
    """Fairseq's name of a symbol to XLMTokenizer's: `low@@` to `low`, `er` to `er</w>`; special ones stay the same."""
    return symbol if symbol in SPECIALS else codes_symbol(symbol)


def fairseq_symbol(symbol: str) -> str:
    """XLMTokenizer's name of a symbol to fairseq's, the inverse of `xlm_symbol`."""
    if symbol in SPECIALS:
        return symbol
    is_word_final = symbol.endswith(END_OF_WORD) and symbol != END_OF_WORD
    return symbol.removesuffix(END_OF_WORD) if is_word_final else symbol + CONTINUATION


def symbol_ids(symbols: Sequence[str]) -> dict[str, int]:
    """The content of XLMTokenizer's `vocab.json`: each symbol's id, which is its index in `symbols`.

    Raises:
        UserError: two symbols would get one name.
    """
    encoder: dict[str, int] = {}
    for number, symbol in enumerate(symbols):
        name = xlm_symbol(symbol)
        if name in encoder:
            both = f"{symbols[encoder[name]]} and {symbol}"
            raise UserError(f"the vocabulary's symbols {both} are one and the same in transformers ({name})")
        encoder[name] = number
    return encoder


def write_tokenizer(
    folder: Path, symbols: Sequence[str], merges: Sequence[Merge], languages: Sequence[str], settings: dict[str, Any]
) -> None:
    """Write `vocab.json`, `merges.txt`, `tokenizer_config.json` and the tokenizer's code.

    Args:
        symbols: the dictionary, special symbols first.
        merges: the BPE codes.
        languages: in the order of their ids.
        settings: `do_lowercase_and_remove_accent`, `japanese_segmenter`, `model_max_length`.
    """
    vocab, codes = folder / "vocab.json", folder / "merges.txt"
    vocab.write_text(json.dumps(symbol_ids(symbols), ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    codes.write_text("".join(f"{left} {right}\n" for left, right, _ in merges), encoding="utf-8")
    config = {
        "tokenizer_class": "XLMTokenizer",
        "auto_map": {"AutoTokenizer": [f"{hf.CODE.stem}.WikixlmTokenizer", None]},
        **{f"{name}_token": "</s>" for name in ("bos", "eos", "cls", "sep")},
        **{f"{name}_token": f"<{name}>" for name in ("pad", "unk", "mask")},
        "additional_special_tokens": [],
        "lang2id": {code: number for number, code in enumerate(languages)},
        "id2lang": dict(enumerate(languages)),
        "clean_up_tokenization_spaces": False,
        **settings,
    }
    text = json.dumps(config, ensure_ascii=False, indent=2) + "\n"
    (folder / "tokenizer_config.json").write_text(text, encoding="utf-8")
    (folder / hf.CODE.name).write_bytes(hf.CODE.read_bytes())
