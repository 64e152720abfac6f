"""The rule behind `lr: auto`, and what a given rate means."""

import pytest

from tests.support import fairseq_data as factory
from wikixlm.train.rates import Rates, far_off, peak_rates


def settings(**changes):
    return factory.train_settings(**{"recipe": "wikixlm", "lr": "auto", **changes})


def test_muons_rate_depends_on_the_batch_alone_and_adamws_on_the_width_too():
    muon = {width: peak_rates(settings(optimizer="muon", encoder_embed_dim=width), 8192) for width in (128, 1024)}
    assert muon[128] == muon[1024] == Rates(pytest.approx(0.014), pytest.approx(0.0028))
    adamw = [peak_rates(settings(optimizer="adamw", encoder_embed_dim=width), 2048) for width in (128, 256)]
    assert adamw == [Rates(0.001, 0.0014), Rates(0.0005, 0.0014)]


def test_large_batches_do_not_raise_the_rate_for_ever():
    one, two = (peak_rates(settings(optimizer="muon"), tokens).lr for tokens in (65536, 524288))
    assert one == two == pytest.approx(0.028)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"optimizer": "adamw", "lr": 0.0005}, Rates(0.0005, None)),
        ({"optimizer": "adamw", "lr": 0.0005, "embedding_lr": 0.001}, Rates(0.0005, 0.001)),
        ({"optimizer": "muon", "lr": 0.02}, Rates(0.02, 0.0014)),
        ({"optimizer": "muon", "embedding_lr": 0.001}, Rates(0.007, 0.001)),
        ({"recipe": "tutorial"}, Rates(0.0001, None)),
        ({"recipe": "tutorial", "lr": 0.001}, Rates(0.001, None)),
    ],
)
def test_given_rates_win(changes, expected):
    assert peak_rates(settings(**changes), 2048) == expected


def test_a_rate_meant_for_the_other_optimizer_is_noticed():
    assert far_off(settings(optimizer="muon", lr=0.0005), 2048) == pytest.approx(0.007)
    assert far_off(settings(optimizer="adamw", lr=0.05), 2048) == pytest.approx(0.004)
    assert far_off(settings(optimizer="muon", lr=0.003), 2048) is None
    assert far_off(settings(recipe="tutorial", lr=0.5), 2048) is None
