"""What snakemake would do: targets, mistakes in the configuration, and which change re-runs what."""

import json
import shutil

import pytest
import yaml

from tests.workflow.conftest import ROOT, SMALL, Workflow
from wikixlm.export.command import FILES

TRAINING = {"train_mlm", "evaluate_mlm", "provenance", "export_hf", "report", "all"}


def settings(own_text, languages="en bg", **changes):
    merged = {key: dict(value) for key, value in SMALL.items()}
    merged["languages"] = languages.split()
    merged["corpora"] = {"local": {lang: [own_text(lang, 60)] for lang in merged["languages"]}}
    for key, value in changes.items():
        merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return merged


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two languages from text to evaluation, in a directory with a space; tests only plan on top of it."""
    directory = tmp_path_factory.mktemp("finished") / "a run"
    directory.mkdir()
    run = Workflow(directory)

    def text(lang, lines):
        path = directory / f"{lang}.txt"
        if not path.exists():
            words = [f"{lang}{chr(97 + a)}{chr(97 + b)}" for a in range(6) for b in range(6)]
            rows = (" ".join(words[(n * step + n) % 36] for step in range(3, 20)) + f" {n}\n" for n in range(lines))
            path.write_text("".join(rows), encoding="utf-8")
        return str(path)

    run.configure(**settings(text))
    done = run()
    assert done.returncode == 0, done.stdout
    return run, text


@pytest.mark.parametrize("target", ["download", "data", "train_mlm", "evaluate_mlm", "export_hf", "report", "all"])
def test_every_target_plans_offline_from_the_default_configuration(workflow, target):
    workflow.configure(dumps={"contact": "tests@example.org"})
    jobs = workflow.planned(target)
    assert jobs["download_dump:de"] == 1
    if target != "download":
        assert jobs["extract:de"] == 8
    assert not list(workflow.directory.glob("dumps*"))


def test_a_plan_without_a_contact_is_refused_where_something_is_to_be_downloaded(workflow):
    refused = workflow("--dry-run")
    assert refused.returncode != 0
    (line,) = [line for line in refused.stdout.splitlines() if "rror" in line]
    assert line.startswith("error: dumps.contact is empty: ")
    # What an earlier call has downloaded needs none.
    (workflow.directory / "dumps" / "ka").mkdir(parents=True)
    (workflow.directory / "dumps" / "ka" / "resolved.yaml").touch()
    (workflow.directory / "dumps" / "ka" / "manifest.json").write_text('{"size": 1}')
    workflow.configure(languages=["ka"])
    assert workflow("--dry-run").returncode == 0


@pytest.mark.parametrize("overlay", ["demo.yaml", "tutorial.yaml"])
def test_the_overlays_plan_in_any_directory(workflow, overlay):
    shutil.copy(ROOT / "config" / overlay, workflow.overlay)
    assert workflow.planned("--config", "dumps={contact: tests@example.org}")["evaluate_mlm"] == 1


def test_a_model_that_transformers_has_no_class_for_is_not_exported(workflow):
    """`all` goes without, and says so; whoever asks for the export is told before anything starts."""
    tutorial = yaml.safe_load((ROOT / "config" / "tutorial.yaml").read_text())
    workflow.configure(**tutorial, dumps={"contact": "tests@example.org"})
    done = workflow("--dry-run", "all")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("warning: export/ is left out: ") == 1
    assert "export_hf" not in workflow.planned("all")
    refused = workflow("export_hf")
    assert refused.returncode != 0
    (line,) = [line for line in refused.stdout.splitlines() if "rror" in line]
    assert line.startswith("error: export_hf: ") and "train.encoder_normalize_before: true" in line
    assert "Traceback" not in refused.stdout
    assert {entry.name for entry in workflow.directory.iterdir()} <= {"overlay.yaml", ".snakemake"}
    assert workflow("--dry-run", "all").returncode == 0, "no lock is left"


def test_a_mistake_in_the_configuration_is_one_line_and_starts_nothing(workflow):
    workflow.configure(train={"max_updates": 3})
    done = workflow()
    assert done.returncode != 0
    errors = [line for line in done.stdout.splitlines() if "rror" in line]
    assert errors == ["error: configuration: train.max_updates: unknown key; did you mean max_update?"]
    assert "Traceback" not in done.stdout
    assert {entry.name for entry in workflow.directory.iterdir()} <= {"overlay.yaml", ".snakemake"}


def test_a_segmenter_that_is_missing_is_said_before_anything_starts(workflow):
    workflow.configure(languages=["ja"])  # KyTea's model is in none of its places
    done = workflow("--dry-run")
    assert done.returncode != 0
    errors = [line for line in done.stdout.splitlines() if "rror" in line]
    assert len(errors) == 1
    assert "tokenize.japanese" in errors[0]
    workflow.configure(languages=["ja"], tokenize={"japanese": "moses"}, dumps={"contact": "tests@example.org"})
    assert workflow.planned()["tokenize:ja"] == 8


def test_the_files_of_the_contract_are_there(finished):
    run, _ = finished
    processed = run.directory / "monolingual_data" / "processed"
    names = {f"{split}.{lang}" for split in ("train", "valid", "test") for lang in ("en", "bg")}
    texts = names | {"codes", "vocab_mlm"}
    assert {entry.name for entry in processed.iterdir()} == texts | {f".{name}.sha256" for name in texts}
    binary = run.directory / "monolingual_data" / "fairseq_processed"
    for name in names:
        assert (binary / f"{name}.bin").stat().st_size > 0
        assert (binary / f"{name}.idx").stat().st_size > 0
    assert (binary / "dict.txt").is_file()
    assert (run.directory / "models" / "mlm" / "model.pt").is_file()
    manifest = json.loads((run.directory / "models" / "mlm" / "manifest.json").read_text())
    assert [source["size"] for source in manifest["sources"]["en"]] == [(run.directory / "en.txt").stat().st_size]
    assert {entry.name for entry in (run.directory / "export").iterdir()} == set(FILES)
    header, *rows = (run.directory / "evaluation" / "mlm_perplexity.tsv").read_text().splitlines()
    assert header.split("\t") == [
        "language",
        "split",
        "tokens",
        "loss",
        "perplexity",
        "accuracy",
        "unigram",
        "bits_per_character",
        "loss_error",
    ]
    assert {tuple(row.split("\t")[:2]) for row in rows} == {
        (lang, split) for lang in ("en", "bg", "mean") for split in ("valid", "test")
    }
    header, *rows = (run.directory / "evaluation" / "segmentation.tsv").read_text().splitlines()
    assert len(rows) == 6 and header.startswith("language\tsplit\tlines\twords\ttokens\t")
    assert not list((run.directory / "work" / "extracted").rglob("*.zst")), "temporary shards are removed"
    assert len(list((run.directory / "work" / "tokenized").rglob("*.zst"))) == 4, "tokenized shards are kept"


def test_the_report_shows_the_run_and_is_made_anew_for_results_alone(finished):
    run, text = finished
    run.configure(**settings(text))
    page = (run.directory / "report.html").read_text()
    assert "Every page and paragraph is accounted for" in page
    for name in ("pages", "lines", "overlap", "training", "perplexity", "stages"):
        assert f'href="report/{name}.tsv"' in page
        assert (run.directory / "report" / f"{name}.tsv").is_file()
    assert not run.planned()
    (run.directory / "logs" / "benchmarks" / "train_mlm.tsv").touch()
    (run.directory / "checkpoints" / "mlm" / "metrics.jsonl").touch()
    assert not run.planned()
    xnli = run.directory / "evaluation" / "xnli.tsv"
    xnli.write_text("language\tsplit\tseed\taccuracy\nen\ttest\tmean\t0.7\n")
    try:
        assert set(run.planned()) == {"report", "all"}
    finally:
        xnli.unlink()


def test_snakemakes_own_report_has_the_captions_and_the_page(finished):
    run, text = finished
    run.configure(**settings(text))
    done = run("--report", "snakemake.html")
    assert done.returncode == 0, done.stdout
    assert "Adding report.html" in done.stdout
    made = (run.directory / "snakemake.html").read_text()
    assert "The run on one page" in made
    assert "languages in, a cross-lingual masked language model" in made


def test_no_line_is_lost_between_the_text_and_the_binary_data(finished):
    run, _ = finished
    for lang in ("en", "bg"):
        given = (run.directory / f"{lang}.txt").read_text().splitlines()
        processed = [
            line.replace("@@ ", "")
            for split in ("train", "valid", "test")
            for line in (run.directory / "monolingual_data" / "processed" / f"{split}.{lang}").read_text().splitlines()
        ]
        assert sorted(processed) == sorted(given)


def test_a_second_call_has_nothing_to_do(finished):
    run, text = finished
    run.configure(**settings(text))
    assert "Nothing to be done" in run().stdout


def test_a_new_language_runs_its_own_chain_and_the_joint_stages(finished):
    run, text = finished
    run.configure(**settings(text, "en bg de"))
    jobs = run.planned()
    own = {rule for rule in jobs if rule.endswith(":de")}
    assert {"corpus:de", "tokenize:de", "split:de", "apply_bpe:de", "binarize:de"} <= own
    others = {rule.split(":")[0] for rule in jobs if rule.endswith((":en", ":bg"))}
    assert others == {"apply_bpe", "apply_bpe_held_out", "concatenate", "binarize"}
    assert {"learn_bpe", "vocabulary", "dictionary", "train_mlm"} <= set(jobs)


def test_frozen_codes_and_vocabulary_leave_the_other_languages_alone(finished):
    run, text = finished
    processed = run.directory / "monolingual_data" / "processed"
    for name in ("codes", "vocab_mlm"):
        frozen = run.directory / f"frozen_{name}"
        shutil.copy2(processed / name, frozen)
    frozen = {"codes_file": "frozen_codes", "vocab_file": "frozen_vocab_mlm"}
    twin = Workflow(run.directory.parent / "frozen")
    shutil.copytree(run.directory, twin.directory)
    twin.configure(**settings(text, bpe=frozen))
    assert twin("data").returncode == 0
    twin.configure(**settings(text, "en bg de", bpe=frozen))
    jobs = twin.planned()
    assert not {rule for rule in jobs if rule.endswith((":en", ":bg"))}
    assert {"corpus:de", "binarize:de", "dictionary", "train_mlm"} <= set(jobs)
    assert not {"learn_bpe", "vocabulary"} & set(jobs)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"train": {"lr": 0.01}}, TRAINING),
        ({"train": {"max_update": 4}}, TRAINING),
        ({"evaluate": {"seed": 1}}, {"evaluate_mlm", "provenance", "export_hf", "report", "all"}),
        ({"train": {"gpus": 2, "nodes": 2, "keep_checkpoints": 9}}, set()),
        ({"dumps": {"contact": "me@example.org", "mirrors": ["http://other.example"]}}, set()),
        ({"binarize": {"workers": 2}}, set()),
        ({"keep_intermediate": True}, set()),
    ],
)
def test_a_changed_key_re_runs_what_reads_it(finished, changes, expected):
    run, text = finished
    run.configure(**settings(text, **changes))
    assert set(run.planned()) == expected


@pytest.mark.parametrize(
    ("changes", "first", "untouched"),
    [
        ({"split": {"seed": 7}}, "split", {"corpus", "tokenize"}),
        ({"bpe": {"codes": 90}}, "learn_bpe", {"corpus", "tokenize", "split"}),
        ({"binarize": {"dataset_impl": "lazy"}}, "binarize", {"corpus", "tokenize", "split", "learn_bpe", "apply_bpe"}),
        ({"tokenize": {"lowercase_and_remove_accent": True}}, "tokenize", set()),
    ],
)
def test_a_changed_stage_re_runs_itself_and_what_follows(finished, changes, first, untouched):
    run, text = finished
    run.configure(**settings(text, **changes))
    rules = {rule.split(":")[0] for rule in run.planned()}
    assert {first, "train_mlm", "evaluate_mlm"} <= rules
    assert not rules & untouched
