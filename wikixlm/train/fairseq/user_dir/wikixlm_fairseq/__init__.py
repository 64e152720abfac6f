"""What `fairseq-train --user-dir` imports: it registers the recipe's parts with fairseq."""

from wikixlm.train.fairseq import criterion, model, optimizer, patches, schedule, task

__all__ = ["criterion", "model", "optimizer", "schedule", "task"]

patches.apply(patches.RECIPE)
