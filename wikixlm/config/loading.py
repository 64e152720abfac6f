"""Reading the configuration: overlays merged on the base, and every problem as one line that names the key."""

import difflib
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from wikixlm.config.model import Config
from wikixlm.errors import UserError


class ConfigError(UserError):
    """What is wrong with a configuration: one line a problem, in `problems`."""

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
    """
    merged = merge(yaml.safe_load(base.read_text(encoding="utf-8")), overlay)
    try:
        return Config.model_validate(merged)
    except ValidationError as failure:
        raise ConfigError([_describe(dict(problem)) for problem in failure.errors()]) from None


def _describe(problem: dict[str, Any]) -> str:
    """One line for one of pydantic's errors."""
    key = ".".join(str(part) for part in problem["loc"] if part != "[key]")
    if problem["type"] == "extra_forbidden":
        return _unknown_key(problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    if not key:
        return f"configuration: {message}"
    if problem["type"] == "value_error" and isinstance(problem["input"], dict):  # of a whole section: it names the keys
        return f"configuration: {message}"
    if problem["type"] == "missing":
        return f"configuration: {key} is missing"
    if problem["type"] == "model_type":
        message = f"accepted: a mapping with the keys {', '.join(_fields_at(problem['loc']))}"
    if message[1:2].islower():  # the first word is none such as YAML
        message = message[0].lower() + message[1:]
    return f"configuration: {key}: {problem['input']!r}: {message}"


def _unknown_key(loc: tuple[str | int, ...]) -> str:
    fields = _fields_at(loc[:-1])
    close = difflib.get_close_matches(str(loc[-1]), fields, n=1)
    hint = f"did you mean {close[0]}?" if close else f"accepted here: {', '.join(fields)}"
    return f"configuration: {'.'.join(map(str, loc))}: unknown key; {hint}"


def _fields_at(loc: tuple[str | int, ...]) -> list[str]:
    model: type[BaseModel] = Config
    for part in loc:
        annotation = model.model_fields[str(part)].annotation
        if isinstance(annotation, types.GenericAlias) or not isinstance(annotation, type):
            break
        model = annotation
    return list(model.model_fields)
