"""The target finetune_xnli: what it plans, and a whole run from plain text to the table."""

import csv
import random

import pytest

from tests.support import xnli as factory
from tests.support.wikimedia_server import WikimediaServer
from tests.workflow.conftest import SMALL

TINY = {
    **SMALL,
    "languages": ["en", "bg"],
    "extract": {"shards": 1},
    "bpe": {"codes": 150, "sample_lines": 1000},
    # The first position stands for the pair; a single layer that looks at neighbours never shows it the second text.
    "train": {**SMALL["train"], "tokens_per_sample": 48, "neighbour_logit": 0},
}


def test_it_is_planned_only_where_it_is_asked_for(workflow):
    ours = {"download_xnli", "prepare_xnli", "finetune_xnli_seed", "finetune_xnli"}
    contact = ("--config", "dumps={contact: tests@example.org}")
    assert not ours & set(workflow.planned("all", *contact))
    jobs = workflow.planned("finetune_xnli", *contact)
    assert {rule: jobs[rule] for rule in ours} == dict.fromkeys(ours, 1) | {"finetune_xnli_seed": 3}
    assert jobs["export_hf"] == 1
    assert not list(workflow.directory.glob("xnli*"))


def test_a_local_copy_is_not_downloaded(workflow):
    folder = factory.write(workflow.directory / "mine", train=30, held_out=6)
    workflow.configure(xnli={"local": str(folder), "seeds": [4]}, dumps={"contact": "tests@example.org"})
    jobs = workflow.planned("finetune_xnli")
    assert (jobs["download_xnli"], jobs["prepare_xnli"], jobs["finetune_xnli_seed"]) == (0, 1, 1)


def test_without_english_nothing_starts(workflow):
    workflow.configure(languages=["bg", "de"], dumps={"contact": "tests@example.org"})
    assert workflow.planned("train_mlm")
    done = workflow("finetune_xnli")
    assert done.returncode != 0
    errors = [line for line in done.stdout.splitlines() if "rror" in line]
    assert errors == ["error: finetune_xnli: XNLI is fine-tuned on English, and languages is bg, de: add en"]
    assert {entry.name for entry in workflow.directory.iterdir()} <= {"overlay.yaml", ".snakemake"}


def corpus(workflow, lang: str) -> str:
    """A text of the language's words and the signs."""
    rng = random.Random(lang)
    words = [*factory.WORDS[lang].split(), *factory.SIGNS.values(), "."]
    path = workflow.directory / f"{lang}.txt"
    path.write_text("".join(" ".join(rng.choices(words, k=20)) + f" {n}\n" for n in range(60)), encoding="utf-8")
    return str(path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_from_text_and_a_download_to_the_table(workflow, tmp_path_factory):
    folder = tmp_path_factory.mktemp("published")
    archives = factory.pack(factory.write(folder / "unpacked"), folder / "packed")
    corpora = {"local": {lang: [corpus(workflow, lang)] for lang in ("en", "bg")}}
    settings = {"seeds": [0, 1], "epochs": 8, "batch_size": 8, "lr": 0.01, "save_interval_updates": 100}
    with WikimediaServer() as server:
        server.files |= {f"XNLI/{path.name}": path.read_bytes() for path in archives.glob("*.zip")}
        xnli = {**settings, "mirrors": [f"{server.url}/XNLI"]}
        workflow.configure(**TINY, corpora=corpora, dumps={"contact": "tests@example.org"}, xnli=xnli)
        done = workflow("finetune_xnli", timeout=1500)
    assert done.returncode == 0, done.stdout
    with open(workflow.directory / "evaluation" / "xnli.tsv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert {(row["language"], row["split"], row["seed"]) for row in rows} == {
        (lang, split, seed)
        for lang in ("en", "bg", "mean")
        for split in ("valid", "test")
        for seed in ("0", "1", "mean", "std")
    }
    english = next(row for row in rows if (row["language"], row["split"], row["seed"]) == ("en", "valid", "mean"))
    assert float(english["accuracy"]) > 0.5, "chance is 1/3"
    assert (workflow.directory / "models" / "xnli" / "seed-1" / "model.safetensors").is_file()

    workflow.configure(**TINY, corpora=corpora, xnli={**xnli, "mirrors": ["http://other.example"]})
    assert "Nothing to be done" in workflow("finetune_xnli").stdout
    workflow.configure(**TINY, corpora=corpora, xnli={**xnli, "seeds": [0, 1, 2]})
    assert set(workflow.planned("finetune_xnli")) == {"finetune_xnli_seed", "finetune_xnli"}
    workflow.configure(**TINY, corpora=corpora, xnli={**xnli, "lr": 0.02})
    jobs = workflow.planned("finetune_xnli")
    assert (jobs["finetune_xnli_seed"], jobs["finetune_xnli"], len(jobs)) == (2, 1, 2)
