"""One fine-tuning: what it is made of, its folder of checkpoints, and the model that comes out.

Nothing here loads torch or transformers before `fit` is called.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wikixlm import console
from wikixlm.files import sha256
from wikixlm.finetune.dataset import Encoded
from wikixlm.finetune.scores import Score, score


@dataclass(frozen=True)
class Settings:
    """What shapes the fine-tuned weights, besides the data and the model; all of it changes the result.

    Attributes:
        seed: of the classifier's initialisation, of dropout and of the order of examples.
        epochs: passes over the training set.
        batch_size: examples per update.
        lr: peak learning rate; it rises over 6 % of the updates and falls linearly to 0.
        save_interval_updates: updates between checkpoints, each of which is scored.
        precision: fp32, bf16 or fp16.
    """

    seed: int = 0
    epochs: int = 5
    batch_size: int = 32
    lr: float = 2.5e-5
    save_interval_updates: int = 1000
    precision: str = "fp32"


class Machine(NamedTuple):
    """Where to compute: `cpu` or `cuda`, and how many threads of the CPU."""

    device: str
    threads: int


@dataclass(frozen=True)
class Fitted:
    """A fine-tuned model.

    Attributes:
        trainer: transformers' Trainer, with the weights of the best checkpoint.
        tokenizer: bound to any of the model's languages.
        update: whose weights these are.
        record: what they were made of.
        save_dir: the checkpoints.
    """

    trainer: Any
    tokenizer: Any
    update: int
    record: dict[str, Any]
    save_dir: Path

    def scores(self, examples: Encoded, split: str, languages: list[str]) -> list[Score]:
        """A row for each language among the examples."""
        predicted = self.trainer.predict(examples).predictions.argmax(-1)
        which = [(number, languages[number]) for number in sorted(set(examples.languages.tolist()))]
        masks = {language: examples.languages == number for number, language in which}
        return [score(lang, split, examples.labels[mask], predicted[mask]) for lang, mask in masks.items()]


def fit(
    base: Path,
    labels: list[str],
    encoded: dict[str, Encoded],
    tokenizer: Any,
    settings: Settings,
    machine: Machine,
    checkpoints: Path,
) -> Fitted:
    """Fine-tune, or go on, in a folder below `checkpoints` that belongs to these data and settings alone.

    Args:
        base: the exported model.
        labels: in the order of their ids.
        encoded: the examples of `train`, and of `valid` where there are any.
        tokenizer: for padding; any of the model's languages.
        settings: what shapes the weights.
        machine: where to compute.
        checkpoints: the folder.
    """
    from wikixlm.finetune import trainer

    valid = choosing(encoded)
    record = {
        "base": {"path": str(base), "sha256": sha256(base / "model.safetensors")},
        "labels": labels,
        "settings": asdict(settings),
        "data": {"train": encoded["train"].digest(), "valid": valid.digest() if valid else None},
    }
    save_dir = checkpoints / digest(record)
    model = trainer.load_model(base, labels, settings.seed)
    made = trainer.make_trainer(model, tokenizer, encoded["train"], valid, settings, save_dir, machine)
    return Fitted(made, tokenizer, trainer.run(made, save_dir), record, save_dir)


def choosing(encoded: dict[str, Encoded]) -> Encoded | None:
    """The validation examples that choose the checkpoint: in languages of the training set, so that others stay unseen.

    Where there are none of these, all; None without any.
    """
    if "valid" not in encoded:
        return None
    seen = np.isin(encoded["valid"].languages, encoded["train"].languages)
    if not seen.any():
        console.say("no validation example is in a language of the training set: all of them choose the checkpoint")
        return encoded["valid"]
    return encoded["valid"].select(seen)


def digest(record: dict[str, Any]) -> str:
    """A short name for what a model is made of: 8 hexadecimal digits; where the base model lies does not matter."""
    content = {**record, "base": record["base"]["sha256"]}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
