"""The sections of the configuration on the model: training and evaluation."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from wikixlm.config.dimensions import XLM_BASE, Dimensions
from wikixlm.config.fields import (
    BlockLength,
    File,
    Fraction,
    Natural,
    Positive,
    PositiveOrAuto,
    Rate,
    RateOrAuto,
    Section,
    Seed,
)


class TrainSettings(Section):
    """The keys of the section `train` that shape the weights, how far to train, and how often to save.

    `wikixlm train --settings` takes them as JSON. Where a key is an option of the recipe `wikixlm`, fairseq-train gets
    it under the same name (wikixlm/train/recipes.py).
    """

    recipe: Literal["wikixlm", "tutorial"] = Field(description="`tutorial`: fairseq's stock classes and flags")
    arch: str = Field(description="fairseq architecture")
    encoder_layers: Positive | None = Field(description="overrides the architecture's number of layers")
    encoder_embed_dim: Positive | None = Field(description="overrides the architecture's width")
    encoder_ffn_embed_dim: Positive | None = Field(description="overrides the feed-forward width")
    encoder_attention_heads: Positive | None = Field(description="overrides the number of attention heads")
    encoder_normalize_before: bool = Field(
        description="LayerNorm on the embeddings, as in XLM's own code; needed for the export to Hugging Face"
    )
    max_update: Positive = Field(description="updates to train; raising it alone resumes from the last checkpoint")
    batch_tokens: Positive | None = Field(
        description="tokens per update, over all GPUs; `null`: max_tokens × update_freq × GPUs, as where an overlay "
        "gives one of these keys alone"
    )
    max_tokens: PositiveOrAuto = Field(
        description="tokens per batch and GPU, at most; `auto`: by a rule, from the GPU's memory"
    )
    tokens_per_sample: BlockLength = Field(description="tokens per block of text")
    update_freq: Positive | None = Field(
        description="batches that a GPU accumulates per update; `null`: as many as batch_tokens needs"
    )
    optimizer: Literal["muon", "adamw"] = Field(
        description="`muon`: for the layers' matrices, with AdamW for embeddings, norms and biases; `adamw`: for all; "
        "recipe `wikixlm`"
    )
    lr: RateOrAuto = Field(
        description="peak learning rate; with `muon` or an `embedding_lr`: of the layers' matrices; `auto`: by a rule, "
        "from optimizer, batch and width"
    )
    embedding_lr: Rate | None = Field(
        description="peak learning rate of embeddings, norms and biases; `null`: by the same rule, or lr where `adamw` "
        "has a given one; recipe `wikixlm`"
    )
    warmup: Fraction = Field(description="share of max_update that is linear warm-up")
    warmup_updates: Natural | None = Field(
        description="its updates instead; the first is at lr / warmup_updates, with the recipe `tutorial` at lr / 100"
    )
    dropout: Fraction = Field(description="dropout")
    attention_dropout: Fraction = Field(description="dropout on attention weights")
    alpha: Annotated[float, Field(ge=0, le=1)] = Field(
        description="a language with n blocks is sampled in proportion to n^alpha (XLM: 0.7); recipe `wikixlm`"
    )
    mask_ratio: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="share of tokens to predict in training (XLM: 0.15); evaluation always masks 0.15; recipe `wikixlm`"
    )
    lr_decay: Literal["linear", "trapezoidal", "inverse_sqrt", "none"] = Field(
        description="after warm-up; `linear`: to nearly 0 at max_update, `trapezoidal`: in the last fifth only; "
        "recipe `wikixlm`"
    )
    clip_norm: Annotated[float, Field(ge=0)] = Field(description="largest gradient norm, 0: any; recipe `wikixlm`")
    position_scale: Annotated[float, Field(ge=0)] = Field(
        description="position embeddings start as sinusoids of this amplitude, 0: random; recipe `wikixlm`"
    )
    attention_gain: Annotated[float, Field(ge=0)] = Field(
        description="query and key weights start with deviation gain/√width, 0: 0.02 as BERT; recipe `wikixlm`"
    )
    neighbour_logit: Annotated[float, Field(ge=0)] = Field(
        description="first-layer heads start out looking 1, 2, … places before and behind, by this attention logit; "
        "0: nowhere; needs a position_scale; recipe `wikixlm`"
    )
    hidden_gain: Annotated[float, Field(ge=0)] = Field(
        description="value, output, feed-forward and head weights start with deviation gain/√width, 0: 0.02 as BERT; "
        "recipe `wikixlm`"
    )
    compile: bool = Field(description="torch.compile on each layer and the loss; recipe `wikixlm`")
    precision: Literal["auto", "fp32", "fp16", "bf16"] = Field(
        description="`auto`: fp32 on a CPU, bf16 or fp16 on a GPU"
    )
    save_interval_updates: Positive = Field(description="updates between checkpoints")
    init_from: File | None = Field(description="a model.pt, or a model of facebookresearch/XLM, to start from")
    seed: Seed = Field(description="seeds initialisation, dropout, masks and order")
    extra_args: list[str] = Field(description="appended last to fairseq-train's arguments, so they win")

    @property
    def dimensions(self) -> Dimensions:
        """The network's size; of an architecture other than xlm_base a guess, where it is not overridden."""
        return Dimensions(
            embed_dim=self.encoder_embed_dim or XLM_BASE.embed_dim,
            ffn_dim=self.encoder_ffn_embed_dim or XLM_BASE.ffn_dim,
            num_heads=self.encoder_attention_heads or XLM_BASE.num_heads,
            num_layers=self.encoder_layers or XLM_BASE.num_layers,
        )

    @property
    def tokens_per_worker(self) -> int | None:
        """Tokens per update and worker where max_tokens and update_freq decide; None where batch_tokens does."""
        if self.batch_tokens is not None or self.max_tokens == "auto":
            return None
        return self.max_tokens * (self.update_freq or 1)

    def tokens_per_update(self, workers: int) -> int:
        """Tokens per update over all `workers`."""
        each = self.tokens_per_worker
        return each * workers if each is not None else self.batch_tokens or 0

    def warmup_length(self) -> int:
        """Updates of warm-up."""
        return round(self.warmup * self.max_update) if self.warmup_updates is None else self.warmup_updates

    @model_validator(mode="after")
    def _can_be_trained(self) -> "TrainSettings":
        # What would end the training, reported before hours of work on the data.
        for key, value in (("max_tokens", self.max_tokens), ("batch_tokens", self.batch_tokens)):
            if isinstance(value, int) and value < self.tokens_per_sample:
                raise ValueError(
                    f"train.{key} is {value}, less than one block of train.tokens_per_sample "
                    f"{self.tokens_per_sample}; raise {key}, or lower tokens_per_sample"
                )
        if self.batch_tokens is None and self.max_tokens == "auto":
            raise ValueError("train.max_tokens: auto needs train.batch_tokens, the tokens of an update")
        known = self.arch in ("xlm_base", "wikixlm_base")
        if self.recipe == "wikixlm" and not known:
            raise ValueError(
                f"train.arch: {self.arch!r}: the recipe wikixlm has xlm_base; give its size with train.encoder_layers, "
                "encoder_embed_dim, encoder_ffn_embed_dim and encoder_attention_heads"
            )
        width, heads = self.dimensions.embed_dim, self.dimensions.num_heads
        if (known or (self.encoder_embed_dim and self.encoder_attention_heads)) and width % heads:
            raise ValueError(
                f"train.encoder_embed_dim is {width}, which train.encoder_attention_heads: {heads} does not divide; "
                "every head gets the same share of the width"
            )
        if self.recipe == "wikixlm" and self.neighbour_logit and not self.position_scale:
            raise ValueError(
                f"train.neighbour_logit is {self.neighbour_logit}, but with train.position_scale: 0 no neighbours can "
                "be told apart; set neighbour_logit: 0 too"
            )
        return self

    def fits_transformers(self) -> bool:
        """Whether a class of transformers fits the model: BERT's has a LayerNorm on its embeddings."""
        return self.encoder_normalize_before or "--encoder-normalize-before" in self.extra_args


class Train(TrainSettings):
    """fairseq-train."""

    device: Literal["auto", "cpu", "cuda"] = Field(description="`auto` takes a GPU where there is one")
    gpus: Positive = Field(description="GPUs per node")
    nodes: Positive = Field(description="nodes of a cluster")
    gpu_model: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.]+$")] | None = Field(
        description="the cluster's name of a kind of GPU, as `a100` in SLURM's `--gpus=a100:1`; `null`: any"
    )
    constraint: str | None = Field(description="features that the nodes must have, SLURM's `--constraint`")
    keep_checkpoints: Positive = Field(description="interval checkpoints kept besides best and last")
    tensorboard: bool = Field(description="write TensorBoard's event files beside the checkpoints (needs tensorboard)")

    @model_validator(mode="after")
    def _precision_of_device(self) -> "Train":
        if self.precision == "fp16" and self.device == "cpu":
            raise ValueError("train.precision fp16 needs a GPU, but train.device is cpu; set train.precision: fp32")
        return self

    def settings(self) -> str:
        """The `TrainSettings` as JSON: keys that only say where and how to run stay out."""
        return self.model_dump_json(include=set(TrainSettings.model_fields))

    def gpu_resources(self) -> dict[str, int | str]:
        """Snakemake's resources for one GPU of the wanted kind; none where everything runs on the CPU."""
        if self.device == "cpu":
            return {}
        return {"gpu": 1, **({"gpu_model": self.gpu_model} if self.gpu_model else {}), **self._node_features()}

    def training_resources(self) -> dict[str, int | str]:
        """Snakemake's resources for the nodes and GPUs of the training.

        On several nodes GPUs are asked for per node (`gres`), and the job starts a process a node by itself: `mpi` has
        the SLURM plugin leave that to the job, `tasks` and `tasks_per_gpu` make it one process a node.
        """
        wanted: dict[str, int | str] = {"nodes": self.nodes, **self._node_features()}
        if self.nodes == 1:
            return wanted if self.device == "cpu" else {**wanted, **self.gpu_resources(), "gpu": self.gpus}
        wanted |= {"tasks": self.nodes, "mpi": "srun"}
        if self.device != "cpu":
            model = f"{self.gpu_model}:" if self.gpu_model else ""
            wanted |= {"gres": f"gpu:{model}{self.gpus}", "tasks_per_gpu": 0}
        return wanted

    def _node_features(self) -> dict[str, int | str]:
        return {"constraint": self.constraint} if self.constraint else {}


class Evaluate(Section):
    """Masked-token perplexity."""

    seed: Seed = Field(description="seeds the masks")
    pseudo_lines: Natural = Field(
        description="lines of each split whose pseudo-log-likelihood is also computed, each token masked in turn; slow"
    )
