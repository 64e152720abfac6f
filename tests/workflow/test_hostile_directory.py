"""A run's directory may hold anything: no file in it is imported as a module."""

import pytest

from tests.workflow.conftest import SMALL

MODULES = ("random", "torch", "fairseq", "json", "wikixlm", "wikiextractor", "sitecustomize", "snakemake")


@pytest.mark.attack(
    "run",
    "a `random.py`, `torch.py`, `sitecustomize.py` … in `--directory`",
    "never imported, by any stage or worker",
)
def test_no_module_in_the_directory_is_imported(workflow):
    directory = workflow.directory
    for name in MODULES:
        (directory / f"{name}.py").write_text(f"open({str(directory / f'{name}.imported')!r}, 'w')\n1 / 0\n")
    rows = (" ".join(f"en{chr(97 + n * step % 26)}" for step in range(3, 20)) + f" {n}\n" for n in range(60))
    (directory / "en.txt").write_text("".join(rows))
    train = {**SMALL["train"], "gpus": 2}
    workflow.configure(**{**SMALL, "train": train}, languages=["en"], corpora={"local": {"en": ["en.txt"]}})
    done = workflow("train_mlm")
    assert not list(directory.glob("*.imported"))
    assert done.returncode == 0, done.stdout
