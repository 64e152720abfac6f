"""Cost of a training: FLOPs per token, weights, tokens, and tokens per second on a device."""

import re
from dataclasses import dataclass

from wikixlm.config import Config
from wikixlm.errors import UserError

ESTIMATE = "ESTIMATE"
# What one core does of `ModelShape.flops_per_token` in a second, as `make demo` measured.
CPU_FLOPS_PER_CORE = 4.3e10
# From data sheets: dense bf16 with sums in fp32, for V100 fp16.
GPU_FLOPS = {
    **{"V100": 125e12, "A100": 312e12, "L4": 121e12, "L40S": 362e12, "H100": 989e12, "H200": 989e12},
    **{"RTX 3090": 71e12, "RTX 4090": 165e12, "RTX 5090": 209e12},
}
UTILISATION = 0.3
UTILISATION_SOURCE = (
    "benchmarks/train.py on an H200, xlm_base in bf16: 0.26 with batches of 8,192 tokens, 0.37 with 32,768; smaller "
    "batches and models reach less"
)
# Of a weight in model.pt; each of the optimizer's figures for it takes as many.
BYTES_PER_WEIGHT = 4
# Symbols beside the merges: the alphabet, 362 characters in the demo, and more with every script.
ALPHABET = 500


@dataclass(frozen=True)
class ModelShape:
    """The shape of the network; `vocabulary` is estimated until the codes are learned."""

    width: int
    inner: int
    layers: int
    vocabulary: int

    @property
    def weights(self) -> int:
        """All of them; the output projection is the embedding."""
        layer = 4 * self.width**2 + 2 * self.width * self.inner
        return self.layers * layer + (self.vocabulary + 512) * self.width

    def flops_per_token(self, block: int, mask_ratio: float) -> float:
        """Forward and backward: 6 a weight (Kaplan et al. 2020, section 2.1), attention, the masked tokens' head.

        Args:
            block: tokens per sample.
            mask_ratio: share of tokens whose logits are computed.
        """
        layer = 6 * (4 * self.width**2 + 2 * self.width * self.inner) + 12 * block * self.width
        return self.layers * layer + mask_ratio * 6 * (self.width**2 + self.width * self.vocabulary)


def model_shape(cfg: Config) -> ModelShape:
    """The model of a configuration."""
    size = cfg.train.dimensions
    return ModelShape(size.embed_dim, size.ffn_dim, size.num_layers, cfg.bpe.codes + ALPHABET)


def checkpoint_bytes(cfg: Config, device: str) -> int:
    """A checkpoint: the weights and the optimizer's two moments of each; in bf16 and fp16 its fp32 weights as well.

    Args:
        device: as for `estimate_pace`; `train.precision: auto` is fp32 on a CPU, and half precision on a GPU.
    """
    precision = cfg.train.precision
    half = precision in ("bf16", "fp16") or (precision == "auto" and device != "cpu")
    return model_shape(cfg).weights * BYTES_PER_WEIGHT * (4 if half else 3)


def training_tokens(cfg: Config) -> int:
    """Tokens that the training reads until max_update, over all its workers."""
    train = cfg.train
    return train.max_update * train.tokens_per_update(train.gpus * train.nodes)


@dataclass(frozen=True)
class Pace:
    """Tokens per second of all devices together, where the figure comes from, and the CPU's cores if it is that."""

    device: str
    tokens_per_second: float
    source: str
    cores: int = 1


def peak_flops(device: str) -> float:
    """A GPU's FLOP/s, by a name that contains the table's: `a100_80gb` on a cluster, `NVIDIA GeForce RTX 4090`.

    Raises:
        UserError: it is not in the table.
    """
    names = [name for name in GPU_FLOPS if _letters(name) in _letters(device)]
    if not names:
        raise UserError(
            f"GPU {device} is unknown: --device takes cpu, {', '.join(GPU_FLOPS)}; or give --tokens-per-second"
        )
    return GPU_FLOPS[max(names, key=len)]


def _letters(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def estimate_pace(cfg: Config, device: str, cores: int, given: float | None) -> Pace:
    """How fast the training goes.

    Args:
        device: `cpu`, or a GPU of GPU_FLOPS.
        cores: of the CPU, where that is the device.
        given: tokens per second of one device, measured by the user; replaces the estimate.

    Raises:
        UserError: the GPU is unknown and nothing is given.
    """
    workers = 1 if device == "cpu" else cfg.train.gpus * cfg.train.nodes
    if given is not None:
        return Pace(device, given * workers, "--tokens-per-second", cores if device == "cpu" else 1)
    flops = model_shape(cfg).flops_per_token(cfg.train.tokens_per_sample, cfg.train.mask_ratio)
    if device == "cpu":
        return Pace(device, CPU_FLOPS_PER_CORE * cores / flops, f"make demo, {cores} cores", cores)
    source = f"{ESTIMATE}: {device}'s data sheet x {UTILISATION:g} of it in use ({UTILISATION_SOURCE})"
    return Pace(device, peak_flops(device) * UTILISATION * workers / flops, source)
