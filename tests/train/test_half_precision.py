"""Half precision, and the CPU that runs ahead of a GPU; the GPU's part of it is run on tensors of the CPU."""

import argparse
import copy
import inspect
import types

import pytest
import torch
from omegaconf import OmegaConf

from wikixlm.train.fairseq import compat

compat.apply()

from fairseq import checkpoint_utils, metrics  # noqa: E402
from fairseq.optim.fp16_optimizer import FP16Optimizer  # noqa: E402
from fairseq.trainer import Trainer  # noqa: E402

from wikixlm.train.fairseq import patches, run_ahead  # noqa: E402
from wikixlm.train.fairseq.half_precision import HalfPrecision  # noqa: E402
from wikixlm.train.fairseq.optimizer import AdamWConfig, FusedAdamW  # noqa: E402


def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.GELU(), torch.nn.Linear(8, 2), torch.nn.Linear(3, 3))


def half(kind: type, model: torch.nn.Module):
    """The mixed-precision optimizer `kind` around our AdamW, in bf16; the last layer never takes part."""
    model.bfloat16()
    parameters = list(model.parameters())
    masters = kind.build_fp32_params(argparse.Namespace(), parameters, flatten=False)
    cfg = {"optimizer": {}, "common": {"bf16": True, "fp16_scale_window": 1}}
    return kind(OmegaConf.create(cfg), parameters, FusedAdamW(AdamWConfig(lr=[0.05]), masters), masters)


def update(model: torch.nn.Module, optimizer, number: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(number)
    optimizer.zero_grad()
    batch = torch.randn(16, 4, generator=generator).bfloat16()
    optimizer.backward(model[:3](batch).float().square().sum())
    optimizer.multiply_grads(1 / 16)
    norm = optimizer.clip_grad_norm(0.5)
    optimizer.step()
    return norm


def weights(model: torch.nn.Module) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


def test_half_precision_makes_the_updates_of_fairseqs_own():
    models = network(), network()
    ours, stock = half(HalfPrecision, models[0]), half(FP16Optimizer, models[1])
    start = weights(models[0])
    for number in range(5):
        assert update(models[0], ours, number) == update(models[1], stock, number)
    torch.testing.assert_close(weights(models[0]), weights(models[1]), rtol=0, atol=0)
    torch.testing.assert_close(ours.fp32_params, stock.fp32_params, rtol=0, atol=0)
    assert not torch.equal(start[0], weights(models[0])[0])
    assert torch.equal(start[-1], weights(models[0])[-1])


def test_a_checkpoint_in_half_precision_holds_what_the_next_update_depends_on():
    models = network(), network()
    whole = half(HalfPrecision, models[0])
    for number in range(3):
        update(models[0], whole, number)
    saved = copy.deepcopy((models[0].state_dict(), whole.state_dict()))
    models[1].load_state_dict(saved[0])
    rounded = half(HalfPrecision, models[1])
    rounded.load_state_dict({name: value for name, value in saved[1].items() if name != "masters"})
    resumed = half(HalfPrecision, models[1])
    resumed.load_state_dict(saved[1])
    torch.testing.assert_close(resumed.fp32_params, whole.fp32_params, rtol=0, atol=0)
    assert not torch.equal(rounded.fp32_params[0], whole.fp32_params[0])
    for number in range(3, 9):
        update(models[0], whole, number)
        update(models[1], resumed, number)
    torch.testing.assert_close(weights(models[0]), weights(models[1]), rtol=0, atol=0)


def test_half_precision_is_built_for_both_formats_and_trained_by_the_named_optimizer():
    cfg = OmegaConf.create(
        {
            "optimizer": {"_name": "wikixlm_adamw", "lr": [0.1]},
            "optimization": {"update_freq": [1]},
            "distributed_training": {"distributed_world_size": 1, "ddp_backend": "legacy_ddp"},
            "common": {"bf16": False, "fp16_scale_window": 4, "fp16_init_scale": 8, "fp16_scale_tolerance": 0.0,
                       "threshold_loss_scale": None, "min_loss_scale": 0.1},
        }
    )  # fmt: skip
    parameters = list(network().half().parameters())
    optimizer = HalfPrecision.build_optimizer(cfg, parameters)
    assert isinstance(optimizer.fp32_optimizer, FusedAdamW)
    assert [master.shape for master in optimizer.fp32_params] == [one.shape for one in parameters]
    assert optimizer.scaler.loss_scale == 8
    assert optimizer.state_dict()["loss_scale"] == 8


def summed_gradient(update_freq: int) -> torch.Tensor:
    """The gradient of 64 batches of a layer in bf16, as the optimizer sees it, relative to the exact sum."""
    cfg = OmegaConf.create(
        {
            "optimizer": {"_name": "wikixlm_adamw", "lr": [0.1]}, "optimization": {"update_freq": [update_freq]},
            "distributed_training": {"distributed_world_size": 1},
            "common": {"bf16": True, "fp16_scale_window": 1},
        }
    )  # fmt: skip
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 1, bias=False).bfloat16()
    optimizer = HalfPrecision.build_optimizer(cfg, list(layer.parameters()))
    exact = torch.zeros(1, 64)
    optimizer.zero_grad()
    for _ in range(64):
        batch = (1 + torch.rand(1, 64)).bfloat16()
        exact += batch.float()
        optimizer.backward(layer(batch).float().sum())
    optimizer.clip_grad_norm(0)
    return optimizer.fp32_params[0].grad / exact


def test_several_batches_gradients_are_added_up_in_fp32():
    assert (summed_gradient(64) - 1).abs().max() < 1e-6
    assert (summed_gradient(1) - 1).abs().max() > 1e-3  # what it is in bf16


def test_workers_drop_different_units_and_the_first_those_of_one_alone(installed):
    drawn = {}
    for rank in (0, 1, 2):
        cfg = OmegaConf.create({"common": {"seed": 3}})
        one = types.SimpleNamespace(cfg=cfg, data_parallel_rank=rank, get_num_updates=lambda: 7)
        for _ in range(2):
            Trainer._set_seed(one)
            drawn.setdefault(rank, []).append(torch.rand(4).tolist())
    assert all(first == second for first, second in drawn.values())
    torch.manual_seed(3 + 7)
    assert drawn[0][0] == torch.rand(4).tolist()
    assert drawn[0] != drawn[1] != drawn[2] != drawn[0]


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_gradients_that_are_not_finite_leave_weights_and_moments_as_they_are(wrong):
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = FusedAdamW(AdamWConfig(lr=[0.1]), [parameter])
    for gradient, changes in ((1.0, True), (wrong, False), (1.0, True)):
        before = parameter.detach().clone()
        parameter.grad = torch.full((3,), gradient)
        optimizer.clip_grad_norm(1.0)
        optimizer.step()
        assert torch.equal(parameter, before) is not changes
        optimizer.zero_grad()
    assert torch.isfinite(parameter).all()
    assert optimizer.optimizer.state[parameter]["step"] == 2


def trainer(optimizer, workers: int = 1, clip: float = 1.0):
    """What the trainer's methods use of a trainer."""
    figures = {"loss": 2.0, "sample_size": 4, "ntokens": 9, "nsentences": 1}
    one = types.SimpleNamespace(
        optimizer=optimizer, data_parallel_world_size=workers, get_criterion=lambda: None, _warn_once=set(),
        tpu=False, get_num_updates=lambda: 2, cfg=OmegaConf.create({"optimization": {"clip_norm": clip}}),
        device=torch.device("cpu"),
        task=types.SimpleNamespace(reduce_metrics=lambda logs, _: metrics.log_scalar("loss", logs[0]["loss"] / 4, 4)),
        data_parallel_process_group=None, cuda=False, is_fsdp=False,
    )  # fmt: skip
    return one, [figures]


@pytest.fixture
def installed(monkeypatch):
    """Fairseq's own functions; the trainer has the recipe's patches of them until the end of the test."""
    places = {"clip_grad_norm": Trainer, "_reduce_and_log_stats": Trainer, "save_checkpoint": checkpoint_utils,
              "_set_seed": Trainer}  # fmt: skip
    # a test before may have loaded the recipe, which patches them for good
    own = {name: inspect.unwrap(getattr(place, name)) for name, place in places.items()}
    for name, place in places.items():
        monkeypatch.setattr(place, name, own[name])
    monkeypatch.setattr(patches, "_applied", set())
    patches.apply(patches.RECIPE)
    return own


@pytest.mark.parametrize("norm", [0.4, 3.0])
def test_an_update_is_logged_with_fairseqs_figures(installed, norm):
    logs = []
    for log in (installed["_reduce_and_log_stats"], Trainer._reduce_and_log_stats):
        one, figures = trainer(None)
        with metrics.aggregate(new_root=True) as meters:
            log(one, figures, 4.0, torch.tensor(norm))
        logs.append({name: value for name, value in meters.get_smoothed_values().items() if name != "ups"})
        assert "ups" in meters
    assert logs[0] == logs[1] == {"gnorm": pytest.approx(norm), "clip": 100.0 if norm > 1 else 0.0, "loss": 0.5}


def test_a_validation_is_logged_as_ever(installed):
    one, figures = trainer(None)
    with metrics.aggregate(new_root=True):
        assert Trainer._reduce_and_log_stats(one, figures, 4.0)["loss"] == 0.5


def test_the_trainer_sees_the_norm_of_the_update_before_and_logs_this_ones(installed, monkeypatch):
    parameter = torch.nn.Parameter(torch.ones(1))
    one, figures = trainer(FusedAdamW(AdamWConfig(lr=[0.1]), [parameter]))
    monkeypatch.setattr(run_ahead, "may_run_ahead", lambda *_: True)
    seen, logged = [], []
    for gradient in (1.0, float("nan"), 3.0):
        parameter.grad = torch.tensor([gradient])
        seen.append(float(Trainer.clip_grad_norm(one, 0.0)))
        one.optimizer.step()
        one.optimizer.zero_grad()
        with metrics.aggregate(new_root=True) as meters:
            Trainer._reduce_and_log_stats(one, figures, 4.0, torch.tensor(seen[-1]))
        logged.append(meters["gnorm"].val.item())
    assert seen == pytest.approx([1.0, 1.0, float("nan")], nan_ok=True)
    assert logged == pytest.approx([1.0, float("nan"), 3.0], nan_ok=True)
    assert torch.isfinite(parameter).all()


def test_no_checkpoint_is_saved_with_an_update_that_was_left_out(installed, monkeypatch, tmp_path):
    parameter = torch.nn.Parameter(torch.ones(1))
    one, _ = trainer(FusedAdamW(AdamWConfig(lr=[0.1]), [parameter]))
    monkeypatch.setattr(run_ahead, "may_run_ahead", lambda *_: True)
    one.data_parallel_rank = 0
    cfg = OmegaConf.create(
        {"save_dir": str(tmp_path / "saved"), "maximize_best_checkpoint_metric": False, "no_save": True}
    )
    for gradient in (1.0, 2.0):
        parameter.grad = torch.tensor([gradient])
        Trainer.clip_grad_norm(one, 0.0)
    checkpoint_utils.save_checkpoint(cfg, one, None, 1.0)
    (tmp_path / "saved").rmdir()
    parameter.grad = torch.tensor([float("inf")])
    assert Trainer.clip_grad_norm(one, 0.0) == 2.0
    with pytest.raises(FloatingPointError, match="gradients are Nan/Inf"):
        checkpoint_utils.save_checkpoint(cfg, one, None, 1.0)
    assert not (tmp_path / "saved").exists()


def test_nobody_runs_ahead_on_a_cpu_of_other_workers_or_of_a_loss_scale():
    parameters = [torch.nn.Parameter(torch.ones(1))]
    ours = FusedAdamW(AdamWConfig(lr=[0.1]), parameters)
    on_a_gpu = types.SimpleNamespace(is_cuda=True)
    assert run_ahead.may_run_ahead(trainer(ours)[0], on_a_gpu)
    assert run_ahead.may_run_ahead(trainer(half(HalfPrecision, network()))[0], on_a_gpu)
    assert not run_ahead.may_run_ahead(trainer(ours)[0], torch.ones(()))
    assert not run_ahead.may_run_ahead(trainer(ours, workers=2)[0], on_a_gpu)
    assert not run_ahead.may_run_ahead(trainer(types.SimpleNamespace(scaler=object()))[0], on_a_gpu)
    assert not run_ahead.may_run_ahead(trainer(types.SimpleNamespace())[0], on_a_gpu)
