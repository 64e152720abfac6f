"""Measure masked-token loss, perplexity and accuracy of a model in each language, beside the unigram baseline.

Scores a checkpoint or an exported Hugging Face directory on the splits of the binarized data, or on raw text files,
which it tokenizes and segments as the pipeline does. A text has the same scores either way.

Every block of a text is scored once, with masks that depend on --seed and the block's number alone: 15 % of its tokens
must be predicted; of these the model sees <mask> for 80 %, a random symbol for 10 %, the token itself for 10 %, as in
training. (XLM's own evaluation puts <mask> in place of all; its scores differ a little.)

The table: `tokens` masked tokens scored; `loss` their mean cross-entropy in nats; `perplexity` e to the loss;
`accuracy` the share where the most probable symbol is right; `unigram` the perplexity, on the same masked
tokens, of the language's training unigrams, add-one smoothed over the vocabulary: a model that is not well below it has
learned nothing from context (of an export, from its own counts; nan without the training data or counts).

`bits_per_character` = loss / ln 2 * tokens of the text / characters of the text, for models with different
vocabularies: a larger one has fewer tokens to predict, and each is harder. The tokens are all of the text's, line ends
included; the characters are those of the tokenized text without BPE's joints, spaces and line ends included (an <unk>
counts as one). Since a masked token is predicted from both sides, this is not a compressed size and can't be compared
with a left-to-right model's.

`loss_error` is the standard error of `loss`: e to the loss plus and minus 1.96 of it is the 95 % interval of the
perplexity, which is wide where `tokens` are few.

With --pseudo N, of the first N lines: `pseudo_perplexity` and `pseudo_bits_per_character` from their
pseudo-log-likelihood (Salazar et al. 2020), each token masked in turn and predicted from the rest of its line.

The row `mean` of a split is the arithmetic mean of each column over the languages, as in XLM: the mean of perplexities,
not the perplexity of the mean loss; its `loss_error` is that of the mean loss.
"""

import argparse
import dataclasses
import logging
import math
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wikixlm import console
from wikixlm.binarize.indexed_format import data_file, index_file, split_prefix
from wikixlm.errors import UserError
from wikixlm.evaluate import models, pseudo_likelihood, scoring, texts
from wikixlm.evaluate.preprocessing import (
    PiecePreprocessing,
    Preprocessing,
    PreprocessingOptions,
    choose_preprocessing,
)
from wikixlm.evaluate.scoring import EvaluationRow
from wikixlm.model import device
from wikixlm.model.unigram import log_probabilities, symbol_counts
from wikixlm.seals import check_seals
from wikixlm.tokenize.word_segmenters import JAPANESE
from wikixlm.train import data_folders

# The split of a raw text file, in the table.
TEXT = "text"


class BinarizedText(NamedTuple):
    """A text to score: its language, its split, and its path without suffix."""

    language: str
    split: str
    path: Path


class RawText(NamedTuple):
    language: str
    file: Path


@dataclass(frozen=True)
class ScoringOptions:
    """How texts are scored.

    Attributes:
        seed: of the masks.
        max_tokens: tokens in a batch; changes speed and memory only.
        pseudo: lines of each text to score token by token too.
    """

    seed: int = 0
    max_tokens: int = 4096
    pseudo: int = 0


def raw_text(argument: str) -> RawText:
    """The language and file of `en=file.txt`."""
    language, separator, path = argument.partition("=")
    if not (language and separator and path):
        raise argparse.ArgumentTypeError(f"{argument!r}: expected LANGUAGE=FILE, as in en=file.txt")
    return RawText(language, Path(path))


def load_model(
    checkpoint: Path | None, export: Path | None, data: Path | None, kind: str, tokens_per_sample: int | None
) -> models.Model:
    """The model in a checkpoint or in an export.

    Args:
        data: folder of the binarized data, whose dictionary must be the model's.
        kind: `cpu` or `cuda`.
        tokens_per_sample: length of the examples; None: as in training.

    Raises:
        UserError: it can't be loaded, or is too small for the examples.
    """
    if export is not None:
        model = models.from_export(export, data, kind)
    else:
        model = models.from_checkpoint(checkpoint or Path(), data, kind)
    if tokens_per_sample is None:
        return model
    if not 1 < tokens_per_sample <= model.positions:
        raise UserError(f"--tokens-per-sample {tokens_per_sample}: {model.name} accepts 2 to {model.positions} tokens")
    return dataclasses.replace(model, tokens_per_sample=tokens_per_sample)


def refuse_unknown_languages(model: models.Model, languages: Sequence[str]) -> None:
    """Raise a UserError if the model was not trained on one of the languages, or one is named twice."""
    if unknown := [language for language in languages if language not in model.languages]:
        raise UserError(f"{model.name} was trained on {', '.join(model.languages)}, not on {', '.join(unknown)}")
    if len(set(languages)) < len(languages):
        raise UserError(f"a language is named twice: {', '.join(languages)}")


def binarize_texts(
    raw: Sequence[RawText], preprocessing: Preprocessing | PiecePreprocessing, dictionary: Sequence[str], folder: Path
) -> Iterator[BinarizedText]:
    """Binarize raw texts into `folder`."""
    for language, source in raw:
        target = folder / language
        texts.binarize_raw(source, target, preprocessing.tokenizer(language), preprocessing.encoder(), dictionary)
        yield BinarizedText(language, TEXT, target)


def evaluate(
    model: models.Model, sources: Sequence[BinarizedText], data: Sequence[Path], options: ScoringOptions
) -> list[EvaluationRow]:
    """A row for each text, and after each split's rows their mean.

    Args:
        data: the binarized data's folders, for the unigram baseline; none: the export's counts, if it has them.
    """
    lengths = texts.symbol_lengths(model.dictionary)
    baselines: dict[str, npt.NDArray[np.float64] | None] = {}
    by_split: dict[str, list[EvaluationRow]] = {}
    for language, split, path in sources:
        if language not in baselines:
            baselines[language] = unigram_baseline(model, data, language)
        size = texts.text_size(path, lengths)
        scores = scoring.score_text(model, path, language, size, baselines[language], options.seed, options.max_tokens)
        if options.pseudo:
            lines = texts.first_lines(path, options.pseudo)
            scores |= pseudo_likelihood.score_lines(model, lines, language, lengths, options.max_tokens)
        text = f"{size.tokens:,} tokens, {size.characters:,} characters"
        logging.info("%s %s: %s; %s", language, split, text, ", ".join(f"{k} {v:.6g}" for k, v in scores.items()))
        by_split.setdefault(split, []).append(EvaluationRow(language, split, scores))
    return [row for rows in by_split.values() for row in [*rows, scoring.mean_row(rows)]]


def unigram_baseline(model: models.Model, data: Sequence[Path], language: str) -> npt.NDArray[np.float64] | None:
    """The unigram log-probabilities of a language's training text, [vocabulary]: of the data, else of the export.

    None if neither has them.
    """
    if not data:
        counts = model.unigrams(language)
        return None if counts is None else log_probabilities(counts)
    found = [split_prefix(folder, "train", language) for folder in data]
    train = [path for path in found if len(data) == 1 or index_file(path).exists()]
    check_seals(*(file(prefix) for prefix in train for file in (data_file, index_file)))
    return log_probabilities(symbol_counts(train, len(model.dictionary)))


def report_means(rows: Sequence[EvaluationRow]) -> None:
    """Print each split's mean perplexity on the terminal."""
    for row in rows:
        if row.language == "mean":
            unigram_perplexity = row.scores["unigram"]
            against = "" if math.isnan(unigram_perplexity) else f", unigram baseline {unigram_perplexity:,.1f}"
            console.say(f"{row.split}: mean perplexity {row.scores['perplexity']:,.1f}{against}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument(
        "--checkpoint", "--model", type=Path, dest="checkpoint", help="model.pt, or any of fairseq's checkpoints"
    )
    model.add_argument("--export", type=Path, metavar="DIR", help="exported Hugging Face directory")
    parser.add_argument(
        "--data",
        type=data_folders.parse_folders,
        help="folder of the binarized data, with dict.txt (several: joined by colons); not needed for --text",
    )
    parser.add_argument("--languages", nargs="+", help="languages to evaluate (default: all of the model's)")
    parser.add_argument("--splits", nargs="+", default=["valid", "test"], help="splits to evaluate")
    parser.add_argument(
        "--text",
        nargs="+",
        type=raw_text,
        metavar="LANGUAGE=FILE",
        help="evaluate raw text instead of splits: one paragraph a line, tokenized and segmented here",
    )
    _add_preprocessing_arguments(parser)
    parser.add_argument(
        "--pseudo", type=int, default=0, metavar="LINES", help="also score this many lines token by token"
    )
    parser.add_argument(
        "--tokens-per-sample",
        type=int,
        metavar="N",
        help="cut the text into examples of N tokens (default: as in training; an export: its positions)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the masks")
    parser.add_argument("--device", choices=device.CHOICES, default="auto", help="auto: a GPU if there is one")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads")
    parser.add_argument("--max-tokens", type=int, default=4096, help="tokens in a batch; changes speed and memory only")
    parser.add_argument("--output", type=Path, help="the table, tab-separated (default: standard output)")


def _add_preprocessing_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--codes", type=Path, help="with --text: BPE codes of the run (default: the export's own)")
    parser.add_argument(
        "--lowercase-and-remove-accent",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="with --text: as the run's tokenize.lowercase_and_remove_accent (default: as the export has it, else no)",
    )
    parser.add_argument("--japanese", choices=JAPANESE, help="with --text: as the run's tokenize.japanese")
    parser.add_argument("--kytea-model", type=Path, help="with --text: KyTea's model.bin, as for `wikixlm tokenize`")


def main(args: argparse.Namespace) -> None:
    if args.data is None and not args.text:
        raise UserError("there is nothing to evaluate: give --data (a run's splits) or --text (raw text), or both")
    if args.text and args.languages:
        raise UserError("--languages goes with the splits of --data; --text names its languages itself")
    if args.pseudo < 0:
        raise UserError(f"--pseudo {args.pseudo}: a number of lines is accepted, 0 for none")
    chosen = device.choose(args.device)
    logging.info("evaluating on %s (%s)", chosen.kind, chosen.reason)
    import torch

    torch.set_num_threads(max(1, args.threads))
    data: list[Path] = args.data or []
    check_seals(*(folder / "dict.txt" for folder in data))
    model = load_model(args.checkpoint, args.export, data[0] if data else None, chosen.kind, args.tokens_per_sample)
    refuse_unknown_languages(model, [text.language for text in args.text] if args.text else args.languages or [])
    options = ScoringOptions(args.seed, args.max_tokens, args.pseudo)
    with tempfile.TemporaryDirectory(prefix="wikixlm-") as folder:
        if args.text:
            chosen_options = PreprocessingOptions(
                args.codes, args.lowercase_and_remove_accent, args.japanese, args.kytea_model
            )
            preprocessing = choose_preprocessing(args.export, chosen_options)
            sources = list(binarize_texts(args.text, preprocessing, model.dictionary, Path(folder)))
        else:
            sources = [
                BinarizedText(language, split, split_prefix(data[0], split, language))
                for split in args.splits
                for language in args.languages or model.languages
            ]
            check_seals(*(file(source.path) for source in sources for file in (data_file, index_file)))
        rows = evaluate(model, sources, data, options)
    if args.output:
        scoring.write_table(args.output, rows)
    else:
        scoring.print_table(sys.stdout, rows, aligned=sys.stdout.isatty())
    report_means(rows)
