"""Fine-tune an exported model to classify texts or pairs of texts, and score it in every language of the test files.

Data are TSV files with a header or JSON lines (.tsv, .jsonl, also with .zst), with one or two columns of text, one of
labels and one of languages; or all rows in one language (--language). Train on one language and test on others: that
is how cross-lingual transfer is measured. Bad rows (no label, empty text, unknown language) are left out, and their
lines told; so are rows in languages that the model was not trained on.

The output opens with transformers' AutoModelForSequenceClassification; its tokenizer, bound to a language, with
`wikixlm.hf.load(folder, lang="de")`. Beside the model: metrics.tsv (language split examples accuracy f1; per split a
row `mean`, in which each language counts alike; f1 is the mean over labels) and finetuning.json, what it was made of.

A killed run goes on from its last checkpoint when the command is given again. On a CPU the same seed gives the same
weights. With --valid the checkpoint with the best accuracy there becomes the model, by the languages that it was
trained on; without, the last.

    wikixlm finetune --model export --train train.tsv --valid valid.tsv --test test.tsv \\
        --text premise hypothesis --label label --language-column language --output models/mine
"""

import argparse
import os
import shutil
from pathlib import Path

from wikixlm import console, hf
from wikixlm.errors import UserError
from wikixlm.files import atomic_folder, read_json, write_json
from wikixlm.finetune.dataset import Encoder
from wikixlm.finetune.examples import Columns, Counts, Example, Sorter, read_files
from wikixlm.finetune.fit import Fitted, Machine, Settings, fit
from wikixlm.finetune.scores import Score, mean, write_table
from wikixlm.model import device

METRICS = "metrics.tsv"
RECORD = "finetuning.json"
LARGEST_SEED = 2**32 - 1  # numpy's
SHORTEST = 8  # tokens
SPLITS = ("train", "valid", "test")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this stage."""
    add = parser.add_argument
    add("--model", type=Path, required=True, metavar="FOLDER", help="the exported model")
    add("--train", type=Path, nargs="+", required=True, metavar="FILE", help="examples to train on")
    add("--valid", type=Path, nargs="+", default=[], metavar="FILE", help="examples to choose the checkpoint by")
    add("--test", type=Path, nargs="+", default=[], metavar="FILE", help="examples to score")
    add("--text", nargs="+", default=["text"], metavar="COLUMN", help="one column of text, or two for pairs")
    add("--label", default="label", metavar="COLUMN", help="column of the label")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--language-column", default="language", metavar="COLUMN", help="column of the language")
    where.add_argument("--language", default="", metavar="CODE", help="the language of all rows, without a column")
    add("--no-label", nargs="*", default=["-"], metavar="VALUE", help="what stands for a missing label")
    add(
        "--tokenized",
        nargs="*",
        choices=SPLITS,
        default=[],
        metavar="SPLIT",
        help="splits (train, valid, test) whose text is Moses tokens already, with spaces between them",
    )
    add("--seed", type=int, default=0, help="seed of the classifier's initialisation, of dropout and order")
    add("--epochs", type=int, default=5, help="passes over the training set")
    add("--batch-size", type=int, default=32, help="examples per update")
    add("--lr", type=float, default=2.5e-5, help="peak learning rate")
    add("--max-length", type=int, metavar="N", help="tokens of an example; untold, as many as the model has positions")
    add("--save-interval-updates", type=int, default=1000, metavar="N", help="updates between checkpoints")
    add("--device", choices=device.CHOICES, default="auto", help="auto: a GPU where there is one")
    add("--precision", choices=device.PRECISIONS, default="auto", help="auto: fp32 on a CPU, bf16 or fp16 on a GPU")
    add("--threads", type=int, default=os.cpu_count() or 1, help="CPU threads")
    add("--checkpoints", type=Path, metavar="FOLDER", help="untold, OUTPUT.checkpoints; emptied in the end")
    add("--output", type=Path, required=True, metavar="FOLDER", help="the fine-tuned model; replaced as a whole")


def main(args: argparse.Namespace) -> None:
    """Read, train, score and write."""
    check(args)
    hf.quietly()
    for module in ("accelerate", "sklearn"):
        hf.require(module)
    languages = model_languages(args.model)
    data, counts = read(args, languages)
    labels = sorted({example.label for example in data["train"]})
    if len(labels) < 2:
        raise UserError(f"the training examples have the one label {labels[0]!r}; a classifier needs two or more")
    chosen = device.choose(args.device)
    console.say(f"fine-tuning on {'the CPU' if chosen.kind == 'cpu' else 'a GPU'}: {chosen.reason}")
    encoder = Encoder(
        args.model, {label: number for number, label in enumerate(labels)}, args.max_length or positions(args.model)
    )
    encoded = {
        split: encoder.encode(examples, split, split in args.tokenized) for split, examples in data.items() if examples
    }
    tokenizer = encoder.tokenizer(data["train"][0].language)
    machine = Machine(chosen.kind, args.threads)
    fitted = fit(args.model, labels, encoded, tokenizer, settings(args, chosen), machine, checkpoints(args))
    held_out = [split for split in SPLITS[1:] if split in encoded]
    figures = [row for split in held_out for row in fitted.scores(encoded[split], split, languages)]
    publish(args, fitted, figures, counts)


def check(args: argparse.Namespace) -> None:
    """Find what can't work before anything is read.

    Raises:
        UserError: says which option is wrong.
    """
    if len(args.text) > 2:
        raise UserError(f"--text {' '.join(args.text)}: one column, or two for pairs")
    for option, lowest in {"epochs": 1, "batch_size": 1, "save_interval_updates": 1, "threads": 1, "seed": 0}.items():
        if getattr(args, option) < lowest:
            raise UserError(f"--{option.replace('_', '-')} {getattr(args, option)}: {lowest} or more is accepted")
    if args.seed > LARGEST_SEED:
        raise UserError(f"--seed {args.seed}: at most {LARGEST_SEED} is accepted")
    if args.lr <= 0:
        raise UserError(f"--lr {args.lr}: more than 0 is accepted")
    if not (args.model / "config.json").is_file():
        raise UserError(f"{args.model} is no exported model: it has no config.json; `wikixlm export` writes one")
    if args.max_length is not None and not SHORTEST <= args.max_length <= positions(args.model):
        limit = positions(args.model)
        raise UserError(f"--max-length {args.max_length}: accepted are {SHORTEST} to {limit}, the model's positions")
    if args.output.is_dir() and any(args.output.iterdir()) and not (args.output / RECORD).is_file():
        raise UserError(f"{args.output} holds something else than a fine-tuned model; give another --output")


def read(args: argparse.Namespace, languages: list[str]) -> tuple[dict[str, list[Example]], list[Counts]]:
    """The examples of each split, and what became of all rows.

    Raises:
        UserError: see `read_files`.
    """
    column = "" if args.language else args.language_column
    columns = Columns(tuple(args.text), args.label, column, args.language, no_label=tuple(args.no_label))
    train, counts = read_files(args.train, columns, Sorter(columns, languages))
    data = {"train": train}
    sorter = Sorter(columns, languages, labels={example.label for example in train})
    for split in SPLITS[1:]:
        data[split], more = read_files(getattr(args, split), columns, sorter)
        counts += more
    return data, counts


def model_languages(model: Path) -> list[str]:
    """The languages of an exported model, in the order of their ids.

    Raises:
        UserError: it is none.
    """
    ids = read_json(model / "tokenizer_config.json").get("lang2id", {})
    if not ids:
        raise UserError(f"{model} is no exported model: its tokenizer_config.json has no lang2id")
    return sorted(ids, key=ids.__getitem__)


def positions(model: Path) -> int:
    """How many tokens an exported model can take."""
    return int(read_json(model / "config.json")["max_position_embeddings"])


def settings(args: argparse.Namespace, chosen: device.Device) -> Settings:
    """What shapes the weights, of the options."""
    return Settings(
        seed=args.seed,
        epochs=args.epochs,
        batch_size=args.batch_size,
        lr=args.lr,
        save_interval_updates=args.save_interval_updates,
        precision=device.choose_precision(args.precision, chosen, None),
    )


def checkpoints(args: argparse.Namespace) -> Path:
    """The folder of the checkpoints of all data and settings."""
    return Path(args.checkpoints or args.output.with_name(f"{args.output.name}.checkpoints"))


def publish(args: argparse.Namespace, fitted: Fitted, figures: list[Score], counts: list[Counts]) -> None:
    """Put the finished model in its place as a whole, and remove its checkpoints."""
    with atomic_folder(args.output) as folder:
        fitted.trainer.model.save_pretrained(folder)
        fitted.tokenizer.save_pretrained(folder)
        write_table(folder / METRICS, figures)
        rows = [each.as_dict() for each in counts]
        write_json(folder / RECORD, {**fitted.record, "update": fitted.update, "rows": rows})
    shutil.rmtree(fitted.save_dir)
    for split in SPLITS[1:]:
        if rows_of := [row for row in figures if row.split == split]:
            each = ", ".join(f"{row.language} {row.accuracy:.3f}" for row in rows_of)
            console.say(f"{split}: accuracy {each}; mean {mean(rows_of).accuracy:.3f}")
    console.say(f"{args.output}: the checkpoint of update {fitted.update:,}")
