"""What jobs ask of a cluster; the local executor takes the same workflow as it is."""

import pytest

GPUS = {"device": "auto", "gpus": 2, "gpu_model": "a100", "constraint": "nvlink"}


def resources(workflow, rule: str, *arguments: str) -> dict[str, str]:
    """The resources of a rule's first job."""
    return next(job["resources"] for job in workflow.jobs(*arguments) if job["rule"] == rule)


ALL = {"gpu", "gpu_model", "constraint", "nodes", "gres", "mpi", "tasks", "tasks_per_gpu"}


@pytest.mark.parametrize(
    ("rule", "train", "expected"),
    [
        ("train_mlm", {"device": "cpu", "gpus": 2, "gpu_model": "a100"}, {"nodes": "1"}),
        ("train_mlm", {"device": "auto", "gpus": 4}, {"nodes": "1", "gpu": "4"}),
        ("train_mlm", GPUS, {"nodes": "1", "gpu": "2", "gpu_model": "a100", "constraint": "nvlink"}),
        (
            "train_mlm",
            {**GPUS, "nodes": 3},
            {
                **{"nodes": "3", "gres": "gpu:a100:2", "mpi": "srun", "tasks": "3", "tasks_per_gpu": "0"},
                "constraint": "nvlink",
            },
        ),
        ("evaluate_mlm", GPUS, {"gpu": "1", "gpu_model": "a100", "constraint": "nvlink"}),
        ("evaluate_mlm", {"device": "cpu"}, {}),
    ],
)
def test_what_a_job_asks_for(workflow, rule, train, expected):
    workflow.configure(train=train, dumps={"contact": "tests@example.org"})
    found = resources(workflow, rule, "--dry-run", "evaluate_mlm")
    assert {key: value for key, value in found.items() if key in ALL} == expected


def test_a_shard_of_a_large_source_gets_the_time_and_runs_here_as_well(workflow):
    shard = "work/extracted/en/00000-of-00002.jsonl.zst"
    text = workflow.directory / "en.txt"
    workflow.configure(languages=["en"], corpora={"local": {"en": [text.name]}}, extract={"shards": 2})
    with text.open("wb") as stream:
        stream.truncate(5_000_000_000)
    asked = resources(workflow, "corpus", "--dry-run", shard)
    assert (asked["mem_mb"], asked["runtime"]) == ("1000", "530")
    text.write_text("A line of text.\n" * 100)
    asked = resources(workflow, "corpus", shard)
    assert (asked["mem_mb"], asked["runtime"]) == ("1000", "31")
    assert (workflow.directory / shard).is_file()


def test_what_depends_on_a_dump_that_is_still_to_come_is_told_later(workflow):
    workflow.configure(languages=["en"], dumps={"contact": "someone@example.org"})
    asked = resources(workflow, "extract", "--dry-run", "data")
    assert (asked["mem_mb"], asked["runtime"]) == ("1000", "<TBD>")
