"""The model card, `README.md` of an exported model, from the run's own records."""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wikixlm import formatting, hf
from wikixlm.languages import wiki
from wikixlm.model.network import NetworkConfig

# The settings that matter most to a reader; all others are in the run's manifest.
_TRAINING = (
    *("recipe", "max_update", "max_tokens", "update_freq", "tokens_per_sample", "lr", "warmup_updates", "dropout"),
    *("alpha", "mask_ratio", "precision", "seed"),
)


@dataclass(frozen=True)
class CardFacts:
    """The facts on the card.

    Attributes:
        languages: in the order of their ids.
        config: the model's sizes.
        merges: BPE codes.
        lowercase, japanese: how text is tokenized.
        manifest: the content of `manifest.json`, empty where there is none.
        evaluation: the rows of `mlm_perplexity.tsv`, none where there is none.
        tokens: tokens of training text by language, where known.
    """

    languages: Sequence[str]
    config: NetworkConfig
    merges: int
    lowercase: bool
    japanese: str
    manifest: Mapping[str, Any] = field(default_factory=dict)
    evaluation: Sequence[Mapping[str, str]] = ()
    tokens: Mapping[str, int] = field(default_factory=dict)


def model_card(facts: CardFacts) -> str:
    """The card in Markdown, with the Hub's metadata at its head."""
    sections = (_head, _usage, _languages, _model, _perplexity, _licence)
    return "\n".join(section(facts) for section in sections)


def read_evaluation(path: Path) -> list[dict[str, str]]:
    """The rows of `evaluation/mlm_perplexity.tsv`."""
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def _head(facts: CardFacts) -> str:
    # The Hub refuses codes that are Wikimedia's own (simple, zh-yue).
    listed = ", ".join(f'"{code}"' for code in facts.languages if re.fullmatch("[a-z]{2,3}", code))
    return f"""---
language: [{listed}]
library_name: transformers
pipeline_tag: fill-mask
tags: [wikixlm, xlm, masked-lm]
---

# A masked language model of {len(facts.languages)} language{"s" if len(facts.languages) > 1 else ""}

Trained on Wikipedia's text in {", ".join(facts.languages)} by wikixlm, as XLM was (Lample and Conneau 2019,
https://arxiv.org/abs/1901.07291), for masked language modelling. Here it is transformers' `BertForMaskedLM`, whose
`token_type_ids` are the language's id.
"""


def _usage(facts: CardFacts) -> str:
    first = facts.languages[0]
    code = "en" if "en" in facts.languages else first
    sentence = (
        "The capital of France is {tokenizer.mask_token}." if code == "en" else "1990 {tokenizer.mask_token} 2010"
    )
    return f'''## Use

```python
from transformers import AutoModelForMaskedLM, AutoTokenizer, pipeline

path = "export"  # this folder
model = AutoModelForMaskedLM.from_pretrained(path)
tokenizer = AutoTokenizer.from_pretrained(path, lang="{code}", trust_remote_code=True)
fill = pipeline("fill-mask", model=model, tokenizer=tokenizer)
for guess in fill(f"{sentence}"):
    print(guess["token_str"], guess["score"])
```

`trust_remote_code` runs `{hf.CODE.name}` of this folder, which gives a text the ids that the model was
trained on, and its language's id as `token_type_ids`. It needs the package sacremoses{_segmenters(facts)}.
With wikixlm installed, `wikixlm.hf.load(path, lang="{code}")` is the same without running code from here.

- Without `trust_remote_code`, `AutoTokenizer` gives an XLMTokenizer, which has no language: it segments every text as
  English, and the model reads it as its language 0, {first}. {_plain(first)}

A text of at most {facts.config.max_positions - 2} symbols fits. For sentence vectors, use the mean of
`last_hidden_state` over the text's symbols: `pooler_output` was never trained.
'''


def _plain(first: str) -> str:
    if first == "en":
        return "So it serves English alone."
    return "So it serves no language here well, unless you set `token_type_ids` yourself, and then English alone."


def _segmenters(facts: CardFacts) -> str:
    japanese = {"kytea": "kytea (with KyTea's model file)", "fugashi": "fugashi and unidic-lite"}.get(facts.japanese)
    needed = {"th": "pythainlp", "zh": "rjieba", "ja": japanese}
    return "".join(f", for {code} {needed[code]}" for code in facts.languages if needed.get(code))


def _languages(facts: CardFacts) -> str:
    lines = ["## Languages", "", "| id | code | source | tokens trained on |", "| --- | --- | --- | --- |"]
    for number, code in enumerate(facts.languages):
        sources = facts.manifest.get("sources", {}).get(code, [])
        tokens = f"{facts.tokens[code]:,}" if code in facts.tokens else ""
        lines.append(f"| {number} | {code} | {'; '.join(map(_source, sources)) or 'not recorded'} | {tokens} |")
    return "\n".join([*lines, "", "Tokens are BPE symbols and line ends, each counted once.", ""])


def _source(source: Mapping[str, Any]) -> str:
    """A downloaded dump, or a local file, whose folder is private."""
    if "wiki" in source:
        return f"{source['wiki']}, dump of {source['date']}, {formatting.size(source.get('size', 0))}"
    return f"{Path(source['path']).name}, {formatting.size(source['size'])}, SHA-256 {source['sha256'][:12]}…"


def _model(facts: CardFacts) -> str:
    config = facts.config
    case = "lower-cased, without accents" if facts.lowercase else "with case and accents"
    japanese = f"; Japanese by {facts.japanese}" if "ja" in facts.languages else ""
    lines = [
        "## Model and training",
        "",
        "| | |",
        "| --- | --- |",
        "| layers × width, feed-forward, heads "
        f"| {config.num_layers} × {config.embed_dim}, {config.ffn_dim}, {config.num_heads} |",
        f"| vocabulary | {config.vocab_size:,} symbols, {facts.merges:,} BPE merges over all languages |",
        f"| text | tokenized as XLMTokenizer does, {case}{japanese} |",
    ]
    training = facts.manifest.get("configuration", {}).get("train", {})
    lines += [f"| {key} | {training[key]} |" for key in _TRAINING if key in training]
    made = [
        f"| {key} | {facts.manifest[key]} |" for key in ("made", "wikixlm", "git_commit") if facts.manifest.get(key)
    ]
    return "\n".join([*lines, *made, ""])


def _perplexity(facts: CardFacts) -> str:
    if not facts.evaluation:
        return "## Perplexity\n\nNot evaluated.\n"
    lines = ["## Perplexity", "", "| language | split | masked tokens | perplexity | accuracy | unigram baseline |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for row in facts.evaluation:
        figures = f"{float(row['perplexity']):.1f} | {float(row['accuracy']):.3f} | {float(row['unigram']):.1f}"
        lines.append(f"| {row['language']} | {row['split']} | {row['tokens']} | {figures} |")
    return "\n".join(
        [
            *lines,
            "",
            "15 % of the tokens of held-out articles are predicted. The baseline is the perplexity of a model that",
            "knows only how often each symbol occurs in its language. Perplexities count symbols of this vocabulary.",
            "",
        ]
    )


def _licence(facts: CardFacts) -> str:
    own = sorted(facts.manifest.get("configuration", {}).get("corpora", {}).get("local", {}))
    from_wikipedia = [code for code in facts.languages if code not in own]
    lines = ["## Licence of the data", ""]
    if from_wikipedia:
        hosts = ", ".join(f"https://{wiki(code).host}" for code in from_wikipedia)
        lines.append(f"The text of Wikipedia is under CC BY-SA 4.0; its authors are those of the articles: {hosts}.")
    if own:
        lines.append(f"The text in {', '.join(own)} is not from Wikipedia; its licence is its owner's.")
    return "\n".join([*lines, ""])
