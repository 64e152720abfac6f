"""The loss against fairseq's own criterion, the optimizer against fairseq's Adam, the schedule against its promise."""

import math
from types import SimpleNamespace

import pytest
import torch

from tests.support.blocks_data import load_recipe, write_data
from wikixlm.model.batches import Batch


@pytest.fixture(scope="module", autouse=True)
def recipe():
    load_recipe()


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    from wikixlm.train.fairseq.task import WikixlmTask

    folder = write_data(tmp_path_factory.mktemp("data"), {"en": 500, "bg": 203})
    options = {"tokens_per_sample": 17, "alpha": 0.7, "mask_ratio": 0.3, "valid_mask_seed": 0, "seed": 0}
    task = WikixlmTask.setup_task(SimpleNamespace(data=str(folder), monolingual_langs="en,bg", **options))
    task.load_dataset("train")
    task.load_dataset("valid")
    return task


@pytest.fixture(scope="module")
def models(task):
    """The stock model and ours, with the same weights."""
    from fairseq.models.masked_lm import MaskedLMModel, xlm_architecture

    from wikixlm.train.fairseq.model import WikixlmModel

    torch.manual_seed(0)
    args = SimpleNamespace(
        tokens_per_sample=17, encoder_embed_dim=32, encoder_ffn_embed_dim=64, encoder_layers=2,
        encoder_attention_heads=4, dropout=0.0, attention_dropout=0.0, encoder_normalize_before=True, num_segment=2,
    )  # fmt: skip
    xlm_architecture(args)
    ours = WikixlmModel.build_model(SimpleNamespace(**vars(args)), task)
    stock = MaskedLMModel.build_model(args, task)
    stock.load_state_dict(ours.state_dict())
    return stock, ours


def stock_batch(batch: Batch) -> Batch:
    """The same batch as fairseq's own dataset would hand it over."""
    net_input = batch["net_input"]
    target = torch.ones_like(net_input["src_tokens"])
    target[net_input["masked_tokens"]] = batch["target"]
    labels = net_input["segment_labels"].expand_as(target)
    return {
        "net_input": {"src_tokens": net_input["src_tokens"], "segment_labels": labels},
        "lm_target": target,
        "nsentences": batch["nsentences"],
    }


# the last examples include a short, padded one
@pytest.mark.parametrize("indices", [range(8), range(25, 31)])
def test_loss_and_gradients_equal_the_stock_criterions(task, models, indices):
    from fairseq.criterions.legacy_masked_lm import LegacyMaskedLmLoss

    from wikixlm.train.fairseq.criterion import MaskedTokensLoss

    stock, ours = models
    batch = task.dataset("train").collater(list(indices))
    wanted, _, _ = LegacyMaskedLmLoss(task, masked_lm_only=True, nsp_loss_weight=1.0)(stock, stock_batch(batch))
    loss, size, log = MaskedTokensLoss(task)(ours, batch)
    assert size == len(batch["target"])
    assert (loss / size).item() == pytest.approx(wanted.item(), abs=1e-6)
    # our batch and criterion also go with the stock model
    assert MaskedTokensLoss(task)(stock, batch)[0].item() == pytest.approx(loss.item(), rel=1e-6)
    stock.zero_grad()
    ours.zero_grad()
    wanted.backward()
    (loss / size).backward()
    gradients = dict(stock.named_parameters())
    for name, parameter in ours.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, gradients[name].grad, atol=1e-6, rtol=1e-5)
    assert "correct" not in log


def test_a_batch_that_does_not_count_adds_nothing(task, models):
    from wikixlm.train.fairseq.criterion import MaskedTokensLoss

    _, ours = models
    criterion = MaskedTokensLoss(task)
    ours.zero_grad()
    loss, size, log = criterion(ours, task.dataset("train").collater([]))
    loss.backward()
    assert size == loss.item() == log["loss"].item() == log["ntokens"] == 0
    gradients = [parameter.grad for parameter in ours.parameters() if parameter.requires_grad]
    assert not any(gradient.any() for gradient in gradients), "all are there, and zero: workers average all of them"
    ours.eval()
    _, _, log = task.valid_step(task.dataset("valid").collater([]), ours, criterion)
    ours.train()
    assert not log["by_language"].any()


def test_held_out_figures_are_the_same_however_batches_are_cut(task, models):
    from fairseq import metrics

    from wikixlm.train.fairseq.criterion import MaskedTokensLoss

    _, model = models
    criterion = MaskedTokensLoss(task)
    dataset = task.dataset("valid")
    model.eval()
    figures = []
    for max_tokens in (17, 100, 10_000):
        with metrics.aggregate(new_root=True) as log:
            for batch in dataset.batch_by_size(dataset.ordered_indices(), max_tokens=max_tokens):
                _, _, output = task.valid_step(dataset.collater(list(batch)), model, criterion)
                task.reduce_metrics([output], criterion)
        figures.append(dict(log.get_smoothed_values()))
    model.train()
    first = figures[0]
    assert all(figure == pytest.approx(first, rel=1e-5) for figure in figures)
    assert first["loss"] == pytest.approx((first["loss_en"] + first["loss_bg"]) / 2)
    assert first["ppl_bg"] == pytest.approx(math.exp(first["loss_bg"]))
    assert first["ppl"] == pytest.approx((first["ppl_en"] + first["ppl_bg"]) / 2)
    assert 0 <= first["accuracy_en"] <= 1


@pytest.mark.parametrize("clip", [0.0, 0.5])
def test_optimizer_makes_the_steps_of_fairseqs_adam(clip):
    from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig

    from wikixlm.train.fairseq.optimizer import AdamWConfig, FusedAdamW

    torch.manual_seed(0)
    start = [torch.randn(30, 20), torch.randn(7)]
    gradients = [[torch.randn_like(part) for part in start] for _ in range(5)]
    results = []
    # an eps of no weight: fairseq adds it before the bias correction, torch after
    options = {"adam_betas": "(0.9, 0.98)", "adam_eps": 1e-12, "weight_decay": 0.01, "lr": [0.01]}
    for kind, config in ((FairseqAdam, FairseqAdamConfig), (FusedAdamW, AdamWConfig)):
        parameters = [torch.nn.Parameter(part.clone()) for part in start]
        optimizer = kind(config(**options), parameters)
        norms = []
        for step in gradients:
            optimizer.zero_grad()
            for parameter, gradient in zip(parameters, step, strict=True):
                parameter.grad = gradient.clone()
            optimizer.multiply_grads(0.25)
            norms.append(float(optimizer.clip_grad_norm(clip)))
            optimizer.step()
        results.append((norms, [parameter.detach() for parameter in parameters]))
    assert results[0][0] == pytest.approx(results[1][0])
    torch.testing.assert_close(results[0][1], results[1][1], atol=1e-6, rtol=1e-5)


def test_a_dropped_gradient_takes_its_factor_with_it():
    from wikixlm.train.fairseq.optimizer import AdamWConfig, FusedAdamW

    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = FusedAdamW(AdamWConfig(lr=[0.01]), [parameter])
    optimizer.multiply_grads(1e-3)
    optimizer.zero_grad()
    parameter.grad = torch.full((3,), 2.0)
    assert float(optimizer.clip_grad_norm(0)) == pytest.approx(math.sqrt(12))


@pytest.mark.parametrize("decay", ["linear", "trapezoidal", "inverse_sqrt", "none"])
@pytest.mark.parametrize(("warmup", "total"), [(0, 1), (10, 1), (5, 5), (10, 100), (0, 100)])
def test_no_update_has_rate_0_and_none_exceeds_the_peak(decay, warmup, total):
    from wikixlm.train.fairseq.schedule import rate

    # one beyond the end: fairseq asks for it after the last update, and takes 0 for a reason to stop
    rates = [rate(update, 0.5, warmup, total, decay) for update in range(total + 1)]
    assert min(rates) > 0
    assert max(rates) <= 0.5
    if total > warmup:
        assert max(rates) == 0.5
        rising, falling = rates[:warmup], rates[warmup:-1]
        assert rising == sorted(rising)
        assert falling == sorted(falling, reverse=True)
    if decay == "linear" and (warmup, total) == (10, 100):
        assert rates[55] == pytest.approx(0.25)
    if decay == "trapezoidal" and (warmup, total) == (10, 100):
        assert set(rates[10:82]) == {0.5}
        assert rates[91] == pytest.approx(0.25)
