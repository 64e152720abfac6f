"""The network against fairseq's stock XLM and transformers' BertForMaskedLM; going on from a model."""

import argparse
from types import SimpleNamespace

import pytest
import torch

from tests.support.blocks_data import load_recipe, write_dictionary
from wikixlm.bpe.codes import SPECIALS
from wikixlm.errors import UserError
from wikixlm.model.batches import masked_positions
from wikixlm.model.checkpoint import read_model
from wikixlm.model.extend import RowNames, extend_weights, row_names, write_start_checkpoint
from wikixlm.model.initialization import InitConfig, initialize
from wikixlm.model.network import MaskedLanguageModel, NetworkConfig

CONFIG = NetworkConfig(
    vocab_size=105, num_languages=3, max_positions=16, embed_dim=32, ffn_dim=64, num_heads=4, num_layers=2
)


def network(config: NetworkConfig = CONFIG, seed: int = 0) -> MaskedLanguageModel:
    torch.manual_seed(seed)
    model = MaskedLanguageModel(config)
    initialize(model, InitConfig(position_scale=0.03, attention_gain=1.0, neighbour_logit=16.0))
    return model.eval()


def padded_batch():
    torch.manual_seed(1)
    source = torch.randint(5, 105, (4, 16))
    source[:, 0] = 2
    source[2, 10:] = 1
    return source, torch.tensor([[0], [1], [1], [2]])


@pytest.mark.parametrize("embedding_norm", [True, False])
def test_state_dict_and_logits_are_those_of_fairseqs_xlm_base(embedding_norm):
    load_recipe()
    from fairseq.data.legacy.masked_lm_dictionary import MaskedLMDictionary
    from fairseq.models.masked_lm import MaskedLMModel, xlm_architecture

    dictionary = MaskedLMDictionary()
    for number in range(100):
        dictionary.add_symbol(f"w{number}")
    args = SimpleNamespace(
        tokens_per_sample=16, encoder_embed_dim=32, encoder_ffn_embed_dim=64, encoder_layers=2, num_segment=3,
        encoder_attention_heads=4, encoder_normalize_before=embedding_norm,
    )  # fmt: skip
    xlm_architecture(args)
    stock = MaskedLMModel.build_model(args, SimpleNamespace(dictionary=dictionary)).eval()
    ours = network(NetworkConfig(**{**vars(CONFIG), "embedding_norm": embedding_norm}))
    stock.load_state_dict({f"encoder.{name}": value for name, value in ours.state_dict().items()})
    source, languages = padded_batch()
    with torch.no_grad():
        wanted = stock(source, languages.expand_as(source))[0]
        logits = ours(source, languages)
        some = torch.rand(source.shape) < 0.3
        some[source == 1] = False
        by_mask = ours(source, languages, masked_tokens=some)
        positions, selection = masked_positions(some.numpy())
        by_position = ours(
            source,
            languages,
            masked_positions=torch.from_numpy(positions),
            masked_selection=torch.from_numpy(selection),
        )
    visible = source != 1
    torch.testing.assert_close(logits[visible], wanted[visible], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(by_mask, wanted[some], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(by_position, wanted[some], atol=1e-5, rtol=1e-5)


def test_logits_are_those_of_bert():
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=105, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=16, type_vocab_size=3, pad_token_id=1, layer_norm_eps=1e-5,
    )  # fmt: skip
    bert = transformers.BertForMaskedLM(config).eval()
    ours = network()
    encoder = ours.sentence_encoder
    pairs = [
        (bert.bert.embeddings.word_embeddings, encoder.embed_tokens),
        (bert.bert.embeddings.token_type_embeddings, encoder.segment_embeddings),
        (bert.bert.embeddings.LayerNorm, encoder.emb_layer_norm),
        (bert.cls.predictions.transform.dense, ours.lm_head_transform_weight),
        (bert.cls.predictions.transform.LayerNorm, ours.layer_norm),
    ]
    for theirs, layer in zip(bert.bert.encoder.layer, encoder.layers, strict=True):
        attention = layer.self_attn
        pairs += [
            (theirs.attention.self.query, attention.q_proj),
            (theirs.attention.self.key, attention.k_proj),
            (theirs.attention.self.value, attention.v_proj),
            (theirs.attention.output.dense, attention.out_proj),
            (theirs.attention.output.LayerNorm, layer.self_attn_layer_norm),
            (theirs.intermediate.dense, layer.fc1),
            (theirs.output.dense, layer.fc2),
            (theirs.output.LayerNorm, layer.final_layer_norm),
        ]
    for theirs, module in pairs:
        theirs.load_state_dict(module.state_dict())
    with torch.no_grad():
        bert.bert.embeddings.position_embeddings.weight.copy_(encoder.embed_positions.weight[2:])
        bert.cls.predictions.bias.copy_(ours.lm_output_learned_bias)
        source, languages = padded_batch()
        wanted = bert(
            input_ids=source, attention_mask=(source != 1).long(), token_type_ids=languages.expand_as(source)
        ).logits
        logits = ours(source, languages)
    visible = source != 1
    torch.testing.assert_close(logits[visible], wanted[visible], atol=1e-5, rtol=1e-5)


def test_an_example_longer_than_the_positions_is_refused():
    with pytest.raises(ValueError, match="17 tokens"):
        network()(torch.full((1, 17), 7), torch.zeros(1, 1, dtype=torch.int64))


def test_options_that_the_network_would_ignore_are_refused():
    load_recipe()
    from wikixlm.train.fairseq.model import base_architecture, network_config

    args = argparse.Namespace(tokens_per_sample=16, activation_fn="relu")
    base_architecture(args)
    with pytest.raises(ValueError, match="--activation-fn is relu"):
        network_config(args, 105, 3, 1)


# --- going on from a model ---


def symbols(*names: str) -> list[str]:
    return [*SPECIALS, *names]


def weights_of(names: RowNames) -> dict[str, torch.Tensor]:
    config = NetworkConfig(
        len(names.symbols), len(names.languages), 16, embed_dim=32, ffn_dim=64, num_heads=4, num_layers=2
    )
    return {f"encoder.{name}": value for name, value in network(config).state_dict().items()}


def test_old_rows_are_kept_by_name_and_new_ones_are_like_them():
    old = RowNames(symbols(*(f"w{number}" for number in range(100))), ["en", "bg"])
    new = RowNames(symbols("x", *(f"w{number}" for number in reversed(range(100))), "y"), ["bg", "de", "en"])
    before = weights_of(old)
    after = extend_weights(before, old, new, seed=0)
    tokens = "encoder.sentence_encoder.embed_tokens.weight"
    for number, symbol in enumerate(old.symbols):
        place = new.symbols.index(symbol)
        assert torch.equal(after[tokens][place], before[tokens][number])
    languages = "encoder.sentence_encoder.segment_embeddings.weight"
    assert torch.equal(after[languages][[2, 0]], before[languages])
    torch.testing.assert_close(after[languages][1], before[languages].mean(0))
    fresh = after[tokens][[5, 106]]
    assert fresh.norm(dim=1) == pytest.approx(before[tokens][5:].norm(dim=1).mean().item(), rel=0.5)
    assert torch.equal(after[tokens], extend_weights(before, old, new, seed=0)[tokens])
    same = extend_weights(before, old, old, seed=0)
    assert all(torch.equal(same[name], before[name]) for name in before)
    network(NetworkConfig(107, 3, 16, 32, 64, 4, 2)).load_state_dict({name[8:]: value for name, value in after.items()})


@pytest.mark.parametrize(
    ("new", "words"),
    [
        (RowNames(symbols("b", "c"), ["en"]), "1 symbols of the model are missing here.*a"),
        (RowNames(symbols("a", "b"), ["de"]), "1 languages of the model are missing here.*en"),
    ],
)
def test_what_would_be_lost_is_an_error(new, words):
    old = RowNames(symbols("a", "b"), ["en"])
    with pytest.raises(UserError, match=words):
        extend_weights(weights_of(old), old, new, seed=0)


def test_what_only_fills_the_vocabulary_up_may_go():
    """A vocabulary is a multiple of 8: one with symbols added may need fewer fillers."""
    old = RowNames(symbols("a", "madeupword0000", "madeupword0001"), ["en"])
    new = RowNames(symbols("b", "a", "madeupword0000"), ["en"])
    before = weights_of(old)
    after = extend_weights(before, old, new, seed=0)
    for name in ("encoder.sentence_encoder.embed_tokens.weight", "encoder.lm_output_learned_bias"):
        assert torch.equal(after[name][6:], before[name][5:7])
        assert len(after[name]) == 8


def test_names_that_do_not_fit_the_model_are_an_error():
    old = RowNames(symbols("a", "b"), ["en"])
    with pytest.raises(UserError, match="7 rows for 8 symbols"):
        extend_weights(weights_of(old), RowNames(symbols("a", "b", "c"), ["en"]), old, seed=0)


def test_prepared_checkpoint_names_its_rows(tmp_path):
    old = RowNames(symbols("w0", "w1"), ["en"])
    model = tmp_path / "model.pt"
    state = {"model": weights_of(old), "cfg": None, "optimizer_history": [], "task_state": vars(old)}
    torch.save(state, model)
    write_dictionary(tmp_path / "data", 4)
    trained = read_model(model)
    assert trained.config.max_positions == 16
    write_start_checkpoint(trained, tmp_path / "data" / "dict.txt", ["en", "bg"], tmp_path / "start.pt", 0)
    start = read_model(tmp_path / "start.pt")
    assert row_names(start) == RowNames(symbols("w0", "w1", "w2", "w3"), ["en", "bg"])
    assert len(start.weights["lm_output_learned_bias"]) == 9


def test_names_are_never_read_from_where_the_checkpoint_points(tmp_path):
    old = RowNames(symbols("w0", "w1"), ["en"])
    write_dictionary(tmp_path, 2)
    task = argparse.Namespace(data=str(tmp_path), monolingual_langs="en")
    torch.save({"model": weights_of(old), "cfg": {"task": task}, "optimizer_history": []}, tmp_path / "model.pt")
    with pytest.raises(UserError, match="wikixlm recipe"):
        row_names(read_model(tmp_path / "model.pt"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, value):
    old = RowNames(symbols("w0", "w1"), ["en"])
    weights = weights_of(old)
    weights["encoder.layer_norm.weight"][3] = value
    state = {"model": weights, "cfg": None, "optimizer_history": [], "task_state": vars(old)}
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(UserError, match=r"the tensor encoder\.layer_norm\.weight has values that are not finite"):
        read_model(tmp_path / "model.pt")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None])
def test_what_is_no_model_is_a_user_error(tmp_path, content):
    path = tmp_path / "model.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"model\.pt"):
        read_model(path)
    torch.save({"model": {}, "cfg": None, "optimizer_history": []}, path)
    with pytest.raises(UserError, match="is not a masked language model"):
        read_model(path)
