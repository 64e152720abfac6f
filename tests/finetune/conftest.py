"""One tiny exported model, one set of examples and one fine-tuned model for all tests here; they only read them."""

from pathlib import Path

import pytest

from tests.support import tiny_model
from tests.support import xnli as factory
from tests.support.stages import run_stage


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Path:
    """A model of en and bg."""
    return tiny_model.export(tmp_path_factory.mktemp("exported") / "export")


@pytest.fixture(scope="session")
def data(tmp_path_factory) -> Path:
    """XNLI in small, prepared for en and bg."""
    folder = tmp_path_factory.mktemp("xnli")
    words = ["--source", factory.write(folder / "source"), "--languages", "en", "bg", "--output-dir", folder]
    run_stage("prepare-xnli", *words, "--counts", folder / "counts.json")
    return folder


@pytest.fixture(scope="session")
def finetuned(exported, data, tmp_path_factory) -> Path:
    """The model fine-tuned on English, with seed 0."""
    output = tmp_path_factory.mktemp("finetuned") / "model"
    tiny_model.run(tiny_model.words(exported, data, output))
    return output
