"""Masked-token loss, perplexity and accuracy of a model in each language, beside the unigram baseline.

Every block of a split is scored once, with masks that depend on --seed and the block's number alone: 15 % of its tokens
must be predicted; of these the model sees <mask> for 80 %, a random symbol for 10 %, the token itself for 10 %, as in
training. (XLM's own evaluation puts <mask> in place of all; its figures are a little different.)

The table: `tokens` masked tokens scored; `loss` their mean cross-entropy in nats; `perplexity` e to the loss;
`accuracy` the share where the most probable symbol is the right one; `unigram` the perplexity, on the same masked
tokens, of the language's own training unigrams, add-one smoothed over the vocabulary: a model that does not get well
below it has learned nothing from context. The row `mean` of a split is the arithmetic mean of each column over the
languages, as in XLM: the mean of perplexities, not the perplexity of the mean loss.
"""

import argparse
import logging
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wikixlm import checkpoints, console, device, unigram
from wikixlm.errors import UserError
from wikixlm.fairseq_ext import USER_DIR, compat
from wikixlm.fairseq_ext.batches import Batch, Symbols, held_out_batch
from wikixlm.fairseq_ext.blocks import Blocks, prefix
from wikixlm.fairseq_ext.masking import Masking
from wikixlm.files import atomic_text

HEADER = ("language", "split", "tokens", "loss", "perplexity", "accuracy", "unigram")
# Beyond this loss e to it is no longer a number of use.
_LARGEST_LOSS = 700.0


@dataclass(frozen=True)
class Row:
    """The figures of one language and split; see the module's description."""

    language: str
    split: str
    tokens: float
    loss: float
    perplexity: float
    accuracy: float
    unigram: float


@dataclass(frozen=True)
class Trained:
    """A model ready to be scored.

    Attributes:
        network: fairseq's model, in evaluation mode, on `device`.
        languages: its languages; their order gives their ids.
        tokens_per_sample: positions of an example, the leading `</s>` included.
        masking, symbols: of its dictionary.
        vocabulary: symbols in its dictionary.
    """

    network: Any
    device: str
    languages: list[str]
    tokens_per_sample: int
    masking: Masking
    symbols: Symbols
    vocabulary: int


def load_model(path: Path, data: Path, kind: str) -> Trained:
    """Load a model of `wikixlm train` (or any checkpoint of it) for the dictionary in `data`.

    Raises:
        UserError: no such checkpoint, unreadable, or trained with another dictionary.
    """
    state = checkpoints.load(path)
    if not (data / "dict.txt").is_file():
        raise UserError(f"{data / 'dict.txt'} is missing: run the dictionary stage first")
    compat.apply()
    from fairseq import checkpoint_utils, utils

    if state["cfg"]["common"]["user_dir"]:  # trained with our extension, wherever that was installed
        utils.import_user_module(argparse.Namespace(user_dir=str(USER_DIR)))
    try:
        models, cfg, task = checkpoint_utils.load_model_ensemble_and_task([str(path)], {"data": str(data)})
    except (RuntimeError, KeyError) as failure:
        raise UserError(f"{path} does not fit {data / 'dict.txt'}: {str(failure).splitlines()[-1]}") from failure
    dictionary = task.target_dictionary
    if state["task_state"].get("symbols", dictionary.symbols) != dictionary.symbols:
        raise UserError(f"{path} was trained with another dictionary than {data / 'dict.txt'}")
    return Trained(
        network=models[0].float().to(kind).eval(),
        device=kind,
        languages=[code.strip() for code in cfg.task.monolingual_langs.split(",")],
        tokens_per_sample=int(cfg.task.tokens_per_sample),
        masking=Masking(dictionary.mask(), dictionary.nspecial, len(dictionary)),
        symbols=Symbols(pad=dictionary.pad(), eos=dictionary.eos()),
        vocabulary=len(dictionary),
    )


def score(
    model: Trained, data: Path, split: str, language: str, baseline: npt.NDArray[np.float64], seed: int, max_tokens: int
) -> Row:
    """One language's figures on one split.

    Args:
        model: what to score.
        data: folder of the binarized data.
        split: `valid` or `test`.
        language: one of the model's.
        baseline: the language's unigram log-probabilities, [vocabulary].
        seed: of the masks.
        max_tokens: tokens in a batch; changes speed and memory, not the figures.
    """
    import torch

    blocks = Blocks(prefix(data, split, language), model.tokens_per_sample - 1)
    number = model.languages.index(language)
    size = max(1, max_tokens // model.tokens_per_sample)
    tokens, correct, loss, unigram_loss = 0, 0, 0.0, 0.0
    for start in range(0, len(blocks), size):
        numbers = np.arange(start, min(start + size, len(blocks)), dtype=np.int64)
        batch = held_out_batch(blocks, numbers, number, model.masking, seed, model.symbols)
        target = batch["target"]
        with torch.inference_mode():
            logits, _ = model.network(**_moved(batch["net_input"], model.device))
            aim = target.to(model.device)
            losses = torch.nn.functional.cross_entropy(logits.float(), aim, reduction="none")
            loss += float(losses.double().sum())
            correct += int((logits.argmax(dim=-1) == aim).sum())
        tokens += len(target)
        unigram_loss -= float(baseline[target.numpy()].sum())
    return Row(
        language, split, tokens, loss / tokens, _perplexity(loss / tokens), correct / tokens,
        _perplexity(unigram_loss / tokens),
    )  # fmt: skip


def _moved(values: Batch, kind: str) -> Batch:
    return {name: value.to(kind) if hasattr(value, "to") else value for name, value in values.items()}


def _perplexity(loss: float) -> float:
    return math.exp(min(loss, _LARGEST_LOSS))


def mean(rows: list[Row]) -> Row:
    """The row `mean` of one split's rows."""
    columns = {name: sum(getattr(row, name) for row in rows) / len(rows) for name in HEADER[2:]}
    return Row("mean", rows[0].split, **columns)


def write_table(path: Path, rows: list[Row]) -> None:
    """Write the table, tab-separated."""
    with atomic_text(path) as stream:
        print(*HEADER, sep="\t", file=stream)
        for row in rows:
            figures = f"{row.tokens:.0f}\t{row.loss:.6f}\t{row.perplexity:.4f}\t{row.accuracy:.6f}\t{row.unigram:.4f}"
            print(row.language, row.split, figures, sep="\t", file=stream)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this stage."""
    parser.add_argument("--model", type=Path, required=True, help="model.pt, or any of fairseq's checkpoints")
    parser.add_argument("--data", type=Path, required=True, help="folder of the binarized data, with dict.txt")
    parser.add_argument("--languages", nargs="+", required=True, help="languages to evaluate")
    parser.add_argument("--splits", nargs="+", default=["valid", "test"], help="splits to evaluate")
    parser.add_argument("--seed", type=int, default=0, help="seed of the masks")
    parser.add_argument("--device", choices=device.CHOICES, default="auto", help="auto: a GPU where there is one")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads")
    parser.add_argument("--max-tokens", type=int, default=4096, help="tokens in a batch; changes speed and memory only")
    parser.add_argument("--output", type=Path, required=True, help="the table, tab-separated")


def main(args: argparse.Namespace) -> None:
    """Score the model and write the table."""
    import torch

    chosen = device.choose(args.device)
    torch.set_num_threads(max(1, args.threads))
    logging.info("evaluating on %s (%s)", chosen.kind, chosen.reason)
    model = load_model(args.model, args.data, chosen.kind)
    if unknown := [language for language in args.languages if language not in model.languages]:
        raise UserError(f"{args.model} was trained on {', '.join(model.languages)}, not on {', '.join(unknown)}")
    scored: dict[str, list[Row]] = {split: [] for split in args.splits}
    for language in args.languages:
        baseline = unigram.log_probabilities(prefix(args.data, "train", language), model.vocabulary)
        for split in args.splits:
            row = score(model, args.data, split, language, baseline, args.seed, args.max_tokens)
            logging.info("%s", row)
            scored[split].append(row)
    write_table(args.output, [row for rows in scored.values() for row in [*rows, mean(rows)]])
    for split, rows in scored.items():
        averages = mean(rows)
        console.say(f"{split}: mean perplexity {averages.perplexity:,.1f}, unigram baseline {averages.unigram:,.1f}")
