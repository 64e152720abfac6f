"""What makes a training another one."""

import os

import pytest

from tests.support import fairseq_data as factory
from wikixlm.errors import UserError
from wikixlm.files import write_json
from wikixlm.train import data_folders, save_dir
from wikixlm.train.batch_layout import layout
from wikixlm.train.rates import Rates

SETTINGS = {"lr": 0.1, "seed": 0}
ARGUMENTS = ["--monolingual-langs", "en,bg", "--seed", "0"]


@pytest.fixture
def data(tmp_path):
    for name in ("dict.txt", "train.en.bin", "train.en.idx", "valid.en.bin", "valid.en.idx"):
        (tmp_path / name).write_text(f"content of {name}")
    return tmp_path


BATCH = {"tokens_per_update": 4096, "per_worker": None}


def record(data, settings=SETTINGS, arguments=ARGUMENTS, batch=BATCH, earlier=None):
    return save_dir.fingerprint(data_folders.files([data], ["en"]), settings, arguments, batch, earlier)


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


def per_worker(tokens, workers):
    return {"tokens_per_update": tokens * workers, "per_worker": tokens}


def test_the_batch_is_a_part_of_it_and_its_layout_is_not(data):
    before = record(data, batch=per_worker(1024, 4))
    assert save_dir.differences(before, record(data)) == []
    assert save_dir.differences(before, record(data, batch=per_worker(1024, 2))) == []
    assert save_dir.differences(before, record(data, batch=per_worker(2048, 4))) == ["train.batch_tokens"]


def test_less_memory_for_a_batch_is_no_other_training(data, tmp_path, monkeypatch):
    """The advice after "out of memory": a smaller max_tokens, with batch_tokens, with update_freq, or alone."""
    monkeypatch.setattr(save_dir.checkpoints, "prepare_resume", lambda folder: 3 if opened else 0)
    files = data_folders.files([data], ["en"])
    opened = []
    for keys in (
        {"max_tokens": 128, "update_freq": None},
        {"max_tokens": 64, "update_freq": None},
        {"max_tokens": 32, "batch_tokens": 128, "update_freq": None},
        {"max_tokens": 64, "update_freq": 2, "compile": True},
    ):
        settings = factory.train_settings(**{"batch_tokens": None, **keys})
        opened.append(save_dir.open_save_dir(tmp_path / "checkpoints", files, settings, ["en"], 1).tokens_per_update)
        most = settings.max_tokens
        assert layout(settings, 128, 1, 0) == (most, 128 // most)
    assert opened == [128] * 4
    assert not list(tmp_path.glob("checkpoints.*"))


def test_a_record_from_before_the_batch_had_a_key_is_the_same_training(data, tmp_path):
    old = {**SETTINGS, "max_tokens": 512, "update_freq": 2, "compile": True}
    old = {key: value for key, value in record(data, settings=old).items() if key != "batch"}
    layout_too = ["--max-tokens", "512", *ARGUMENTS, "--lr", "0.1", "--compile-layers", "--update-freq", "2"]
    write_json(tmp_path / save_dir.FINGERPRINT, {**old, "arguments": layout_too})
    earlier = save_dir.read_fingerprint(tmp_path)
    assert save_dir.differences(earlier, record(data, batch=per_worker(1024, 1))) == []
    assert save_dir.differences(earlier, record(data, batch=per_worker(512, 1))) == ["train.batch_tokens"]
    other = record(data, arguments=["--monolingual-langs", "bg,en", "--seed", "0"], batch=per_worker(1024, 1))
    assert save_dir.differences(earlier, other) == ["languages"]


def test_a_resumed_training_keeps_its_batch_and_its_warm_up(data, tmp_path, monkeypatch):
    monkeypatch.setattr(save_dir.checkpoints, "prepare_resume", lambda folder: 3 if opened else 0)
    opened = []
    for workers, max_update in ((4, 100), (1, 500)):
        settings = factory.train_settings(max_update=max_update, warmup_updates=None, warmup=0.1)
        files = data_folders.files([data], ["en"])
        opened.append(save_dir.open_save_dir(tmp_path / "checkpoints", files, settings, ["en"], workers))
    rates = Rates(0.001, None)
    assert opened == [save_dir.Opened(0, 4 * 128, 10, rates), save_dir.Opened(3, 4 * 128, 10, rates)]
    assert layout(settings, 4 * 128, 1, 0) == (128, 4)
