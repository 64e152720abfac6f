"""Fine-tune with transformers' Trainer: resumable, reproducible on a CPU, the best checkpoint by validation accuracy.

Importing this module loads transformers.
"""

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler
from transformers import (
    AutoModelForSequenceClassification,
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
from wikixlm.finetune.dataset import Encoded
from wikixlm.finetune.fit import Machine, Settings

WARMUP = 0.06  # share of the updates, as in RoBERTa's and XLM-R's fine-tuning
_STATE = "trainer_state.json"  # what the Trainer writes last into a checkpoint


class LengthGrouped(Sampler[int]):
    """Every example once an epoch, those of about the same length in one batch, the batches in random order.

    The order depends on seed and epoch alone, so that a resumed epoch goes on where it was.
    """

    def __init__(self, lengths: list[int], batch_size: int, seed: int) -> None:
        self._lengths = lengths
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """The Trainer calls this before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed((self._seed << 20) + self._epoch)
        grouped = get_length_grouped_indices(self._lengths, self._batch_size, generator=generator)
        batches = [grouped[start : start + self._batch_size] for start in range(0, len(grouped), self._batch_size)]
        # The last one may be smaller: elsewhere it would shift the others' bounds.
        order = torch.randperm(len(batches) - 1, generator=generator).tolist()
        return iter([number for place in [*order, len(batches) - 1] for number in batches[place]])


class _Trainer(Trainer):
    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        examples: Any = self.train_dataset
        return LengthGrouped(examples.lengths, self.args.train_batch_size, self.args.seed)


class _Teller(TrainerCallback):
    """Tells the user of each scored checkpoint, and the log of the loss."""

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        metrics = given.get("metrics", {})
        if "eval_accuracy" in metrics:
            place = f"update {state.global_step:,} of {state.max_steps:,}"
            console.say(f"{place}: validation accuracy {metrics['eval_accuracy']:.3f}")

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        logging.info("update %d: %s", state.global_step, given.get("logs"))


def last_checkpoint(save_dir: Path) -> Path | None:
    """The newest whole checkpoint; those that a kill left unfinished are removed."""
    checkpoints = sorted(save_dir.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    while checkpoints:
        newest = checkpoints.pop()
        try:
            json.loads((newest / _STATE).read_bytes())
            return newest
        except (OSError, ValueError):
            logging.warning("%s is not whole: removed", newest)
            shutil.rmtree(newest)
    return None


def load_model(folder: Path, labels: list[str], seed: int) -> Any:
    """The exported model with a classifier on top, whose weights (and the pooler's) are new and depend on `seed`."""
    set_seed(seed)
    numbered = dict(enumerate(labels))
    return AutoModelForSequenceClassification.from_pretrained(
        folder,
        num_labels=len(labels),
        id2label=numbered,
        label2id={label: number for number, label in numbered.items()},
        problem_type="single_label_classification",
    )


def make_trainer(
    model: Any,
    tokenizer: Any,
    train: Encoded,
    valid: Encoded | None,
    settings: Settings,
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
    # A fine-tuning takes one GPU; left alone, the Trainer splits batches over all that it sees.
    arguments._n_gpu = min(arguments.n_gpu, 1)
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=valid,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=_accuracy,
        callbacks=[_Teller()],
    )
    trainer.remove_callback(PrinterCallback)  # _Teller's log has the same lines
    return trainer


def _accuracy(prediction: EvalPrediction) -> dict[str, float]:
    logits = np.asarray(prediction.predictions)
    return {"accuracy": float((logits.argmax(-1) == prediction.label_ids).mean())}


def run(trainer: Trainer, save_dir: Path) -> int:
    """Train to the end, from the newest checkpoint on; the trainer then has the best model.

    Returns:
        the update whose weights these are.
    """
    resumed = last_checkpoint(save_dir)
    if resumed is not None:
        console.say(f"going on from {resumed}")
    trainer.train(resume_from_checkpoint=str(resumed) if resumed else None)
    return trainer.state.best_global_step or trainer.state.global_step
