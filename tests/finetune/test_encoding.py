"""What the model is given: the tokenizer's own ids, every example once an epoch, nothing cut in silence."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import tiny_model
from tests.support import xnli as factory
from wikixlm import hf
from wikixlm.finetune.dataset import ExampleEncoder
from wikixlm.finetune.examples import Example
from wikixlm.finetune.fit import LengthGrouped

LABELS = {label: number for number, label in enumerate(sorted(factory.SIGNS))}


def examples(*languages: str) -> list[Example]:
    return [
        Example(lang, label, (premise, hypothesis))
        for lang in languages
        for premise, hypothesis, label in factory.pairs(lang, 9, 0)
    ]


def test_an_item_is_what_the_tokenizer_bound_to_the_language_gives(exported):
    wanted = examples("en", "bg")
    encoded = ExampleEncoder(exported, LABELS, tiny_model.POSITIONS).encode(wanted, "test")
    assert len(encoded) == len(wanted)
    for number, example in enumerate(wanted):
        tokenizer = hf.load(exported, lang=example.language)
        assert tokenizer.unk_token_id not in encoded[number]["input_ids"]
        expected = tokenizer(*example.texts)
        assert encoded[number] == {**expected, "labels": LABELS[example.label]}
        assert set(encoded[number]["token_type_ids"]) == {tiny_model.LANGUAGES.index(example.language)}
    assert encoded.lengths == [len(encoded[number]["input_ids"]) for number in range(len(encoded))]


def test_text_that_is_tokens_already_is_not_tokenized_again(exported):
    encoder = ExampleEncoder(exported, LABELS, tiny_model.POSITIONS)
    raw = encoder.encode([Example("en", "neutral", ("The house's king.", "A dog?"))], "raw")
    tokens = encoder.encode([Example("en", "neutral", ("The house 's king .", "A dog ?"))], "tokens", tokenized=True)
    again = encoder.encode([Example("en", "neutral", ("The house 's king .", "A dog ?"))], "again")
    assert raw[0] == tokens[0]
    assert again[0] != tokens[0]


def test_long_pairs_are_truncated_and_counted(exported, capfd):
    pair = ("the house sees a king", "a dog walks to town")
    encoded = ExampleEncoder(exported, LABELS, 8).encode([Example("en", "neutral", pair)], "train")
    eos = hf.load(exported, lang="en").eos_token_id
    assert len(encoded[0]["input_ids"]) == 8
    assert encoded[0]["input_ids"].count(eos) == 3
    assert "train: 1 of 1 examples are truncated to 8 tokens" in capfd.readouterr().err


def test_a_selection_keeps_what_belongs_together(exported):
    encoded = ExampleEncoder(exported, LABELS, tiny_model.POSITIONS).encode(examples("en", "bg"), "test")
    chosen = np.arange(len(encoded)) % 4 == 1
    selected = encoded.select(chosen)
    assert [selected[k] for k in range(len(selected))] == [encoded[int(k)] for k in np.flatnonzero(chosen)]
    assert selected.digest() != encoded.digest()
    assert encoded.select(np.ones(len(encoded), bool)).digest() == encoded.digest()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=400), st.integers(1, 20), st.integers(0, 5))
def test_every_example_comes_once_an_epoch(lengths, batch_size, epoch):
    sampler = LengthGrouped(lengths, batch_size, seed=3)
    sampler.set_epoch(epoch)
    order = list(sampler)
    assert sorted(order) == list(range(len(lengths))) and len(sampler) == len(order)
    assert order == list(sampler)


def test_batches_are_of_alike_lengths_and_in_no_order():
    lengths = torch.randint(5, 60, (2000,), generator=torch.Generator().manual_seed(0)).tolist()
    sampler = LengthGrouped(lengths, 20, seed=0)
    orders = []
    for epoch in (0, 1):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert orders[0] != orders[1]
    batches = torch.tensor(lengths)[torch.tensor(orders[0])].view(-1, 20)
    padded = (batches.amax(1, keepdim=True) - batches).sum() / batches.sum()
    assert padded < 0.1
    means = batches.float().mean(1)
    assert abs(float(torch.corrcoef(torch.stack([means[1:], means[:-1]]))[0, 1])) < 0.4


@pytest.mark.parametrize("languages", [["en"], ["bg"], ["en", "bg"]])
def test_a_model_of_any_of_the_languages_encodes(exported, languages):
    encoded = ExampleEncoder(exported, LABELS, tiny_model.POSITIONS).encode(examples(*languages), "test")
    assert sorted(set(encoded.languages.tolist())) == sorted(tiny_model.LANGUAGES.index(lang) for lang in languages)
