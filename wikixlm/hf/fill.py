"""Fill in [MASK] (or <mask>) in a sentence with the trained model: a first impression of what it has learned.

    wikixlm fill "The capital of France is [MASK]." --lang en --directory runs/demo

Prints the most probable symbols and their probabilities, the best first. A symbol that ends in `@@` is the beginning or
the middle of a word, as in BPE-segmented text.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from wikixlm import hf
from wikixlm.errors import UserError
from wikixlm.hf.exported import add_model_arguments, find_export, load_bert, read_export
from wikixlm.model import device

MARK = "[MASK]"
MASKS = (MARK, "<mask>")  # what a user may write


class Guess(NamedTuple):
    """A symbol in fairseq's style, its id, and its probability in place of the mask."""

    symbol: str
    id: int
    probability: float


def fill(text: str, path: Path, lang: str, top: int, kind: str = "cpu") -> Iterator[list[Guess]]:
    """The `top` best symbols for each mask of the text, in order.

    Args:
        text: raw text with `[MASK]` or `<mask>` at least once.
        path: the exported model.
        kind: `cpu` or `cuda`.

    Raises:
        UserError: the text has no mask or is too long, the language is unknown, or `path` is not an export.
    """
    import torch

    from wikixlm.hf.vocabulary import fairseq_symbol

    if not any(mask in text for mask in MASKS):
        raise UserError(f"there is no {MARK} (or <mask>) in the text: put it where the model should guess")
    tokenizer = hf.load(path, lang)
    model = load_bert(read_export(path), "BertForMaskedLM").to(kind).eval()
    inputs = tokenizer(text.replace(MARK, tokenizer.mask_token), return_tensors="pt", verbose=False).to(kind)
    length, positions = inputs["input_ids"].shape[1], model.config.max_position_embeddings
    if length > positions:
        raise UserError(f"the text has {length} symbols, the model {positions} positions: shorten it")
    with torch.inference_mode():
        logits = model(**inputs).logits[inputs["input_ids"] == tokenizer.mask_token_id]
    best = logits.float().softmax(dim=-1).topk(min(top, logits.shape[-1]))
    for values, numbers in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        symbols = map(fairseq_symbol, tokenizer.convert_ids_to_tokens(numbers))
        yield [Guess(*guess) for guess in zip(symbols, numbers, values, strict=True)]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", help=f"a sentence with {MARK} (or <mask>) in it, once or more often")
    parser.add_argument("--lang", required=True, help="language of the sentence, one of the model's")
    parser.add_argument("--top", type=int, default=10, help="symbols to show for each mask")
    add_model_arguments(parser)


def main(args: argparse.Namespace) -> None:
    path = find_export(args.export, args.directory)
    kind = device.choose(args.device).kind
    for number, guesses in enumerate(fill(args.text, path, args.lang, args.top, kind)):
        if number:
            print()
        for guess in guesses:
            print(f"{guess.probability:.4f}  {guess.symbol}")
