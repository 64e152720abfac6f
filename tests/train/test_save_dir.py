"""What makes a training another one."""

import os

import pytest

from wikixlm.errors import UserError
from wikixlm.files import write_json
from wikixlm.train import data_folders, save_dir

SETTINGS = {"lr": 0.1, "seed": 0}
ARGUMENTS = ["--monolingual-langs", "en,bg", "--lr", "0.1"]


@pytest.fixture
def data(tmp_path):
    for name in ("dict.txt", "train.en.bin", "train.en.idx", "valid.en.bin", "valid.en.idx"):
        (tmp_path / name).write_text(f"content of {name}")
    return tmp_path


def record(data, settings=SETTINGS, arguments=ARGUMENTS, earlier=None):
    return save_dir.fingerprint(data_folders.files([data], ["en"]), settings, arguments, earlier)


def test_the_same_start_differs_in_nothing(data):
    assert save_dir.differences(record(data), record(data)) == []
    assert save_dir.digest(record(data)) == save_dir.digest(record(data))


@pytest.mark.parametrize("name", ["dict.txt", "train.en.bin", "valid.en.idx"])
def test_changed_data_is_named(data, name):
    before = record(data)
    (data / name).write_text("something else")
    after = record(data, earlier=before)
    assert save_dir.differences(before, after) == [name]
    assert save_dir.digest(before) != save_dir.digest(after)


def test_changed_settings_are_named(data):
    before, after = record(data), record(data, settings={"lr": 0.2, "seed": 0})
    assert save_dir.differences(before, after) == ["train.lr"]
    assert save_dir.digest(before) != save_dir.digest(after)


def test_changed_languages_and_arguments_are_named(data):
    before = record(data)
    assert save_dir.differences(before, record(data, arguments=["--monolingual-langs", "bg,en"])) == ["languages"]
    other = [*ARGUMENTS, "--clip-norm", "1"]
    assert save_dir.differences(before, record(data, arguments=other)) == ["fairseq-train's arguments"]


def test_moved_and_touched_data_stays_the_same(data, tmp_path_factory):
    before = record(data)
    os.utime(data / "train.en.bin", (1, 1))
    moved = tmp_path_factory.mktemp("moved") / "data"
    data.rename(moved)
    assert save_dir.differences(before, record(moved, earlier=before)) == []


def test_hashes_are_taken_over_for_untouched_files_only(data):
    before = record(data)
    for entry in before["files"].values():
        entry["sha256"] = "from before"
    (data / "dict.txt").write_text("content of DICT.txt")  # the same size
    after = record(data, earlier=before)
    assert after["files"]["train.en.bin"]["sha256"] == "from before"
    assert after["files"]["dict.txt"]["sha256"] != "from before"


def test_it_survives_writing_and_reading(data, tmp_path):
    before = record(data)
    write_json(tmp_path / save_dir.FINGERPRINT, before)
    assert save_dir.read_fingerprint(tmp_path) == before


@pytest.mark.parametrize("content", [None, "", "{", "[]", "{}", '{"settings": {}, "arguments": [], "files": {"a": 1}}'])
def test_a_missing_or_damaged_record_is_none(tmp_path, content):
    if content is not None:
        (tmp_path / save_dir.FINGERPRINT).write_text(content)
    assert save_dir.read_fingerprint(tmp_path) is None


def test_missing_and_empty_data_are_errors_that_name_the_file(data):
    (data / "valid.en.bin").write_bytes(b"")
    with pytest.raises(UserError, match=r"valid\.en\.bin is empty"):
        data_folders.files([data], ["en"])
    with pytest.raises(UserError, match=r"train\.bg\.bin is missing"):
        data_folders.files([data], ["en", "bg"])
