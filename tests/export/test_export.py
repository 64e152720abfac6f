"""The exported model is the trained one: opened by transformers alone, with the same logits, ids and best words."""

import argparse
import copy
import json
import re
import subprocess
import sys

import pytest
import torch
import yaml
from safetensors import safe_open
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer, XLMTokenizer, pipeline

from tests.support.blocks_data import load_recipe
from tests.support.exports import LANGUAGES, train
from wikixlm import hf
from wikixlm.bpe.codes import SPECIALS
from wikixlm.cli import main
from wikixlm.errors import UserError
from wikixlm.export import bert
from wikixlm.export.card import CardFacts, model_card, read_evaluation
from wikixlm.export.command import FILES, obstacle
from wikixlm.hf import vocabulary
from wikixlm.model.checkpoint import load_state, trained_model
from wikixlm.model.network import NetworkConfig

EOS, MASK = SPECIALS.index("</s>"), SPECIALS.index("<mask>")


def fairseq_model(path, data):
    """The model as fairseq loads it."""
    load_recipe()
    from fairseq import checkpoint_utils

    models, _, _ = checkpoint_utils.load_model_ensemble_and_task([str(path)], {"data": str(data)})
    return models[0].eval()


@pytest.fixture(scope="module")
def trained(run):
    return fairseq_model(run.model, run.data)


@pytest.fixture(scope="module")
def exported(run):
    return AutoModelForMaskedLM.from_pretrained(run.export).eval()


@pytest.fixture(scope="module")
def stock(run):
    """A model of fairseq's own classes, and its export."""
    model = train(run.folder, "tutorial", "stock", updates=4)
    output = run.folder / "stock" / "export"
    main(run.export_arguments(output, model))
    return fairseq_model(model, run.data), AutoModelForMaskedLM.from_pretrained(output).eval()


def batches(run, language, length=32):
    """The language's text as the model may see it, padded, a batch at a time."""
    lines = [[EOS, *line][:length] for line in run.ids[language]]
    for start in range(0, len(lines), 16):
        batch = lines[start : start + 16]
        width = max(map(len, batch))
        yield torch.tensor([line + [1] * (width - len(line)) for line in batch])


def largest_difference(run, language, fairseq, transformers):
    largest = 0.0
    for tokens in batches(run, language):
        languages = torch.full_like(tokens, LANGUAGES.index(language))
        visible = tokens != 1
        with torch.inference_mode():
            wanted = fairseq(tokens, languages)[0]
            logits = transformers(input_ids=tokens, token_type_ids=languages, attention_mask=visible.long()).logits
        largest = max(largest, float((logits - wanted)[visible].abs().max()))
    return largest


@pytest.mark.parametrize("language", LANGUAGES)
def test_logits_are_fairseqs_in_every_language(run, trained, exported, language):
    difference = largest_difference(run, language, trained, exported)
    print(f"{language}: {difference:.1e}")
    assert difference < 1e-5


def test_what_differs_is_rounding(run, trained, exported):
    """In 64-bit floats nothing is left of it."""
    pair = copy.deepcopy(trained).double(), copy.deepcopy(exported).double()
    difference = max(largest_difference(run, language, *pair) for language in ("bg", "th"))
    print(f"float64: {difference:.1e}")
    assert difference < 1e-12


def test_logits_of_fairseqs_stock_classes(run, stock):
    differences = [largest_difference(run, language, *stock) for language in LANGUAGES]
    print(f"stock: {max(differences):.1e}")
    assert max(differences) < 1e-5


def test_another_language_gives_other_logits(run, trained, exported):
    """So that the comparison above would notice a language that doesn't arrive."""
    tokens = next(batches(run, "en"))
    with torch.inference_mode():
        wanted = trained(tokens, torch.full_like(tokens, 0))[0]
        logits = exported(input_ids=tokens, token_type_ids=torch.full_like(tokens, 1)).logits
    assert float((logits - wanted).abs().max()) > 1e-3


def test_it_opens_offline_without_any_code_of_ours(run):
    """Transformers alone: with wikixlm blocked, plain and with the folder's own code."""
    program = f"""
import sys
sys.modules["wikixlm"] = None
import json
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer
path = {str(run.export)!r}
AutoModelForMaskedLM.from_pretrained(path), AutoModel.from_pretrained(path)
plain = AutoTokenizer.from_pretrained(path)
bound = {{code: AutoTokenizer.from_pretrained(path, lang=code, trust_remote_code=True) for code in {LANGUAGES}}}
lines = json.load(sys.stdin)
print(json.dumps([type(plain).__name__, plain(lines["en"])["input_ids"], plain("a b", "c").data,
    {{code: dict(bound[code](lines[code])) for code in bound}}]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(run.raw),
        env={"PATH": "/usr/bin:/bin", "HOME": str(run.folder), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    name, plain, pair, bound = json.loads(done.stdout.splitlines()[-1])
    assert name == "XLMTokenizer"
    assert plain == [[EOS, *line] for line in run.ids["en"]]
    assert set(pair) == {"input_ids", "attention_mask"}, "no segments, which would be languages"
    for number, code in enumerate(LANGUAGES):
        assert bound[code]["input_ids"] == [[EOS, *line] for line in run.ids[code]]
        assert {value for row in bound[code]["token_type_ids"] for value in row} == {number}


def test_the_folder_holds_what_it_should(run):
    assert {entry.name for entry in run.export.iterdir()} == set(FILES)
    assert all(entry.stat().st_mode & 0o444 == 0o444 for entry in run.export.iterdir())
    assert (run.export / hf.CODE.name).read_bytes() == hf.CODE.read_bytes()
    config = json.loads((run.export / "config.json").read_text())
    assert config["lang2id"] == {code: number for number, code in enumerate(LANGUAGES)}
    assert config["japanese_segmenter"] == "fugashi"
    assert config["do_lowercase_and_remove_accent"] is True
    with safe_open(run.export / "model.safetensors", "pt") as weights:
        assert all(weights.get_tensor(name).dtype == torch.float32 for name in weights.keys())  # noqa: SIM118


def test_the_ids_of_the_vocabulary_are_fairseqs(run):
    symbols = [*SPECIALS, *(line.split(" ")[0] for line in (run.folder / "vocab_mlm").read_text().split("\n")[:-1])]
    encoder = json.loads((run.export / "vocab.json").read_text())
    assert [vocabulary.fairseq_symbol(symbol) for symbol, _ in sorted(encoder.items(), key=lambda e: e[1])] == symbols
    assert len(symbols) == AutoModel.from_pretrained(run.export).config.vocab_size
    assert len(AutoTokenizer.from_pretrained(run.export)) == len(symbols)


@pytest.mark.parametrize(("fairseq", "xlm"), [("low@@", "low"), ("er", "er</w>"), ("@@", "@@</w>"), ("@@@", "@")])
def test_symbols_go_over_and_back(fairseq, xlm):
    assert vocabulary.xlm_symbol(fairseq) == xlm
    assert vocabulary.fairseq_symbol(xlm) == fairseq


def test_symbols_that_become_one_are_an_error():
    with pytest.raises(UserError, match=r"<mask> and <mask>@@ are one and the same"):
        vocabulary.symbol_ids([*SPECIALS, "<mask>@@"])


def masked_lines(run, tokenizer):
    """Raw lines with a word in the middle masked, and the ids of the whole line with that word masked.

    Words are taken that stand between spaces and letters, so that the parts of the line are tokenized as the whole is.
    """
    for line, ids in zip(run.raw[tokenizer.lang], run.ids[tokenizer.lang], strict=True):
        for word in re.finditer(r"(?<=\w )[^\W\d_]{3,}(?= \w)", line):
            place = len(tokenizer(line[: word.start()], add_special_tokens=False)["input_ids"])
            inside = tokenizer(word[0], add_special_tokens=False)["input_ids"]
            if len(inside) == 1 and ids[place : place + 1] == inside and len(ids) < 31:
                yield line[: word.start()] + "<mask>" + line[word.end() :], [EOS, *ids[:place], MASK, *ids[place + 1 :]]
                break


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pipelines_ten_best_words_are_fairseqs(run, trained, exported, language):
    tokenizer = hf.load(run.export, lang=language)
    fill = pipeline("fill-mask", model=exported, tokenizer=tokenizer, top_k=10)
    if language in ("en", "bg"):
        cases = list(masked_lines(run, tokenizer))[:20]
    else:  # a few sentences, in some no spaces: the mask is put in between
        texts = [f"{line[:9]}{tokenizer.mask_token}{line[9:18]}" for line in run.raw[language]]
        cases = [(text, tokenizer(text)["input_ids"]) for text in texts]
    assert cases
    for text, ids in cases:
        assert tokenizer(text)["input_ids"] == ids
        tokens = torch.tensor([ids])
        with torch.inference_mode():
            logits = trained(tokens, torch.full_like(tokens, LANGUAGES.index(language)))[0][0, ids.index(MASK)]
        wanted = logits.softmax(-1).topk(10)
        found = fill(text)
        assert [guess["token"] for guess in found] == wanted.indices.tolist()
        assert [guess["score"] for guess in found] == pytest.approx(wanted.values.tolist(), abs=1e-6)


def test_the_card_tells_what_the_run_was(run):
    card = (run.export / "README.md").read_text()
    metadata = yaml.safe_load(card.split("---\n")[1])
    assert metadata["language"] == ["en", "bg", "ar", "th", "zh", "ja", "ro"]
    assert "license" not in metadata, "the text in ro is somebody's own"
    (result,) = metadata["model-index"][0]["results"]
    assert result["dataset"]["config"] == "ar"
    assert {metric["type"]: metric["value"] for metric in result["metrics"]} == {
        "perplexity": 148.4132,
        "accuracy": 0.125,
    }
    assert "arwiki, dump of 20261101, 1.2 GB" in card
    assert f"{sum(map(len, run.ids['th'])):,}" in card
    assert "| ar | test | 120 | 148.4 | 0.125 | 301.5 |" in card
    assert "CC BY-SA" in card and "https://ar.wikipedia.org" in card
    assert "https://ro.wikipedia.org" not in card and "The text in ro is not from Wikipedia" in card
    assert "| max_update | 40 |" in card
    assert "for th pythainlp, for zh rjieba, for ja fugashi and unidic-lite" in card
    assert str(run.folder) not in card, "a path of this machine is nobody's business"


def test_the_cards_metadata_names_languages_as_the_world_does():
    codes = ["en", "als", "simple", "zh-yue", "no", "nds-nl", "be-tarask", "zh-min-nan"]
    facts = CardFacts(codes, NetworkConfig(100, len(codes), 32), 900, lowercase=True, japanese="kytea")
    metadata = yaml.safe_load(model_card(facts).split("---\n")[1])
    assert metadata["language"] == ["en", "gsw", "yue", "no", "nds", "be", "nan"]
    assert metadata["language_bcp47"] == ["en", "gsw", "yue", "no", "nds-NL", "be-tarask", "nan"]
    assert metadata["license"] == "cc-by-sa-4.0"
    assert metadata["datasets"] == ["wikimedia/wikipedia"]


def test_a_target_is_the_whole_word(run, exported):
    """`the` alone would be the beginning of a longer word, if the vocabulary has both."""
    tokenizer = hf.load(run.export, lang="en")
    both = [symbol for symbol in tokenizer.encoder if f"{symbol}</w>" in tokenizer.encoder]
    assert both
    fill = pipeline("fill-mask", model=exported, tokenizer=tokenizer)
    for symbol in both[:3]:
        (guess,) = fill("a <mask> b", targets=[symbol])
        assert guess["token"] == tokenizer.encoder[f"{symbol}</w>"]
        (guess,) = fill("a <mask> b", targets=[f"{symbol}@@"])
        assert guess["token"] == tokenizer.encoder[symbol]
    assert len(tokenizer.get_vocab()) == len(tokenizer) == len(tokenizer.encoder)
    assert sorted(tokenizer.get_vocab().values()) == list(range(len(tokenizer)))


def test_the_cards_snippet_runs(run):
    (snippet,) = re.findall(r"```python\n(.*?)```", (run.export / "README.md").read_text(), re.S)
    done = subprocess.run(
        [sys.executable, "-c", snippet],
        cwd=run.export.parent,
        env={"PATH": "/usr/bin:/bin", "HOME": str(run.folder), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 5


# --- what can't be exported, and what a failure leaves ---


def refused(run, output, capsys, model=None):
    with pytest.raises(SystemExit):
        main(run.export_arguments(output, model))
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return line


def test_what_stands_in_the_way_is_known_before_the_training(monkeypatch):
    assert obstacle(embedding_norm=True, stages_run_here=True) is None
    assert "train.encoder_normalize_before: true" in obstacle(embedding_norm=False, stages_run_here=False)
    assert "have no export yet" in obstacle(embedding_norm=True, stages_run_here=False, scheme="sentencepiece")
    monkeypatch.setattr("wikixlm.export.command.find_spec", lambda name: None)
    assert obstacle(embedding_norm=True, stages_run_here=False) is None, "conda environments have their own packages"
    assert "pip install 'wikixlm[hf]'" in obstacle(embedding_norm=True, stages_run_here=True)


def without(state, name):
    return {**state, "model": {key: value for key, value in state["model"].items() if name not in key}}


def test_a_model_without_layernorm_on_its_embeddings_is_refused(run, tmp_path, capsys):
    torch.save(without(load_state(run.model), "emb_layer_norm"), tmp_path / "model.pt")
    line = refused(run, tmp_path / "export", capsys, tmp_path / "model.pt")
    assert "fits no class of transformers" in line and "train.encoder_normalize_before: true" in line
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.parametrize("missing", ["segment_embeddings", "lm_output_learned_bias"])
def test_other_models_are_refused(run, tmp_path, missing):
    state = without(load_state(run.model), missing)
    with pytest.raises(UserError, match=f"is not a masked language model of this pipeline: it has no .*{missing}"):
        trained_model(state, tmp_path / "model.pt")
    state = load_state(run.model)
    options = argparse.Namespace(**{**vars(state["cfg"]["model"]), "activation_fn": "relu"})
    with pytest.raises(UserError, match="its activation is relu"):
        trained_model({**state, "cfg": {"model": options}}, tmp_path / "model.pt")


def test_another_vocabulary_is_refused(run, tmp_path, capsys, monkeypatch):
    lines = (run.folder / "vocab_mlm").read_text().splitlines()
    (tmp_path / "vocab_mlm").write_text("\n".join([lines[1], lines[0], *lines[2:], ""]))
    words = run.export_arguments(tmp_path / "export")
    words[words.index("--vocabulary") + 1] = str(tmp_path / "vocab_mlm")
    with pytest.raises(SystemExit):
        main(words)
    assert "trained with another vocabulary" in capsys.readouterr().err


@pytest.mark.parametrize("rows", ["", "ar\ttest\t120", "ar\ttest\t120\t5\t148.4\t0.1\t3", "ar\ttest\ta\tb\tc\td\te\n"])
def test_a_table_of_perplexities_that_is_cut_short_is_one_line(tmp_path, rows):
    (tmp_path / "table.tsv").write_text(f"language\tsplit\ttokens\tloss\tperplexity\taccuracy\tunigram\n{rows}")
    with pytest.raises(UserError, match=r"table\.tsv is (not a table|cut short).*; delete it and run again"):
        read_evaluation(tmp_path / "table.tsv")


def test_a_folder_with_other_things_is_not_replaced(run, tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert f"{tmp_path} holds notes.txt" in refused(run, tmp_path, capsys)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_failed_export_leaves_the_old_one(run, tmp_path, capsys, monkeypatch):
    """Weights in the wrong places are noticed; nothing else would notice them here."""
    output = tmp_path / "export"
    main(run.export_arguments(output))
    before = {entry.name: entry.read_bytes() for entry in output.iterdir()}
    monkeypatch.setitem(bert._LAYER, "self_attn.q_proj", "attention.self.key")
    monkeypatch.setitem(bert._LAYER, "self_attn.k_proj", "attention.self.query")
    capsys.readouterr()
    assert "logits differ from the trained one's" in refused(run, output, capsys)
    assert {entry.name: entry.read_bytes() for entry in output.iterdir()} == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["export"]
    monkeypatch.undo()
    main(run.export_arguments(output))
    assert {entry.name: entry.read_bytes() for entry in output.iterdir()} == before


def test_the_plain_tokenizer_class_is_transformers_own(run):
    assert type(AutoTokenizer.from_pretrained(run.export)) is XLMTokenizer
