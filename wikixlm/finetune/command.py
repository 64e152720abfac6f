"""Fine-tune an exported model to classify texts or pairs of texts, and score it in every language of the test files.

Data are TSV files with a header or JSON lines (.tsv, .jsonl, also with .zst), with one or two columns of text, one of
labels and one of languages (or all rows in one --language). Training on one language and testing on others measures
cross-lingual transfer. Bad rows (no label, empty text, unknown language) are skipped and their line numbers reported;
rows in languages that the model was not trained on are skipped.

The output opens with transformers' AutoModelForSequenceClassification, and its tokenizer, bound to a language, with
`wikixlm.hf.load(folder, lang="de")`. Beside the model: metrics.tsv (language split examples accuracy f1; a row `mean`
per split, the unweighted mean over the languages; f1 is the mean over labels) and finetuning.json, what it was made of.

A killed run resumes from its last checkpoint when the command is given again. On a CPU the same seed gives the same
weights. With --valid the checkpoint with the best accuracy in the training languages becomes the model; without, the
last one.

    wikixlm finetune --model export --train train.tsv --valid valid.tsv --test test.tsv \\
        --text premise hypothesis --label label --language-column language --output models/mine
"""

import argparse
import os
import shutil
import statistics
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from wikixlm import console, formatting, hf
from wikixlm.errors import UserError
from wikixlm.files import atomic_folder, write_json
from wikixlm.finetune.dataset import EncodedExamples, ExampleEncoder
from wikixlm.finetune.examples import Columns, Example, ExampleReader, RowCounts, read_files
from wikixlm.finetune.scores import Score, mean_score, write_table
from wikixlm.hf.exported import read_export
from wikixlm.model import device

if TYPE_CHECKING:
    from wikixlm.finetune.fit import FinetunedModel

METRICS = "metrics.tsv"
RECORD = "finetuning.json"
LARGEST_SEED = 2**32 - 1  # numpy's
# The least that options may be.
LOWEST = {"epochs": 1, "batch_size": 1, "save_interval_updates": 1, "threads": 1, "seed": 0}
SHORTEST = 8  # tokens
SPLITS = ("train", "valid", "test")


def read_splits(
    files: dict[str, list[Path]], columns: Columns, languages: list[str]
) -> tuple[dict[str, list[Example]], list[RowCounts]]:
    """The examples of each split, and the account of all rows; labels are those of the training set.

    Raises:
        UserError: see `read_files`, or the training set has one label.
    """
    train, counts = read_files(files["train"], columns, ExampleReader(columns, languages))
    labels = {example.label for example in train}
    if len(labels) < 2:
        raise UserError(f"the training examples have the one label {labels.pop()!r}; a classifier needs two or more")
    data = {"train": train}
    reader = ExampleReader(columns, languages, labels=labels)
    for split in SPLITS[1:]:
        data[split], more = read_files(files[split], columns, reader)
        counts += more
    return data, counts


def encode_splits(
    data: dict[str, list[Example]], encoder: ExampleEncoder, tokenized: list[str]
) -> dict[str, EncodedExamples]:
    """The splits that have examples as the model's input."""
    return {split: encoder.encode(examples, split, split in tokenized) for split, examples in data.items() if examples}


def publish(model: "FinetunedModel", scores: list[Score], counts: list[RowCounts], output: Path) -> None:
    """Write the model, its scores and its record to `output`, which is replaced as a whole; remove the checkpoints."""
    with atomic_folder(output) as folder:
        model.trainer.model.save_pretrained(folder)
        model.tokenizer.save_pretrained(folder)
        write_table(folder / METRICS, scores)
        rows = [each.as_dict() for each in counts]
        write_json(folder / RECORD, {**model.record, "update": model.update, "rows": rows})
    shutil.rmtree(model.save_dir)
    console.say(f"{output}: the checkpoint of update {model.update:,}")


def report_scores(scores: list[Score], data: dict[str, list[Example]]) -> None:
    """Print the scores as a table, beside the accuracy of always giving the training set's most frequent label."""
    label, _ = Counter(example.label for example in data["train"]).most_common(1)[0]
    cells = [["split", "language", "examples", "accuracy", "F1", "majority class"]]
    for split in SPLITS[1:]:
        of_split = [row for row in scores if row.split == split]
        shares = [majority_share(data[split], row.language, label) for row in of_split]
        if of_split:
            of_split, shares = [*of_split, mean_score(of_split)], [*shares, statistics.fmean(shares)]
        for row, share in zip(of_split, shares, strict=True):
            figures = [f"{row.accuracy:.3f}", f"{row.f1:.3f}", f"{share:.3f}"]
            cells.append([split, row.language, f"{row.examples:,}", *figures])
    if len(cells) > 1:
        table = formatting.table(cells, left=(0, 1))
        print(table)
        console.relay(table)


def majority_share(examples: list[Example], language: str, label: str) -> float:
    """The share of a language's examples that have the label."""
    labels = [example.label for example in examples if example.language == language]
    return labels.count(label) / len(labels)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FOLDER", help="the exported model")
    add("--train", type=Path, nargs="+", required=True, metavar="FILE", help="examples to train on")
    add("--valid", type=Path, nargs="+", default=[], metavar="FILE", help="examples to select the checkpoint by")
    add("--test", type=Path, nargs="+", default=[], metavar="FILE", help="examples to score")
    add("--text", nargs="+", default=["text"], metavar="COLUMN", help="one column of text, or two for pairs")
    add("--label", default="label", metavar="COLUMN", help="column of the label")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--language-column", default="language", metavar="COLUMN", help="column of the language")
    where.add_argument("--language", default="", metavar="CODE", help="the language of all rows, instead of a column")
    add("--no-label", nargs="*", default=["-"], metavar="VALUE", help="values that mean a missing label")
    add(
        "--tokenized",
        nargs="*",
        choices=SPLITS,
        default=[],
        metavar="SPLIT",
        help="splits (train, valid, test) whose text is Moses tokens already, separated by spaces",
    )
    add(
        "--seed",
        type=int,
        default=0,
        help="seed of the classifier's initialisation, dropout and order",
    )
    add("--epochs", type=int, default=5, help="passes over the training set")
    add("--batch-size", type=int, default=32, help="examples per update")
    add("--lr", type=float, default=2.5e-5, help="peak learning rate")
    add("--max-length", type=int, metavar="N", help="tokens of an example (default: the model's maximum)")
    add("--save-interval-updates", type=int, default=1000, metavar="N", help="updates between checkpoints")
    add("--device", choices=device.CHOICES, default="auto", help="auto: a GPU if there is one")
    add("--precision", choices=device.PRECISIONS, default="auto", help="auto: fp32 on a CPU, bf16 or fp16 on a GPU")
    add("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads")
    add("--checkpoints", type=Path, metavar="FOLDER", help="default: OUTPUT.checkpoints; removed in the end")
    add("--output", type=Path, required=True, metavar="FOLDER", help="the fine-tuned model; replaced as a whole")


def refuse_bad_options(text: list[str], counts: Mapping[str, int], lr: float, output: Path) -> None:
    """Raise a UserError for an option out of bounds, before anything is read.

    Args:
        text: the columns.
        counts: options that are whole numbers, by name.
    """
    if len(text) > 2:
        raise UserError(f"--text {' '.join(text)}: one column, or two for pairs")
    for option, lowest in LOWEST.items():
        if counts[option] < lowest:
            raise UserError(f"--{option.replace('_', '-')} {counts[option]}: {lowest} or more is accepted")
    if counts["seed"] > LARGEST_SEED:
        raise UserError(f"--seed {counts['seed']}: at most {LARGEST_SEED} is accepted")
    if lr <= 0:
        raise UserError(f"--lr {lr}: more than 0 is accepted")
    if output.is_dir() and any(output.iterdir()) and not (output / RECORD).is_file():
        raise UserError(f"{output} holds something else than a fine-tuned model; give another --output")


def main(args: argparse.Namespace) -> None:
    refuse_bad_options(args.text, {name: getattr(args, name) for name in LOWEST}, args.lr, args.output)
    for module in ("transformers", "accelerate", "sklearn"):
        hf.require(module)
    hf.quietly()
    from wikixlm.finetune.fit import FinetuningSettings, Machine, fit

    base = read_export(args.model)
    max_length = base.positions if args.max_length is None else args.max_length
    if args.max_length is not None and not SHORTEST <= max_length <= base.positions:
        raise UserError(
            f"--max-length {max_length}: accepted are {SHORTEST} to {base.positions}, the model's positions"
        )
    language_column = "" if args.language else args.language_column
    columns = Columns(tuple(args.text), args.label, language_column, args.language, no_label=tuple(args.no_label))
    files = {split: getattr(args, split) for split in SPLITS}
    data, counts = read_splits(files, columns, base.languages)
    labels = sorted({example.label for example in data["train"]})
    chosen = device.choose(args.device)
    console.say(f"fine-tuning on {'the CPU' if chosen.kind == 'cpu' else 'a GPU'}: {chosen.reason}")
    encoder = ExampleEncoder(base.folder, {label: number for number, label in enumerate(labels)}, max_length)
    encoded = encode_splits(data, encoder, args.tokenized)
    settings = FinetuningSettings(
        seed=args.seed,
        epochs=args.epochs,
        batch_size=args.batch_size,
        lr=args.lr,
        save_interval_updates=args.save_interval_updates,
        precision=device.choose_precision(args.precision, chosen, None),
    )
    checkpoints = args.checkpoints or args.output.with_name(f"{args.output.name}.checkpoints")
    tokenizer = encoder.tokenizer(data["train"][0].language)
    machine = Machine(chosen.kind, args.threads)
    model = fit(base, labels, encoded, tokenizer, settings, machine, checkpoints)
    held_out = [split for split in SPLITS[1:] if split in encoded]
    scores = [row for split in held_out for row in model.scores(encoded[split], split, base.languages)]
    publish(model, scores, counts, args.output)
    report_scores(scores, data)
