"""When a training ran, and on what."""

import json

import pytest

from wikixlm.model.device import Device
from wikixlm.train import sessions

CPU = Device("cpu", "no GPU found")


def train(save_dir, begin, end):
    with sessions.record_session(save_dir, ["--max-update", "9"], begin, CPU, workers=2, nodes=1) as session:
        if end is not None:
            session["to_update"] = end


def test_a_training_in_one_go(tmp_path):
    train(tmp_path, 0, 9)
    found = sessions.summary(tmp_path)
    assert found["resumes"] == 0
    assert found["started"] <= found["ended"]
    (session,) = found["sessions"]
    assert (session["from_update"], session["to_update"]) == (0, 9)
    assert session["command"] == ["--max-update", "9"]
    assert (session["device"], session["device_reason"], session["gpus"]) == ("cpu", "no GPU found", 0)
    assert (session["workers"], session["nodes"]) == (2, 1)
    assert session["hardware"]["cores"] >= 1
    assert session["hardware"]["memory_bytes"] > 1e8


def test_what_was_killed_has_no_end_and_counts_as_resumed(tmp_path):
    train(tmp_path, 0, 4)
    (killed,) = sessions.read_sessions(tmp_path)
    del killed["ended"]
    (tmp_path / sessions.SESSIONS).write_text(json.dumps(killed) + '\n{"started": "torn')
    train(tmp_path, 3, 9)
    found = sessions.summary(tmp_path)
    assert found["resumes"] == 1
    assert "ended" not in found["sessions"][0]
    assert found["ended"] == found["sessions"][1]["ended"]


def test_a_training_from_the_start_forgets_earlier_ones(tmp_path):
    train(tmp_path, 0, 4)
    train(tmp_path, 0, 9)
    assert len(sessions.read_sessions(tmp_path)) == 1


def test_a_failure_is_recorded_and_passed_on(tmp_path):
    with pytest.raises(RuntimeError), sessions.record_session(tmp_path, [], 0, CPU, workers=1, nodes=1):
        raise RuntimeError
    (session,) = sessions.read_sessions(tmp_path)
    assert "ended" in session
    assert "to_update" not in session


def test_a_record_that_cannot_be_written_ends_no_training(tmp_path):
    (tmp_path / "file").write_text("")
    train(tmp_path / "file", 0, 9)
    assert sessions.summary(tmp_path / "nowhere") == {}
