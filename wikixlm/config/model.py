"""The configuration as one typed model. The defaults are in `config.yaml` beside the Snakefile, not here."""

import json

from pydantic import Field, model_validator

from wikixlm import languages, run_layout
from wikixlm.config.crosslingual import Crosslingual, RetrievalPair
from wikixlm.config.data import Binarize, Bpe, Corpora, Dumps, Extract, Split, Tokenize
from wikixlm.config.fields import Language, Section
from wikixlm.config.finetuning import Xnli
from wikixlm.config.training import Evaluate, Train, TrainSettings

# Keys about where and how to run: changing them re-runs nothing.
OPERATIONAL = frozenset(
    {
        "dumps.mirrors",
        "dumps.contact",
        "dumps.transfer_partition",
        "binarize.workers",
        "keep_intermediate",
        *(f"train.{key}" for key in Train.model_fields.keys() - TrainSettings.model_fields.keys()),
        *(f"xnli.{key}" for key in Xnli.OPERATIONAL),
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
    crosslingual: Crosslingual
    xnli: Xnli
    keep_intermediate: bool = Field(description="keep the shards under work/ that are otherwise temporary")

    @model_validator(mode="after")
    def _one_source_per_language(self) -> "Config":
        by_wiki: dict[str, str] = {}
        for lang in self.languages:
            other = by_wiki.setdefault(languages.wiki(lang).dbname, lang)
            if other is not lang or self.languages.count(lang) > 1:
                if other == lang:
                    raise ValueError(f"languages: {lang} is listed twice")
                raise ValueError(f"languages: {other} and {lang} are the same Wikipedia; list one of them")
        both = sorted(set(self.dumps.local) & set(self.corpora.local))
        if both:
            raise ValueError(f"dumps.local and corpora.local both name {', '.join(both)}; each needs one source")
        return self

    @model_validator(mode="after")
    def _pairs_of_the_run(self) -> "Config":
        self.crosslingual.pairs(self.languages)
        return self

    def retrieval_pairs(self) -> list[RetrievalPair]:
        """The pairs of languages whose translations are retrieved."""
        return self.crosslingual.pairs(self.languages)

    def shards(self, lang: str) -> list[str]:
        """The names of a language's shards."""
        return run_layout.shard_names(self.extract.shards_per_language.get(lang, self.extract.shards))

    def held_out_lines(self, lang: str) -> tuple[int, int]:
        """Lines of a language's valid and test splits."""
        valid = self.split.valid_per_language.get(lang, self.split.valid)
        return valid, self.split.test_per_language.get(lang, self.split.test)

    def namespaces(self, lang: str) -> list[int]:
        """The namespaces of a language that count as text."""
        return self.extract.namespaces_per_language.get(lang, self.extract.namespaces)

    def training_megabytes(self) -> int:
        """Memory of the training on each node; each worker adds a process, and the weights that it loads."""
        weights = self.train.dimensions.weights(self.bpe.codes)
        return 10_000 + self.train.gpus * (4_000 + round(12e-6 * weights))

    def bpe_flags(self) -> str:
        """The flags of `wikixlm learn-bpe` on the kind of codes; for merges there are none."""
        if self.tokenize.scheme == "xlm":
            return ""
        return f"--scheme sentencepiece --model {self.bpe.model} --normalization {self.tokenize.normalization}"

    def inline_templates(self, lang: str) -> dict[str, str]:
        """The patterns of templates for a language: those for all, then its own."""
        given = self.extract.inline_templates
        own = given.get(lang, {})
        common = {name: pattern for name, pattern in given.items() if isinstance(pattern, str)}
        return {**common, **(own if isinstance(own, dict) else {})}

    def variant_flag(self, lang: str) -> str:
        """The flag of `wikixlm extract` for a language's chosen variant; empty where none is chosen."""
        chosen = self.extract.variants.get(lang)
        return f"--variant {chosen}" if chosen else ""

    def shaping(self) -> str:
        """The configuration without its operational keys, and without what is done with the finished model, as JSON."""
        content = self.model_dump(mode="json", exclude={"xnli", "crosslingual"})
        for name in OPERATIONAL:
            section, _, key = name.rpartition(".")
            (content.get(section, {}) if section else content).pop(key, None)
        return json.dumps(content, ensure_ascii=False)

    def downloaded(self) -> list[str]:
        """The languages whose dump comes from Wikimedia."""
        return [lang for lang in self.languages if lang not in self.dumps.local and lang not in self.corpora.local]
