"""From sources, configuration and calibration to core hours, jobs and disk."""

import math
from dataclasses import dataclass, field

from wikixlm.config import Config
from wikixlm.plan import training
from wikixlm.plan.calibration import Calibration
from wikixlm.plan.sizes import Source
from wikixlm.plan.training import Pace
from wikixlm.workflow.run_record import TEXT

MB = 1e6
# Codes at which sizes were measured, and how little of them remains however many codes there are.
MEASURED_CODES, FLOOR = 2000, 0.6
# ids of larger vocabularies take 4 bytes each in fairseq's files.
SHORT_IDS = 65_000
BYTES_OF_INDEX = 12
# profiles/slurm: shards per job of extract and tokenize, and of apply_bpe.
SHARDS_PER_JOB, SEGMENTS_PER_JOB = 8, 16
HOURS_PER_JOB = 24.0


@dataclass
class Row:
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
class Text:
    """What becomes of one language, in bytes: dump (as if compressed), text, held-out text, BPE text, and tokens."""

    source: Source
    dump: float
    text: float
    held_out: float
    bpe: float
    tokens: float


def text_of(cfg: Config, calibration: Calibration, source: Source) -> Text:
    """The sizes of one language."""
    fewer = fewer_tokens(cfg.bpe.codes)
    dump = 0.0 if source.kind == TEXT else float(source.size)
    if source.about == "plain XML":
        dump /= calibration.size("xml_per_dump")
    text = float(source.size) if source.kind == TEXT else dump * calibration.size("text_per_dump")
    lines = sum(cfg.held_out_lines(source.language))
    held_out = min(text / 2, lines * calibration.size("text_per_line"))
    return Text(
        source,
        dump,
        text,
        held_out,
        text * max(1.0, calibration.size("bpe_per_text") * fewer),
        text / 1000 * calibration.size("tokens_per_kb") * fewer,
    )


def fewer_tokens(codes: int) -> float:
    """How many tokens a text has with so many codes, of those that it has with MEASURED_CODES.

    30,000 codes on the demo's English text left 0.62 of the tokens that 2,000 gave (1.04 a word for 1.68); in between
    the share falls with the logarithm of the number.
    """
    falls = (1 - 0.62) / math.log(30_000 / MEASURED_CODES)
    return min(1.2, max(FLOOR, 1 - falls * math.log(codes / MEASURED_CODES)))


def stages(cfg: Config, calibration: Calibration, texts: list[Text], pace: Pace) -> list[Row]:
    """A row for each stage that this configuration runs, in their order."""
    rows = {name: _row(calibration, name) for name in calibration.values["stages"]}
    for text in texts:
        shards = len(cfg.shards(text.source.language))

        def add(stage: str, jobs: int, size: float) -> None:
            rows[stage].add(jobs, size / MB, calibration.speed(stage).take(size / MB / jobs))

        first, size = ("corpus", text.text) if text.source.kind == TEXT else ("extract", text.dump)
        add(first, shards, size)
        add("tokenize", shards, text.text)
        add("split", 1, text.text)
        add("apply_bpe", shards, text.text - text.held_out)
        add("apply_bpe_held_out", 2, text.held_out)
        add("concatenate", 1, text.bpe)
        add("binarize", 1, text.bpe)
    total = sum(text.text for text in texts)
    lines = total / calibration.size("text_per_line")
    sample = total * min(1.0, cfg.bpe.sample_lines / max(1.0, lines)) if not cfg.bpe.codes_file else 0.0
    rows["learn_bpe"].add(1, sample / MB, calibration.speed("learn_bpe").take(sample / MB))
    binary = sum(text.tokens for text in texts) * bytes_per_token(cfg)
    rows["provenance"].add(1, binary / MB, calibration.speed("provenance").take(binary / MB))
    seconds = training.tokens(cfg) / pace.tokens_per_second
    rows["train_mlm"].add(1, 0.0, calibration.speed("train_mlm").take(0) + seconds)
    # A training on the CPU keeps all its cores busy.
    rows["train_mlm"].core_seconds *= pace.cores
    held_out = sum(text.held_out / 1000 for text in texts) * calibration.size("tokens_per_kb")
    forward = held_out * fewer_tokens(cfg.bpe.codes) / (3 * pace.tokens_per_second)
    rows["evaluate_mlm"].add(1, 0.0, calibration.speed("evaluate_mlm").take(0) + forward)
    for stage in ("train_mlm", "evaluate_mlm"):
        rows[stage].speed = f"{pace.tokens_per_second:,.0f} tokens/s"
        rows[stage].source = pace.source.partition(":")[0]
    return [row for row in rows.values() if row.jobs]


def _row(calibration: Calibration, stage: str) -> Row:
    speed = calibration.speed(stage)
    return Row(stage, speed.source, f"{speed.mb_per_second:g} MB/s of {speed.of}" if speed.mb_per_second else "")


def bytes_per_token(cfg: Config) -> int:
    """Of an id in fairseq's binary files (mmap)."""
    return 2 if cfg.bpe.codes < SHORT_IDS else 4


def disk(cfg: Config, calibration: Calibration, texts: list[Text], device: str) -> Disk:
    """What lies in the run's directory when it is fullest; temporary shards count as if all were there at once.

    Args:
        device: `cpu`, or the GPU that trains.
    """
    text = sum(each.text for each in texts)
    lines = text / calibration.size("text_per_line")
    # Interval checkpoints, best, last, and one that is being written; the model has no optimizer's state.
    checkpoints = (cfg.train.keep_checkpoints + 3) * training.checkpoint_bytes(cfg, device)
    return Disk(
        {
            "dumps": float(sum(each.source.missing for each in texts)),
            "tokenized": text * calibration.size("tokenized_per_text"),
            "segmented shards, temporary": text * calibration.size("segmented_per_text"),
            "segmented text": sum(each.bpe for each in texts),
            "binary data": sum(each.tokens for each in texts) * bytes_per_token(cfg) + lines * BYTES_OF_INDEX,
            "checkpoints and model": float(checkpoints + training.model(cfg).weights * training.BYTES_PER_WEIGHT),
        }
    )


def slurm_jobs(cfg: Config, rows: list[Row]) -> dict[str, tuple[int, float]]:
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
