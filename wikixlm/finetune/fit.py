"""Fine-tune with transformers' Trainer: resumable, reproducible on a CPU, the best checkpoint by validation accuracy.

Importing this module imports transformers.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Sampler
from transformers import (
    DataCollatorWithPadding,
    EvalPrediction,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_pt_utils import get_length_grouped_indices

from wikixlm import console
from wikixlm.files import sha256
from wikixlm.finetune.dataset import EncodedExamples
from wikixlm.finetune.scores import Score, score
from wikixlm.hf.exported import WEIGHTS, Export, load_bert

WARMUP = 0.06  # share of the updates, as in RoBERTa's and XLM-R's fine-tuning
_STATE = "trainer_state.json"  # the Trainer writes it last into a checkpoint


@dataclass(frozen=True)
class FinetuningSettings:
    """The settings that change the fine-tuned weights.

    Attributes:
        seed: of the classifier's initialisation, of dropout and of the order of examples.
        batch_size: examples per update.
        lr: peak learning rate; it rises over 6 % of the updates and falls linearly to 0.
        save_interval_updates: updates between checkpoints, each of which is validated.
        precision: fp32, bf16 or fp16.
    """

    seed: int = 0
    epochs: int = 5
    batch_size: int = 32
    lr: float = 2.5e-5
    save_interval_updates: int = 1000
    precision: str = "fp32"


class Machine(NamedTuple):
    """Where to compute: `cpu` or `cuda`, and the number of CPU threads."""

    device: str
    threads: int


@dataclass(frozen=True)
class FinetunedModel:
    """A fine-tuned model.

    Attributes:
        trainer: transformers' Trainer, with the weights of the best checkpoint.
        tokenizer: bound to any of the model's languages.
        update: the update after which the model had these weights.
        record: what the weights depend on.
        save_dir: the checkpoints.
    """

    trainer: Any
    tokenizer: Any
    update: int
    record: dict[str, Any]
    save_dir: Path

    def scores(self, examples: EncodedExamples, split: str, languages: list[str]) -> list[Score]:
        """A row for each language among the examples."""
        predicted = self.trainer.predict(examples).predictions.argmax(-1)
        masks = {languages[number]: examples.languages == number for number in sorted(set(examples.languages.tolist()))}
        return [score(lang, split, examples.labels[mask], predicted[mask]) for lang, mask in masks.items()]


def fit(
    base: Export,
    labels: list[str],
    encoded: dict[str, EncodedExamples],
    tokenizer: Any,
    settings: FinetuningSettings,
    machine: Machine,
    checkpoints: Path,
) -> FinetunedModel:
    """Fine-tune, or resume, in a folder below `checkpoints` that is for these data and settings only.

    Args:
        base: the exported model.
        labels: in the order of their ids.
        encoded: the examples of `train`, and of `valid` if there are any.
        tokenizer: for padding; bound to any of the model's languages.
    """
    valid = selection_examples(encoded)
    record = {
        "base": {"path": str(base.folder), "sha256": sha256(base.folder / WEIGHTS)},
        "labels": labels,
        "settings": asdict(settings),
        "data": {"train": encoded["train"].digest(), "valid": valid.digest() if valid else None},
    }
    save_dir = checkpoints / record_digest(record)
    model = load_classifier(base, labels, settings.seed)
    trainer = make_trainer(model, tokenizer, encoded["train"], valid, settings, save_dir, machine)
    return FinetunedModel(trainer, tokenizer, train_to_the_end(trainer, save_dir), record, save_dir)


def selection_examples(encoded: dict[str, EncodedExamples]) -> EncodedExamples | None:
    """The validation examples that select the checkpoint: those in the training set's languages, else all.

    The other languages stay unseen, as zero-shot transfer wants. None without a validation set.
    """
    if "valid" not in encoded:
        return None
    seen = np.isin(encoded["valid"].languages, encoded["train"].languages)
    if not seen.any():
        console.say("no validation example is in a language of the training set: all of them select the checkpoint")
        return encoded["valid"]
    return encoded["valid"].select(seen)


def record_digest(record: dict[str, Any]) -> str:
    """A short name for a record, 8 hexadecimal digits; the base model's path is not part of it."""
    content = {**record, "base": record["base"]["sha256"]}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


class LengthGrouped(Sampler[int]):
    """Every example once an epoch, examples of similar length in a batch, the batches in random order.

    The order depends on seed and epoch only, so that a resumed epoch continues where it was.
    """

    def __init__(self, lengths: list[int], batch_size: int, seed: int) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch, as the Trainer does before each."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed((self._seed << 20) + self._epoch)
        grouped = get_length_grouped_indices(self._lengths, self._batch_size, generator=generator)
        batches = [grouped[start : start + self._batch_size] for start in range(0, len(grouped), self._batch_size)]
        # The last batch may be smaller: anywhere else it would shift the bounds of the others.
        order = torch.randperm(len(batches) - 1, generator=generator).tolist()
        return iter([number for batch in [*order, len(batches) - 1] for number in batches[batch]])


class _Trainer(Trainer):
    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        examples: Any = self.train_dataset
        return LengthGrouped(examples.lengths, self.args.train_batch_size, self.args.seed)


class _ProgressReporter(TrainerCallback):
    """Reports each validated checkpoint on the terminal, and the loss in the log."""

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        metrics = more.get("metrics", {})
        if "eval_accuracy" in metrics:
            place = f"update {state.global_step:,} of {state.max_steps:,}"
            console.say(f"{place}: validation accuracy {metrics['eval_accuracy']:.3f}")

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any) -> None:
        figures = ", ".join(f"{name} {value:.6g}" for name, value in more.get("logs", {}).items())
        logging.info("update %d: %s", state.global_step, figures)


def last_checkpoint(save_dir: Path) -> Path | None:
    """The newest complete checkpoint; incomplete ones, left by a kill, are removed."""
    checkpoints = sorted(save_dir.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    while checkpoints:
        newest = checkpoints.pop()
        try:
            json.loads((newest / _STATE).read_bytes())
            return newest
        except (OSError, ValueError):
            logging.warning("%s is incomplete: removed", newest)
            shutil.rmtree(newest)
    return None


def load_classifier(base: Export, labels: list[str], seed: int) -> Any:
    """The exported model with a classifier, whose weights (and the pooler's) are initialised from `seed`."""
    set_seed(seed)
    numbered = dict(enumerate(labels))
    return load_bert(
        base,
        "BertForSequenceClassification",
        num_labels=len(labels),
        id2label=numbered,
        label2id={label: number for number, label in numbered.items()},
        problem_type="single_label_classification",
    )


def make_trainer(
    model: Any,
    tokenizer: Any,
    train: EncodedExamples,
    valid: EncodedExamples | None,
    settings: FinetuningSettings,
    save_dir: Path,
    machine: Machine,
) -> Trainer:
    """A Trainer that saves into `save_dir` and keeps the last checkpoint and the best."""
    torch.set_num_threads(machine.threads)
    interval = "steps" if valid is not None else "no"
    updates = settings.epochs * -(-len(train) // settings.batch_size)
    arguments = TrainingArguments(
        output_dir=str(save_dir),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=max(settings.batch_size, 64),
        learning_rate=settings.lr,
        warmup_steps=round(WARMUP * updates),
        seed=settings.seed,
        eval_strategy=interval,
        eval_steps=settings.save_interval_updates,
        save_strategy="steps",
        save_steps=settings.save_interval_updates,
        save_total_limit=1,
        load_best_model_at_end=valid is not None,
        metric_for_best_model="accuracy" if valid is not None else None,
        logging_steps=max(1, min(100, updates // 100)),
        report_to="none",
        disable_tqdm=True,
        use_cpu=machine.device == "cpu",
        bf16=settings.precision == "bf16",
        fp16=settings.precision == "fp16",
        remove_unused_columns=False,
    )
    # One GPU: by default the Trainer splits batches over all visible ones.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=valid,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=_accuracy,
        callbacks=[_ProgressReporter()],
    )
    trainer.remove_callback(PrinterCallback)  # it repeats the log's lines
    return trainer


def _accuracy(prediction: EvalPrediction) -> dict[str, float]:
    logits = np.asarray(prediction.predictions)
    return {"accuracy": float((logits.argmax(-1) == prediction.label_ids).mean())}


def train_to_the_end(trainer: Trainer, save_dir: Path) -> int:
    """Train to the end, from the newest checkpoint if there is one; return the update of the best weights.

    The trainer then has these weights.
    """
    resumed = last_checkpoint(save_dir)
    if resumed is not None:
        console.say(f"resuming from {resumed}")
    trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    return trainer.state.best_global_step or trainer.state.global_step
