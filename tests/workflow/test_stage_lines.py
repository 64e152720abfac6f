"""The lines in place of Snakemake's own, with `--quiet`."""

import logging
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from wikixlm import run_layout as layout
from wikixlm.files import write_json
from wikixlm.workflow import stage_lines

SHARDS = layout.shard_names(2)


@pytest.fixture
def ends(tmp_path, monkeypatch):
    """A job that has ended, under `--quiet all`."""
    monkeypatch.chdir(tmp_path)
    logger = logging.Logger("snakemake", logging.INFO)
    stage_lines.start(logger, [SimpleNamespace(name="ALL")])

    def end(rule, **wildcards):
        logger.info("", extra={"event": LogEvent.JOB_INFO, "jobid": 4, "rule_name": rule, "wildcards": wildcards})
        logger.info("", extra={"event": LogEvent.JOB_FINISHED, "job_id": 4})

    return end


def test_a_language_is_one_line_over_its_shards(ends, capsys, tmp_path):
    for number, shard in enumerate(SHARDS, 1):
        write_json(tmp_path / layout.EXTRACT_COUNTS.format(lang="en", shard=shard), {"articles": 1000 * number})
        counts = {"lines_out": 2000 * number, "tokens": 30_000}
        write_json(tmp_path / layout.TOKENIZE_COUNTS.format(lang="en", shard=shard), counts)
    ends("tokenize", lang="en", shard=SHARDS[0])
    assert not capsys.readouterr().err
    split = {
        "shards": [layout.TOKENIZED.format(lang="en", shard=shard) for shard in SHARDS],
        "lines": {"train": 5990, "valid": 4, "test": 6},
        "dropped": {"train": 7, "held_out": 0},
    }
    write_json(tmp_path / layout.SPLIT_COUNTS.format(lang="en"), split)
    ends("split", lang="en")
    said = "en: 3,000 articles → 6,000 lines, 60,000 tokens, 7 repeated lines dropped, 4 + 6 lines held out\n"
    assert capsys.readouterr().err == said


def test_counts_that_are_not_there_end_no_run(ends, capsys):
    ends("learn_bpe")
    assert not capsys.readouterr().err


def test_every_stage_with_a_line_is_a_rule():
    assert set(stage_lines.LINES) <= set(layout.RULES)


def test_the_log_file_keeps_what_the_terminal_does_not_show(tmp_path):
    logger = logging.Logger("snakemake", logging.INFO)
    handler = logging.FileHandler(tmp_path / "log")
    handler.name = "DefaultLogFileHandler"
    hiding = SimpleNamespace(quiet={"rules"}, filter=lambda record: True)
    handler.addFilter(hiding)
    logger.addHandler(handler)
    stage_lines.start(logger, None)
    assert hiding.quiet and len(logger.handlers) == 1
    stage_lines.start(logger, [SimpleNamespace(name="RULES")])
    assert not hiding.quiet and len(logger.handlers) == 2
    handler.close()
