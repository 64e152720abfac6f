"""The section of the configuration on fine-tuning the finished model on XNLI."""

import typing
from typing import Annotated

from pydantic import AfterValidator, Field

from wikixlm.config.fields import Folder, Mirror, Positive, Section, Seed


def _once(seeds: list[int]) -> list[int]:
    if repeated := [seed for seed in seeds if seeds.count(seed) > 1]:
        raise ValueError(f"seed {repeated[0]} is listed twice")
    return seeds


class Xnli(Section):
    """Fine-tuning on English MultiNLI, scoring in the run's languages; only with the target `finetune_xnli`."""

    local: Folder | None = Field(
        description="a folder with XNLI-1.0 and XNLI-MT-1.0, zipped or unpacked; `null`: they are downloaded"
    )
    mirrors: list[Mirror] = Field(
        min_length=1, description="addresses below which XNLI-1.0.zip and XNLI-MT-1.0.zip are, tried in order"
    )
    seeds: Annotated[list[Seed], Field(min_length=1), AfterValidator(_once)] = Field(
        description="a fine-tuning for each; several give mean and standard deviation"
    )
    epochs: Positive = Field(description="passes over the training set")
    batch_size: Positive = Field(description="pairs per update")
    lr: Annotated[float, Field(gt=0)] = Field(description="peak learning rate (XLM: 0.000005, 0.000025 or 0.000125)")
    max_length: Annotated[int, Field(ge=8, strict=True)] | None = Field(
        description="tokens of a pair, longer pairs are cut; `null`: the model's maximum"
    )
    save_interval_updates: Positive = Field(
        description="updates between checkpoints; the one with the best English validation accuracy is the model"
    )

    OPERATIONAL: typing.ClassVar = frozenset({"mirrors"})

    def options(self) -> str:
        """The options of `wikixlm finetune` that shape the model, all but its seed."""
        options = f"--epochs {self.epochs} --batch-size {self.batch_size} --lr {self.lr}"
        options += f" --save-interval-updates {self.save_interval_updates}"
        return options if self.max_length is None else f"{options} --max-length {self.max_length}"
