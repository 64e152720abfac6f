"""A corpus in several folders, as `wikixlm train --data a:b` takes it."""

import argparse
import re
import shutil
from pathlib import Path

import pytest

from tests.support import fairseq_data as factory
from wikixlm.errors import UserError
from wikixlm.train import command as train
from wikixlm.train import data_folders

LANGUAGES = ["en", "bg"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders; Bulgarian has text in the first alone."""
    root = tmp_path_factory.mktemp("corpus")
    factory.make_data(root / "a", LANGUAGES, train=30)
    factory.make_data(root / "b", ["en"], train=40, seed=1)
    return [root / "a", root / "b"]


def test_an_epoch_reads_one_folder_in_turn(folders, tmp_path, capfd):
    data = Path(data_folders.joined(folders))
    changes = {"recipe": "wikixlm", "max_update": 40, "save_interval_updates": 40}
    factory.call(train, factory.train_arguments(data, tmp_path, LANGUAGES, **changes))
    read = re.findall(r"(\S+) train\.(\w+): \d+ examples", capfd.readouterr().out)
    one, two = map(str, folders)
    assert read[:5] == [(one, "en"), (one, "bg"), (two, "en"), (one, "en"), (one, "bg")]


def test_text_changed_in_any_folder_is_another_training(folders, tmp_path):
    copies = [Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in folders]
    names = data_folders.files(copies, LANGUAGES)
    assert names.keys() >= {"dict.txt", "train.bg.bin", "valid.bg.bin", "2/dict.txt", "2/train.en.idx"}
    assert names["2/train.en.bin"] == copies[1] / "train.en.bin"
    assert not names.keys() & {"2/train.bg.bin", "2/valid.en.bin"}


def test_folders_that_do_not_go_together_are_errors(folders, tmp_path):
    with pytest.raises(UserError, match=r"b/train\.bg\.bin is missing"):
        data_folders.files(folders, LANGUAGES, everywhere=True)
    swapped = Path(shutil.copytree(folders[1], tmp_path / "swapped"))
    for suffix in ("bin", "idx"):
        shutil.copy(folders[0] / f"valid.bg.{suffix}", swapped)
    with pytest.raises(UserError, match=r"no folder of .*swapped:.*b has training text of bg"):
        data_folders.files([swapped, folders[1]], LANGUAGES)
    factory.write_dictionary(swapped, symbols=10)
    with pytest.raises(UserError, match="dictionaries must be identical"):
        data_folders.files([folders[0], swapped], LANGUAGES)


@pytest.mark.parametrize("text", ["", "a:", ":a", "a::b"])
def test_an_empty_folder_name_is_an_error(text):
    with pytest.raises(argparse.ArgumentTypeError):
        data_folders.parse_folders(text)
