"""Start a training from a finished model: the same vocabulary and languages, or more of them.

Rows of the embeddings are copied by symbol and by language code, whatever their order; all other weights are copied as
they are. New symbols' rows are drawn from the normal distribution of the trained ones, dimension by dimension, so that
they neither dominate nor vanish in the softmax (Hewitt, "Initializing new word embeddings for pretrained language
models", 2021); a new language's row is the mean of the trained ones. fairseq then loads the result with
`--finetune-from-model`, which reads the weights alone: optimizer, schedule and data start anew.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from wikixlm.bpe.codes import SPECIALS
from wikixlm.errors import UserError
from wikixlm.files import atomic_path
from wikixlm.model.checkpoint import TrainedModel

_ENCODER = "encoder.sentence_encoder."
_TOKENS = f"{_ENCODER}embed_tokens.weight"
_BIAS = "encoder.lm_output_learned_bias"
_LANGUAGES = f"{_ENCODER}segment_embeddings.weight"
# Fills the vocabulary up to a multiple of 8; an extended one has fewer or more of them, and no text has any.
_FILLER = re.compile(r"madeupword\d{4}")


@dataclass(frozen=True)
class RowNames:
    """The names of the embeddings' rows, in order: symbols (special ones first) and language codes."""

    symbols: Sequence[str]
    languages: Sequence[str]


def dictionary_symbols(path: Path) -> list[str]:
    """The symbols of a `dict.txt`, the special ones before them, in the order of their ids."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except OSError as failure:
        raise UserError(f"cannot read the dictionary {path}: {failure.strerror}") from failure
    return [*SPECIALS, *(line.rsplit(" ", 1)[0] for line in lines if line)]


def row_names(model: TrainedModel) -> RowNames:
    """The symbols and languages that the checkpoint keeps.

    Raises:
        UserError: it keeps none, as checkpoints of fairseq's own task do (model.pt does keep them).
    """
    if model.symbols is None or model.languages is None:
        raise UserError(
            f"{model.path} doesn't keep its vocabulary and languages; use the run's model.pt, or the wikixlm recipe"
        )
    return RowNames(model.symbols, model.languages)


def extend_weights(weights: dict[str, Tensor], old: RowNames, new: RowNames, seed: int) -> dict[str, Tensor]:
    """Extend weights to the symbols and languages of `new`, which must contain all of `old`.

    Args:
        weights: state dict of a model whose rows are `old`.
        old, new: names of the rows before and after.
        seed: of the new rows' random values.

    Raises:
        UserError: sizes and names disagree, or a symbol or language would be lost (except fillers).
    """
    _check("symbols", old.symbols, new.symbols, len(weights[_TOKENS]))
    _check("languages", old.languages, new.languages, len(weights[_LANGUAGES]))
    generator = torch.Generator().manual_seed(seed)
    result = dict(weights)
    trained = weights[_TOKENS][len(SPECIALS) :]
    noise = torch.randn(len(new.symbols), trained.shape[1], generator=generator)
    fresh = trained.float().mean(0) + noise * trained.float().std(0)
    bias = weights[_BIAS].float().mean().expand(len(new.symbols))
    mean = weights[_LANGUAGES].float().mean(0).expand(len(new.languages), -1)
    result[_TOKENS] = _carry_over(weights[_TOKENS], old.symbols, new.symbols, fresh)
    result[_BIAS] = _carry_over(weights[_BIAS], old.symbols, new.symbols, bias)
    result[_LANGUAGES] = _carry_over(weights[_LANGUAGES], old.languages, new.languages, mean)
    return result


def _check(kind: str, old: Sequence[str], new: Sequence[str], rows: int) -> None:
    if len(old) != rows:
        raise UserError(f"train.init_from: the model has {rows} rows for {len(old)} {kind}: its names don't fit it")
    if lost := sorted(name for name in set(old) - set(new) if not _FILLER.fullmatch(name)):
        some = ", ".join(lost[:5]) + (", …" if len(lost) > 5 else "")
        raise UserError(
            f"train.init_from: {len(lost)} {kind} of the model are missing here ({some}); they may be extended, not "
            "replaced: keep the model's codes (bpe.codes_file) and languages, and add to them"
        )


def _carry_over(rows: Tensor, old: Sequence[str], new: Sequence[str], fresh: Tensor) -> Tensor:
    """`fresh`, [len(new), …], with the rows of those names that have one in `rows`, [len(old), …]."""
    new_row = {name: number for number, name in enumerate(new)}
    kept = [number for number, name in enumerate(old) if name in new_row]
    result = fresh.to(rows.dtype).clone()
    result[[new_row[old[number]] for number in kept]] = rows[kept]
    return result


def write_start_checkpoint(
    trained: TrainedModel, dictionary: Path, languages: Sequence[str], output: Path, seed: int
) -> None:
    """Write the checkpoint that `--finetune-from-model` starts from.

    Args:
        trained: the finished model.
        dictionary: `dict.txt` of the data to train on.
        languages: the languages to train on, in order.
        output: path of the new checkpoint.
        seed: of the new rows' random values.

    Raises:
        UserError: see `row_names` and `extend_weights`.
    """
    new = RowNames(dictionary_symbols(dictionary), languages)
    weights = extend_weights(
        {f"encoder.{name}": value for name, value in trained.weights.items()}, row_names(trained), new, seed
    )
    state = {
        "args": None,
        "cfg": None,
        "model": weights,
        "optimizer_history": [
            {"criterion_name": "", "optimizer_name": "", "lr_scheduler_state": {"best": None}, "num_updates": 0}
        ],
        "task_state": {"symbols": list(new.symbols), "languages": list(new.languages)},
        "extra_state": {"train_iterator": {"version": 2, "epoch": 1, "iterations_in_epoch": 0}},
    }
    with atomic_path(output) as temporary:
        torch.save(state, temporary)
