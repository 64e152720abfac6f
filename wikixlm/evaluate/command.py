"""Masked-token loss, perplexity and accuracy of a model in each language, beside the unigram baseline.

What is scored: a checkpoint, or the exported Hugging Face directory. On what: the splits of the binarized data, or raw
text files, which go through the pipeline's own steps first. The figures are the same whichever way a text comes in.

Every block of a text is scored once, with masks that depend on --seed and the block's number alone: 15 % of its tokens
must be predicted; of these the model sees <mask> for 80 %, a random symbol for 10 %, the token itself for 10 %, as in
training. (XLM's own evaluation puts <mask> in place of all; its figures are a little different.)

The table: `tokens` masked tokens scored; `loss` their mean cross-entropy in nats; `perplexity` e to the loss;
`accuracy` the share where the most probable symbol is the right one; `unigram` the perplexity, on the same masked
tokens, of the language's own training unigrams, add-one smoothed over the vocabulary: a model that does not get well
below it has learned nothing from context (nan without the training data).

`bits_per_character` = loss / ln 2 * tokens of the text / characters of the text, for models with different
vocabularies: a larger one has fewer tokens to predict, and each is harder. The tokens are all of the text's, line ends
included; the characters are those of the tokenized text without BPE's joints, spaces and line ends included (an <unk>
counts as one). Since a masked token is predicted from both sides, this is no compressed size, and not to be compared
with a left-to-right model's.

With --pseudo N, of the first N lines: `pseudo_perplexity` and `pseudo_bits_per_character` from their
pseudo-log-likelihood (Salazar et al. 2020), each token masked in turn and predicted from the rest of its line.

The row `mean` of a split is the arithmetic mean of each column over the languages, as in XLM: the mean of perplexities,
not the perplexity of the mean loss.
"""

import argparse
import dataclasses
import logging
import math
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wikixlm import console
from wikixlm.errors import UserError
from wikixlm.evaluate import models, preprocessing, pseudo_likelihood, scoring, texts, unigram
from wikixlm.evaluate.scoring import Row
from wikixlm.model import device
from wikixlm.model.blocks import prefix
from wikixlm.tokenize.word_segmenters import JAPANESE
from wikixlm.train import data_folders

# The split of a raw text file, in the table.
TEXT = "text"


class Text(NamedTuple):
    """A binarized text to score: its language, its split, and its path without suffix."""

    language: str
    split: str
    path: Path


def text_file(argument: str) -> tuple[str, Path]:
    """The language and file of `en=file.txt`."""
    language, separator, path = argument.partition("=")
    if not (language and separator and path):
        raise argparse.ArgumentTypeError(f"{argument!r}: expected LANGUAGE=FILE, as in en=file.txt")
    return language, Path(path)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this stage."""
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument(
        "--checkpoint", "--model", type=Path, dest="checkpoint", help="model.pt, or any of fairseq's checkpoints"
    )
    model.add_argument("--export", type=Path, metavar="DIR", help="exported Hugging Face directory")
    parser.add_argument(
        "--data",
        type=data_folders.parse_folders,
        help="folder of the binarized data, with dict.txt (several: joined by colons); only --text does without",
    )
    parser.add_argument("--languages", nargs="+", help="languages to evaluate (default: all of the model's)")
    parser.add_argument("--splits", nargs="+", default=["valid", "test"], help="splits to evaluate")
    parser.add_argument(
        "--text",
        nargs="+",
        type=text_file,
        metavar="LANGUAGE=FILE",
        help="evaluate raw text instead of splits: one paragraph a line, tokenized and segmented here",
    )
    add_text_arguments(parser)
    parser.add_argument(
        "--pseudo", type=int, default=0, metavar="LINES", help="also score so many lines token by token"
    )
    parser.add_argument(
        "--tokens-per-sample",
        type=int,
        metavar="N",
        help="cut the text into examples of so many tokens (default: as in training; an export: its positions)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the masks")
    parser.add_argument("--device", choices=device.CHOICES, default="auto", help="auto: a GPU where there is one")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads")
    parser.add_argument("--max-tokens", type=int, default=4096, help="tokens in a batch; changes speed and memory only")
    parser.add_argument("--output", type=Path, help="the table, tab-separated (default: standard output)")


def add_text_arguments(parser: argparse.ArgumentParser) -> None:
    """How raw text is made into symbols: as the model's training text was."""
    parser.add_argument("--codes", type=Path, help="with --text: BPE codes of the run (default: the export's own)")
    parser.add_argument(
        "--lowercase-and-remove-accent",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="with --text: as the run's tokenize.lowercase_and_remove_accent (default: as the export says, else yes)",
    )
    parser.add_argument("--japanese", choices=JAPANESE, help="with --text: as the run's tokenize.japanese")
    parser.add_argument("--kytea-model", type=Path, help="with --text: KyTea's model.bin, as for `wikixlm tokenize`")


def main(args: argparse.Namespace) -> None:
    """Score the model and write the table."""
    if args.data is None and not args.text:
        raise UserError("there is nothing to evaluate: give --data (a run's splits) or --text (raw text), or both")
    if args.text and args.languages:
        raise UserError("--languages goes with the splits of --data; --text names its languages itself")
    if args.pseudo < 0:
        raise UserError(f"--pseudo {args.pseudo}: a number of lines is accepted, 0 for none")
    chosen = device.choose(args.device)
    logging.info("evaluating on %s (%s)", chosen.kind, chosen.reason)
    model = load_model(args, chosen.kind)
    with tempfile.TemporaryDirectory(prefix="wikixlm-") as folder:
        rows = table(model, list(find_texts(args, model, Path(folder))), args)
    if args.output:
        scoring.write_table(args.output, rows)
    else:
        scoring.print_table(sys.stdout, rows)
    for row in rows:
        if row.language == "mean":
            values = row.figures
            against = "" if math.isnan(values["unigram"]) else f", unigram baseline {values['unigram']:,.1f}"
            console.say(f"{row.split}: mean perplexity {values['perplexity']:,.1f}{against}")


def load_model(args: argparse.Namespace, kind: str) -> models.Model:
    """The model that the command line names, and a look at whether it knows the languages.

    Raises:
        UserError: it doesn't, or it can't be loaded.
    """
    import torch

    torch.set_num_threads(max(1, args.threads))
    data = args.data[0] if args.data else None
    if args.export:
        model = models.from_export(args.export, data, kind)
    else:
        model = models.from_checkpoint(args.checkpoint, data, kind)
    asked = [language for language, _ in args.text] if args.text else args.languages or []
    if unknown := [language for language in asked if language not in model.languages]:
        raise UserError(f"{model.name} was trained on {', '.join(model.languages)}, not on {', '.join(unknown)}")
    if len(set(asked)) < len(asked):
        raise UserError(f"a language is named twice: {', '.join(asked)}")
    if args.tokens_per_sample is None:
        return model
    if not 1 < args.tokens_per_sample <= model.positions:
        raise UserError(
            f"--tokens-per-sample {args.tokens_per_sample}: {model.name} takes 2 to {model.positions} tokens"
        )
    return dataclasses.replace(model, tokens_per_sample=args.tokens_per_sample)


def find_texts(args: argparse.Namespace, model: models.Model, folder: Path) -> Iterator[Text]:
    """The texts to score, split by split; raw ones are binarized into `folder`."""
    if not args.text:
        for split in args.splits:
            for language in args.languages or model.languages:
                yield Text(language, split, prefix(args.data[0], split, language))
        return
    how = preprocessing.choose(
        args.export, args.codes, args.lowercase_and_remove_accent, args.japanese, args.kytea_model
    )
    for language, source in args.text:
        target = folder / language
        texts.binarize_raw(source, target, how.tokenizer(language), how.merges, model.dictionary)
        yield Text(language, TEXT, target)


def table(model: models.Model, sources: list[Text], args: argparse.Namespace) -> list[Row]:
    """A row for each text, and after each split's its mean."""
    sizes = texts.characters(model.dictionary)
    baselines: dict[str, npt.NDArray[np.float64] | None] = {}
    by_split: dict[str, list[Row]] = {}
    for language, split, path in sources:
        if language not in baselines:
            baselines[language] = baseline(args.data, language, len(model.dictionary))
        size = texts.measure(path, sizes)
        row = scoring.score(model, path, language, size, baselines[language], args.seed, args.max_tokens)
        if args.pseudo:
            lines = texts.first_lines(path, args.pseudo)
            row |= pseudo_likelihood.score(model, lines, language, sizes, args.max_tokens)
        logging.info("%s %s: %s, %s", language, split, size, row)
        by_split.setdefault(split, []).append(Row(language, split, row))
    return [row for rows in by_split.values() for row in [*rows, scoring.mean(rows)]]


def baseline(data: list[Path] | None, language: str, vocabulary: int) -> npt.NDArray[np.float64] | None:
    """The unigram log-probabilities of a language's training text, [vocabulary]; None where there is none."""
    if data is None:
        return None
    found = [prefix(folder, "train", language) for folder in data]
    return unigram.log_probabilities(
        [path for path in found if len(data) == 1 or path.with_name(f"{path.name}.idx").exists()], vocabulary
    )
