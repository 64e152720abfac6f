"""The sections of the configuration that shape the data, from dumps to binarized text."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from wikixlm.config.fields import Date, File, Language, Mirror, Natural, Positive, Section, Seed, Shards
from wikixlm.languages import VARIANTS


class Dumps(Section):
    """Where each language's Wikipedia dump comes from."""

    mirrors: list[Mirror] = Field(
        min_length=1,
        description="base URLs, tried in order; hashes always come from the first; credentials belong into `~/.netrc`",
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

    shards: Shards = Field(description="independent jobs per language")
    shards_per_language: dict[Language, Shards] = Field(description="other numbers of shards for some languages")
    min_chars: Natural = Field(description="articles with less text than this many characters are left out")
    namespaces: list[Natural] = Field(min_length=1, description="page namespaces that count as text (0: articles)")
    namespaces_per_language: dict[Language, Annotated[list[Natural], Field(min_length=1)]] = Field(
        description="other namespaces for some languages"
    )
    lists: Literal["prose", "all", "none"] = Field(
        description="list items that are text: `prose` those that are sentences, outside of sections of references and "
        "links; `all`; `none`, as XLM"
    )
    headings: Literal["keep", "drop"] = Field(description="whether headings are lines of text")
    variants: dict[Language, str] = Field(
        description="variant of a language that is written in several: `{zh: zh-tw}`; default: zh-cn, sr-ec, kk-cyrl, …"
    )
    templates_from_dump: bool = Field(
        description="whether templates that only pass their values on are read from the dump, which is read once more"
    )
    inline_templates: dict[str, str | dict[str, str]] = Field(
        description="text that replaces a template in a sentence, on top of the built-in table: "
        '`unité: "{1} {2}"`, for one language `fr: {unité: "{1} {2}"}`'
    )
    stall_seconds: Positive = Field(
        description="a page on which the extraction makes no progress for this long is skipped, and named"
    )

    @field_validator("variants")
    @classmethod
    def _known_variants(cls, value: dict[str, str]) -> dict[str, str]:
        for language, variant in value.items():
            known = VARIANTS.get(language, ())
            if variant not in known:
                accepted = ", ".join(known) or "none: the language has no variants"
                raise ValueError(f"{language}: {variant} is not a variant of it; accepted: {accepted}")
        return value


class Split(Section):
    """Which articles are held out."""

    valid: Positive = Field(description="lines of whole articles for validation, per language")
    test: Positive = Field(description="lines of whole articles for the test set, per language")
    valid_per_language: dict[Language, Positive] = Field(description="other sizes of valid for some languages")
    test_per_language: dict[Language, Positive] = Field(description="other sizes of test for some languages")
    seed: Seed = Field(description="seeds the order in which articles are chosen")
    deduplicate: bool = Field(
        description="drop training lines of 50 characters or more that repeat another one of the language"
    )


class Tokenize(Section):
    """From text to tokens."""

    scheme: Literal["xlm", "sentencepiece"] = Field(
        description="`xlm`: words by each language's rules, as XLM; `sentencepiece`: no rules of any language, "
        "pieces of normalized text, as XLM-R; its models have no export yet"
    )
    normalization: Literal["nfkc", "nfc", "none"] = Field(
        description="Unicode form of the text, with the scheme `sentencepiece`: `nfkc` (as XLM-R) makes of ² a 2 and "
        "of full-width letters plain ones; `nfc` only composes marks"
    )
    lowercase_and_remove_accent: bool = Field(
        description="as XLM-15, which is uncased; XLM-17 and later models keep case and accents"
    )
    japanese: Literal["kytea", "fugashi", "moses"] = Field(
        description="words of Japanese: `kytea` as XLM (needs KyTea's model file); `fugashi` (MeCab, UniDic's short "
        "units) or `moses` (punctuation only), with which transformers' XLMTokenizer gives tokens unlike the model's"
    )

    @property
    def normalization_of_pieces(self) -> str | None:
        """The normalization that the codes must have; None: they are merges."""
        return self.normalization if self.scheme == "sentencepiece" else None

    def flags(self, lang: str | None = None) -> str:
        """The flags of `wikixlm tokenize` for a language, or of `wikixlm export`."""
        if self.scheme == "sentencepiece":
            return f"--scheme sentencepiece --normalization {self.normalization}"
        accents = "" if self.lowercase_and_remove_accent else "no-"
        japanese = self.japanese if lang in (None, "ja") else "kytea"
        return f"--scheme xlm --{accents}lowercase-and-remove-accent --japanese {japanese}"

    @model_validator(mode="after")
    def _keys_of_the_scheme(self) -> "Tokenize":
        if self.scheme == "sentencepiece" and self.lowercase_and_remove_accent:
            raise ValueError(
                "tokenize.lowercase_and_remove_accent: true belongs to tokenize.scheme: xlm; sentencepiece keeps both"
            )
        return self


class Bpe(Section):
    """The joint symbols: byte-pair encoding, or pieces."""

    codes: Positive = Field(
        description="number of merges learned over all languages; with `tokenize.scheme: sentencepiece` of pieces, to "
        "which the 256 bytes are added"
    )
    model: Literal["unigram", "bpe"] = Field(description="of the pieces of `tokenize.scheme: sentencepiece`")
    alpha: Annotated[float, Field(ge=0, le=1)] = Field(
        description="a language with n training lines is sampled in proportion to n^alpha (XLM: 0.5)"
    )
    sample_lines: Positive = Field(description="lines sampled over all languages to learn from")
    seed: Seed = Field(description="seeds the sample")
    codes_file: File | None = Field(
        description="use these codes instead of learning: fastBPE's format, or a tokenizer.json of pieces"
    )
    vocab_file: File | None = Field(description="use this vocabulary (`symbol count` lines), ids included")

    @model_validator(mode="after")
    def _vocabulary_of_codes(self) -> "Bpe":
        if self.vocab_file and not self.codes_file:
            raise ValueError(
                "bpe.vocab_file is set without bpe.codes_file: newly learned codes make other symbols than that "
                "vocabulary has; set bpe.codes_file to the codes of the same run"
            )
        return self


class Binarize(Section):
    """fairseq-preprocess."""

    workers: Positive = Field(description="processes per language")
    dataset_impl: Literal["mmap", "lazy"] = Field(description="fairseq's storage; training always matches it")
