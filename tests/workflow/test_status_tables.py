"""The status of runs whose files are laid out here; tests/workflow/test_status.py looks at real ones."""

import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wikixlm import cli
from wikixlm.errors import UserError
from wikixlm.workflow import run_record
from wikixlm.workflow.status import show

LOG = "2026-11-24T150000.000000.snakemake.log"
JOB = {"local": True, "threads": 1, "wildcards": {}, "benchmark": "", "resources": {}}
SHARD = "{k:05d}-of-00003"


class Run:
    """A run of three shards a language, laid out file by file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.events: list[dict] = []
        self.record = {
            **{"started": "2026-11-24T15:00:00Z", "host": platform.node(), "pid": os.getpid(), "command": "snakemake"},
            "process_started": __import__("psutil").Process().create_time(),
            **{
                "log": LOG,
                "events_offset": 0,
                "sources": {"en": "dump", "bg": "text"},
                "shards": {"en": 3, "bg": 3},
                "max_update": 100,
            },
            "jobs": {"extract": {"en": 3}, "corpus": {"bg": 3}, "tokenize": {"en": 3, "bg": 3}, "train_mlm": {"": 1}},
        }
        self.say("run_started", command="snakemake", host="here", slurm_run_id="")

    def say(self, event: str, **values) -> None:
        self.events.append({"event": event, "time": time.time(), **values})

    def send(self, number: int, rule: str, lang: str = "", k: int = 0, output: str = "", local: bool = True) -> None:
        shard = SHARD.format(k=k)
        name = f"{rule}/{lang}/{shard}" if lang else rule
        job = JOB | {"wildcards": {"lang": lang, "shard": shard} if lang else {}, "local": local}
        output = output or f"work/counts/{rule}/{lang}/{shard}.json"
        self.say("job_sent", jobid=number, rule=rule, output=[output], log=[f"logs/{name}.log"], **job)

    def finish(self, number: int) -> None:
        self.say("job_finished", jobid=number)

    def fail(self, number: int, group: str = "", group_log: str = "") -> None:
        self.say("job_failed", jobid=number, log=[], group=group, group_log=group_log)

    def file(self, name: str, text: str = "") -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def look(self):
        self.file(f".snakemake/log/{LOG}")
        self.file("work/events.jsonl", "".join(json.dumps(event) + "\n" for event in self.events))
        self.file("work/run.json", json.dumps(self.record))
        return show.look(self.directory)

    def cells(self, language: str) -> list[str]:
        return [show.cell_text(cell, "-").plain for cell in self.look().languages[language]]


@pytest.fixture
def run(tmp_path):
    return Run(tmp_path)


def test_shards_that_are_done_running_and_failed(run):
    run.send(1, "extract", "en", 0)
    run.finish(1)
    run.file("work/counts/extract/en/00000-of-00003.json")
    run.send(2, "extract", "en", 1)
    run.send(3, "extract", "en", 2)
    run.fail(3)
    log = run.file("logs/extract/en/00002-of-00003.log", "first\nerror: the dump is cut short\n")
    status = run.look()
    assert status.state == "running"
    assert run.cells("en")[:3] == ["-", "1/3 1 failed, 1 running", "0/3"]
    (failure,) = status.failures
    assert (failure.name, failure.log, failure.attempts) == ("extract en 00002-of-00003", log, 1)
    assert "error: the dump is cut short" in show.failure_text(failure).plain


def test_a_job_that_was_sent_again_has_not_failed(run):
    run.send(3, "extract", "en", 2)
    run.fail(3)
    run.send(3, "extract", "en", 2)
    assert run.look().failures == []
    assert run.cells("en")[1] == "0/3 1 running"


def test_files_of_an_earlier_call_that_are_made_anew_do_not_count(run):
    for k in range(3):
        run.file(f"work/counts/extract/en/{SHARD.format(k=k)}.json")
        run.file(f"work/counts/tokenize/bg/{SHARD.format(k=k)}.json")
    assert run.cells("en")[1] == "0/3", "three are planned"
    run.record["jobs"]["tokenize"].pop("bg")
    assert run.cells("bg")[2] == "done", "none is planned"


def test_what_the_call_did_not_set_out_to_do_is_not_waiting(run):
    cells = run.cells("en")
    assert cells[1] == "0/3"
    assert cells[3] == "-", "split is not planned"
    status = run.look()
    assert show.cell_text(status.joint["train_mlm"], "").plain == "waiting"
    assert show.cell_text(status.joint["learn_bpe"], "").plain == "-"


def test_a_rule_that_is_no_known_stage_has_a_row_when_it_is_planned(run):
    run.record["jobs"]["finetune_xnli_seed"] = {"": 3}
    run.send(5, "finetune_xnli_seed", output="evaluation/seed-0.json")
    run.finish(5)
    run.send(6, "finetune_xnli_seed", output="evaluation/seed-1.json")
    assert show.cell_text(run.look().joint["finetune_xnli_seed"], "").plain == "1/3 1 running"


def test_on_a_cluster_a_job_runs_once_its_log_has_begun(run):
    run.events[0]["slurm_run_id"] = "abc"
    run.send(1, "extract", "en", 0, local=False)
    run.send(2, "extract", "en", 1, local=False)
    run.file("logs/extract/en/00001-of-00003.log", "begun")
    old = run.file("logs/extract/en/00000-of-00003.log", "of an earlier call")
    os.utime(old, (1e9, 1e9))
    assert run.cells("en")[1] == "0/3 1 running, 1 queued"


def test_jobs_that_slurm_does_not_start_are_shown_until_it_does(run):
    for number in ("7", "8"):
        run.say("job_held", slurm_id=number, name="learn_bpe", reason="PartitionConfig")
    (line,) = show.held_texts(run.look())
    assert line.plain.startswith("not started: learn_bpe, SLURM's job 7 and 1 more: PartitionConfig; it asks for more")
    run.say("job_held", slurm_id="7", name="learn_bpe", reason="")
    (line,) = show.held_texts(run.look())
    assert "SLURM's job 8: PartitionConfig" in line.plain
    run.say("run_ended")
    assert list(show.held_texts(run.look())) == []


def test_a_member_of_a_group_counts_before_the_group_has_ended(run):
    run.send(1, "extract", "en", 0, local=False)
    run.file("work/counts/extract/en/00000-of-00003.json")
    assert run.cells("en")[1] == "1/3"


def test_of_a_group_that_failed_only_the_guilty_jobs_are_shown(run):
    run.send(1, "extract", "en", 0, local=False)
    run.send(2, "tokenize", "en", 0, local=False)
    for number in (1, 2):
        run.fail(number, "shards", "slurm/2.log")
    run.file("slurm/2.log", "slurmstepd: killed")
    assert [failure.name for failure in run.look().failures] == [
        "extract en 00000-of-00003",
        "tokenize en 00000-of-00003",
    ]
    assert {failure.log for failure in run.look().failures} == {run.directory / "slurm/2.log"}
    log = run.file("logs/extract/en/00000-of-00003.log", "error: no such page\n")
    (failure,) = run.look().failures
    assert failure.log == log
    assert run.cells("en")[1:3] == ["0/3 1 failed", "0/3"]


def dead_process():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


@pytest.mark.parametrize(("locked", "state"), [(True, "killed"), (False, "ended")])
def test_a_job_of_a_dead_snakemake_does_not_run(run, locked, state):
    run.record["pid"] = dead_process()
    if locked:
        run.file(".snakemake/locks/0.output.lock", "x")
    run.send(1, "extract", "en", 0)
    status = run.look()
    assert status.state == state
    assert run.cells("en")[1] == "0/3 1 stopped"
    assert ("snakemake --unlock" in status.line) == locked


def test_another_process_of_the_same_number_is_not_the_run(run):
    run.record["process_started"] -= 1000
    assert run.look().state == "ended"


def test_a_run_of_another_machine_is_judged_by_its_lock(run):
    run.record["host"] = "login7"
    run.send(1, "extract", "en", 0)
    run.file(".snakemake/locks/0.output.lock", "x")
    assert run.look().state == "unknown"
    assert "login7 by its lock" in run.look().line
    assert run.cells("en")[1] == "0/3 1 running"


def test_a_training_tells_update_speed_and_time_left(run):
    run.send(9, "train_mlm", output="models/mlm/model.pt")
    rows = [
        {"split": "train", "update": 10 * n, "wall": 5.0 * n, "loss": 6.0, "tokens_per_second": 1000.0}
        for n in (1, 2, 3)
    ]
    rows.append({"split": "valid", "update": 30, "wall": 16.0, "loss": 5.0, "perplexity": 148.4})
    run.file("checkpoints/mlm/metrics.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    table = show.details.training(run.directory, 100, True)
    assert table == "update 30/100, loss 6.000, held-out perplexity 148.4, 1,000 tokens/s, 35 s left"


def test_the_command_prints_plain_lines_to_a_pipe(run, capsys):
    run.send(1, "extract", "en", 0)
    run.look()
    cli.main(["status", "--directory", str(run.directory)])
    shown = capsys.readouterr().out
    assert "\x1b" not in shown
    assert shown.startswith(f"{run.directory.name}: running since ")
    row = next(line for line in shown.splitlines() if line.startswith("bg"))
    assert row.split()[1:4] == ["own", "text", "0/3"]


def test_watching_ends_with_the_run(run, capsys):
    run.record["pid"] = dead_process()
    run.look()
    cli.main(["status", "--directory", str(run.directory), "--watch", "--interval", "0.1"])
    assert capsys.readouterr().out.count("language ") == 1


def test_a_run_without_events_is_an_error(run):
    run.look()
    (run.directory / "work" / "events.jsonl").unlink()
    with pytest.raises(UserError, match=r"events\.jsonl has no events of the latest call"):
        show.look(run.directory)


def test_a_record_of_another_version_is_an_error(run):
    del run.record["events_offset"]
    with pytest.raises(UserError, match=r"run\.json is of another version of wikixlm"):
        run.look()


def test_only_the_events_of_the_latest_call_count(run):
    run.send(1, "extract", "en", 0)
    run.fail(1)
    run.record["events_offset"] = len("".join(json.dumps(event) + "\n" for event in run.events))
    run.say("run_started", command="snakemake", host="here", slurm_run_id="")
    run.send(1, "extract", "en", 0)
    assert run.look().failures == []


def test_a_directory_without_a_run_is_an_error(tmp_path):
    with pytest.raises(UserError, match="no job has started here yet"):
        run_record.read(tmp_path)
