"""What `fairseq-train --user-dir` imports: it registers the recipe's parts with fairseq."""

from wikixlm.fairseq_ext import criterion, model, optimizer, schedule, task

__all__ = ["criterion", "model", "optimizer", "schedule", "task"]
