"""Every table of the report, its numbers against a run that was written by hand."""

import json
import math

import pytest

from tests.support.reports import CONFIGURATION, LINES, make_run, make_text, perplexities
from wikixlm.errors import UserError
from wikixlm.files import read_json, write_json
from wikixlm.report import run_tables, text_tables
from wikixlm.report.command import report
from wikixlm.report.run_files import RunFiles

REASONS = (*text_tables.NOT_TAKEN, *text_tables.LOST)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return RunFiles(make_run(tmp_path_factory.mktemp("run")))


def by_language(frame):
    return {row["language"]: row for row in frame.to_dict("records")}


def test_pages_are_articles_and_what_was_dropped_by_reason(run):
    rows = by_language(text_tables.pages(run))
    assert rows["en"]["pages"] == 100
    assert rows["en"]["documents"] == 47
    assert [rows["en"][reason] for reason in REASONS] == [40, 6, 2, 1, 2, 2, 0]
    assert rows["de"]["skipped"] == 1
    assert (rows["ka"]["pages"], rows["ka"]["empty"], rows["ka"]["source"]) == (8, 2, "own text")
    for row in rows.values():
        assert row["pages"] == row["documents"] + sum(row[reason] for reason in REASONS)
        assert row["unaccounted"] == 0


def test_lines_are_those_of_the_splits_and_what_was_dropped_by_reason(run):
    rows = by_language(text_tables.lines(run))
    assert rows["en"]["lines"] == 106
    assert [rows["en"][name] for name in ("emptied", "repeats_held_out", "repeated_in_held_out")] == [2, 3, 1]
    for language, row in rows.items():
        assert (row["train"], row["valid"], row["test"]) == LINES[language]
        assert row["unaccounted"] == 0


def test_what_went_missing_is_shown_as_such(tmp_path):
    make_text(tmp_path)
    path = tmp_path / "work" / "counts" / "extract" / "de" / "00000-of-00001.json"
    counts = read_json(path)
    write_json(path, counts | {"pages": counts["pages"] + 3, "lines": counts["lines"] + 5})
    run = RunFiles(tmp_path, CONFIGURATION)
    assert by_language(text_tables.pages(run))["de"]["unaccounted"] == 3
    assert by_language(text_tables.lines(run))["de"]["unaccounted"] == 5


def test_shards_of_an_earlier_configuration_are_not_counted(tmp_path):
    make_text(tmp_path)
    folder = tmp_path / "work" / "counts" / "extract" / "en"
    (folder / "00000-of-00003.json").write_text((folder / "00000-of-00002.json").read_text())
    for configuration in (CONFIGURATION, None):
        assert by_language(text_tables.pages(RunFiles(tmp_path, configuration)))["en"]["pages"] == 100


def test_a_language_that_has_not_got_so_far_has_no_numbers_yet(tmp_path):
    make_text(tmp_path)
    (tmp_path / "work" / "split" / "de" / "split.json").unlink()
    (tmp_path / "work" / "counts" / "extract" / "en" / "00001-of-00002.json").unlink()
    run = RunFiles(tmp_path, CONFIGURATION)
    rows = by_language(text_tables.pages(run))
    assert (rows["en"]["shards_done"], rows["en"]["shards"], rows["en"]["pages"]) == (1, 2, 50)
    lines = text_tables.lines(run).set_index("language")
    assert lines.loc["de"].isna().all()
    assert lines.loc["ka", "lines"] == 6
    assert text_tables.sampling(run) is None


def test_skipped_pages_are_named_and_addressed(run):
    (row,) = text_tables.skipped(run).to_dict("records")
    assert row == {
        "language": "de",
        "page": 77,
        "title": "Katze <b>(Tier)</b>",
        "address": "https://de.wikipedia.org/?curid=77",
    }


def test_list_items_headings_and_holes_are_summed_over_shards(tmp_path):
    make_text(tmp_path)
    for path in (tmp_path / "work" / "counts" / "extract").rglob("*.json"):  # as a run before these counts has them
        write_json(path, {name: value for name, value in read_json(path).items() if name != "wikitext"})
    assert text_tables.blocks(RunFiles(tmp_path, CONFIGURATION)) is None
    assert text_tables.holes(RunFiles(tmp_path, CONFIGURATION)) is None
    counted = {"items_kept": 5, "items_dropped_short": 2, "headings_dropped": 3}
    for number, hole in (
        (0, {"convert": {"count": 2, "example": "about  and"}}),
        (1, {"convert": {"count": 3, "example": "x"}}),
    ):
        path = tmp_path / "work" / "counts" / "extract" / "en" / f"0000{number}-of-00002.json"
        write_json(path, read_json(path) | {"wikitext": counted | {"holes": hole}})
    run = RunFiles(tmp_path, CONFIGURATION)
    rows = by_language(text_tables.blocks(run))
    assert (rows["en"]["items_kept"], rows["en"]["items_dropped_short"], rows["en"]["items_dropped"]) == (10, 4, 0)
    assert text_tables.holes(run).to_dict("records") == [
        {"language": "en", "template": "convert", "times": 5, "example": "about  and"}
    ]
    report(tmp_path, CONFIGURATION, tmp_path / "report.html", tmp_path / "report")
    assert "Templates that left a hole in a sentence" in (tmp_path / "report.html").read_text()


def test_the_flow_adds_up_words_and_tokens_of_all_splits(run):
    rows = by_language(text_tables.flow(run))
    assert rows["en"]["words"] == 5 * 100
    assert rows["en"]["tokens"] == 80 * 10 + 8 * 11 + 12 * 12
    assert rows["en"]["lines"] == 106
    assert rows["en"]["lines_kept"] == 100


def test_segmentation_is_summed_over_shards(run):
    row = next(row for row in text_tables.segmentation(run).to_dict("records") if row["language"] == "en")
    assert (row["split"], row["lines"], row["words"], row["tokens"]) == ("train", 80, 400, 800)
    assert row["tokens_per_word"] == 2.0
    assert row["whole_words"] == 0.2
    assert row["unknown_characters"] == 0.1


def test_sampling_before_and_after_alpha(run):
    rows = by_language(text_tables.sampling(run))
    assert rows["en"]["share_of_lines"] == 0.8
    roots = {language: math.sqrt(train) for language, (train, _, _) in LINES.items()}
    assert rows["de"]["bpe_probability"] == pytest.approx(roots["de"] / sum(roots.values()))
    assert rows["ka"]["share_of_bpe_lines"] == pytest.approx(4 / 59)
    # Each line is closed by a token of its own; a block is tokens_per_sample - 1 tokens.
    blocks = {"en": 88, "de": 18, "ka": 5}
    assert {language: row["blocks"] for language, row in rows.items()} == blocks
    weights = {language: count**0.7 for language, count in blocks.items()}
    for language, row in rows.items():
        assert row["training_probability"] == pytest.approx(weights[language] / sum(weights.values()))


def test_blocks_and_draws_are_those_of_the_training(tmp_path):
    from tests.support.fairseq_data import binarize
    from wikixlm.train.fairseq import compat

    compat.apply()  # before fairseq is imported
    from wikixlm.model.blocks import Blocks
    from wikixlm.train.fairseq.dataset import draws_per_epoch

    make_text(tmp_path)
    counted = text_tables.sampling(RunFiles(tmp_path, CONFIGURATION))
    sizes = []
    for language, (train, _, _) in LINES.items():
        binarize(tmp_path / f"train.{language}", [[1] * 10 for _ in range(train)])
        sizes.append(len(Blocks(tmp_path / f"train.{language}", CONFIGURATION["train"]["tokens_per_sample"] - 1)))
    assert list(counted["blocks"]) == sizes
    draws = draws_per_epoch(sizes, 0.7)
    for draw, probability in zip(draws, counted["training_probability"], strict=True):
        assert draw / sum(draws) == pytest.approx(probability, abs=0.01)


def test_the_tutorials_recipe_draws_all_languages_equally(tmp_path):
    make_text(tmp_path)
    configuration = CONFIGURATION | {"train": CONFIGURATION["train"] | {"recipe": "tutorial"}}
    frame = text_tables.sampling(RunFiles(tmp_path, configuration))
    assert list(frame["training_probability"]) == pytest.approx([1 / 3] * 3)


def test_shared_vocabulary_counts_tokens_whose_symbols_the_other_uses(run):
    pairs = {(row["language"], row["other"]): row for row in text_tables.overlap(run).to_dict("records")}
    assert len(pairs) == 6
    assert pairs["en", "de"]["shared_tokens"] == pytest.approx(0.2)
    assert pairs["de", "en"]["shared_tokens"] == pytest.approx(0.4)
    assert pairs["en", "de"]["shared_symbols"] == 1
    assert pairs["en", "de"]["common_mass"] == pairs["de", "en"]["common_mass"] == pytest.approx(0.2)
    assert pairs["ka", "en"]["shared_tokens"] == 0


def test_curves_and_validations_are_the_metrics(run):
    assert list(run_tables.training(run)["update"]) == list(range(5, 41, 5))
    held_out = run_tables.validation(run)
    assert list(held_out["language"].unique()) == ["mean", "en", "de", "ka"]
    assert list(held_out[held_out["language"] == "de"]["perplexity"]) == [280.0, 260.0]
    assert run_tables.baselines(run) == {"en": 100.0, "de": 120.0, "ka": 200.0, "mean": 140.0}


def test_perplexity_keeps_every_column_and_is_compared_with_the_baseline(run):
    path = run.directory / "evaluation" / "mlm_perplexity.tsv"
    before = path.read_text()
    lines = before.splitlines()
    path.write_text("\n".join([f"{lines[0]}\tbits", *(f"{line}\t1.5" for line in lines[1:])]) + "\n")
    try:
        frame = run_tables.perplexity(run)
    finally:
        path.write_text(before)
    assert set(frame["bits"]) == {1.5}
    assert list(frame[frame["split"] == "test"]["share_of_baseline"]) == pytest.approx([0.5, 0.5, 0.35, 60 / 140])


def test_the_code_na_of_nauruan_is_no_missing_value(tmp_path):
    make_text(tmp_path)
    perplexities(tmp_path, {"na": (50.0, 100.0)})
    assert list(run_tables.perplexity(RunFiles(tmp_path, CONFIGURATION))["language"]) == ["na", "mean", "na", "mean"]


def test_a_table_without_its_columns_is_an_error_that_names_it(tmp_path):
    make_text(tmp_path)
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "mlm_perplexity.tsv").write_text("language\tsplit\n")
    with pytest.raises(UserError, match=r"mlm_perplexity.tsv has no column perplexity, unigram"):
        run_tables.perplexity(RunFiles(tmp_path, CONFIGURATION))


def test_time_and_memory_are_added_up_by_stage(run):
    rows = {row["stage"]: row for row in run_tables.stages(run).to_dict("records")}
    assert list(rows) == ["extract", "train_mlm"]
    assert rows["extract"]["jobs"] == 3
    assert rows["extract"]["wall_seconds"] == pytest.approx(30.4)
    assert rows["extract"]["longest_seconds"] == 20
    assert rows["extract"]["cpu_seconds"] == 27
    assert rows["extract"]["peak_mb"] == 100


def test_what_jobs_asked_for_is_beside_what_they_used(run):
    rows = {row["stage"]: row for row in run_tables.stages(run).to_dict("records")}
    assert (rows["extract"]["retries"], rows["extract"]["asked_mb"], rows["extract"]["asked_seconds"]) == (
        1,
        2000,
        3600,
    )
    assert (rows["train_mlm"]["asked_cores"], rows["train_mlm"]["asked_mb"]) == (4, 16000)
    assert rows["train_mlm"]["efficiency"] == pytest.approx(90 / 60 / 4)
    assert rows["train_mlm"]["suggestion"] == "mem_mb=3500 threads=2 runtime=60"


def test_without_events_the_page_says_that_requests_are_unknown(tmp_path):
    directory = make_run(tmp_path / "old")
    (directory / "work" / "events.jsonl").unlink()
    table = run_tables.stages(RunFiles(directory))
    assert "asked_mb" not in table
    report(directory, None, tmp_path / "report.html", tmp_path / "report")
    assert "What the jobs asked for is unknown" in (tmp_path / "report.html").read_text()


def test_a_resumed_training_counts_whole(run):
    row = run_tables.stages(run).set_index("stage").loc["train_mlm"]
    assert row["wall_seconds"] == 120  # by its metrics; its last call took 60
    assert row["cpu_seconds"] == 180


def test_calls_and_hardware_are_read_from_the_logs(run):
    assert run_tables.calls(run) == run_tables.Calls(1, 1800)
    assert run_tables.hardware(run) == run_tables.Hardware("2 GPUs (A100) on each of 2 nodes", 4)


def test_disk_is_what_the_folders_hold(run):
    rows = {row["folder"]: row for row in run_tables.disk(run).to_dict("records")}
    manifest = run.directory / "models" / "mlm" / "manifest.json"
    assert rows["models"]["size"] == 1000 + manifest.stat().st_size
    assert rows["models"]["files"] == 2
    assert "export" not in rows


def test_sources_name_wiki_date_and_hash(run):
    rows = by_language(run_tables.sources(run))
    assert rows["en"]["date"] == "2026-11-01"
    assert (rows["en"]["wiki"], rows["en"]["hash"]) == ("en.wikipedia.org", "sha1:abc")
    assert (rows["ka"]["wiki"], rows["ka"]["file"], rows["ka"]["size"]) == ("own text", "ka.txt", 200)
    assert rows["de"]["file"] == "de.bz2"  # not in the manifest: as the extraction's counts name it


def test_the_configuration_is_compared_key_by_key(run):
    defaults = CONFIGURATION | {"train": CONFIGURATION["train"] | {"alpha": 0.3, "device": "auto"}}
    rows = run_tables.configuration(run, defaults).to_dict("records")
    assert rows == [{"key": "train.alpha", "default": "0.3", "run": "0.7"}]
    assert run_tables.configuration(run, CONFIGURATION).empty


def test_versions_and_the_machine_are_the_manifests(run):
    rows = dict(run_tables.versions(run).itertuples(index=False))
    assert rows["torch"] == "2.13.0"
    run = RunFiles(run.directory, CONFIGURATION)
    run.manifest["training"] = {"sessions": [{"hardware": {"cpu": "Z80", "cores": 2, "memory_bytes": 64e9}}]}
    rows = dict(run_tables.versions(run).itertuples(index=False))
    assert (rows["processor"], rows["cores"], rows["memory"]) == ("Z80", "2", "64 GB")


def test_a_folder_without_a_run_is_an_error(tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        RunFiles(tmp_path)


def test_a_damaged_file_is_an_error_that_names_it(tmp_path):
    make_text(tmp_path)
    path = tmp_path / "work" / "counts" / "extract" / "de" / "00000-of-00001.json"
    path.write_text(json.dumps({"pages": 3})[:-1])
    with pytest.raises(UserError, match=r"de/00000-of-00001.json is not valid JSON"):
        text_tables.pages(RunFiles(tmp_path, CONFIGURATION))
