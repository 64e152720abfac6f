"""The batch in tokens, whatever the GPUs."""

import json

import pytest

from tests.support import fairseq_data as factory
from wikixlm.config import BASE_CONFIG, load, parse_train_settings, read_defaults
from wikixlm.config.dimensions import XLM_BASE
from wikixlm.errors import UserError
from wikixlm.train.batch_layout import layout, tokens_in

GIB = 2**30


def settings(**changes):
    values = {"batch_tokens": 65536, "max_tokens": "auto", "update_freq": None, "tokens_per_sample": 256}
    return factory.train_settings(**{**values, **changes})


@pytest.mark.parametrize(
    ("workers", "most", "expected"),
    [
        (1, 65536, (65536, 1)),
        (1, 8192, (8192, 8)),
        (8, 8192, (8192, 1)),
        (64, 8192, (1024, 1)),
        (3, 8192, (7281, 3)),  # 3 x 3 x 7,281: nearly all of it
    ],
)
def test_an_update_has_the_same_tokens_on_any_gpus(workers, most, expected):
    assert layout(settings(), 65536, workers, most) == expected


def test_the_old_keys_win():
    one = settings(batch_tokens=None, max_tokens=8192, update_freq=3)
    assert layout(one, one.tokens_per_update(2), 2, 0) == (8192, 3)
    assert layout(settings(max_tokens=1024), 65536, 2, 99999) == (1024, 32)
    assert layout(settings(update_freq=16), 65536, 2, 99999) == (2048, 16)


@pytest.mark.parametrize(
    ("overlay", "batch"),
    [
        ({}, 65536),
        ({"max_tokens": "auto"}, 65536),
        ({"max_tokens": 2048}, 4096),
        ({"max_tokens": 2048, "update_freq": 4}, 16384),
        ({"max_tokens": 2048, "batch_tokens": 8192}, 8192),
    ],
)
def test_an_overlay_with_old_keys_alone_means_what_it_meant(overlay, batch):
    assert load(BASE_CONFIG, {"train": overlay}).train.tokens_per_update(2) == batch
    assert parse_train_settings(json.dumps(overlay)).tokens_per_update(2) == batch


def test_more_workers_than_blocks_is_an_error():
    with pytest.raises(UserError, match=r"not one block of train\.tokens_per_sample 256 for each of 512 workers"):
        layout(settings(), 65536, 512, 8192)


def test_warm_up_is_a_share_of_the_training():
    assert settings(warmup=0.02, warmup_updates=None, max_update=1000).warmup_length() == 20
    assert settings(warmup=0.02, warmup_updates=7).warmup_length() == 7


@pytest.mark.parametrize(
    ("gigabytes", "tokens"), [(8, 4096), (15, 8192), (24, 16384), (40, 32768), (80, 65536), (141, 65536)]
)
def test_auto_leaves_room_on_usual_gpus(gigabytes, tokens):
    assert tokens_in(gigabytes * GIB, XLM_BASE, 60_000, read_defaults()["train"]["mask_ratio"]) == tokens
