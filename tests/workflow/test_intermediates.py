"""The files between the stages: compressed, gone or kept as the configuration says, and what a rerun starts from."""

import json

import pytest

from tests.support import dumps as factory

ZSTD = b"\x28\xb5\x2f\xfd"


def settings(dump, codes, keep):
    return {
        "languages": ["en"],
        "dumps": {"local": {"en": str(dump)}},
        "extract": {"shards": 2},
        "split": {"valid": 5, "test": 5},
        "bpe": {"codes": codes, "sample_lines": 1000},
        "keep_intermediate": keep,
    }


@pytest.mark.parametrize("keep", [True, False])
def test_a_rerun_starts_from_what_was_kept(workflow, tmp_path, keep):
    pages = [factory.P(n, text=f"Page {n} speaks of {n * 17} and of the {n}th number.") for n in range(1, 61)]
    dump = factory.write_multistream(tmp_path / "d.xml.bz2", pages, per_stream=10)
    workflow.configure(**settings(dump, 60, keep))
    target = "monolingual_data/processed/train.en"
    done = workflow(target)
    assert done.returncode == 0, done.stdout

    work = workflow.directory / "work"
    folders = {
        folder: sorted(work.glob(f"{folder}/en/*-of-00002*.zst")) for folder in ("extracted", "tokenized", "bpe")
    }
    assert {folder: len(files) for folder, files in folders.items()} == {
        "extracted": 2 if keep else 0,
        "tokenized": 2,
        "bpe": 4 if keep else 0,
    }
    assert all(path.read_bytes().startswith(ZSTD) for files in folders.values() for path in files)
    check_report(workflow, target)

    workflow.configure(**settings(dump, 50, keep))
    assert workflow.planned(target) == {"learn_bpe": 1, "apply_bpe:en": 2, "concatenate:en": 1}
    for path in folders["tokenized"]:
        path.unlink()
    planned = workflow.planned(target)
    assert planned["tokenize:en"] == 2
    assert planned["extract:en"] == (0 if keep else 2)


def check_report(workflow, target):
    """How the text splits is on record: sums that agree with the text, and shares."""
    reports = [json.loads(path.read_text()) for path in workflow.directory.glob("work/counts/apply_bpe/en/*-of-*.json")]
    lines = (workflow.directory / target).read_text(encoding="utf-8").split("\n")[:-1]
    assert len(reports) == 2
    assert sum(report["lines_out"] for report in reports) == len(lines)
    assert sum(report["tokens"] for report in reports) == sum(len(line.split(" ")) for line in lines)
    assert sum(report["words"] for report in reports) == sum(
        not token.endswith("@@") for line in lines for token in line.split(" ")
    )
    for report in reports:
        assert 1 <= report["tokens_per_word"] <= 5
        assert 0 < report["share_whole_words"] < 1
        assert report["share_unknown_characters"] == 0
