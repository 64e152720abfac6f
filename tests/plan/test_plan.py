"""The plan of a run: sizes, hours, disk; and how near it comes to what the demo took."""

import shutil

import pytest
import yaml

from tests.support.dumps import articles, write_multistream
from wikixlm import cli, formatting
from wikixlm.config import BASE_CONFIG, load
from wikixlm.errors import UserError
from wikixlm.plan import command, estimate, long_training, sizes, training

# Core seconds that `make demo` took, by Snakemake's benchmarks, on the machine where the speeds were measured.
DEMO = {
    **{
        "extract": 3.02,
        "tokenize": 2.12,
        "split": 0.66,  # 1.62 times the CPU time without dropping repeats
        "learn_bpe": 1.46,
        "apply_bpe": 1.26,
        "apply_bpe_held_out": 0.99,
    },
    **{"concatenate": 0.50, "binarize": 14.17, "train_mlm": 334.92, "provenance": 0.30, "evaluate_mlm": 5.48},
}
DEMO_BYTES = 56_025_000
# What config/demo.yaml said when it was measured.
MEASURED_ON = {
    "bpe": {"codes": 2000},
    "train": {"max_update": 2500, "max_tokens": 2048, "update_freq": 1, "tokens_per_sample": 64, "encoder_layers": 2},
}


def planned(cfg, directory, device="cpu", cores=2, given=None):
    found = sizes.find_sources(cfg, directory, {})
    texts = [estimate.estimate_text(cfg, source) for source in found]
    pace = training.estimate_pace(cfg, device, cores, given)
    return texts, {row.stage: row for row in estimate.estimate_stages(cfg, texts, pace)}


def test_every_stage_of_the_demo_is_within_a_factor_of_one_and_a_half(tmp_path):
    demo = yaml.safe_load((BASE_CONFIG.parent / "config" / "demo.yaml").read_text())
    cfg = load(BASE_CONFIG, {**demo, **{key: {**demo[key], **values} for key, values in MEASURED_ON.items()}})
    texts, rows = planned(cfg, tmp_path)
    factors = {stage: rows[stage].core_seconds / took for stage, took in DEMO.items()}
    assert {stage: factor for stage, factor in factors.items() if not 1 / 1.5 < factor < 1.5} == {}
    assert 1 / 1.5 < estimate.estimate_disk(cfg, texts, "cpu").peak / DEMO_BYTES < 1.5
    assert rows["extract"].jobs == 2
    assert rows["apply_bpe_held_out"].jobs == 4


def test_twice_the_text_is_twice_the_work_and_shards_make_jobs_shorter(tmp_path):
    for name, size in (("one.txt", 10**6), ("two.txt", 2 * 10**6)):
        (tmp_path / name).write_bytes(b"word " * (size // 5))

    def rows(name, shards):
        own = {"languages": ["en"], "corpora": {"local": {"en": [str(tmp_path / name)]}}, "extract": {"shards": shards}}
        return planned(load(BASE_CONFIG, own), tmp_path)[1]

    one, two, many = rows("one.txt", 2), rows("two.txt", 2), rows("two.txt", 8)
    assert "extract" not in one, "own text is no dump"
    start = estimate.SPEEDS["tokenize"].seconds
    assert two["tokenize"].core_seconds - 2 * start == pytest.approx(2 * (one["tokenize"].core_seconds - 2 * start))
    assert many["tokenize"].jobs == 8
    assert many["tokenize"].longest < two["tokenize"].longest


def test_a_gpu_is_an_estimate_until_its_speed_is_given():
    cfg = load(BASE_CONFIG, {"train": {"gpus": 4}})
    guess = training.estimate_pace(cfg, "h100", 2, None)
    assert guess.source.startswith("ESTIMATE: ")
    given = training.estimate_pace(cfg, "H100", 2, 50_000)
    assert (given.tokens_per_second, given.source) == (200_000, "--tokens-per-second")
    with pytest.raises(UserError, match="GPU TPU is unknown: --device takes cpu, V100, A100"):
        training.estimate_pace(cfg, "TPU", 2, None)
    for name in ("RTX 4090", "rtx4090", "geforce_rtx_4090", "NVIDIA GeForce RTX 4090"):
        assert training.peak_flops(name) == 165e12
    assert training.peak_flops("rtx_3090") < training.peak_flops("rtx_5090")
    assert training.peak_flops("nvidia_l40s") == training.peak_flops("L40S") != training.peak_flops("l4")


def test_weights_and_flops_of_xlm_base():
    """The layers' FLOPs are six a weight; the last digits are attention and the head."""
    model = training.model_shape(load(BASE_CONFIG, {}))
    layers = 6 * (4 * 1024**2 + 2 * 1024 * 4096)
    assert model.weights == layers + (60_500 + 512) * 1024
    assert 6 * layers < model.flops_per_token(256, 0.3) < 6 * model.weights


def test_a_checkpoint_holds_weights_and_two_moments():
    """The demo's checkpoints have 9,063,129 bytes each."""
    demo = yaml.safe_load((BASE_CONFIG.parent / "config" / "demo.yaml").read_text())
    cfg = load(BASE_CONFIG, {**demo, **{key: {**demo[key], **values} for key, values in MEASURED_ON.items()}})
    assert training.checkpoint_bytes(cfg, "cpu") == pytest.approx(9_063_129, rel=0.15)


@pytest.mark.parametrize(
    ("precision", "device", "half"),
    [("auto", "cpu", False), ("auto", "A100", True), ("fp32", "A100", False), ("bf16", "cpu", True)],
)
def test_a_checkpoint_in_half_precision_holds_the_fp32_weights_too(tmp_path, precision, device, half):
    cfg = load(BASE_CONFIG, {"train": {"precision": precision}})
    weights = training.model_shape(cfg).weights
    assert training.checkpoint_bytes(cfg, device) == weights * (16 if half else 12)
    parts = estimate.estimate_disk(cfg, [], device).parts
    kept = cfg.train.keep_checkpoints + 3
    assert parts["checkpoints and model"] == kept * training.checkpoint_bytes(cfg, device) + weights * 4


def test_without_the_server_the_way_out_is_said(tmp_path, capsys):
    words = ["plan", "--config", "dumps={contact: me@example.org, mirrors: ['http://127.0.0.1:9']}", "languages=[de]"]
    with pytest.raises(SystemExit):
        cli.main([*words, "--directory", str(tmp_path)])
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert "--sizes de=" in line
    cli.main([*words, "--directory", str(tmp_path), "--sizes", "de=7.1", "--device", "A100"])
    shown = capsys.readouterr().out
    row = next(line for line in shown.splitlines() if line.startswith("de "))
    assert row.split()[1:5] == ["7.1", "GB", "7.1", "GB"]
    assert "ESTIMATE: A100" in shown


def test_a_disk_that_is_too_small_is_a_warning(tmp_path, capsys):
    free = shutil.disk_usage(tmp_path).free / 1e9
    for gigabytes, warned in ((free, True), (0.001, False)):
        words = ["--config", "languages=[de]", "--sizes", f"de={gigabytes}", "--config", "languages=[de]"]
        cli.main(["plan", *words, "--directory", str(tmp_path / "not yet"), "--device", "A100"])
        assert ("warning: " in capsys.readouterr().err) == warned


def test_a_local_dump_counts_by_its_size(tmp_path, capsys):
    dump = write_multistream(tmp_path / "en.xml.bz2", articles(20))
    cli.main(["plan", "--config", "languages=[en]", f"dumps={{local: {{en: {dump}}}}}", "--device", "cpu"])
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("en "))
    assert row.split()[1:3] == formatting.size(dump.stat().st_size).split()
    assert "dump on disk" in row


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--config", "languages"], "--config languages: KEY=VALUE is accepted"),
        (["--sizes", "de"], "--sizes de: LANG=GB is accepted"),
    ],
    ids=["config", "sizes"],
)
def test_mistakes_on_the_command_line(words, message, capsys):
    with pytest.raises(SystemExit):
        cli.main(["plan", *words])
    assert message in capsys.readouterr().err


def test_the_device_follows_the_configuration(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert command.default_device(load(BASE_CONFIG, {})) == "cpu"
    assert command.default_device(load(BASE_CONFIG, {"train": {"device": "cuda"}})) == "A100"
    assert command.default_device(load(BASE_CONFIG, {"train": {"gpu_model": "h100"}})) == "h100"
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/sbatch")
    assert command.default_device(load(BASE_CONFIG, {})) == "A100"


def test_a_training_beyond_thirty_days_is_a_warning_that_names_the_key(capsys, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    slow, fast = load(BASE_CONFIG, {}), load(BASE_CONFIG, {"train": {"max_update": 10}})
    long_training.warn(slow, ["split", "train_mlm"], "local")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("warning: the training will take about ")
    assert "train.max_update" in line and "config/small.yaml" in line
    for cfg, rules, executor in (
        (fast, ["train_mlm"], "local"),
        (slow, ["split"], "local"),
        (slow, ["train_mlm"], "slurm"),
    ):
        long_training.warn(cfg, rules, executor)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("name", "device", "hours"), [("small", "RTX 4090", 24), ("night", "cpu", 12)])
def test_the_small_configurations_end_in_the_time_that_they_promise(name, device, hours):
    cfg = load(BASE_CONFIG, yaml.safe_load((BASE_CONFIG.parent / "config" / f"{name}.yaml").read_text()))
    pace = training.estimate_pace(cfg, device, 4, None)
    assert 0.1 * hours < training.training_tokens(cfg) / pace.tokens_per_second / 3600 < hours
