"""The tokenizer that is bound to a language gives the ids of the pipeline's own stages, for any text."""

import copy
import json
import pickle
import sys
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer, DataCollatorForLanguageModeling, DataCollatorWithPadding

from tests.support.exports import JAPANESE, LANGUAGES
from tests.support.sample_text import TEXTS, lines_beside_the_checkout
from wikixlm import hf
from wikixlm.bpe.codes import SPECIALS, read_codes
from wikixlm.bpe.encoder import BPEEncoder
from wikixlm.errors import UserError
from wikixlm.hf import tokenization_wikixlm
from wikixlm.tokenize import word_segmenters
from wikixlm.tokenize.line_tokenizer import LineTokenizer
from wikixlm.train.fairseq import compat

PAD, EOS, UNK, MASK = (SPECIALS.index(symbol) for symbol in ("<pad>", "</s>", "<unk>", "<mask>"))


@pytest.fixture(scope="module")
def bound(run):
    return {code: hf.load(run.export, lang=code) for code in LANGUAGES}


@pytest.fixture(scope="module")
def by_stages(run):
    """Raw text to ids by the code of the stages: tokens, BPE, fairseq's dictionary."""
    compat.apply()
    from fairseq.data.legacy.masked_lm_dictionary import MaskedLMDictionary

    dictionary = MaskedLMDictionary.load(str(run.data / "dict.txt"))
    encoder = BPEEncoder(read_codes(run.folder / "codes"))

    def ids(text, language):
        tokens = line_tokenizer(language).tokenize(text)
        line = encoder.encode(" ".join(tokens))
        return dictionary.encode_line(line, add_if_not_exist=False).tolist()

    return ids


@cache
def line_tokenizer(language):
    return LineTokenizer(language, True, japanese=JAPANESE)


@pytest.mark.parametrize("language", LANGUAGES)
def test_ids_are_the_binarized_datas_line_for_line(run, bound, language):
    encoded = bound[language](run.raw[language])
    assert encoded["input_ids"] == [[EOS, *ids] for ids in run.ids[language]]
    number = LANGUAGES.index(language)
    for ids, types, mask in zip(*(encoded[name] for name in bound[language].model_input_names), strict=True):
        assert types == [number] * len(ids)
        assert mask == [1] * len(ids)


def test_the_text_of_the_test_has_unknown_symbols_and_several_scripts(run):
    assert any(UNK in ids for ids in run.ids["ro"])
    assert min(len(run.ids[language]) for language in LANGUAGES) > 1


@settings(max_examples=200, deadline=None)
@given(text=TEXTS, language=st.sampled_from(LANGUAGES))
def test_ids_of_random_text_are_those_of_the_stages(bound, by_stages, text, language):
    if "<mask>" not in text:
        assert bound[language](text)["input_ids"] == [EOS, *by_stages(text, language)]


@pytest.mark.parametrize("language", ["ar", "de", "fr", "hi", "ja", "th", "zh"])
def test_ids_of_dumps_beside_the_checkout_are_those_of_the_stages(run, by_stages, language):
    """Also languages that the model lacks: the test gives it their codes."""
    lines = lines_beside_the_checkout(language, 8_000)
    settings_ = {"do_lowercase_and_remove_accent": True, "japanese_segmenter": JAPANESE}
    tokenizer = tokenization_wikixlm.WikixlmTokenizer.from_pretrained(
        run.export, lang=language, lang2id={language: 0}, **settings_
    )
    for line in lines:
        if "<mask>" not in line:
            assert tokenizer(line)["input_ids"] == [EOS, *by_stages(line, language)]


def test_special_tokens_as_plain_text_are_cut_up_as_in_training(bound, by_stages):
    for text in ("a </s> b<s><pad>", "</s>", "<unk>"):
        assert bound["en"](text)["input_ids"] == [EOS, *by_stages(text, "en")]
    text = "what does <mask> mean"
    assert MASK in bound["en"](text)["input_ids"]
    assert bound["en"](text, split_special_tokens=True)["input_ids"] == [EOS, *by_stages(text, "en")]


def test_the_parts_beside_a_mask_are_tokenized_by_themselves(bound, by_stages):
    before, behind = by_stages("The capital of", "en")[:-1], by_stages("is Paris.", "en")
    assert bound["en"]("The capital of <mask> is Paris.")["input_ids"] == [EOS, *before, MASK, *behind]
    assert bound["en"]("<mask>")["input_ids"] == [EOS, MASK, EOS]


def test_a_pair_is_framed_as_in_xlms_own_code(bound, by_stages):
    first, second = by_stages("Едно изречение.", "bg"), by_stages("Друго", "bg")
    encoded = bound["bg"]("Едно изречение.", "Друго")
    assert encoded["input_ids"] == [EOS, *first, *second]
    assert encoded["token_type_ids"] == [1] * len(encoded["input_ids"])
    mask = bound["bg"]("Едно изречение.", "Друго", return_special_tokens_mask=True)["special_tokens_mask"]
    assert [place for place, special in enumerate(mask) if special] == [0, len(first), len(first) + len(second)]
    batch = bound["bg"](["а", "б в г д"], ["г", "в"], padding=True, truncation=True, max_length=5, return_tensors="pt")
    assert batch["input_ids"].shape == (2, 5) == batch["token_type_ids"].shape
    assert (batch["token_type_ids"] == 1).all()


@pytest.mark.parametrize("kind", [None, "pt", "np"])
def test_the_language_is_there_without_special_tokens_and_as_tensors_too(bound, kind):
    encoded = bound["th"]("ไทย abc", add_special_tokens=False, return_tensors=kind)
    types = np.asarray(encoded["token_type_ids"])
    assert types.size and (types == LANGUAGES.index("th")).all()
    assert EOS not in np.asarray(encoded["input_ids"])


def test_collators_pad_with_the_language(bound):
    tokenizer = bound["zh"]
    examples = [tokenizer(text) for text in ("北京", "北京是中华人民共和国的首都")]
    for collator in (DataCollatorWithPadding(tokenizer), DataCollatorForLanguageModeling(tokenizer)):
        batch = collator(examples)
        assert (batch["token_type_ids"] == LANGUAGES.index("zh")).all()
        assert batch["attention_mask"][0].sum() == len(examples[0]["input_ids"])
        assert (batch["input_ids"][0, len(examples[0]["input_ids"]) :] == PAD).all()


def test_text_comes_back_in_words(bound):
    ids = bound["en"]("The capital of <mask> is Paris.")["input_ids"]
    assert bound["en"].decode(ids) == "</s> the capital of <mask> is paris . </s>"
    assert bound["en"].decode(ids, skip_special_tokens=True) == "the capital of is paris ."


def test_a_saved_tokenizer_opens_in_every_way(run, bound, tmp_path):
    """As the Trainer saves it beside a fine-tuned model; the language is not saved."""
    text = "東京都は、日本の首都"
    remote = AutoTokenizer.from_pretrained(run.export, lang="ja", trust_remote_code=True)
    for number, tokenizer in enumerate((bound["ja"], remote)):
        tokenizer.save_pretrained(tmp_path / str(number))
        assert hf.load(tmp_path / str(number), "ja")(text) == bound["ja"](text)
        again = AutoTokenizer.from_pretrained(tmp_path / str(number), lang="ja", trust_remote_code=True)
        assert again(text) == bound["ja"](text)
        assert len(again) == len(bound["ja"])
        plain = AutoTokenizer.from_pretrained(tmp_path / str(number))
        assert type(plain).__name__ == "XLMTokenizer" and len(plain) == len(again)
        with pytest.raises(UserError, match="needs a language"):
            hf.load(tmp_path / str(number))


def test_tokens_of_your_own_stay_whole_and_are_saved(run, tmp_path):
    tokenizer = hf.load(run.export, lang="en")
    assert tokenizer.add_tokens(["<entity>"]) == 1
    assert tokenizer.tokenize("a<entity>b") == ["a</w>", "<entity>", "b</w>"]
    tokenizer.save_pretrained(tmp_path)
    assert hf.load(tmp_path, "en")("a <entity>") == tokenizer("a <entity>")


@pytest.mark.parametrize("language", ["en", "th", "zh", "ja"])
def test_it_travels_to_other_processes(bound, language):
    text = "東京都は、日本の首都 ไทย abc"
    for twin in (pickle.loads(pickle.dumps(bound[language])), copy.deepcopy(bound[language])):
        assert twin(text) == bound[language](text)


def test_the_language_can_be_changed(run, bound):
    tokenizer = hf.load(run.export, lang="en")
    tokenizer.lang = "th"
    assert tokenizer(run.raw["th"]) == bound["th"](run.raw["th"])
    with pytest.raises(ValueError, match="not trained on xx; accepted as lang: en, bg, ar, th, zh, ja, ro"):
        tokenizer.lang = "xx"
    assert tokenizer.lang == "th"


def test_unknown_languages_and_folders_are_errors(run, tmp_path):
    with pytest.raises(UserError, match="not trained on de; accepted as lang: en, bg, ar, th, zh, ja, ro"):
        hf.load(run.export, lang="de")
    with pytest.raises(UserError, match="needs a language; accepted as lang: en"):
        hf.load(run.export)
    with pytest.raises(UserError, match="is not an exported model"):
        hf.load(tmp_path, lang="en")
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "XLMTokenizer"}')
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((run.export / name).read_bytes())
    with pytest.raises(UserError, match="no lang2id"):
        hf.load(tmp_path, lang="en")


def test_the_only_language_needs_no_name(run, tmp_path):
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).write_bytes((run.export / name).read_bytes())
    config = json.loads((run.export / "tokenizer_config.json").read_text())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config | {"lang2id": {"bg": 0}, "id2lang": {"0": "bg"}}))
    assert hf.load(tmp_path).lang == "bg"


@pytest.mark.parametrize(("language", "package"), [("th", "pythainlp"), ("zh", "rjieba"), ("ja", "unidic-lite")])
def test_a_missing_segmenter_is_named(run, monkeypatch, language, package):
    monkeypatch.setitem(sys.modules, package.replace("-", "_"), None)
    monkeypatch.setitem(sys.modules, "pythainlp.tokenize", None)
    with pytest.raises(UserError, match=f"language {language} needs .*pip install {package}"):
        hf.load(run.export, lang=language)


def test_kytea_is_looked_for_where_the_stages_look(run, monkeypatch):
    assert tokenization_wikixlm.KYTEA_MODELS == word_segmenters.KYTEA_MODELS
    monkeypatch.setattr(tokenization_wikixlm, "KYTEA_MODELS", ("/nowhere/model.bin",))
    with pytest.raises(ImportError, match=r"needs KyTea's model, which is not at /nowhere"):
        tokenization_wikixlm.WikixlmTokenizer.from_pretrained(run.export, lang="ja", japanese_segmenter="kytea")


def test_case_and_accents_stay_where_the_model_kept_them(run, by_stages):
    kept = tokenization_wikixlm.WikixlmTokenizer.from_pretrained(
        run.export, lang="bg", do_lowercase_and_remove_accent=False
    )
    assert kept.tokenize("Й")[-1] == "Й</w>"
    assert torch.tensor(kept("Й")["input_ids"]).numel() == 3
