"""The events of Snakemake's calls, as they are written and read."""

import logging

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from wikixlm.workflow import events
from wikixlm.workflow.events import EventWriter, JobFailed, JobFinished, JobSent, RunEnded, RunStarted

JOB = {
    **{"jobid": 7, "rule_name": "extract", "local": False, "threads": 2, "wildcards": {"lang": "en"}},
    **{"output": ["work/a"], "log": ["logs/a.log"], "benchmark": None},
    "resources": {"_cores": 2, "mem_mb": 1000, "runtime": 240, "tmpdir": "/tmp", "contact": "me@example.org"},
}


@pytest.fixture
def call(tmp_path):
    """A logger like Snakemake's, and the events that a call of it leaves."""
    logger = logging.Logger("snakemake", logging.INFO)

    def say(event, **values):
        logger.info("", extra={"event": event, **values})

    say.start = lambda: events.start(logger, "abc", tmp_path / "work" / "events.jsonl")
    say.read = lambda offset=0: list(events.read(tmp_path, offset))
    say.close = lambda: logger.handlers[-1].close()
    return say


def test_jobs_as_they_are_sent_end_and_fail(call):
    call.start()
    call(LogEvent.JOB_INFO, **JOB)
    call(LogEvent.JOB_FINISHED, job_id=7)
    call(LogEvent.JOB_ERROR, jobid=8, log=["logs/b.log", "/slurm/8.log"], indent=False)
    call.close()
    started, sent, finished, failed, ended = call.read()
    assert isinstance(started, RunStarted) and started.slurm_run_id == "abc"
    assert isinstance(sent, JobSent) and (sent.jobid, sent.rule, sent.language, sent.local) == (
        7,
        "extract",
        "en",
        False,
    )
    assert sent.resources == {"mem_mb": 1000, "runtime": 240}, "what was asked for in numbers, and no address"
    assert isinstance(finished, JobFinished) and finished.jobid == 7
    assert isinstance(failed, JobFailed) and (failed.jobid, failed.log) == (8, ["logs/b.log", "/slurm/8.log"])
    assert isinstance(ended, RunEnded) and started.time <= ended.time


def test_the_jobs_of_a_failed_group_have_its_log(call):
    call.start()
    call(LogEvent.GROUP_ERROR, groupid="shards", aux_logs=["/slurm/2.log"])
    call(LogEvent.JOB_ERROR, jobid=1, log=[], indent=True)
    call(LogEvent.JOB_ERROR, jobid=2, log=[], indent=False)
    grouped, alone = call.read()[1:]
    assert (grouped.group, grouped.group_log) == ("shards", "/slurm/2.log")
    assert (alone.group, alone.group_log) == ("", "")


def test_a_target_is_no_job(call):
    call.start()
    call(LogEvent.JOB_INFO, **{**JOB, "output": []})
    assert len(call.read()) == 1


def test_a_call_begins_after_those_before_it_though_they_were_cut(call, tmp_path):
    call.start()
    path = tmp_path / "work" / "events.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    (started,) = call.read(call.start().offset)
    assert isinstance(started, RunStarted)
    assert call.read() == [started], "the cut line is left out"


def test_a_disk_that_is_full_stops_the_recording_and_not_the_run(call, capsys, monkeypatch):
    call.start()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(events.os, "write", full)
    call(LogEvent.JOB_FINISHED, job_id=1)
    call(LogEvent.JOB_FINISHED, job_id=2)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: cannot write") and "No space left" in line


def test_a_run_without_the_file_has_no_events(tmp_path):
    assert list(events.read(tmp_path)) == []


def test_the_writer_creates_its_folder(tmp_path):
    EventWriter(tmp_path / "new" / "events.jsonl").close()
    assert (tmp_path / "new" / "events.jsonl").is_file()
