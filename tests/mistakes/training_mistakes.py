"""Mistakes with a training."""

import contextlib

from tests.mistakes.conftest import User
from tests.mistakes.registry import mistake, said
from wikixlm.model import device


@mistake("`device: cuda` with a torch for CPUs, or no GPU")
def _(user, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    return said(lambda: device.choose("cuda"))


@mistake("more GPUs than there are")
def _(user, monkeypatch):
    for name, value in (("is_available", True), ("device_count", 1), ("get_device_name", "a GPU")):
        monkeypatch.setattr(f"torch.cuda.{name}", lambda *given, value=value: value)
    return said(lambda: device.choose("auto", 4))


def training(user: User, languages: list[str], **changes: object) -> list[str]:
    """The command of a tiny training on tiny data."""
    from tests.support import fairseq_data as fairseq_factory

    data = user.folder / "data"
    if not data.exists():
        fairseq_factory.make_data(data, languages)
    return fairseq_factory.train_arguments(data, user.folder, languages, **{"recipe": "wikixlm", **changes})


@mistake("a second training beside the first")
def _(user, monkeypatch):
    from wikixlm.train.save_dir import lock

    with lock(user.folder / "checkpoints"):
        return said(lambda: contextlib.ExitStack().enter_context(lock(user.folder / "checkpoints")))


@mistake("an argument that fairseq-train doesn't know", slow=True)
def _(user, monkeypatch):
    return user.runs(*training(user, ["en"], extra_args=["--learn-faster"]))


@mistake("a start from a model with other symbols or languages", slow=True)
def _(user, monkeypatch):
    user.runs(*training(user, ["en", "bg"]), fails=False)
    model = next(user.folder.rglob("model.pt")).rename(user.folder / "old.pt")
    return user.runs(*training(user, ["en"], init_from=str(model)))


@mistake("a language that the model was not trained on", slow=True)
def _(user, monkeypatch):
    user.runs(*training(user, ["en", "bg"]), fails=False)
    model = next(user.folder.rglob("model.pt"))
    wanted = ["--languages", "de", "--splits", "valid", "--seed", "0", "--output", "perplexity.tsv"]
    return user.runs("evaluate", "--model", model, "--data", "data", *wanted)
