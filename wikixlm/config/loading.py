"""Read the configuration: overlays merged on the base, every problem as one line that names the key."""

import difflib
import functools
import json
import re
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from wikixlm.config.fields import Section
from wikixlm.config.model import Config
from wikixlm.config.training import TrainSettings
from wikixlm.errors import UserError

# The defaults: config.yaml beside the Snakefile.
BASE_CONFIG = Path(__file__).resolve().parents[2] / "config.yaml"

Model = TypeVar("Model", bound=BaseModel)


class ConfigError(UserError):
    """An invalid configuration; `problems` has one line per problem."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `overlay` on top: mappings are merged key by key, everything else is replaced."""
    merged = dict(base)
    for key, value in overlay.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def load(base: Path, overlay: Mapping[str, Any]) -> Config:
    """The configuration in the file `base` with `overlay` merged on top.

    Raises:
        ConfigError: unknown or misspelt keys, wrong types or values, missing files; a line for each.
        UserError: `base` is missing.
    """
    train = overlay.get("train")
    if isinstance(train, Mapping):
        overlay = {**overlay, "train": _batch_of_old_keys(train)}
    return _validated(Config, merge(read_defaults(base), overlay))


def load_overlays(paths: Sequence[Path], overlay: Mapping[str, Any]) -> Config:
    """config.yaml of the checkout with the files `paths` and then `overlay` merged on top, as for snakemake.

    Raises:
        UserError: a file can't be read or holds no mapping, or a key is wrong.
    """
    return load(BASE_CONFIG, functools.reduce(merge, [*map(_read_overlay, paths), overlay], {}))


def _read_overlay(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as failure:
        raise UserError(f"cannot read {path}: {failure}") from failure
    if not isinstance(content, dict):
        raise UserError(f"{path} is not a configuration: it holds a {type(content).__name__}, expected keys and values")
    return content


def read_defaults(base: Path = BASE_CONFIG) -> dict[str, Any]:
    """The content of `config.yaml`: each key with its default.

    Raises:
        UserError: the file is missing.
    """
    if not base.exists():
        raise UserError(f"{base} is missing: run this from a checkout of wikixlm")
    return dict(yaml.safe_load(base.read_text(encoding="utf-8")))


def parse_train_settings(text: str) -> TrainSettings:
    """The settings of a training from a JSON object; keys that it leaves out have their defaults.

    Raises:
        UserError: not a JSON object.
        ConfigError: unknown or misspelt keys, wrong types or values, missing files; a line for each.
    """
    try:
        values = json.loads(text)
    except ValueError as failure:
        raise UserError(f"--settings is not valid JSON ({failure})") from failure
    if not isinstance(values, dict):
        raise UserError("--settings is not a JSON object of keys of the section train")
    defaults = read_defaults()["train"]
    usual = {key: value for key, value in defaults.items() if key in TrainSettings.model_fields}
    return _validated(_SettingsAlone, {"train": {**usual, **_batch_of_old_keys(values)}}).train


def _batch_of_old_keys(train: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section train of an overlay, whose max_tokens or update_freq win over the default of batch_tokens."""
    layout = [train.get("max_tokens", "auto"), train.get("update_freq")]
    return train if "batch_tokens" in train or layout == ["auto", None] else {**train, "batch_tokens": None}


class _SettingsAlone(Section):
    train: TrainSettings


def _validated(model: type[Model], values: dict[str, Any]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as failure:
        raise ConfigError([_describe(dict(problem), model) for problem in failure.errors()]) from None


def _describe(problem: dict[str, Any], root: type[BaseModel]) -> str:
    """One line for one of pydantic's errors."""
    key = ".".join(str(part) for part in problem["loc"] if part != "[key]")
    if problem["type"] == "extra_forbidden":
        return _unknown_key(problem["loc"], root)
    message = problem["msg"].removeprefix("Value error, ")
    if not key:
        return f"configuration: {message}"
    # A section's validator names the keys itself.
    if problem["type"] == "value_error" and isinstance(problem["input"], dict):
        return f"configuration: {message}"
    if problem["type"] == "missing":
        return f"configuration: {key} is missing"
    if problem["type"] == "model_type":
        message = f"accepted: a mapping with the keys {', '.join(_fields_at(problem['loc'], root))}"
    if message[1:2].islower():  # unless the first word is one such as YAML
        message = message[0].lower() + message[1:]
    # An address with a password is refused, and the password stays out of the message.
    found = re.sub(r"//\S*@", "//…@", repr(problem["input"]))
    return f"configuration: {key}: {found}: {message}"


def _unknown_key(loc: tuple[str | int, ...], root: type[BaseModel]) -> str:
    fields = _fields_at(loc[:-1], root)
    close = difflib.get_close_matches(str(loc[-1]), fields, n=1)
    hint = f"did you mean {close[0]}?" if close else f"accepted here: {', '.join(fields)}"
    return f"configuration: {'.'.join(map(str, loc))}: unknown key; {hint}"


def _fields_at(loc: tuple[str | int, ...], model: type[BaseModel]) -> list[str]:
    for part in loc:
        annotation = model.model_fields[str(part)].annotation
        if isinstance(annotation, types.GenericAlias) or not isinstance(annotation, type):
            break
        model = annotation
    return list(model.model_fields)
