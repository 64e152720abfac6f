"""What `fairseq-train --user-dir` imports: it registers the recipe's parts with fairseq."""

from wikixlm.train.fairseq import criterion
from wikixlm.train.fairseq import half_precision
from wikixlm.train.fairseq import model
from wikixlm.train.fairseq import optimizer
from wikixlm.train.fairseq import run_ahead
from wikixlm.train.fairseq import schedule
from wikixlm.train.fairseq import task

__all__ = ["criterion", "model", "optimizer", "schedule", "task"]

half_precision.install()
run_ahead.install()
