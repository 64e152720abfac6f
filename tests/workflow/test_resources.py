"""What the training and the evaluation ask of a cluster; the local executor takes the same workflow as it is."""

import re

import pytest

GPUS = {"device": "auto", "gpus": 2, "gpu_model": "a100", "constraint": "nvlink"}


def resources(workflow, rule: str, **train: object) -> dict[str, str]:
    """The resources of a rule's job as a dry run prints them."""
    workflow.configure(train=train)
    done = workflow("--dry-run", "evaluate_mlm")
    assert done.returncode == 0, done.stdout
    block = re.search(rf"rule {rule}:\n(?: {{4}}.*\n)*? {{4}}resources: (.*)\n", done.stdout)
    assert block, done.stdout
    return dict(pair.split("=", 1) for pair in block[1].split(", "))


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
    found = resources(workflow, rule, **train)
    assert {key: value for key, value in found.items() if key in ALL} == expected
