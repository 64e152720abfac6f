"""How a run that failed ends: what is said of failed jobs, of jobs on a cluster, and of Snakemake's own errors."""

import logging
import os
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from wikixlm.workflow import failures
from wikixlm.workflow.failures import FailureSummary, explain


@pytest.fixture
def snakemake(tmp_path, monkeypatch):
    """A logger that says what Snakemake's does, and the summary at the end."""
    monkeypatch.chdir(tmp_path)
    logger = logging.Logger("snakemake", logging.INFO)
    summary = FailureSummary(lambda: ["train_mlm", "data"])
    logger.addHandler(summary)
    return logger, summary


def job_error(logger, jobid=1, log=("logs/extract.log",), indent=False, message=None, **aux):
    extra = {"event": LogEvent.JOB_ERROR, "rule_name": "extract", "jobid": jobid, "log": log, "aux": aux}
    extra |= {"indent": indent, "rule_msg": message}
    logger.error("", extra=extra)


def write_log(folder, text):
    (folder / "logs").mkdir()
    (folder / "logs" / "extract.log").write_text(text)


def test_a_failed_job_repeats_the_last_error_of_its_log(snakemake, tmp_path, capsys, monkeypatch):
    logger, summary = snakemake
    write_log(tmp_path, "warning: x\nerror: first\nTraceback\nerror: the disk is full; make room\nmore\n")
    job_error(logger)
    monkeypatch.chdir("/")  # as Snakemake does before the end
    summary.print()
    assert capsys.readouterr().err == "failed: extract: the disk is full; make room (log: logs/extract.log)\n"


def test_a_job_of_a_cluster_says_its_error_here_for_the_first_time(snakemake, tmp_path, capsys):
    logger, summary = snakemake
    write_log(tmp_path, "error: the dump is cut short\n")
    job_error(logger, log=["logs/extract.log", ".snakemake/slurm_logs/7.log"], external_jobid="7")
    summary.print()
    assert capsys.readouterr().err == "error: extract: the dump is cut short (log: logs/extract.log)\n"


def test_a_job_that_slurm_does_not_take_says_why(snakemake, capsys):
    logger, summary = snakemake
    said = "sbatch: error: Batch job submission failed:\nInvalid partition name specified"
    job_error(logger, message=f"SLURM sbatch failed. The error message was '{said}'.\n    sbatch call:\n   sbatch x")
    summary.print()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: extract: SLURM did not take the job") and "Invalid partition name" in line


def test_a_job_that_died_without_a_word_names_its_log(snakemake, capsys):
    logger, summary = snakemake
    job_error(logger)
    summary.print()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: extract ended without saying why") and "logs/extract.log" in line


@pytest.mark.parametrize(("free", "files"), [(0, 9), (1000, 0)])
def test_a_job_that_found_no_room_for_its_log_is_told_by_the_disk(snakemake, capsys, monkeypatch, free, files):
    logger, summary = snakemake
    state = SimpleNamespace(f_bavail=free, f_frsize=4096, f_favail=files, f_files=100)
    monkeypatch.setattr(failures.os, "statvfs", lambda path: state)
    job_error(logger)
    summary.print()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("failed: extract left no log: ") and "No space left on device; make room" in line


def test_a_job_that_a_retry_finished_is_not_told(snakemake, capsys):
    logger, summary = snakemake
    job_error(logger)
    logger.info("", extra={"event": LogEvent.JOB_FINISHED, "job_id": 1})
    summary.print()
    assert capsys.readouterr().err == ""


def test_the_same_error_twice_is_said_once(snakemake, tmp_path, capsys):
    logger, summary = snakemake
    write_log(tmp_path, "error: no\n")
    job_error(logger, 1)
    job_error(logger, 2)
    summary.print()
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_of_a_group_only_the_job_that_failed_is_told(snakemake, tmp_path, capsys):
    logger, summary = snakemake
    write_log(tmp_path, "error: the dump is cut short\n")
    job_error(logger, 1, ["logs/other.log"], indent=True)
    job_error(logger, 2, indent=True)
    summary.print()
    assert capsys.readouterr().err == "error: extract: the dump is cut short (log: logs/extract.log)\n"


def test_an_error_of_an_earlier_run_is_not_told(snakemake, tmp_path, capsys):
    logger, summary = snakemake
    write_log(tmp_path, "error: last week's\n")
    os.utime(tmp_path / "logs" / "extract.log", (0, 0))
    job_error(logger)
    summary.print()
    assert "without saying why" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("exception", "message", "said"),
    [
        ("MissingRuleException", "MissingRuleException:\nNo rule to produce dta (if", "did you mean data?"),
        ("MissingRuleException", "MissingRuleException:\nNo rule to produce zzz (if", "there are data, train_mlm"),
        ("MissingRuleException", "MissingRuleException:\nNo rule to produce a/b.txt (if", "makes the file a/b.txt"),
        ("LockException", "LockException:\nError: … following directory:\n/runs/mine\nIf you", "works in /runs/mine"),
        ("PermissionError", "Traceback\nPermissionError: [Errno 13]: '/there/.snakemake'", "/there can't be written"),
        (
            "WorkflowError",
            "PermissionError: [Errno 1] Operation not permitted: 'logs/extract'",
            "snakemake: logs/extract: Oper",
        ),
        (
            "OSError",
            "x\nOSError: [Errno 28] No space left on device\ny",
            "snakemake: No space left on device; make room, then run",
        ),
        (
            "OSError",
            "OSError: [Errno 24] Too many open files: '/dev/null'",
            "/dev/null: Too many open files; too few files may be open (ulimit -n)",
        ),
        ("MissingInputException", "in rule x:\nMissing input files for rule x:\n    a/b.xml", "missing: a/b.xml"),
    ],
)
def test_snakemakes_own_errors_in_a_line(exception, message, said):
    line = explain(exception, message, lambda: ["train_mlm", "data"])
    assert said in line and "\n" not in line


def test_what_says_enough_by_itself_gets_no_second_line():
    assert explain("WorkflowError", "At least one job did not complete successfully.", list) is None


@pytest.mark.parametrize("silent", [True, False])
def test_what_snakemake_was_told_not_to_print_is_said_here(capsys, silent):
    logger = logging.Logger("snakemake", logging.INFO)
    summary = FailureSummary(list, silent)
    logger.addHandler(summary)
    extra = {"event": LogEvent.ERROR, "exception": "MissingOutputException"}
    logger.error("Job 3 completed,\nbut output is missing", extra=extra)
    summary.print()
    said = "error: Job 3 completed, but output is missing\n" if silent else ""
    assert capsys.readouterr().err == said
