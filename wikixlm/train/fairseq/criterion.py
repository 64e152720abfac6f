"""The loss: summed cross-entropy of the masked tokens; no other position is projected on the vocabulary.

In fairseq's log `loss` is in nats per masked token and `ppl` is e to it (fairseq's own criteria log bits), so that the
figures are those of evaluation/mlm_perplexity.tsv.
"""

from typing import Any

from fairseq import metrics
from fairseq.criterions import FairseqCriterion, register_criterion
from fairseq.dataclass import FairseqDataclass
from torch import Tensor

from wikixlm.model.batches import Batch
from wikixlm.model.network import summed_cross_entropy
from wikixlm.model.perplexity import perplexity


@register_criterion("wikixlm_masked_lm", dataclass=FairseqDataclass)
class MaskedTokensLoss(FairseqCriterion):
    """Sum over the masked tokens, with their number as the sample size.

    fairseq divides the gradient by the sum of the sample sizes over all workers and all batches of an update, so it is
    the mean over the update's masked tokens, however they are distributed.
    """

    def forward(self, model: Any, sample: Batch, reduce: bool = True) -> tuple[Tensor, int, dict[str, Any]]:
        """Loss (a sum, in nats), number of masked tokens, and what to log; tensors stay on their device."""
        logits, _ = model(**sample["net_input"])
        target = sample["target"]
        loss = getattr(model, "cross_entropy", summed_cross_entropy)(logits, target)  # the model's may be compiled
        if not sample["ntargets"]:  # a batch that doesn't count
            loss = 0.0 * loss
        log = {
            "loss": loss.detach(),
            "sample_size": sample["ntargets"],
            "ntokens": sample["ntokens"],
            "nsentences": sample["nsentences"],
        }
        if not model.training:
            log["correct"] = logits.argmax(dim=-1).eq(target).sum() * bool(sample["ntargets"])
        return loss, sample["ntargets"], log

    @staticmethod
    def reduce_metrics(logging_outputs: list[dict[str, Any]]) -> None:
        """Log the training loss; the task logs held-out figures itself, by language."""
        loss = sum(log["loss"] for log in logging_outputs)
        size = sum(log["sample_size"] for log in logging_outputs)
        metrics.log_scalar("loss", loss / size, size, round=3)
        metrics.log_derived("ppl", lambda meters: round(perplexity(float(meters["loss"].avg)), 2))

    @staticmethod
    def logging_outputs_can_be_summed() -> bool:
        return True
