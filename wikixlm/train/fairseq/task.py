"""fairseq's task `wikixlm_mlm`: dictionary, data, and held-out figures by language."""

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from fairseq import metrics, utils
from fairseq.data.legacy.masked_lm_dictionary import MaskedLMDictionary
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import FairseqTask, register_task
from omegaconf import II, MISSING

from wikixlm.binarize.indexed_format import index_file, split_prefix
from wikixlm.errors import UserError
from wikixlm.model.batches import Batch, Symbols
from wikixlm.model.blocks import Blocks
from wikixlm.model.masking import HELD_OUT_RATIO, Masking
from wikixlm.model.perplexity import perplexity
from wikixlm.train.fairseq.dataset import HeldOutExamples, Language, TrainingExamples

logger = logging.getLogger(__name__)


@dataclass
class WikixlmTaskConfig(FairseqDataclass):
    """The task's options; `--monolingual-langs` and `--tokens-per-sample` are those of cross_lingual_lm."""

    data: str = field(
        default=MISSING,
        metadata={"help": "folder of the binarized data; of several, joined by colons, each epoch reads one, in turn"},
    )
    monolingual_langs: str = field(
        default=MISSING, metadata={"help": "languages, joined by commas; their order gives their ids"}
    )
    tokens_per_sample: int = field(
        default=256, metadata={"help": "tokens of an example, the </s> at its head included"}
    )
    alpha: float = field(
        default=0.7,
        metadata={
            "help": "languages are sampled in proportion to (number of examples)^alpha: 1 as they are, 0 equally"
        },
    )
    mask_ratio: float = field(
        default=0.3, metadata={"help": "share of the tokens to predict in training; held-out data has 0.15"}
    )
    valid_mask_seed: int = field(default=0, metadata={"help": "seed of the masks of held-out data"})
    seed: int = II("common.seed")


@register_task("wikixlm_mlm", dataclass=WikixlmTaskConfig)
class WikixlmTask(FairseqTask):
    """Masked language modelling over several languages' binarized text.

    Args:
        cfg: the options.
        dictionary: the languages' common dictionary, with the ids of fairseq's cross_lingual_lm.
    """

    def __init__(self, cfg: WikixlmTaskConfig, dictionary: MaskedLMDictionary) -> None:
        super().__init__(cfg)
        self.dictionary = dictionary
        self.languages = [code.strip() for code in cfg.monolingual_langs.split(",")]
        self.symbols = Symbols(pad=dictionary.pad(), eos=dictionary.eos())

    @classmethod
    def setup_task(cls, cfg: WikixlmTaskConfig, **kwargs: Any) -> "WikixlmTask":
        """Load `dict.txt` from the (first) data folder."""
        path = Path(utils.split_paths(cfg.data)[0]) / "dict.txt"
        if not path.exists():
            raise UserError(f"{path} is missing; run `wikixlm dictionary` first")
        dictionary = MaskedLMDictionary.load(str(path))
        logger.info("dictionary: %d symbols", len(dictionary))
        return cls(cfg, dictionary)

    @property
    def source_dictionary(self) -> MaskedLMDictionary:
        return self.dictionary

    @property
    def target_dictionary(self) -> MaskedLMDictionary:
        return self.dictionary

    def max_positions(self) -> int:
        return int(self.cfg.tokens_per_sample)

    def masking(self, ratio: float) -> Masking:
        """How to mask: random replacements are any symbols except the special ones, as in fairseq's own task."""
        return Masking(self.dictionary.mask(), self.dictionary.nspecial, len(self.dictionary), ratio)

    def load_dataset(self, split: str, epoch: int = 1, combine: bool = False, **kwargs: Any) -> None:
        """Open a split: training examples are drawn, those of other splits are read once, in order."""
        folders = utils.split_paths(self.cfg.data)
        train = split.startswith("train")
        folder = folders[(epoch - 1) % len(folders) if train else 0]
        languages = self._open(Path(folder), split, optional=len(folders) > 1)
        if train:
            masking = self.masking(self.cfg.mask_ratio)
            dataset: Any = TrainingExamples(
                languages, self.cfg.alpha, masking, self.symbols, self.cfg.seed, len(folders)
            )
            dataset.set_epoch(epoch)
        else:
            dataset = HeldOutExamples(languages, self.masking(HELD_OUT_RATIO), self.symbols, self.cfg.valid_mask_seed)
        self.datasets[split] = dataset
        for language, count in zip(languages, dataset.counts, strict=True):
            size = len(language.blocks)
            logger.info("%s %s.%s: %d examples, %d an epoch", folder, split, language.code, size, count)

    def _open(self, folder: Path, split: str, optional: bool) -> list[Language]:
        """The languages with text in `folder`; of several folders not every one need have a small language."""
        length = self.cfg.tokens_per_sample - 1
        if length < 1:
            raise UserError(f"train.tokens_per_sample is {length + 1}; it must be at least 2")
        paths = [split_prefix(folder, split, code) for code in self.languages]
        languages = [
            Language(code, number, Blocks(path, length))
            for number, (code, path) in enumerate(zip(self.languages, paths, strict=True))
            if not optional or index_file(path).exists()
        ]
        if not languages:
            raise UserError(f"{folder} has no {split} data of {', '.join(self.languages)}")
        return languages

    def valid_step(self, sample: Batch, model: Any, criterion: Any) -> tuple[Any, int, dict[str, Any]]:
        """As in every task, plus a table of the figures by language, [num_languages, 3]: loss, tokens, correct."""
        loss, size, log = super().valid_step(sample, model, criterion)
        table = torch.zeros(len(self.languages), 3, dtype=torch.float64, device=log["loss"].device)
        table[sample["language"], 0] = log["loss"]
        table[sample["language"], 1] = size
        table[sample["language"], 2] = log["correct"]
        log["by_language"] = table
        return loss, size, log

    def reduce_metrics(self, logging_outputs: list[dict[str, Any]], criterion: Any) -> None:
        """Log training figures as fairseq does, held-out figures by language."""
        if any("by_language" in log for log in logging_outputs):
            self._log_held_out(sum(log["by_language"] for log in logging_outputs).tolist())
        else:
            super().reduce_metrics(logging_outputs, criterion)

    def _log_held_out(self, table: list[list[float]]) -> None:
        """`loss_xx`, `ppl_xx`, `accuracy_xx` of each language, and `loss`, `ppl`, `accuracy`: the languages' means.

        `loss` is what fairseq's --best-checkpoint-metric and its schedules look at.
        """
        for code, (loss, tokens, correct) in zip(self.languages, table, strict=True):
            if tokens:
                metrics.log_scalar(f"loss_{code}", loss / tokens, tokens, priority=20)
                metrics.log_scalar(f"accuracy_{code}", correct / tokens, tokens, priority=22)
                metrics.log_derived(f"ppl_{code}", _perplexity(f"loss_{code}"), priority=21)
        metrics.log_derived("loss", self._mean("loss"), priority=10)
        metrics.log_derived("ppl", self._mean("ppl"), priority=11)
        metrics.log_derived("accuracy", self._mean("accuracy"), priority=12)

    def _mean(self, figure: str) -> Any:
        """The arithmetic mean over the languages with held-out data, as XLM reports it."""

        def mean(meters: Any) -> float:
            names = [f"{figure}_{code}" for code in self.languages if f"{figure}_{code}" in meters]
            return sum(float(meters.get_smoothed_value(name)) for name in names) / len(names)

        return mean

    def state_dict(self) -> dict[str, Any]:
        """The dictionary and languages, stored in each checkpoint: it can then be used without the data."""
        return {"symbols": list(self.dictionary.symbols), "languages": list(self.languages)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Check the checkpoint's dictionary.

        Raises:
            UserError: it is not the data's.
        """
        if state_dict.get("symbols", self.dictionary.symbols) != self.dictionary.symbols:
            raise UserError("the checkpoint was trained with another dictionary than the data's dict.txt")


def _perplexity(name: str) -> Any:
    return lambda meters: perplexity(float(meters[name].avg))
