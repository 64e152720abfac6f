"""The layout of a run: every path in it, its stages in their order, and the names of shards.

Paths are relative to the run's directory (`snakemake --directory`). A path with `{lang}`, `{shard}`, `{split}` or
`{seed}` is a pattern, for Snakemake's wildcards as for `str.format`.
"""

from dataclasses import dataclass

SPLITS = ("train", "valid", "test")
# A name of a shard, see `shard_name`.
SHARD_PATTERN = r"\d+-of-\d+"

# What Snakemake and `wikixlm status` know of a run.
RUN_RECORD = "work/run.json"
EVENTS = "work/events.jsonl"
LOGS = "logs"
BENCHMARKS = "logs/benchmarks"

DUMP_FOLDER = "dumps/{lang}"
RESOLVED = "dumps/{lang}/resolved.yaml"
DUMP_MANIFEST = "dumps/{lang}/manifest.json"

TEMPLATES = "work/templates/{lang}.json"
EXTRACTED = "work/extracted/{lang}/{shard}.jsonl.zst"
EXTRACT_COUNTS = "work/counts/extract/{lang}/{shard}.json"

TOKENIZED = "work/tokenized/{lang}/{shard}.jsonl.zst"
TOKENIZE_COUNTS = "work/counts/tokenize/{lang}/{shard}.json"

SPLIT_COUNTS = "work/split/{lang}/split.json"
HELD_OUT_LINES = "work/split/{lang}/{split}.zst"
HELD_OUT_HASHES = "work/split/{lang}/held_out.json.zst"

CODES = "monolingual_data/processed/codes"
LEARN_BPE_COUNTS = "work/counts/learn_bpe.json"
SEGMENTED_SHARD = "work/bpe/{lang}/{shard}.zst"
SHARD_SYMBOLS = "work/bpe/{lang}/{shard}.symbols.zst"
APPLY_BPE_COUNTS = "work/counts/apply_bpe/{lang}/{shard}.json"
HELD_OUT_COUNTS = "work/counts/apply_bpe/{lang}/{split}.json"
SEGMENTED = "monolingual_data/processed/{split}.{lang}"
SYMBOLS = "work/vocabulary/{lang}.zst"
CONCATENATE_COUNTS = "work/counts/concatenate/{lang}.json"
SEGMENTATION = "evaluation/segmentation.tsv"
VOCABULARY = "monolingual_data/processed/vocab_mlm"

BINARY = "monolingual_data/fairseq_processed/{split}.{lang}.{extension}"
LANGUAGE_DICTIONARY = "monolingual_data/fairseq_processed/dict.{lang}.txt"
DICTIONARY = "monolingual_data/fairseq_processed/dict.txt"

SAVE_DIR = "checkpoints/mlm"
MODEL = "models/mlm/model.pt"
MODEL_MANIFEST = "models/mlm/manifest.json"
PERPLEXITY = "evaluation/mlm_perplexity.tsv"
CROSSLINGUAL = "evaluation/crosslingual.tsv"
EXPORT = "export"

XNLI_MANIFEST = "xnli/manifest.json"
XNLI_EXAMPLES = "work/xnli/{split}.jsonl.zst"
XNLI_COUNTS = "work/counts/prepare_xnli.json"
XNLI_SAVE_DIR = "checkpoints/xnli/seed-{seed}"
XNLI_MODEL = "models/xnli/seed-{seed}"
XNLI_METRICS = "models/xnli/seed-{seed}/metrics.tsv"
XNLI_TABLE = "evaluation/xnli.tsv"

REPORT = "report.html"
REPORT_TABLES = "report"


@dataclass(frozen=True)
class Stage:
    """A stage of the run.

    Attributes:
        name: also that of its folder under logs/benchmarks/, but for `held_out`, which shares apply_bpe's.
        rules: whose jobs it is made of; finetune_xnli_seed, of which there is a job a seed, is of none.
        proof: the files that lie there once it is done: per shard and language, per language, or one for all languages.
    """

    name: str
    rules: tuple[str, ...]
    proof: tuple[str, ...]

    @property
    def per_language(self) -> bool:
        """Whether every language goes through it by itself."""
        return "{lang}" in self.proof[0]

    @property
    def per_shard(self) -> bool:
        """Whether every shard of a language does."""
        return "{shard}" in self.proof[0]

    def files(self, language: str, shards: int) -> list[str]:
        """The files that prove it done for a language of so many shards."""
        names = shard_names(shards) if self.per_shard else [""]
        return [path.format(lang=language, shard=name) for name in names for path in self.proof]


def of_split(pattern: str, split: str) -> str:
    """A pattern of which only the split is filled in."""
    return pattern.replace("{split}", split)


_HELD_OUT = tuple(of_split(HELD_OUT_COUNTS, split) for split in SPLITS[1:])

STAGES = (
    Stage("download", ("resolve_dump", "download_dump"), (DUMP_MANIFEST,)),
    Stage("extract", ("collect_templates", "extract", "corpus"), (EXTRACT_COUNTS,)),
    Stage("tokenize", ("tokenize",), (TOKENIZE_COUNTS,)),
    Stage("split", ("split",), (SPLIT_COUNTS,)),
    Stage("learn_bpe", ("learn_bpe", "reuse_codes"), (CODES,)),
    Stage("apply_bpe", ("apply_bpe",), (APPLY_BPE_COUNTS,)),
    Stage("held_out", ("apply_bpe_held_out",), _HELD_OUT),
    Stage("concatenate", ("concatenate",), (of_split(SEGMENTED, "train"),)),
    Stage("segmentation", ("segmentation",), (SEGMENTATION,)),
    Stage("vocabulary", ("vocabulary", "reuse_vocabulary"), (VOCABULARY,)),
    Stage("binarize", ("binarize",), (LANGUAGE_DICTIONARY,)),
    Stage("dictionary", ("dictionary",), (DICTIONARY,)),
    Stage("train_mlm", ("train_mlm",), (MODEL,)),
    Stage("provenance", ("provenance",), (MODEL_MANIFEST,)),
    Stage("evaluate_mlm", ("evaluate_mlm",), (PERPLEXITY,)),
    Stage("export_hf", ("export_hf",), (f"{EXPORT}/config.json",)),
    Stage("evaluate_crosslingual", ("evaluate_crosslingual",), (CROSSLINGUAL,)),
    Stage("download_xnli", ("download_xnli",), (XNLI_MANIFEST,)),
    Stage("prepare_xnli", ("prepare_xnli",), (XNLI_COUNTS,)),
    Stage("finetune_xnli", ("finetune_xnli",), (XNLI_TABLE,)),
    Stage("report", ("report",), (REPORT,)),
)

# Stages in which every language is by itself, and those on all languages together.
PER_LANGUAGE = tuple(stage for stage in STAGES if stage.per_language)
JOINT = tuple(stage for stage in STAGES if not stage.per_language)

# The rules in the order in which their jobs run.
RULES = tuple(rule for stage in STAGES for rule in stage.rules)


def shard_name(shard: int, shards: int) -> str:
    """The name of shard k of n, k counted from 0: `00003-of-00008`."""
    return f"{shard:05d}-of-{shards:05d}"


def shard_names(shards: int) -> list[str]:
    """The names of all shards: a changed number never mixes with old files."""
    return [shard_name(shard, shards) for shard in range(shards)]


def shards_in(name: str) -> tuple[int, int]:
    """Shard and number of shards in a name; the inverse of `shard_name`."""
    shard, _, shards = name.partition("-of-")
    return int(shard), int(shards)
