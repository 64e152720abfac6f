"""The configuration: one typed model that validates `config.yaml` and its overlays.

The model holds no defaults: they stand in `config.yaml` beside the Snakefile, which is always the base; overlays
(`--configfile`, `--config`) are merged on top. Every problem is reported as one line that names the key.
"""

import difflib
import json
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from wikixlm import console, languages
from wikixlm.errors import UserError
from wikixlm.packagepath import locate
from wikixlm.text import segmenters


class ConfigError(UserError):
    """What is wrong with a configuration: one line a problem, in `problems`."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def _language(value: Any) -> Any:
    if value is False:
        raise ValueError('YAML reads an unquoted no as false; for Norwegian write "no", with the quotes')
    if not isinstance(value, str):
        raise ValueError("a language is a Wikipedia's code, such as de or zh-yue")
    if not languages.is_language(value):
        guess = languages.suggest(value)
        hint = f"; did you mean {guess}?" if guess else ""
        raise ValueError(f"no Wikipedia has this language code{hint}")
    return value


def _file(value: str) -> str:
    path = locate(value)
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "does not exist"
        raise ValueError(f"this file {kind} (relative paths count from {Path.cwd()})")
    return value


def _date(value: Any) -> Any:
    text = str(value)
    if text != "latest" and not re.fullmatch(r"20\d{6}", text):
        raise ValueError("accepted: latest, or a dump's date such as 20261101")
    return text


Language = Annotated[str, BeforeValidator(_language)]
File = Annotated[str, AfterValidator(_file)]
Date = Annotated[str, BeforeValidator(_date)]
Positive = Annotated[int, Field(ge=1, strict=True)]
Natural = Annotated[int, Field(ge=0, strict=True)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values can't be changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Dumps(Section):
    """Where each language's Wikipedia dump comes from."""

    mirrors: list[Annotated[str, Field(pattern=r"^https?://[^/]")]] = Field(
        min_length=1, description="base URLs, tried in order; hashes always come from the first"
    )
    date: Date = Field(description="`latest` (the newest complete dump, then kept) or a date such as `20261101`")
    layout: Literal["auto", "multistream", "content_current"] = Field(
        description="Wikimedia's dump layout: `multistream` (classic), `content_current` (newer), `auto` tries both"
    )
    contact: str = Field(description="e-mail address or URL for the User-Agent; Wikimedia asks for one")
    transfer_partition: str | None = Field(
        description="SLURM partition whose jobs download; `null`: the machine where Snakemake runs does"
    )
    local: dict[Language, File] = Field(
        description="language: path of a dump already on disk; such a language downloads nothing"
    )


class Corpora(Section):
    """Your own text instead of a Wikipedia."""

    local: dict[Language, Annotated[list[File], Field(min_length=1)]] = Field(
        description="language: list of plain-text files, one paragraph a line"
    )


class Extract(Section):
    """From dump to text."""

    shards: Positive = Field(description="independent jobs per language")
    shards_per_language: dict[Language, Positive] = Field(description="other numbers of shards for some languages")
    min_chars: Natural = Field(description="articles with less text than this many characters are left out")
    namespaces: list[Natural] = Field(min_length=1, description="page namespaces that count as text (0: articles)")
    namespaces_per_language: dict[Language, Annotated[list[Natural], Field(min_length=1)]] = Field(
        description="other namespaces for some languages"
    )
    inline_templates: dict[str, str] = Field(
        description='what remains of a template in running text, on top of the built-in table: `unité: "{1} {2}"`'
    )


class Split(Section):
    """Which articles are held out."""

    valid: Positive = Field(description="lines of whole articles for validation, per language")
    test: Positive = Field(description="lines of whole articles for the test set, per language")
    valid_per_language: dict[Language, Positive] = Field(description="other sizes of valid for some languages")
    test_per_language: dict[Language, Positive] = Field(description="other sizes of test for some languages")
    seed: Natural = Field(description="seeds the order in which articles are chosen")


class Tokenize(Section):
    """From text to tokens."""

    lowercase_and_remove_accent: bool = Field(description="as in XLM-15 and XLM-17 uncased models")
    japanese: Literal["kytea", "fugashi", "moses"] = Field(
        description="words of Japanese: `kytea` as XLM (needs KyTea's model file); `fugashi` (MeCab, UniDic's short "
        "units) or `moses` (punctuation only), with which transformers' XLMTokenizer gives tokens unlike the model's"
    )


class Bpe(Section):
    """Joint byte-pair encoding."""

    codes: Positive = Field(description="number of merges learned over all languages")
    alpha: Annotated[float, Field(ge=0, le=1)] = Field(
        description="a language with n training lines is sampled in proportion to n^alpha (XLM: 0.5)"
    )
    sample_lines: Positive = Field(description="lines sampled over all languages to learn from")
    seed: Natural = Field(description="seeds the sample")
    codes_file: File | None = Field(description="use these codes (fastBPE's format) instead of learning")
    vocab_file: File | None = Field(description="use this vocabulary (`symbol count` lines), ids included")


class Binarize(Section):
    """fairseq-preprocess."""

    workers: Positive = Field(description="processes per language")
    dataset_impl: Literal["mmap", "lazy"] = Field(description="fairseq's storage; training always matches it")


class Train(Section):
    """fairseq-train."""

    recipe: Literal["wikixlm", "tutorial"] = Field(description="`tutorial`: fairseq's stock classes and flags")
    arch: str = Field(description="fairseq architecture")
    encoder_layers: Positive | None = Field(description="overrides the architecture's number of layers")
    encoder_embed_dim: Positive | None = Field(description="overrides the architecture's width")
    encoder_ffn_embed_dim: Positive | None = Field(description="overrides the feed-forward width")
    encoder_attention_heads: Positive | None = Field(description="overrides the number of attention heads")
    encoder_normalize_before: bool = Field(
        description="LayerNorm on the embeddings, as in XLM's own code; needed for the export to Hugging Face"
    )
    max_update: Positive = Field(description="updates to train; raising it alone goes on from the last checkpoint")
    max_tokens: Positive = Field(description="tokens per batch and GPU")
    tokens_per_sample: Annotated[int, Field(ge=8, strict=True)] = Field(description="tokens per block of text")
    update_freq: Positive = Field(description="batches accumulated per update")
    lr: Annotated[float, Field(gt=0)] = Field(description="peak learning rate")
    warmup_updates: Natural = Field(description="updates of linear warm-up from a hundredth of lr")
    dropout: Fraction = Field(description="dropout")
    attention_dropout: Fraction = Field(description="dropout on attention weights")
    alpha: Annotated[float, Field(ge=0, le=1)] = Field(
        description="a language with n blocks is sampled in proportion to n^alpha (XLM: 0.7); recipe `wikixlm`"
    )
    mask_ratio: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="share of tokens to predict in training (XLM: 0.15); evaluation always masks 0.15; recipe `wikixlm`"
    )
    lr_decay: Literal["linear", "inverse_sqrt", "none"] = Field(
        description="after warm-up; `linear` ends near 0 at max_update; recipe `wikixlm`"
    )
    clip_norm: Annotated[float, Field(ge=0)] = Field(description="largest gradient norm, 0: any; recipe `wikixlm`")
    position_scale: Annotated[float, Field(ge=0)] = Field(
        description="position embeddings start as sinusoids of this amplitude, 0: random; recipe `wikixlm`"
    )
    attention_gain: Annotated[float, Field(ge=0)] = Field(
        description="query and key weights start with deviation gain/√width, 0: 0.02 as BERT; recipe `wikixlm`"
    )
    compile: bool = Field(description="torch.compile on each layer; recipe `wikixlm`")
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        description="`auto`: fp32 on a CPU, bf16 or fp16 on a GPU"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(description="`auto` takes a GPU where there is one")
    gpus: Positive = Field(description="GPUs per node")
    nodes: Positive = Field(description="nodes of a cluster")
    gpu_model: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]+$")] | None = Field(
        description="the cluster's name of a kind of GPU, as `a100` in SLURM's `--gpus=a100:1`; `null`: any"
    )
    constraint: str | None = Field(description="features that the nodes must have, SLURM's `--constraint`")
    save_interval_updates: Positive = Field(description="updates between checkpoints")
    keep_checkpoints: Positive = Field(description="interval checkpoints kept besides best and last")
    tensorboard: bool = Field(description="write TensorBoard's event files beside the checkpoints (needs tensorboard)")
    init_from: File | None = Field(description="a model.pt to start from")
    seed: Natural = Field(description="seeds initialisation, dropout, masks and order")
    extra_args: list[str] = Field(description="appended last to fairseq-train's arguments, so they win")

    OPERATIONAL: typing.ClassVar = frozenset(
        {"device", "gpus", "nodes", "gpu_model", "constraint", "keep_checkpoints", "tensorboard"}
    )

    def settings(self) -> str:
        """What shapes the trained weights, as JSON; keys that only say where and how to run stay out."""
        return self.model_dump_json(exclude=set(self.OPERATIONAL))

    def gpu_resources(self) -> dict[str, int | str]:
        """Snakemake's resources for one GPU of the wanted kind; none where everything runs on the CPU."""
        if self.device == "cpu":
            return {}
        return {"gpu": 1, **({"gpu_model": self.gpu_model} if self.gpu_model else {}), **self._node_features()}

    def training_resources(self) -> dict[str, int | str]:
        """Snakemake's resources for the nodes and GPUs of the training.

        On several nodes GPUs are asked for per node (`gres`), and the job starts a process a node by itself: `mpi` has
        the SLURM plugin leave that to the job, `tasks` and `tasks_per_gpu` make it one process a node.
        """
        wanted: dict[str, int | str] = {"nodes": self.nodes, **self._node_features()}
        if self.nodes == 1:
            return wanted if self.device == "cpu" else {**wanted, **self.gpu_resources(), "gpu": self.gpus}
        wanted |= {"tasks": self.nodes, "mpi": "srun"}
        if self.device != "cpu":
            model = f"{self.gpu_model}:" if self.gpu_model else ""
            wanted |= {"gres": f"gpu:{model}{self.gpus}", "tasks_per_gpu": 0}
        return wanted

    def _node_features(self) -> dict[str, int | str]:
        return {"constraint": self.constraint} if self.constraint else {}


class Evaluate(Section):
    """Masked-token perplexity."""

    seed: Natural = Field(description="seeds the masks")


# Keys that say only where and how to run: a change of them re-runs nothing.
OPERATIONAL = frozenset(
    {
        "dumps.mirrors",
        "dumps.contact",
        "dumps.transfer_partition",
        "binarize.workers",
        "keep_intermediate",
        *(f"train.{key}" for key in Train.OPERATIONAL),
    }
)


class Config(Section):
    """The whole configuration of a run."""

    languages: list[Language] = Field(min_length=1, description="Wikipedia language codes; their order gives the ids")
    dumps: Dumps
    corpora: Corpora
    extract: Extract
    split: Split
    tokenize: Tokenize
    bpe: Bpe
    binarize: Binarize
    train: Train
    evaluate: Evaluate
    keep_intermediate: bool = Field(description="keep the shards under work/ that are otherwise temporary")

    @model_validator(mode="after")
    def _one_source_per_language(self) -> "Config":
        by_wiki: dict[str, str] = {}
        for lang in self.languages:
            other = by_wiki.setdefault(languages.wiki(lang).dbname, lang)
            if other is not lang or self.languages.count(lang) > 1:
                same = lang if other == lang else f"{other} and {lang} (the same Wikipedia)"
                raise ValueError(f"languages: {same}: each language stands once")
        both = sorted(set(self.dumps.local) & set(self.corpora.local))
        if both:
            raise ValueError(f"dumps.local and corpora.local both name {', '.join(both)}; a language has one source")
        return self

    def shards(self, lang: str) -> list[str]:
        """Names of a language's shards, `k-of-n` with k from 0: a changed number never mixes with old files."""
        count = self.extract.shards_per_language.get(lang, self.extract.shards)
        return [f"{k:05d}-of-{count:05d}" for k in range(count)]

    def held_out_lines(self, lang: str) -> tuple[int, int]:
        """Lines that valid and test of a language should have."""
        valid = self.split.valid_per_language.get(lang, self.split.valid)
        return valid, self.split.test_per_language.get(lang, self.split.test)

    def namespaces(self, lang: str) -> list[int]:
        """The namespaces of a language that count as text."""
        return self.extract.namespaces_per_language.get(lang, self.extract.namespaces)

    def shaping(self) -> str:
        """The configuration without its operational keys, as JSON."""
        content = self.model_dump(mode="json")
        for name in OPERATIONAL:
            section, _, key = name.rpartition(".")
            (content[section] if section else content).pop(key)
        return json.dumps(content, ensure_ascii=False)

    def downloaded(self) -> list[str]:
        """The languages whose dump comes from Wikimedia."""
        return [lang for lang in self.languages if lang not in self.dumps.local and lang not in self.corpora.local]


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `overlay` on top: mappings are merged key by key, everything else is replaced."""
    merged = dict(base)
    for key, value in overlay.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def load(base: Path, overlay: Mapping[str, Any]) -> Config:
    """The configuration in the file `base` with `overlay` merged on top.

    Raises:
        ConfigError: unknown or misspelt keys, wrong types or values, missing files; a line for each.
    """
    merged = merge(yaml.safe_load(base.read_text(encoding="utf-8")), overlay)
    try:
        return Config.model_validate(merged)
    except ValidationError as failure:
        raise ConfigError([_describe(dict(problem)) for problem in failure.errors()]) from None


def load_or_exit(base: Path, overlay: Mapping[str, Any], stages_run_here: bool) -> Config:
    """`load`, for the Snakefile: says every problem on a line of its own and ends the program with status 1.

    Where the stages run in this Python, it also looks for the packages that some languages need.
    """
    try:
        cfg = load(base, overlay)
        if stages_run_here:
            for lang in cfg.languages:
                segmenters.check(lang, cfg.tokenize.japanese)
        return cfg
    except ConfigError as failure:
        for problem in failure.problems:
            console.error(problem)
    except UserError as failure:
        console.error(str(failure))
    raise SystemExit(1)


def _describe(problem: dict[str, Any]) -> str:
    """One line for one of pydantic's errors."""
    key = ".".join(str(part) for part in problem["loc"] if part != "[key]")
    if problem["type"] == "extra_forbidden":
        return _unknown_key(problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if not key:
        return f"configuration: {message}"
    if problem["type"] == "missing":
        return f"configuration: {key} is missing"
    if problem["type"] == "model_type":
        message = f"accepted: a mapping with the keys {', '.join(_fields_at(problem['loc']))}"
    return f"configuration: {key}: {problem['input']!r}: {message[0].lower()}{message[1:]}"


def _unknown_key(loc: tuple[str | int, ...]) -> str:
    fields = _fields_at(loc[:-1])
    close = difflib.get_close_matches(str(loc[-1]), fields, n=1)
    hint = f"did you mean {close[0]}?" if close else f"accepted here: {', '.join(fields)}"
    return f"configuration: {'.'.join(map(str, loc))}: unknown key; {hint}"


def _fields_at(loc: tuple[str | int, ...]) -> list[str]:
    model: type[BaseModel] = Config
    for part in loc:
        annotation = model.model_fields[str(part)].annotation
        if isinstance(annotation, types.GenericAlias) or not isinstance(annotation, type):
            break
        model = annotation
    return list(model.model_fields)
