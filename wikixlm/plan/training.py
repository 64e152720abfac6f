"""What a training costs: FLOPs a token, weights, tokens, and the time on a device."""

from dataclasses import dataclass

from wikixlm.config import Config
from wikixlm.plan.calibration import Calibration

ESTIMATE = "ESTIMATE"
# Of a weight in model.pt; each of the optimizer's figures for it takes as many.
BYTES_PER_WEIGHT = 4
# Symbols beside the merges: the alphabet, 362 characters in the demo, and more with every script.
ALPHABET = 500


@dataclass(frozen=True)
class Model:
    """The shape of the network; `vocabulary` is a guess until the codes are learned."""

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


def model(cfg: Config) -> Model:
    """The model of a configuration."""
    size = cfg.train.dimensions
    return Model(size.embed_dim, size.ffn_dim, size.num_layers, cfg.bpe.codes + ALPHABET)


def checkpoint_bytes(cfg: Config, device: str) -> int:
    """A checkpoint: the weights and the optimizer's two moments of each; in bf16 and fp16 its fp32 weights as well.

    Args:
        device: as for `pace`; `train.precision: auto` is fp32 on a CPU, and half precision on a GPU.
    """
    precision = cfg.train.precision
    half = precision in ("bf16", "fp16") or (precision == "auto" and device != "cpu")
    return model(cfg).weights * BYTES_PER_WEIGHT * (4 if half else 3)


def tokens(cfg: Config) -> int:
    """Tokens that the training reads until max_update, over all its workers."""
    train = cfg.train
    return train.max_update * train.max_tokens * train.update_freq * train.gpus * train.nodes


@dataclass(frozen=True)
class Pace:
    """Tokens per second of all devices together, where the figure comes from, and the CPU's cores if it is that."""

    device: str
    tokens_per_second: float
    source: str
    cores: int = 1


def pace(cfg: Config, calibration: Calibration, device: str, cores: int, given: float | None) -> Pace:
    """How fast the training goes.

    Args:
        device: `cpu`, or a GPU of the calibration's table.
        cores: of the CPU, where that is the device.
        given: tokens per second of one device, measured by the user; replaces the estimate.

    Raises:
        UserError: the GPU is unknown and nothing is given.
    """
    workers = 1 if device == "cpu" else cfg.train.gpus * cfg.train.nodes
    if given is not None:
        return Pace(device, given * workers, "--tokens-per-second", cores if device == "cpu" else 1)
    flops = model(cfg).flops_per_token(cfg.train.tokens_per_sample, cfg.train.mask_ratio)
    if device == "cpu":
        speed = calibration.value("cpu_flops_per_core") * cores
        return Pace(device, speed / flops, f"{calibration.source('cpu_flops_per_core')}, {cores} cores", cores)
    share = calibration.value("utilisation")
    speed = calibration.peak(device) * share * workers
    return Pace(
        device,
        speed / flops,
        f"{ESTIMATE}: {device}'s data sheet x {share:g} of it in use ({calibration.source('utilisation')})",
    )
