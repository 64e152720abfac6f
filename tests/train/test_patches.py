"""Patches of fairseq's trainer that need no training to be shown."""

from types import SimpleNamespace

from wikixlm.train.fairseq import compat, patches


def test_a_validation_loss_that_is_not_finite_makes_no_checkpoint_the_best(monkeypatch, capsys):
    compat.apply()
    from fairseq import checkpoint_utils

    saved = []
    monkeypatch.setattr(checkpoint_utils, "save_checkpoint", lambda cfg, trainer, epoch, loss: saved.append(loss))
    patches.save_checkpoint()
    trainer = SimpleNamespace(get_num_updates=lambda: 7, is_data_parallel_master=True)
    for loss in (2.5, float("nan"), float("inf"), None):
        checkpoint_utils.save_checkpoint(None, trainer, None, loss)
    assert saved == [2.5, None, None, None]
    assert capsys.readouterr().out.splitlines() == [
        "warning: the validation loss at update 7 is nan: its checkpoint can't become the model",
        "warning: the validation loss at update 7 is inf: its checkpoint can't become the model",
    ]
