"""A small run from raw text to an exported model, through the pipeline's own stages, in several scripts."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support import fairseq_data as factory
from tests.support.sample_text import SENTENCES, raw_lines
from wikixlm.bpe.codes import write_codes
from wikixlm.bpe.learn import Sample, learn
from wikixlm.cli import main
from wikixlm.documents import Document, read_documents, write_document
from wikixlm.files import atomic_text
from wikixlm.train.fairseq import compat

# The sentences are ours; English and Bulgarian have real pages beside them.
TEXTS = {
    "en": [],
    "bg": [],
    "ar": [
        "القاهرة هي عاصمة مصر، وعدد سكانها نحو 9,5 مليون نسمة (عام 2017)؛ هل زُرتَها؟",
        "وُلِد الكاتب في الإسكندرية، ثم درس في باريس…",
    ],
    "th": [
        "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย มีประชากรประมาณ 5,500,000 คน (พ.ศ. 2563)",
        "แม่น้ำเจ้าพระยา \u00a0ไหลผ่านเมือง ต่าง ๆ",
    ],
    "zh": ["北京是中华人民共和国的首都，人口约2,154万（2018年）。「你好」，他说！", "长江是亚洲最长的河流 ABC 123。"],
    "ja": [
        "東京都は、日本の首都であり、人口は約1,400万人（２０２１年）である。",
        "「こんにちは」と彼は言った… 富士山は 3,776 m。",
    ],
    "ro": [SENTENCES["ro"], "Orașul Cluj-Napoca are 300.000 de locuitori; râul Someșul Mic îl traversează."],
}
LANGUAGES = list(TEXTS)
JAPANESE = "fugashi"
WITHOUT_EXTRA = "raise ImportError('the extra hf is not installed')\n"


@dataclass(frozen=True)
class Run:
    """A finished run.

    Attributes:
        folder: where everything lies.
        raw: the lines of raw text of each language that have a token.
        ids: the same lines as fairseq-preprocess binarized them, `</s>` at the end.
    """

    folder: Path
    raw: dict[str, list[str]]
    ids: dict[str, list[list[int]]]

    @property
    def model(self) -> Path:
        return self.folder / "model.pt"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def export(self) -> Path:
        return self.folder / "a run" / "export"

    def export_arguments(self, output: Path, model: Path | None = None) -> list[str]:
        """The words after `wikixlm` of an export with everything that a card wants to know."""
        words = ["export", "--model", model or self.model, "--codes", self.folder / "codes"]
        words += ["--vocabulary", self.folder / "vocab_mlm", "--data", self.data]
        words += ["--lowercase-and-remove-accent", "--japanese", JAPANESE]
        words += ["--manifest", self.folder / "manifest.json", "--evaluation", self.folder / "mlm_perplexity.tsv"]
        return [*map(str, words), "--output", str(output)]


def texts_of(language: str) -> list[str]:
    """Real pages where there are any, and our sentences."""
    real = raw_lines(language, 12_000) if language in ("en", "bg") else []
    return [*(real or []), *TEXTS[language]]


def wikixlm(*words: object) -> None:
    """Run a stage in this process."""
    main([str(word) for word in words])


def tokenize(folder: Path, language: str, lines: list[str]) -> tuple[list[str], list[str]]:
    """The raw lines that have a token, and their tokens, through the stage."""
    shard, tokenized = folder / f"{language}.jsonl.zst", folder / f"{language}.tokenized.zst"
    with atomic_text(shard) as stream:
        for number, line in enumerate(lines):
            write_document(stream, Document(str(number), [line]))
    words = ["tokenize", "--lowercase-and-remove-accent", "--japanese", JAPANESE, "--language", language]
    words += ["--input", shard, "--output", tokenized]
    wikixlm(*words, "--counts", folder / "counts.json")
    documents = list(read_documents(tokenized))
    return [lines[int(document.id)] for document in documents], [document.lines[0] for document in documents]


def binarize(folder: Path, segmented: dict[str, list[str]]) -> dict[str, list[list[int]]]:
    """Each language's lines as ids; all languages in one call of the stage, which costs seconds."""
    text = folder / "segmented.txt"
    text.write_text("".join(f"{line}\n" for lines in segmented.values() for line in lines), encoding="utf-8")
    words = ["binarize", "--language", "en", "--vocabulary", folder / "vocab_mlm", "--workers", 1]
    words += ["--train", text, "--valid", text, "--test", text, "--output-dir", folder / "binarized"]
    wikixlm(*words)
    compat.apply()
    from fairseq.data import indexed_dataset

    items = indexed_dataset.make_dataset(str(folder / "binarized" / "train.en"), impl="mmap")
    numbers = iter(range(len(items)))
    return {language: [items[next(numbers)].tolist() for _ in lines] for language, lines in segmented.items()}


def write_data(folder: Path, ids: dict[str, list[list[int]]], vocabulary: Path) -> None:
    """What the training opens."""
    folder.mkdir()
    (folder / "dict.txt").write_bytes(vocabulary.read_bytes())
    for language, lines in ids.items():
        shifted = [[number - 5 for number in line[:-1]] for line in lines]
        for split in ("train", "valid", "test"):
            factory.binarize(folder / f"{split}.{language}", shifted)


def train(run_folder: Path, recipe: str, name: str, updates: int = 40, **changes: object) -> Path:
    """Train where the extra `hf` can't be imported, so that nothing on the path of the training may need it."""
    blocked = run_folder / "without_extra"
    for package in ("transformers", "accelerate", "sklearn", "safetensors"):
        (blocked / package).mkdir(parents=True, exist_ok=True)
        (blocked / package / "__init__.py").write_text(WITHOUT_EXTRA)
    settings = {"recipe": recipe, "max_update": updates, "tokens_per_sample": 32, "lr": 0.01, "dropout": 0.0, **changes}
    words = factory.train_arguments(
        run_folder / "data", run_folder / name, LANGUAGES, save_interval_updates=100, **settings
    )
    environment = {**os.environ, "PYTHONPATH": str(blocked)}
    done = subprocess.run(
        [sys.executable, "-m", "wikixlm", *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return run_folder / name / "model.pt"


def make_run(folder: Path) -> Run:
    """Everything up to the exported model."""
    raw, tokens = {}, {}
    for language in LANGUAGES:
        raw[language], tokens[language] = tokenize(folder, language, texts_of(language))
    sample = Sample(folder / "sample.txt")
    lines = [line for language in LANGUAGES for line in tokens[language]]
    sample.path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    sample.characters.update("".join(lines))
    sample.final_characters.update(word[-1] for line in lines for word in line.split(" "))
    write_codes(folder / "codes", learn(sample, 900))
    segmented = {}
    for language in LANGUAGES:
        (folder / "lines.txt").write_text("".join(f"{line}\n" for line in tokens[language]), encoding="utf-8")
        words = ["apply-bpe", "--codes", folder / "codes", "--lines", folder / "lines.txt"]
        wikixlm(*words, "--output", folder / f"{language}.bpe", "--symbols", folder / f"{language}.symbols")
        segmented[language] = (folder / f"{language}.bpe").read_text(encoding="utf-8").split("\n")[:-1]
    # One language's symbols are left out, so that there is something unknown.
    counted = [folder / f"{language}.symbols" for language in LANGUAGES if language != "ro"]
    wikixlm("vocabulary", "--symbols", *counted, "--output", folder / "vocab_mlm")
    run = Run(folder, raw, binarize(folder, segmented))
    write_data(run.data, run.ids, folder / "vocab_mlm")
    train(folder, "wikixlm", ".")
    write_records(run)
    wikixlm(*run.export_arguments(run.export))
    return run


def write_records(run: Run) -> None:
    """What the card is made from: a manifest and an evaluation."""
    dump = run.folder / "dumps" / "manifest.json"
    dump.parent.mkdir()
    dump.write_text(json.dumps({"wiki": "arwiki", "date": "20261101", "size": 1_234_000_000, "files": []}))
    configuration = {"train": {"max_update": 40, "lr": 0.01}, "corpora": {"local": {"ro": ["own.txt"]}}}
    words = ["provenance", "--model", run.model, "--data", run.folder / "codes", "--source", f"ar={dump}"]
    words += ["--source", f"en={run.folder / 'segmented.txt'}", "--configuration", json.dumps(configuration)]
    wikixlm(*words, "--output", run.folder / "manifest.json")
    header = "language\tsplit\ttokens\tloss\tperplexity\taccuracy\tunigram\n"
    (run.folder / "mlm_perplexity.tsv").write_text(f"{header}ar\ttest\t120\t5.0\t148.4132\t0.125000\t301.5000\n")
