"""A model in XLM's own format, against transformers' XLM."""

import pathlib

import numpy as np
import pytest
import torch

from wikixlm.bpe.codes import SPECIALS
from wikixlm.errors import UserError
from wikixlm.model import xlm
from wikixlm.model.extend import RowNames, extend_weights, row_names

WORDS = ["<s>", "</s>", "<pad>", "<unk>", *(f"<special{number}>" for number in range(10)), "the", "o@@", "f", "и"]
LANGUAGES = {"bg": 0, "en": 1, "zh": 2}


@pytest.fixture(scope="module")
def theirs():
    from transformers import XLMConfig, XLMWithLMHeadModel

    torch.manual_seed(0)
    model = XLMWithLMHeadModel(
        XLMConfig(
            vocab_size=len(WORDS), emb_dim=32, n_layers=2, n_heads=4, n_langs=3, max_position_embeddings=12,
            gelu_activation=True, bos_index=0, eos_index=1, pad_index=2, unk_index=3, mask_index=5,
        )
    ).eval()  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


@pytest.fixture
def state(theirs):
    model = {name.removeprefix("transformer."): value.clone() for name, value in theirs.state_dict().items()}
    params = {
        "n_layers": 2, "n_heads": 4, "emb_dim": 32, "gelu_activation": True, "asm": False, "lang2id": LANGUAGES,
        "langs": ["zh", "bg", "en"], "sampling": np.array([0.5, 0.25]), "weight": np.float64(0.1),
    }  # fmt: skip
    return {"model": model, "params": params, "dico_id2word": dict(enumerate(WORDS)), "epoch": 3}


@pytest.mark.parametrize("new_format", [True, False])
def test_it_computes_what_xlm_does(theirs, state, tmp_path, new_format):
    state["model"] = {f"module.{name}": value for name, value in state["model"].items()}
    torch.save(state, tmp_path / "mlm.pth", _use_new_zipfile_serialization=new_format)
    model = xlm.read(tmp_path / "mlm.pth")
    assert model.symbols == [*SPECIALS, "the", "o@@", "f", "и"]
    assert model.languages == ["bg", "en", "zh"]
    kept = [WORDS.index("<special1>" if symbol == "<mask>" else symbol) for symbol in model.symbols]
    ids = torch.tensor([[2, 5, 6, 4, 7, 2], [2, 8, 4, 2, 1, 1]])
    languages = torch.tensor([[1], [2]]).expand(2, 6)
    their_ids = torch.tensor(kept)[ids]
    with torch.no_grad():
        wanted = theirs(their_ids, langs=languages, attention_mask=ids.ne(1)).logits[:, :, kept]
        encoded = theirs.transformer(their_ids, langs=languages, attention_mask=ids.ne(1)).last_hidden_state
        states = model.network().sentence_encoder(ids, languages)
        logits = model.network()(ids, languages)
    visible = ids.ne(1)
    torch.testing.assert_close(states[visible], encoded[visible], atol=2e-5, rtol=2e-5)
    difference = (logits[visible] - wanted[visible]).norm() / wanted[visible].norm()
    assert difference < 0.005
    assert xlm.head_difference(model) < 0.005
    assert (logits[visible].argmax(-1) == wanted[visible].argmax(-1)).float().mean() == 1


def test_its_rows_are_carried_over_to_the_runs_symbols_and_languages(state, tmp_path):
    torch.save(state, tmp_path / "mlm.pth")
    model = xlm.read(tmp_path / "mlm.pth")
    new = RowNames([*SPECIALS, "f", "new", "the", "и", "o@@"], ["en", "de", "zh", "bg"])
    weights = {f"encoder.{name}": value for name, value in model.weights.items()}
    extended = extend_weights(weights, row_names(model), new, 0)
    tokens = extended["encoder.sentence_encoder.embed_tokens.weight"]
    assert torch.equal(
        tokens[[4, 5, 7]], state["model"]["embeddings.weight"][[5, WORDS.index("f"), WORDS.index("the")]]
    )
    segments = extended["encoder.sentence_encoder.segment_embeddings.weight"]
    assert torch.equal(segments[[0, 2, 3]], state["model"]["lang_embeddings.weight"][[1, 2, 0]])


def test_a_model_without_language_embeddings_has_languages_that_add_nothing(state, tmp_path):
    del state["model"]["lang_embeddings.weight"], state["params"]["lang2id"]
    torch.save(state, tmp_path / "mlm.pth")
    model = xlm.read(tmp_path / "mlm.pth")
    assert model.languages == ["bg", "en", "zh"]
    assert not model.weights["sentence_encoder.segment_embeddings.weight"].any()


def test_the_export_is_the_same_model(state, tmp_path):
    from wikixlm.export.bert import bert_model

    torch.save(state, tmp_path / "mlm.pth")
    model = xlm.read(tmp_path / "mlm.pth")
    bert = bert_model(model, {})
    assert bert.config.layer_norm_eps == 1e-12
    ids = torch.tensor([[2, 5, 6, 4, 7, 2]])
    with torch.no_grad():
        logits = bert(ids, token_type_ids=torch.ones_like(ids)).logits
        torch.testing.assert_close(logits, model.network()(ids, torch.ones_like(ids)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state["params"].update(gelu_activation=False), "its activation is not GELU"),
        (lambda state: state["model"].pop("pred_layer.proj.bias"), "no output layer"),
        (lambda state: state["model"]["pred_layer.proj.weight"].add_(1), "its output weights are not"),
        (lambda state: state["params"].pop("n_heads"), "no model of XLM that can be read: KeyError('n_heads')"),
        (lambda state: state["dico_id2word"].pop(5), "no model of XLM that can be read: KeyError('<mask>')"),
        (lambda state: state["model"]["layer_norm_emb.bias"].fill_(torch.nan), "not finite"),
        (lambda state: state["params"].update(path=pathlib.PurePosixPath("a")), "more than weights and plain values"),
    ],
)
def test_what_ours_cannot_be_is_refused(state, tmp_path, change, words):
    change(state)
    torch.save(state, tmp_path / "mlm.pth")
    with pytest.raises(UserError) as failure:
        xlm.read(tmp_path / "mlm.pth")
    assert words in str(failure.value)


def test_other_files_are_not_its_own(tmp_path):
    torch.save({"model": {}, "cfg": None}, tmp_path / "model.pt")
    (tmp_path / "text").write_text("text")
    assert xlm.read(tmp_path / "model.pt") is xlm.read(tmp_path / "text") is xlm.read(tmp_path / "gone") is None
