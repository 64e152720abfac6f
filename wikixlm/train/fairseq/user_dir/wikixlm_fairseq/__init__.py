"""What `fairseq-train --user-dir` imports: it registers the recipe's parts with fairseq."""

from wikixlm.train.fairseq import criterion, half_precision, model, optimizer, run_ahead, schedule, task

__all__ = ["criterion", "model", "optimizer", "schedule", "task"]

half_precision.install()
run_ahead.install()
