"""The configuration: what is accepted, and the one line that each mistake gets."""

import difflib
from pathlib import Path

import pytest
import yaml

from wikixlm.config import BASE_CONFIG, ConfigError, load, merge
from wikixlm.config import reference as config_reference

ROOT = Path(__file__).resolve().parents[2]


def problems(overlay: dict) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(BASE_CONFIG, overlay)
    assert all("\n" not in line for line in caught.value.problems)
    return caught.value.problems


@pytest.mark.parametrize("overlay", ["demo.yaml", "tutorial.yaml"])
def test_overlays_are_valid(overlay):
    settings = yaml.safe_load((ROOT / "config" / overlay).read_text())
    assert load(BASE_CONFIG, settings).languages == settings["languages"]


def test_an_overlay_changes_single_keys_of_a_section():
    cfg = load(BASE_CONFIG, {"train": {"lr": 0.5}, "extract": {"shards_per_language": {"en": 3}}})
    assert cfg.train.lr == 0.5
    assert cfg.train.arch == load(BASE_CONFIG, {}).train.arch
    assert cfg.shards("en") == ["00000-of-00003", "00001-of-00003", "00002-of-00003"]
    assert len(cfg.shards("de")) == cfg.extract.shards


def test_merge_replaces_lists_and_keeps_the_base_unchanged():
    base = {"a": {"b": [1, 2], "c": 3}}
    assert merge(base, {"a": {"b": [9]}}) == {"a": {"b": [9], "c": 3}}
    assert base == {"a": {"b": [1, 2], "c": 3}}


@pytest.mark.parametrize(
    ("overlay", "parts"),
    [
        ({"trian": {}}, ["trian", "unknown key", "did you mean train?"]),
        ({"train": {"max_updates": 5}}, ["train.max_updates", "did you mean max_update?"]),
        ({"train": {"zzz": 5}}, ["train.zzz", "accepted here", "max_update"]),
        ({"train": {"max_update": "many"}}, ["train.max_update", "'many'", "integer"]),
        ({"train": {"max_update": 0}}, ["train.max_update", "0", "greater than or equal to 1"]),
        ({"train": {"recipe": "best"}}, ["train.recipe", "'best'", "'wikixlm' or 'tutorial'"]),
        ({"train": {"dropout": 1.0}}, ["train.dropout", "less than 1"]),
        ({"train": 5}, ["train", "5", "accepted: a mapping", "max_update"]),
        ({"languages": ["en", "en"]}, ["languages", "en", "is listed twice"]),
        ({"languages": ["no", "nb"]}, ["languages", "no and nb", "same Wikipedia"]),
        ({"languages": []}, ["languages", "at least 1"]),
        ({"languages": "en"}, ["languages", "'en'", "list"]),
        ({"languages": ["deu"]}, ["languages", "'deu'", "did you mean de?"]),
        ({"languages": ["xx"]}, ["languages", "'xx'", "not the language code of a Wikipedia"]),
        ({"languages": [False]}, ["languages", '"no"', "quotes"]),
        ({"languages": ["../../etc"]}, ["languages", "not the language code of a Wikipedia"]),
        ({"dumps": {"date": "yesterday"}}, ["dumps.date", "latest", "20261101"]),
        ({"dumps": {"mirrors": ["ftp://host"]}}, ["dumps.mirrors", "ftp://host"]),
        ({"dumps": {"local": {"en": "nowhere.xml"}}}, ["dumps.local.en", "nowhere.xml", "does not exist"]),
        ({"dumps": {"local": {"en": "/"}}}, ["dumps.local.en", "is a folder"]),
        ({"dumps": {"local": {"en": "package:nosuch/x"}}}, ["dumps.local.en", "nosuch", "not installed"]),
        ({"dumps": {"local": {"en": "package:pydantic/x"}}}, ["dumps.local.en", "has no file x"]),
        (
            {"dumps": {"local": {"klingon": str(BASE_CONFIG)}}},
            ["dumps.local.klingon", "not the language code"],
        ),
        ({"corpora": {"local": {"en": []}}}, ["corpora.local.en", "at least 1"]),
        (
            {"corpora": {"local": {"en": [str(BASE_CONFIG)]}}, "dumps": {"local": {"en": str(BASE_CONFIG)}}},
            ["dumps.local and corpora.local both name en"],
        ),
        ({"bpe": {"codes_file": "gone"}}, ["bpe.codes_file", "gone", "does not exist"]),
        ({"languages": ["en "]}, ["languages.0", "'en '", "did you mean en?"]),
        ({"train": {"lr": float("inf")}}, ["train.lr", "inf", "finite"]),
        ({"train": {"lr": "fast"}}, ["train.lr", "'fast'", "number"]),
        ({"train": {"max_tokens": 0}}, ["train.max_tokens", "greater than or equal to 1"]),
        ({"train": {"seed": 2**32}}, ["train.seed", "less than 4294967296"]),
        ({"split": {"seed": 2**32}}, ["split.seed", "less than 4294967296"]),
        ({"xnli": {"seeds": [2**32]}}, ["xnli.seeds", "less than 4294967296"]),
        ({"dumps": {"date": "20٢٦١١٠١"}}, ["dumps.date", "latest"]),
        ({"dumps": {"date": "20261399"}}, ["dumps.date", "latest"]),
        ({"extract": {"shards": 100_000_000}}, ["extract.shards", "less than or equal to 10000"]),
        ({"extract": {"shards_per_language": {"en": 10_001}}}, ["extract.shards_per_language.en", "10000"]),
        ({"dumps": {"mirrors": ["https://me:secret@host"]}}, ["dumps.mirrors", "//…@host", "~/.netrc"]),
        ({"xnli": {"mirrors": ["https://host/?token=1"]}}, ["xnli.mirrors", "no query"]),
        ({"xnli": {"local": "gone"}}, ["xnli.local", "gone", "this folder does not exist"]),
        ({"xnli": {"local": str(BASE_CONFIG)}}, ["xnli.local", "this folder is a file"]),
        ({"xnli": {"seeds": [1, 2, 1]}}, ["xnli.seeds", "seed 1 is listed twice"]),
        ({"xnli": {"seeds": []}}, ["xnli.seeds", "at least 1"]),
        ({"xnli": {"max_length": 4}}, ["xnli.max_length", "greater than or equal to 8"]),
    ],
)
def test_each_mistake_is_one_line_that_names_the_key(overlay, parts):
    (line,) = problems(overlay)
    for part in parts:
        assert part in line


@pytest.mark.parametrize("name", ["-rf.txt", "a{lang}.txt", "a\nb.txt", "a\x1bb.txt"])
def test_names_that_no_command_can_have_are_refused(tmp_path, monkeypatch, name):
    (tmp_path / name).write_text("text\n")
    monkeypatch.chdir(tmp_path)
    for overlay in ({"corpora": {"local": {"en": [name]}}}, {"dumps": {"local": {"en": name}}}):
        (line,) = problems(overlay)
        assert "rename it" in line and "\x1b" not in line
    (line,) = problems({"bpe": {"codes_file": name}})
    assert line.startswith("configuration: bpe.codes_file: ")


def test_no_message_has_a_mirrors_password():
    for mirror in ("https://me:se/cret@host", "ftp://me:secret@host", "https://me:secret@host/ x"):
        assert "cret" not in problems({"dumps": {"mirrors": [mirror]}})[0]


def test_every_mistake_is_reported_at_once():
    lines = problems({"trian": {}, "train": {"lr": -1}, "languages": ["xx", "en"]})
    assert len(lines) == 3


def test_a_date_may_be_written_as_a_number():
    assert load(BASE_CONFIG, {"dumps": {"date": 20261101}}).dumps.date == "20261101"


def test_relative_paths_count_from_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "own.txt").write_text("text\n")
    monkeypatch.chdir(tmp_path)
    assert load(BASE_CONFIG, {"corpora": {"local": {"en": ["own.txt"]}}}).downloaded() == ["ar", "de", "hi", "fr"]


@pytest.mark.parametrize("key", ["device", "gpus", "nodes", "keep_checkpoints"])
def test_operational_keys_stay_out_of_the_training_settings(key):
    assert f'"{key}"' not in load(BASE_CONFIG, {}).train.settings()
    assert '"max_update"' in load(BASE_CONFIG, {}).train.settings()


@pytest.mark.parametrize(
    ("path", "made"),
    [
        (config_reference.PAGE, lambda: config_reference.page(yaml.safe_load(BASE_CONFIG.read_text()))),
        (config_reference.SCHEMA, config_reference.schema),
    ],
)
def test_the_reference_has_not_drifted(path, made):
    committed, current = path.read_text().splitlines(), made().splitlines()
    difference = "\n".join(difflib.unified_diff(committed, current, str(path), "make docs", lineterm=""))
    assert not difference, f"run `make docs`\n{difference}"


def test_the_training_asks_for_more_memory_with_more_gpus_and_weights():
    ask = [load(BASE_CONFIG, {"train": {"gpus": gpus}}).training_megabytes() for gpus in (1, 2, 8)]
    assert 14_000 < ask[0] < 18_000
    assert ask[1] - ask[0] == (ask[2] - ask[0]) / 7 > 4_000
    larger = {"encoder_layers": 16, "encoder_embed_dim": 1280, "encoder_ffn_embed_dim": 5120, "gpus": 8}
    assert load(BASE_CONFIG, {"train": {**larger, "encoder_attention_heads": 16}}).training_megabytes() > 70_000
