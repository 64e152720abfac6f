"""The weights a model starts with."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from wikixlm.model.initialization import InitConfig, initialize, pair_mean_square, sinusoids
from wikixlm.model.network import MaskedLanguageModel, NetworkConfig

CONFIG = NetworkConfig(
    vocab_size=105, num_languages=3, max_positions=64, embed_dim=128, ffn_dim=64, num_heads=4, num_layers=2
)
BASE = NetworkConfig(
    vocab_size=105, num_languages=3, max_positions=256, embed_dim=1024, ffn_dim=64, num_heads=8, num_layers=1
)  # xlm_base's


def network(config: NetworkConfig = CONFIG, **start: float) -> MaskedLanguageModel:
    torch.manual_seed(0)
    model = MaskedLanguageModel(config)
    initialize(model, InitConfig(**start))
    return model.eval()


def attention_logits(model: MaskedLanguageModel, states: torch.Tensor) -> torch.Tensor:
    """Of the first layer: [heads, positions, positions]."""
    attention = model.sentence_encoder.layers[0].self_attn
    query, key = (
        projection(states).unflatten(-1, (attention.num_heads, -1)).transpose(0, 1)
        for projection in (attention.q_proj, attention.k_proj)
    )
    return query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])


def test_the_start_is_as_asked():
    model = network(position_scale=0.05, attention_gain=2.0)
    positions = model.sentence_encoder.embed_positions.weight
    assert torch.equal(positions[2:], 0.05 * sinusoids(64, 128))
    assert not positions[1].any()
    attention = model.sentence_encoder.layers[0].self_attn
    assert attention.q_proj.weight.std().item() == pytest.approx(2 / 128**0.5, rel=0.05)
    assert attention.v_proj.weight.std().item() == pytest.approx(0.02, rel=0.05)


def test_all_zeros_are_berts_start():
    model = network()
    assert model.sentence_encoder.embed_positions.weight[2:].std().item() == pytest.approx(0.02, rel=0.05)
    assert model.sentence_encoder.layers[0].self_attn.k_proj.weight.std().item() == pytest.approx(0.02, rel=0.05)


@given(
    heads=st.integers(1, 9),
    columns=st.integers(2, 65),
    norm=st.booleans(),
    scale=st.floats(0.01, 1),
    logit=st.floats(0.5, 50),
)
@settings(max_examples=60, deadline=None)
def test_a_head_meets_its_place_with_the_logit_asked_for(heads, columns, norm, scale, logit):
    config = NetworkConfig(
        50, 1, 40, embed_dim=heads * columns, ffn_dim=8, num_heads=heads, num_layers=1, embedding_norm=norm
    )
    model = network(config, position_scale=scale, neighbour_logit=logit)
    seen = math.sqrt(pair_mean_square(config, scale)) * sinusoids(40, config.embed_dim)
    logits = attention_logits(model, seen)
    for head in range(heads):
        offset = (head // 2 + 1) * (1 if head % 2 else -1)
        met = logits[head].diagonal(offset)
        torch.testing.assert_close(met, torch.full_like(met, logit), rtol=1e-3, atol=1e-3)
        assert logits[head].max() <= logit * (1 + 1e-3)


@pytest.mark.parametrize("config", [CONFIG, BASE], ids=["the demo's", "xlm_base's"])
def test_random_tokens_hide_few_neighbours(config):
    model = network(config, position_scale=0.06, attention_gain=1.0, neighbour_logit=16.0)
    encoder = model.sentence_encoder
    tokens = torch.randint(5, config.vocab_size, (config.max_positions,))
    summed = encoder.embed_tokens(tokens) + encoder.segment_embeddings.weight[1] + encoder.embed_positions.weight[2:]
    logits = attention_logits(model, encoder.emb_layer_norm(summed))
    places = torch.arange(config.max_positions)
    for head in range(config.num_heads):
        wanted = places + (head // 2 + 1) * (1 if head % 2 else -1)
        inside = (wanted >= 0) & (wanted < config.max_positions)
        found = (logits[head].argmax(-1) == wanted)[inside].float().mean().item()
        assert found > 0.9, f"head {head}"


def test_only_the_first_layer_looks_at_neighbours():
    model, without = (network(position_scale=0.06, attention_gain=1.0, neighbour_logit=logit) for logit in (16.0, 0.0))
    layers, others = (one.sentence_encoder.layers for one in (model, without))
    assert not torch.equal(layers[0].self_attn.q_proj.weight, others[0].self_attn.q_proj.weight)
    assert torch.equal(layers[0].self_attn.v_proj.weight, others[0].self_attn.v_proj.weight)
    assert all(torch.equal(*pair) for pair in zip(layers[1].parameters(), others[1].parameters(), strict=True))


def test_neighbours_without_sinusoids_are_refused():
    with pytest.raises(ValueError, match="--position-scale above 0"):
        network(neighbour_logit=16.0)
