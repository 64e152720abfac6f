"""Every patch of fairseq's trainer (0.12.2), in the order in which they are applied.

`TRAINER` is for each `fairseq-train` that `wikixlm train` starts, `RECIPE` for those with this extension.
What stock fairseq needs to run at all on today's Python, torch and numpy is listed in `compat`.
"""

import functools
import importlib
import logging
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wikixlm import console
from wikixlm.train.fairseq import interruption, log

logger = logging.getLogger(__name__)

# In the log, where `wikixlm train` looks for it.
STOPPED = "stopped between two updates"


def load_checkpoint() -> None:
    """Load a checkpoint's tensors and counters only, mapped from its file; its `cfg` and `args` are ignored.

    Every worker of a machine loads all of it, weights and optimizer state; mapped, they share its pages.

    fairseq composes a configuration from `args`, and its builders evaluate some of the options as Python. The trainer
    needs neither: it builds what its own command line says.
    """
    from fairseq import checkpoint_utils

    from wikixlm.model.checkpoint import load_state

    def load_checkpoint_to_cpu(path: str, arg_overrides: Any = None, load_on_all_ranks: bool = False) -> dict[str, Any]:
        state = load_state(Path(path))
        state["cfg"] = state["args"] = None
        upgraded: dict[str, Any] = checkpoint_utils._upgrade_state_dict(state)
        return upgraded

    checkpoint_utils.load_checkpoint_to_cpu = load_checkpoint_to_cpu


def save_checkpoint() -> None:
    """Save no checkpoint that contains an update with infinite gradients, and note which update was saved.

    While the CPU runs ahead (`clip_grad_norm` below), the trainer has not seen the last update's gradient norm yet.
    A validation loss that is not finite makes no checkpoint the best, with a warning: compared with it, none ever were.
    """
    import torch
    from fairseq import checkpoint_utils

    save = checkpoint_utils.save_checkpoint

    @functools.wraps(save)
    def save_checkpoint(cfg: Any, trainer: Any, epoch_itr: Any, val_loss: float | None) -> None:
        if hasattr(trainer, "norms") and not torch.isfinite(trainer.norms.newest):
            raise FloatingPointError("gradients are Nan/Inf")  # the trainer's own words
        if val_loss is not None and not math.isfinite(val_loss):
            if trainer.is_data_parallel_master:
                where = f"the validation loss at update {trainer.get_num_updates():,} is {val_loss}"
                print(f"{console.WARNING}{where}: its checkpoint can't become the model", flush=True)
            val_loss = None
        save(cfg, trainer, epoch_itr, val_loss)
        trainer.saved_at = trainer.get_num_updates()

    checkpoint_utils.save_checkpoint = save_checkpoint


def validate_and_save() -> None:
    """Have the training loop check, after every update, whether it was asked to stop.

    The validation and the checkpoint that are due after that update are made as usual: a resumed training does not
    make them again. Otherwise the checkpoint is saved without a validation, since time may be short. At the end of an
    epoch one more update is made: what fairseq does between two epochs (the plateau schedule's step) would be skipped.
    """
    from fairseq import checkpoint_utils

    train: Any = importlib.import_module("fairseq_cli.train")
    after_update = train.validate_and_save
    finish_epoch = True

    @functools.wraps(after_update)
    def validate_and_save(
        cfg: Any, trainer: Any, task: Any, epoch_itr: Any, subsets: list[str], end_of_epoch: bool
    ) -> tuple[Any, bool]:
        nonlocal finish_epoch
        losses, done = after_update(cfg, trainer, task, epoch_itr, subsets, end_of_epoch)
        if done or not interruption.any_worker_was_asked(trainer):
            return losses, done
        if end_of_epoch and finish_epoch:
            finish_epoch = False  # only once, where an epoch is a single update
            return losses, done
        updates = trainer.get_num_updates()
        if getattr(trainer, "saved_at", -1) != updates:
            checkpoint_utils.save_checkpoint(cfg.checkpoint, trainer, epoch_itr, None)
        logger.info("%s, at update %d, by %s", STOPPED, updates, interruption.asked_by() or "another worker")
        return losses, True

    train.validate_and_save = validate_and_save


def write_metrics() -> None:
    """Have the trainer write its figures to `metrics.jsonl`, where `log.environment` asked for it."""
    log.add_metrics_handler()


def epoch_position() -> None:
    """Save the place in an epoch in examples over all workers: a training resumes with other workers or batch sizes.

    fairseq saves how many batches each worker has read. With twice the workers that is twice as far as the training was
    (data is skipped, or the epoch is over: "Cannot resume training due to dataloader mismatch"), with half of them half
    as far (data is read twice). With batches of the same size the place is exact. With another size fairseq shuffles
    the batches anew: the number of examples that are left is right, but not which ones.
    """
    from fairseq.data.iterators import EpochBatchIterator

    save, load = EpochBatchIterator.state_dict, EpochBatchIterator.load_state_dict

    def examples_of_all_workers(iterator: Any) -> int:
        """In one batch each; the epoch's last one may have fewer."""
        return int(iterator.num_shards) * max(map(len, iterator.frozen_batches))

    @functools.wraps(save)
    def state_dict(self: Any) -> dict[str, Any]:
        state: dict[str, Any] = save(self)
        return {**state, "examples": state["iterations_in_epoch"] * examples_of_all_workers(self)}

    @functools.wraps(load)
    def load_state_dict(self: Any, state: dict[str, Any]) -> None:
        batches = state.get("iterations_in_epoch", 0)
        if "examples" in state:
            batches = state["examples"] // examples_of_all_workers(self)
        load(self, {**state, "iterations_in_epoch": min(batches, len(self) - 1)})

    EpochBatchIterator.state_dict = state_dict
    EpochBatchIterator.load_state_dict = load_state_dict


def half_precision() -> None:
    """Train in bf16 and fp16 with `HalfPrecision`: fewer steps, and checkpoints that hold the fp32 weights."""
    from fairseq import optim

    from wikixlm.train.fairseq.half_precision import HalfPrecision

    optim.FP16Optimizer = HalfPrecision


def clip_grad_norm() -> None:
    """Give the trainer the gradient norm of the update before, where the CPU may run ahead of the GPU.

    An update whose gradients are not finite still ends the training, but during the update after it, or when its
    checkpoint is due.
    """
    from fairseq.trainer import Trainer

    from wikixlm.train.fairseq import run_ahead

    clip = Trainer.clip_grad_norm

    @functools.wraps(clip)
    def clip_grad_norm(self: Any, clip_norm: float) -> Any:
        norm = clip(self, clip_norm)
        if not run_ahead.may_run_ahead(self, norm):
            return norm
        if not hasattr(self, "norms"):
            self.norms = run_ahead.Norms()
        return self.norms.exchange(norm)

    Trainer.clip_grad_norm = clip_grad_norm


def log_update() -> None:
    """Log an update's figures without waiting for the GPU, under fairseq's names, priorities and values."""
    from fairseq import metrics
    from fairseq.trainer import Trainer

    original = Trainer._reduce_and_log_stats

    @functools.wraps(original)
    def log_update(self: Any, logs: list[dict[str, Any]], sample_size: float, grad_norm: Any = None) -> dict[str, Any]:
        if grad_norm is None:  # a validation
            outcome: dict[str, Any] = original(self, logs, sample_size)
            return outcome
        norm = self.norms.newest if hasattr(self, "norms") else grad_norm
        metrics.log_speed("ups", 1.0, priority=100, round=2)
        metrics.log_scalar("gnorm", norm, priority=400, round=3)
        limit = self.cfg.optimization.clip_norm
        if limit > 0:
            metrics.log_scalar("clip", 100.0 * (norm > limit), priority=500, round=1)
        self.task.reduce_metrics(logs, self.get_criterion())
        return {"sample_size": sample_size}  # the training loop only checks whether there was an update

    Trainer._reduce_and_log_stats = log_update


def set_seed() -> None:
    """Seed dropout by worker as well: with the same seed all workers would drop the same units of their batches.

    The first worker keeps fairseq's seed, so one worker trains as ever.
    """
    from fairseq import utils
    from fairseq.trainer import Trainer

    from wikixlm.model.stateless_random import derive_key

    original = Trainer._set_seed

    @functools.wraps(original)
    def set_seed(self: Any) -> None:
        if rank := self.data_parallel_rank:
            key = int(derive_key(self.cfg.common.seed, self.get_num_updates(), rank)[0])
            utils.set_torch_seed(key >> 1)  # torch's seeds are signed
        else:
            original(self)

    Trainer._set_seed = set_seed


TRAINER = (load_checkpoint, save_checkpoint, validate_and_save, write_metrics, epoch_position)
RECIPE = (save_checkpoint, half_precision, set_seed, clip_grad_norm, log_update)

_applied: set[Callable[[], None]] = set()


def apply(patches: tuple[Callable[[], None], ...]) -> None:
    """Apply those that have not been applied yet."""
    for patch in patches:
        if patch not in _applied:
            patch()
            _applied.add(patch)
