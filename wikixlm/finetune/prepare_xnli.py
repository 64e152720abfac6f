"""Convert XNLI to the input of `wikixlm finetune`: English MultiNLI for training, XNLI's languages for scoring.

As in XLM's get-data-xnli.sh, training is multinli.train.en.tsv of XNLI-MT-1.0, with the label `contradictory` and
tokenized text; valid and test are xnli.dev.tsv and xnli.test.tsv of XNLI-1.0, raw text of 15 languages (columns
sentence1 and sentence2). Archives are read zipped or unpacked.

The outputs are JSON lines: language, premise, hypothesis, label. Rows with a missing label, an empty text or an
unknown language are skipped and their line numbers reported; languages that the model was not trained on are skipped.
"""

import argparse
import contextlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from wikixlm import console
from wikixlm.errors import UserError
from wikixlm.files import atomic_text, open_text, write_json
from wikixlm.finetune.examples import Columns, ExampleReader, RowCounts, read_rows

# Per split: the file in XNLI, its columns of text, of the label and of the language (none: English).
SOURCES = {
    "train": ("XNLI-MT-1.0/multinli/multinli.train.en.tsv", ("premise", "hypo"), "label", ""),
    "valid": ("XNLI-1.0/xnli.dev.tsv", ("sentence1", "sentence2"), "gold_label", "language"),
    "test": ("XNLI-1.0/xnli.test.tsv", ("sentence1", "sentence2"), "gold_label", "language"),
}
LABELS = ("contradiction", "neutral", "entailment")
LANGUAGES = ("ar", "bg", "de", "el", "en", "es", "fr", "hi", "ru", "sw", "th", "tr", "ur", "vi", "zh")
RENAMED = {"contradictory": "contradiction"}
PIVOT = "en"


@contextlib.contextmanager
def open_member(folder: Path, name: str) -> Iterator[tuple[str, IO[str]]]:
    """Open XNLI's file `name` below `folder`, unpacked or in its archive; give its name for messages, too.

    Raises:
        UserError: it is missing, or its archive is damaged.
    """
    inside = PurePosixPath(name)
    unpacked = [folder / name, folder / inside.relative_to(inside.parts[0]), folder / inside.name]
    archive = folder / f"{inside.parts[0]}.zip"
    for path in unpacked:
        if path.is_file():
            with open_text(path) as stream:
                yield str(path), stream
            return
    if not archive.is_file():
        raise UserError(f"{folder} has neither {archive.name} nor {name}; looked for {', '.join(map(str, unpacked))}")
    try:
        with zipfile.ZipFile(archive) as opened, opened.open(name) as raw:
            yield f"{archive}/{name}", io.TextIOWrapper(raw, encoding="utf-8", newline="\n")
    except KeyError:
        raise UserError(f"{archive} has no file {name}") from None
    except (zipfile.BadZipFile, zlib.error, EOFError) as failure:
        raise UserError(f"{archive} is damaged ({failure}); delete it and run again") from failure


def prepare_split(folder: Path, split: str, languages: list[str], output: Path) -> RowCounts:
    """Write one split's examples, and report the account of its rows.

    Raises:
        UserError: a file is missing or damaged, or has no example in a language.
    """
    name, texts, label, language = SOURCES[split]
    columns = Columns(texts, label, language, fixed="" if language else PIVOT, renamed=RENAMED)
    with open_member(folder, name) as (title, stream):
        counts = RowCounts(title)
        rows = read_rows(stream, ".tsv", title, columns.names())
        with atomic_text(output) as out:
            for example in ExampleReader(columns, languages, LABELS).examples(rows, counts):
                premise, hypothesis = example.texts
                record = {"language": example.language, "premise": premise, "hypothesis": hypothesis}
                out.write(json.dumps({**record, "label": example.label}, ensure_ascii=False) + "\n")
            _refuse_missing_languages(
                counts, [PIVOT] if split == "train" else [lang for lang in languages if lang in LANGUAGES]
            )
    counts.report()
    return counts


def _refuse_missing_languages(counts: RowCounts, languages: list[str]) -> None:
    if missing := [lang for lang in languages if lang not in counts.kept]:
        counts.report()
        raise UserError(f"{counts.file} has no example in {', '.join(missing)}, in {counts.rows:,} rows")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        type=Path,
        required=True,
        metavar="PATH",
        help="a folder with XNLI-1.0 and XNLI-MT-1.0, zipped or unpacked, or the manifest of `wikixlm download-xnli`",
    )
    parser.add_argument("--languages", nargs="+", required=True, help="the model's; they must include en")
    parser.add_argument("--output-dir", type=Path, required=True, help="for train, valid and test.jsonl.zst")
    parser.add_argument("--counts", type=Path, required=True, help="account of the rows, as JSON")


def main(args: argparse.Namespace) -> None:
    if PIVOT not in args.languages:
        raise UserError(
            f"XNLI is fine-tuned on English, and the model's languages are {', '.join(args.languages)}: en must be one"
        )
    if absent := [lang for lang in args.languages if lang not in LANGUAGES]:
        console.say(f"XNLI has no examples in {', '.join(absent)}: not scored")
    folder = args.source.parent if args.source.is_file() else args.source
    counts = {
        split: prepare_split(folder, split, args.languages, args.output_dir / f"{split}.jsonl.zst") for split in SOURCES
    }
    write_json(args.counts, {split: each.as_dict() for split, each in counts.items()})
