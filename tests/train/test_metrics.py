"""What is said and written of a training, from fairseq's own JSON log lines."""

import builtins
import json
import math

import pytest

from wikixlm.errors import UserError
from wikixlm.train.metrics import (
    METRICS,
    LogParser,
    LogScale,
    MetricsFile,
    TensorBoard,
    Terminal,
    drop_rows_after,
    read_metrics,
)

TRAIN = {"epoch": 2, "update": 1.5, "loss": "3", "ppl": "8", "wps": "1000", "ups": "2", "num_updates": "1200"}
TRAIN |= {"lr": "0.001", "gnorm": "0.7", "wall": "9"}
VALID = {"epoch": 2, "valid_loss": "2", "valid_ppl": "5.5", "valid_accuracy": "0.25", "valid_num_updates": "1200"}
VALID |= {"valid_best_loss": "1.5", "valid_wps": "7"}
VALID |= {f"valid_{name}_{code}": "0.5" for name in ("loss", "ppl", "accuracy") for code in ("en", "zh_min_nan")}


class Rows(list):
    write = list.append


def rows_of(lines, loss_base=2.0, tokens_per_logged=4.0, before=0.0):
    rows = Rows()
    log = LogParser(LogScale(loss_base, tokens_per_logged, before), [rows])
    for line in lines:
        log.feed(line)
    return list(rows)


def line(tag, figures):
    return f"2026-01-01 00:00:00 | INFO | {tag} | {json.dumps(figures)}\n"


def test_a_training_line_becomes_a_row_in_nats():
    (row,) = rows_of(["some other line\n", line("train_inner", TRAIN), line("train", TRAIN)], before=100)
    assert row.pop("wall") == pytest.approx(100, abs=5)
    loss = 3 * math.log(2)
    expected = {"split": "train", "update": 1200, "epoch": 2, "loss": loss, "perplexity": 8, "lr": 0.001}
    expected |= {"updates_per_second": 2, "tokens_per_second": 4000, "gradient_norm": 0.7}
    assert row == pytest.approx(expected)


def test_a_validation_line_becomes_a_row_with_each_language():
    (row,) = rows_of([line("valid", VALID)], loss_base=math.e)
    assert set(row) == {"split", "update", "epoch", "loss", "perplexity", "accuracy", "languages", "wall"}
    assert (row["loss"], row["perplexity"], row["accuracy"]) == (2, 5.5, 0.25)
    figures = {"loss": 0.5, "perplexity": 0.5, "accuracy": 0.5}
    assert row["languages"] == {"en": figures, "zh_min_nan": figures}


@pytest.mark.parametrize("text", ['{"epoch": 2, "lo', "{}", '{"epoch": null, "num_updates": "x"}', "{"])
def test_a_garbled_line_is_no_row_and_no_error(text):
    assert rows_of([f"x | INFO | train_inner | {text}\n", f"x | INFO | valid | {text}\n"]) == []


def test_the_terminal_gets_update_loss_perplexity_speed_and_time_left_now_and_then(capfd):
    log = LogParser(LogScale(2.0, 4.0), [Terminal(goal=2400)])
    for text in (line("train_inner", TRAIN), line("train_inner", TRAIN)):
        log.feed(text)
    expected = f"update 1,200/2,400, loss {3 * math.log(2):.3f}, perplexity 8.0, 4,000 tokens/s, 10 min left"
    assert capfd.readouterr().err.splitlines() == [expected]


def test_the_terminal_gets_the_last_validation_too(capfd):
    log = LogParser(LogScale(2.0, 4.0), [Terminal(goal=2400)])
    for text in (line("valid", VALID), line("train_inner", TRAIN)):
        log.feed(text)
    assert "perplexity 8.0 (held-out 5.5), 4,000 tokens/s" in capfd.readouterr().err


def test_the_first_update_has_no_speed_yet(capfd):
    LogParser(LogScale(2.0, 4.0), [Terminal(goal=2400)]).feed(line("train_inner", {**TRAIN, "ups": "0", "wps": "0"}))
    assert capfd.readouterr().err.strip().endswith("perplexity 8.0")


def row(split, update, wall):
    return {"split": split, "update": update, "wall": wall, "loss": 1.0}


def test_a_resumed_training_drops_the_rows_of_updates_that_it_makes_again(tmp_path):
    path = tmp_path / METRICS
    assert drop_rows_after(path, 0) == 0
    for number in range(1, 8):
        MetricsFile(path).write(row("train", number, 10.0 * number))
    MetricsFile(path).write(row("valid", 5, 51.0))
    with open(path, "a") as stream:
        stream.write('{"split": "train", "upd')  # killed while it wrote
    assert drop_rows_after(path, 5) == 51
    MetricsFile(path).write(row("train", 6, 60.0))
    assert [entry["update"] for entry in read_metrics(path)] == [1, 2, 3, 4, 5, 5, 6]
    assert drop_rows_after(path, 0) == 0
    assert list(read_metrics(path)) == []


def test_every_line_is_json_whatever_the_loss(tmp_path):
    log = LogParser(LogScale(math.e, 1.0), [MetricsFile(tmp_path / METRICS)])
    for loss in ("nan", "inf", "1e5"):
        log.feed(line("train_inner", {**TRAIN, "loss": loss}))
    log.feed(line("valid", {**VALID, "valid_loss_en": "nan"}))

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    rows = [json.loads(text, parse_constant=refuse) for text in (tmp_path / METRICS).read_text().splitlines()]
    assert [entry["loss"] for entry in rows] == [None, None, 1e5, 2]
    assert rows[3]["languages"]["en"]["loss"] is None


def test_a_full_disk_ends_no_training(tmp_path, capfd):
    metrics = MetricsFile(tmp_path / METRICS)
    metrics.path.symlink_to("/dev/full")
    metrics.write(row("train", 1, 1.0))
    metrics.write(row("train", 2, 2.0))
    (warning,) = capfd.readouterr().err.splitlines()
    assert warning.startswith("warning: cannot write ")
    assert "No space left on device" in warning


def test_tensorboard_that_is_not_installed_is_one_line_that_says_what_to_do(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith(("tensorboard", "torch.utils.tensorboard")):
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match="pip install tensorboard"):
        TensorBoard(tmp_path, 0)


def test_tensorboard_gets_every_figure(tmp_path):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    board = TensorBoard(tmp_path, 0)
    for text in (line("train_inner", TRAIN), line("valid", VALID)):
        LogParser(LogScale(math.e, 4.0), [board]).feed(text)
    board.close()
    runs = {split: accumulators.EventAccumulator(str(tmp_path / split)).Reload() for split in ("train", "valid")}
    assert runs["train"].Scalars("loss")[0].value == pytest.approx(3)
    assert runs["train"].Scalars("lr")[0].step == 1200
    assert {"loss", "perplexity", "accuracy", "loss/en", "perplexity/zh_min_nan"} <= set(
        runs["valid"].Tags()["scalars"]
    )


def test_tensorboard_forgets_updates_that_are_made_again(tmp_path):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for resumed, updates in ((0, range(1, 9)), (5, range(6, 8))):
        board = TensorBoard(tmp_path, resumed)
        for update in updates:
            board.write({**row("train", update, 1.0), "loss": float(resumed)})
        board.close()
    scalars = accumulators.EventAccumulator(str(tmp_path / "train")).Reload().Scalars("loss")
    assert [(point.step, point.value) for point in scalars] == [*((n, 0) for n in range(1, 6)), (6, 5), (7, 5)]
