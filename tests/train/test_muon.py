"""Muon against torch's own, shared among workers, and what it leaves to AdamW."""

import copy

import pytest
import torch

from tests.support.blocks_data import load_recipe
from wikixlm.train.fairseq.muon import MuonAdamW, is_hidden_matrix, orthogonalize, tag_hidden_matrices

SHAPES = [(24, 24), (24, 24), (24, 24), (48, 24), (24, 48)]


@pytest.fixture(scope="module", autouse=True)
def recipe():
    load_recipe()


def gradients(number: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(number)
    return [torch.randn(shape, generator=generator) for shape in [*SHAPES, (7,)]]


def parameters() -> list[torch.nn.Parameter]:
    found = [torch.nn.Parameter(value) for value in gradients(100)]
    for parameter in found[:-1]:
        parameter.param_group = "hidden_matrix"
    return found


def fused(params, **options):
    from wikixlm.train.fairseq.optimizer import FusedMuon, MuonConfig

    return FusedMuon(MuonConfig(**{"lr": [0.01], "embedding_lr": 0.002, **options}), params)


def update(optimizer, params, number: int, clip: float = 0.0) -> None:
    optimizer.zero_grad()
    for parameter, gradient in zip(params, gradients(number), strict=True):
        parameter.grad = 8 * gradient
    optimizer.multiply_grads(1 / 8)
    optimizer.clip_grad_norm(clip)
    optimizer.step()


def test_its_steps_are_those_of_torchs_muon_and_of_adamw():
    ours, theirs = parameters(), parameters()
    optimizer = fused(ours, weight_decay=0.1)
    muon = torch.optim.Muon(theirs[:-1], lr=0.01, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    adamw = torch.optim.AdamW(theirs[-1:], lr=0.002, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.1)
    start = [parameter.detach().clone() for parameter in ours]
    for number in range(4):
        update(optimizer, ours, number)
        for parameter, gradient in zip(theirs, gradients(number), strict=True):
            parameter.grad = gradient
        muon.step()
        adamw.step()
    # torch iterates in bf16
    for before, one, two in zip(start, ours, theirs, strict=True):
        moved = (two - before).norm()
        assert (one - two).norm() < 0.02 * moved
        assert moved > 0.01


def test_singular_values_of_any_matrix_come_near_to_one():
    for shape in [(4, 16, 64), (3, 64, 16), (2, 32, 32)]:
        values = torch.linalg.svdvals(orthogonalize(torch.randn(shape, generator=torch.Generator().manual_seed(0))))
        assert values.min() > 0.3
        assert values.max() < 1.3
    assert not orthogonalize(torch.zeros(1, 4, 4)).any()


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_gradients_that_are_not_finite_change_nothing(wrong):
    params = parameters()
    optimizer = fused(params, weight_decay=0.1)
    update(optimizer, params, 0)
    before = [parameter.detach().clone() for parameter in params]
    momenta = [
        state["momentum_buffer"].clone() for state in optimizer.optimizer.state.values() if "exp_avg" not in state
    ]
    assert len(momenta) == len(SHAPES)
    optimizer.zero_grad()
    for parameter in params:
        parameter.grad = torch.full_like(parameter, wrong)
    optimizer.clip_grad_norm(1.0)
    optimizer.step()
    assert all(torch.equal(*pair) for pair in zip(before, params, strict=True))
    after = [state["momentum_buffer"] for state in optimizer.optimizer.state.values() if "exp_avg" not in state]
    assert all(torch.equal(*pair) for pair in zip(momenta, after, strict=True))
    update(optimizer, params, 1)
    assert all(torch.isfinite(parameter).all() for parameter in params)
    assert not torch.equal(before[0], params[0])


def test_a_restored_state_gives_the_same_updates():
    whole, resumed = parameters(), parameters()
    optimizer = fused(whole)
    for number in range(3):
        update(optimizer, whole, number, clip=1.0)
    other = fused(resumed)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    with torch.no_grad():
        for one, two in zip(resumed, whole, strict=True):
            one.copy_(two)
    for number in range(3, 6):
        update(optimizer, whole, number, clip=1.0)
        update(other, resumed, number, clip=1.0)
    assert all(torch.equal(*pair) for pair in zip(whole, resumed, strict=True))


def test_both_rates_follow_the_schedule():
    optimizer = fused(parameters())
    optimizer.set_lr(0.005)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.005, 0.001])
    assert optimizer.get_lr() == 0.005


def test_adamw_takes_a_rate_for_the_embeddings_too():
    from wikixlm.train.fairseq.optimizer import AdamWConfig, FusedAdamW

    optimizer = FusedAdamW(AdamWConfig(lr=[0.001], embedding_lr=0.002), parameters())
    assert [len(group["params"]) for group in optimizer.param_groups] == [len(SHAPES), 1]
    optimizer.set_lr(0.0005)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.0005, 0.001])


def test_masters_in_half_precision_are_tagged_too():
    from wikixlm.train.fairseq.half_precision import HalfPrecision

    layer = torch.nn.Linear(4, 4).bfloat16()
    tag_hidden_matrices(layer)
    masters = HalfPrecision.build_fp32_params(None, list(layer.parameters()), flatten=False)
    assert [is_hidden_matrix(master) for master in masters] == [True, False]


def test_groups_can_be_of_either_kind_alone():
    matrix = torch.nn.Parameter(torch.eye(3))
    optimizer = MuonAdamW([{"params": [matrix], "muon": True}], momentum=0.95, lr=0.1)
    matrix.grad = torch.ones(3, 3)
    optimizer.grad_scale, optimizer.found_inf = torch.ones(()), torch.zeros(())
    optimizer.step()
    assert not torch.equal(matrix, torch.eye(3))
