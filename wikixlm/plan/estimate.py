"""From sources and configuration to core hours, jobs and disk, by speeds and sizes that were measured."""

import math
from dataclasses import dataclass, field

from wikixlm.config import Config
from wikixlm.plan import training
from wikixlm.plan.sizes import Source
from wikixlm.plan.training import Pace
from wikixlm.workflow.run_record import TEXT

MB = 1e6


@dataclass(frozen=True)
class Speed:
    """One core's time for a job: `seconds` to start, and one more for each `mb_per_second` of what `of` names."""

    seconds: float
    mb_per_second: float
    of: str
    source: str

    def core_seconds(self, megabytes: float) -> float:
        """Core seconds of a job on so many MB."""
        return self.seconds + (megabytes / self.mb_per_second if self.mb_per_second else 0.0)


# Measured on 2 cores of a shared virtual machine.
_BUSY = "benchmarks/plan.py, on a busy machine: at least so much"
SPEEDS = {
    "collect_templates": Speed(
        0.8, 3.0, "dump", "`wikixlm collect-templates` on dumps of 2.5 and 3.5 MB, on a busy machine"
    ),
    "extract": Speed(0.8, 1.43, "dump", "benchmarks/text.py: 5.16 MB/s of XML, 3.6 MB a MB of dump"),
    "corpus": Speed(0.5, 20.0, "text", _BUSY),
    "tokenize": Speed(0.55, 6.5, "text", "benchmarks/text.py"),
    "split": Speed(0.2, 10.0, "text", _BUSY),
    "learn_bpe": Speed(0.6, 4.9, "sample", "benchmarks/text.py"),
    "apply_bpe": Speed(0.35, 13.5, "text", "benchmarks/text.py"),
    "apply_bpe_held_out": Speed(0.25, 13.5, "held out", "benchmarks/text.py"),
    "concatenate": Speed(0.2, 28.0, "bpe", _BUSY),
    "binarize": Speed(4.9, 0.95, "bpe", "make demo"),
    "train_mlm": Speed(4.0, 0.0, "", "make demo"),
    "provenance": Speed(0.3, 1500.0, "binary", "make demo; SHA-256 of 200 MB by hashlib"),
    "evaluate_mlm": Speed(4.0, 0.0, "", "make demo"),
}

# Of the demo's English dump, whose articles are long: TEXT_PER_DUMP is an upper bound.
XML_PER_DUMP, TEXT_PER_DUMP = 3.6, 1.55
BYTES_PER_LINE = 372
# Of `make demo`, with MEASURED_CODES codes; BPE text and tokens are fewer with more codes.
TOKENIZED_PER_TEXT, SEGMENTED_PER_TEXT = 0.35, 0.37
BPE_PER_TEXT, TOKENS_PER_BYTE = 1.41, 0.310
# The codes of that run, and the share of its tokens that remains however many codes there are.
MEASURED_CODES, FLOOR = 2000, 0.6
# ids of larger vocabularies take 4 bytes each in fairseq's files.
SHORT_IDS = 65_000
BYTES_OF_INDEX = 12
# profiles/slurm: shards per job of extract and tokenize, and of apply_bpe.
SHARDS_PER_JOB, SEGMENTS_PER_JOB = 8, 16
HOURS_PER_JOB = 24.0


@dataclass
class StageEstimate:
    """A stage: its jobs, MB in, core seconds of all and of the longest job, and where the speed comes from."""

    stage: str
    source: str
    speed: str = ""
    jobs: int = 0
    megabytes: float = 0.0
    core_seconds: float = 0.0
    longest: float = 0.0

    def add(self, jobs: int, megabytes: float, seconds_per_job: float) -> None:
        """Some jobs that take as long each."""
        self.jobs += jobs
        self.megabytes += megabytes
        self.core_seconds += jobs * seconds_per_job
        self.longest = max(self.longest, seconds_per_job)


@dataclass
class Disk:
    """Bytes by what they are for, at the fullest."""

    parts: dict[str, float] = field(default_factory=dict)

    @property
    def peak(self) -> float:
        return sum(self.parts.values())


@dataclass(frozen=True)
class TextEstimate:
    """What becomes of one language, in bytes: dump (as if compressed), text, held-out text, BPE text, and tokens."""

    source: Source
    dump: float
    text: float
    held_out: float
    bpe: float
    tokens: float


def estimate_text(cfg: Config, source: Source) -> TextEstimate:
    """The sizes of one language."""
    fewer = fewer_tokens(cfg.bpe.codes)
    dump = 0.0 if source.kind == TEXT else float(source.size)
    if source.about == "plain XML":
        dump /= XML_PER_DUMP
    text = float(source.size) if source.kind == TEXT else dump * TEXT_PER_DUMP
    lines = sum(cfg.held_out_lines(source.language))
    held_out = min(text / 2, lines * BYTES_PER_LINE)
    return TextEstimate(
        source,
        dump,
        text,
        held_out,
        text * max(1.0, BPE_PER_TEXT * fewer),
        text * TOKENS_PER_BYTE * fewer,
    )


def fewer_tokens(codes: int) -> float:
    """How many tokens a text has with so many codes, of those that it has with MEASURED_CODES.

    30,000 codes on the demo's English text left 0.62 of the tokens that 2,000 gave (1.04 a word for 1.68); in between
    the share falls with the logarithm of the number.
    """
    falls = (1 - 0.62) / math.log(30_000 / MEASURED_CODES)
    return min(1.2, max(FLOOR, 1 - falls * math.log(codes / MEASURED_CODES)))


def estimate_stages(cfg: Config, texts: list[TextEstimate], pace: Pace) -> list[StageEstimate]:
    """A row for each stage that this configuration runs, in their order."""
    rows = {name: _row(name, speed) for name, speed in SPEEDS.items()}
    for text in texts:
        shards = len(cfg.shards(text.source.language))

        def add(stage: str, jobs: int, size: float) -> None:
            rows[stage].add(jobs, size / MB, SPEEDS[stage].core_seconds(size / MB / jobs))

        first, size = ("corpus", text.text) if text.source.kind == TEXT else ("extract", text.dump)
        if first == "extract" and cfg.extract.templates_from_dump:
            add("collect_templates", 1, size)
        add(first, shards, size)
        add("tokenize", shards, text.text)
        add("split", 1, text.text)
        add("apply_bpe", shards, text.text - text.held_out)
        add("apply_bpe_held_out", 2, text.held_out)
        add("concatenate", 1, text.bpe)
        add("binarize", 1, text.bpe)
    total = sum(text.text for text in texts)
    lines = total / BYTES_PER_LINE
    sample = total * min(1.0, cfg.bpe.sample_lines / max(1.0, lines)) if not cfg.bpe.codes_file else 0.0
    rows["learn_bpe"].add(1, sample / MB, SPEEDS["learn_bpe"].core_seconds(sample / MB))
    binary = sum(text.tokens for text in texts) * bytes_per_token(cfg)
    rows["provenance"].add(1, binary / MB, SPEEDS["provenance"].core_seconds(binary / MB))
    seconds = training.training_tokens(cfg) / pace.tokens_per_second
    rows["train_mlm"].add(1, 0.0, SPEEDS["train_mlm"].core_seconds(0) + seconds)
    # A training on the CPU keeps all its cores busy.
    rows["train_mlm"].core_seconds *= pace.cores
    held_out = sum(text.held_out for text in texts) * TOKENS_PER_BYTE
    forward = held_out * fewer_tokens(cfg.bpe.codes) / (3 * pace.tokens_per_second)
    rows["evaluate_mlm"].add(1, 0.0, SPEEDS["evaluate_mlm"].core_seconds(0) + forward)
    for stage in ("train_mlm", "evaluate_mlm"):
        rows[stage].speed = f"{pace.tokens_per_second:,.0f} tokens/s"
        rows[stage].source = pace.source.partition(":")[0]
    return [row for row in rows.values() if row.jobs]


def _row(stage: str, speed: Speed) -> StageEstimate:
    return StageEstimate(
        stage, speed.source, f"{speed.mb_per_second:g} MB/s of {speed.of}" if speed.mb_per_second else ""
    )


def bytes_per_token(cfg: Config) -> int:
    """Of an id in fairseq's binary files (mmap)."""
    return 2 if cfg.bpe.codes < SHORT_IDS else 4


def estimate_disk(cfg: Config, texts: list[TextEstimate], device: str) -> Disk:
    """What lies in the run's directory when it is fullest; temporary shards count as if all were there at once.

    Args:
        device: `cpu`, or the GPU that trains.
    """
    text = sum(each.text for each in texts)
    lines = text / BYTES_PER_LINE
    # Interval checkpoints, best, last, and one that is being written; the model has no optimizer's state.
    checkpoints = (cfg.train.keep_checkpoints + 3) * training.checkpoint_bytes(cfg, device)
    return Disk(
        {
            "dumps": float(sum(each.source.missing for each in texts)),
            "tokenized": text * TOKENIZED_PER_TEXT,
            "segmented shards, temporary": text * SEGMENTED_PER_TEXT,
            "segmented text": sum(each.bpe for each in texts),
            "binary data": sum(each.tokens for each in texts) * bytes_per_token(cfg) + lines * BYTES_OF_INDEX,
            "checkpoints and model": float(checkpoints + training.model_shape(cfg).weights * training.BYTES_PER_WEIGHT),
        }
    )


def slurm_jobs(cfg: Config, rows: list[StageEstimate]) -> dict[str, tuple[int, float]]:
    """Jobs in a cluster's queue with profiles/slurm: number, and hours of the longest, by what they do."""
    by_stage = {row.stage: row for row in rows}
    shards = sum(len(cfg.shards(language)) for language in cfg.languages)
    first = [by_stage[stage].longest for stage in ("extract", "corpus") if stage in by_stage]
    training_hours = by_stage["train_mlm"].longest / 3600
    alone = {stage: (by_stage[stage].jobs, by_stage[stage].longest / 3600) for stage in ("split", "learn_bpe")}
    return {
        "extract, tokenize": (
            math.ceil(shards / SHARDS_PER_JOB),
            (max(first) + by_stage["tokenize"].longest) / 3600,
        ),
        **alone,
        "apply_bpe": (
            math.ceil((shards + 2 * len(cfg.languages)) / SEGMENTS_PER_JOB),
            by_stage["apply_bpe"].longest / 3600,
        ),
        **{
            stage: (by_stage[stage].jobs, by_stage[stage].longest / 3600 / _cores(cfg, stage))
            for stage in ("concatenate", "binarize")
        },
        "train_mlm": (max(1, math.ceil(training_hours / HOURS_PER_JOB)), min(training_hours, HOURS_PER_JOB)),
        **{stage: (1, by_stage[stage].longest / 3600) for stage in ("provenance", "evaluate_mlm")},
    }


def _cores(cfg: Config, stage: str) -> int:
    """Cores of one job with profiles/slurm, whose max-threads is 16."""
    return min(16, cfg.binarize.workers) if stage == "binarize" else 1
