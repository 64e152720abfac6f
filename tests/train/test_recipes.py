"""Settings, and fairseq-train's arguments that follow from them."""

from pathlib import Path

import pytest

from tests.support import fairseq_data as factory
from wikixlm.config import parse_train_settings, read_defaults
from wikixlm.errors import UserError
from wikixlm.train import recipes
from wikixlm.train.batch_layout import BatchLayout, layout
from wikixlm.train.command import refuse_other_dimensions
from wikixlm.train.rates import Rates, peak_rates

# The flags of fairseq's tutorial (examples/cross_lingual_language_model/README.md), but for the folders.
TUTORIAL = """
--task cross_lingual_lm --max-update 2400000 --save-interval 1 --no-epoch-checkpoints --arch xlm_base
--optimizer adam --lr-scheduler reduce_lr_on_plateau --lr-shrink 0.5 --lr 0.0001 --stop-min-lr 1e-09
--dropout 0.1 --criterion legacy_masked_lm_loss --max-tokens 2048 --tokens-per-sample 256 --attention-dropout 0.1
--dataset-impl lazy --seed 0 --masked-lm-only --monolingual-langs ar,de,en,hi,fr --num-segment 5
--ddp-backend no_c10d
"""


def values_of(words):
    """Fairseq's own reading of a command line."""
    from wikixlm.train.fairseq import compat

    compat.apply()
    from fairseq import options

    parsed = vars(options.parse_args_and_arch(options.get_training_parser(), ["data", *words]))
    parsed["ddp_backend"] = parsed["ddp_backend"].replace("no_c10d", "legacy_ddp")
    return parsed


def test_the_tutorial_overlay_trains_as_the_tutorial_says():
    import yaml

    from wikixlm.config import load

    root = Path(__file__).parents[2]
    cfg = load(root / "config.yaml", yaml.safe_load((root / "config" / "tutorial.yaml").read_text()))
    ours = recipes.tutorial_arguments(cfg.train, cfg.languages)
    batch = layout(cfg.train, 2048, 1, 99999)
    ours += recipes.layout_arguments(cfg.train, batch, cfg.train.warmup_length(), peak_rates(cfg.train, 2048))
    ours += ["--dataset-impl", cfg.binarize.dataset_impl, "--max-update", str(cfg.train.max_update)]
    assert values_of(ours) == values_of(TUTORIAL.split())


def test_warm_up_does_not_start_at_the_rate_that_ends_a_training():
    words = recipes.layout_arguments(factory.train_settings(), BatchLayout(128, 1), 10, Rates(0.002, None))
    assert float(words[words.index("--warmup-init-lr") + 1]) == pytest.approx(0.00002)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[]", "not a JSON object"),
        ('{"learning_rate": 1}', "train.learning_rate: unknown key; accepted here: recipe, arch, "),
        ('{"gpus": 1}', "train.gpus: unknown key"),
        ('{"max_update": 0}', "train.max_update: 0: input should be greater than or equal to 1"),
        ('{"recipe": "bert"}', "train.recipe: 'bert': input should be 'wikixlm' or 'tutorial'"),
        ('{"max_tokens": 100}', "train.max_tokens is 100, less than one block of train.tokens_per_sample 256"),
        ('{"init_from": "/nowhere/model.pt"}', "train.init_from: '/nowhere/model.pt': this file does not exist"),
    ],
)
def test_bad_settings_are_one_line_that_names_the_key(text, words):
    with pytest.raises(UserError) as failure:
        parse_train_settings(text)
    assert words in str(failure.value)


def test_going_further_or_saving_more_often_shapes_no_weight():
    one = factory.train_settings(max_update=5, save_interval_updates=2)
    two = factory.train_settings(max_update=50, save_interval_updates=7)
    assert recipes.shaping_settings(one) == recipes.shaping_settings(two)
    assert recipes.tutorial_arguments(one, ["en"]) == recipes.tutorial_arguments(two, ["en"])


def test_settings_left_out_have_the_defaults_of_the_configuration():
    settings = parse_train_settings('{"seed": 7}').model_dump()
    assert settings == {**{key: read_defaults()["train"][key] for key in settings}, "seed": 7}


def test_every_key_of_the_recipe_wikixlm_is_an_option_of_fairseq_train(tmp_path):
    """So that a key is added by its line in config/training.py and its default in config.yaml."""
    from wikixlm.train.fairseq import compat

    compat.apply()
    from fairseq import options

    settings = parse_train_settings('{"compile": true, "encoder_layers": 3}')
    words = recipes.wikixlm_arguments(settings, ["en"]) + recipes.layout_arguments(
        settings, BatchLayout(256, 2), 7, Rates(0.01, 0.002)
    )
    parsed = vars(options.parse_args_and_arch(options.get_training_parser(), ["data", *words]))
    assert (parsed["compile_layers"], parsed["encoder_layers"], parsed["position_scale"]) == (True, 3, 0.06)
    assert (parsed["max_tokens"], parsed["update_freq"], parsed["warmup_updates"]) == (256, [2], 7)


def test_a_start_from_a_model_of_another_size_names_the_keys():
    from wikixlm.model.checkpoint import TrainedModel
    from wikixlm.model.network import NetworkConfig

    config = NetworkConfig(20, 1, 16, embed_dim=32, ffn_dim=128, num_heads=4, num_layers=2, embedding_norm=False)
    with pytest.raises(UserError) as failure:
        refuse_other_dimensions(TrainedModel(Path("mlm.pth"), {}, config, 16, [], []), factory.train_settings())
    wanted = "{encoder_ffn_embed_dim: 128, encoder_attention_heads: 4, encoder_normalize_before: false}"
    assert str(failure.value) == f"train.init_from: mlm.pth has another size; set train: {wanted}"
