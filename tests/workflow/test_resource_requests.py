"""What jobs ask for, by the size of what they read."""

import json

import pytest

from wikixlm.workflow import resources


@pytest.mark.parametrize(
    ("stage", "megabytes", "workers", "memory", "minutes"),
    [
        ("extract", 0, 1, 1000, 30),
        ("extract", 3000, 1, 1000, 630),  # an eighth of the English Wikipedia
        ("apply_bpe", 0.001, 1, 1500, 31),
        ("apply_bpe", 400, 1, 3000, 50),
        ("learn_bpe", 1, 8, 2500, 31),
        ("learn_bpe", 100_000, 8, 16000, 447),  # no more than its sample
        ("binarize", 10, 20, 7500, 31),
        ("binarize", 20_000, 20, 19000, 164),
    ],
)
def test_a_job_asks_for_more_the_more_it_reads(stage, megabytes, workers, memory, minutes):
    assert resources.memory(stage, megabytes, workers) == memory
    assert resources.minutes(stage, megabytes, workers) == minutes


def test_a_source_is_as_large_as_its_dump(tmp_path):
    manifest, text = tmp_path / "manifest.json", tmp_path / "en.txt"
    manifest.write_text(json.dumps({"size": 24_000_000_000, "files": []}))
    text.write_bytes(b"x" * 500_000)
    assert resources.source_megabytes([str(manifest)]) == 24_000
    assert resources.source_megabytes([str(text), str(text)]) == 1


def test_a_source_that_is_not_there_yet_is_told_apart(tmp_path):
    """Snakemake takes this error for: known later."""
    with pytest.raises(FileNotFoundError) as failure:
        resources.source_megabytes([str(tmp_path / "manifest.json")])
    assert failure.value.filename == str(tmp_path / "manifest.json")
