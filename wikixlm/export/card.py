"""The model card, `README.md` of an exported model, from the run's own records."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from wikixlm import formatting, hf
from wikixlm.errors import UserError
from wikixlm.files import open_text
from wikixlm.languages import bcp47, wiki

if TYPE_CHECKING:  # `wikixlm summary` reads the evaluation by this module, without torch
    from wikixlm.model.network import NetworkConfig

# The settings that matter most to a reader; all others are in the run's manifest.
_TRAINING = (
    *("recipe", "max_update", "max_tokens", "update_freq", "tokens_per_sample", "lr", "warmup_updates", "dropout"),
    *("alpha", "mask_ratio", "precision", "seed"),
)


# The columns of the evaluation that the card shows.
_EVALUATED = ("tokens", "perplexity", "accuracy", "unigram")


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
    config: "NetworkConfig"
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
    """The rows of `evaluation/mlm_perplexity.tsv`.

    Raises:
        UserError: the file can't be read, is not such a table, or is cut short.
    """
    with open_text(path) as stream:
        try:
            text = stream.read()
            rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
            for row in rows:
                _ = row["language"] + row["split"]
                _ = [float(row[name]) for name in _EVALUATED]
        except (KeyError, TypeError, ValueError) as failure:
            raise UserError(
                f"{path} is not a table of `wikixlm evaluate` ({failure}); delete it and run again"
            ) from failure
    if not rows or not text.endswith("\n"):
        raise UserError(f"{path} is cut short; delete it and run again")
    return rows


def _head(facts: CardFacts) -> str:
    return f"""---
{_metadata(facts)}
---

# A masked language model of {len(facts.languages)} language{"s" if len(facts.languages) > 1 else ""}

Trained on Wikipedia's text in {", ".join(facts.languages)} by wikixlm, as XLM was (Lample and Conneau 2019,
https://arxiv.org/abs/1901.07291), for masked language modelling. Here it is transformers' `BertForMaskedLM`, whose
`token_type_ids` are the language's id.
"""


def _metadata(facts: CardFacts) -> str:
    """The Hub's metadata as YAML. Its `language` takes ISO 639 codes only, `language_bcp47` whole tags."""
    tags = list(dict.fromkeys(map(bcp47, facts.languages)))
    local = _local_languages(facts)
    metadata: dict[str, Any] = {"language": list(dict.fromkeys(tag.split("-")[0] for tag in tags))}
    if any("-" in tag for tag in tags):
        metadata["language_bcp47"] = tags
    if not local:  # the licence of other text is its owner's
        metadata |= {"license": "cc-by-sa-4.0", "datasets": ["wikimedia/wikipedia"]}
    metadata |= {
        "library_name": "transformers",
        "pipeline_tag": "fill-mask",
        "tags": ["wikixlm", "xlm", "masked-lm"],
    }
    if facts.evaluation:
        metadata["model-index"] = [
            {"name": "wikixlm", "results": [_result(row) for row in facts.evaluation if row["language"] != "mean"]}
        ]
    return yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, default_flow_style=None, width=10_000).rstrip()


def _result(row: Mapping[str, str]) -> dict[str, Any]:
    """A row of the evaluation in the form of the Hub's model-index."""
    name = f"Wikipedia ({row['language']})"
    return {
        "task": {"type": "fill-mask", "name": "Masked language modelling"},
        "dataset": {"type": "wikipedia", "name": name, "config": row["language"], "split": row["split"]},
        "metrics": [
            {"type": "perplexity", "value": float(row["perplexity"])},
            {"type": "accuracy", "value": float(row["accuracy"])},
        ],
    }


def _local_languages(facts: CardFacts) -> list[str]:
    """The languages whose text is not from Wikipedia."""
    return sorted(facts.manifest.get("configuration", {}).get("corpora", {}).get("local", {}))


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
        wiki, date = formatting.markdown(source["wiki"]), formatting.markdown(source["date"])
        return f"{wiki}, dump of {date}, {formatting.size(source.get('size', 0))}"
    name, digest = formatting.markdown(Path(source["path"]).name), formatting.markdown(source["sha256"][:12])
    return f"{name}, {formatting.size(source['size'])}, SHA-256 {digest}…"


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
    lines += [f"| {key} | {formatting.markdown(training[key])} |" for key in _TRAINING if key in training]
    made = [
        f"| {key} | {formatting.markdown(facts.manifest[key])} |"
        for key in ("made", "wikixlm", "git_commit")
        if facts.manifest.get(key)
    ]
    return "\n".join([*lines, *made, ""])


def _perplexity(facts: CardFacts) -> str:
    if not facts.evaluation:
        return "## Perplexity\n\nNot evaluated.\n"
    lines = ["## Perplexity", "", "| language | split | masked tokens | perplexity | accuracy | unigram baseline |"]
    lines.append("| --- | --- | --- | --- | --- | --- |")
    for row in facts.evaluation:
        figures = f"{float(row['perplexity']):.1f} | {float(row['accuracy']):.3f} | {float(row['unigram']):.1f}"
        named = " | ".join(formatting.markdown(row[name]) for name in ("language", "split", "tokens"))
        lines.append(f"| {named} | {figures} |")
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
    own = _local_languages(facts)
    from_wikipedia = [code for code in facts.languages if code not in own]
    lines = ["## Licence of the data", ""]
    if from_wikipedia:
        hosts = ", ".join(f"https://{wiki(code).host}" for code in from_wikipedia)
        lines.append(f"The text of Wikipedia is under CC BY-SA 4.0; its authors are those of the articles: {hosts}.")
    if own:
        lines.append(
            f"The text in {', '.join(map(formatting.markdown, own))} is not from Wikipedia; its licence is its owner's."
        )
    return "\n".join([*lines, ""])
