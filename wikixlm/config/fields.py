"""Types of the configuration's values: languages, files, dates, numbers within bounds."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from wikixlm import languages
from wikixlm.config.package_paths import locate


def _language(value: Any) -> Any:
    if value is False:
        raise ValueError('YAML reads an unquoted no as false; for Norwegian write "no", with the quotes')
    if not isinstance(value, str):
        raise ValueError("accepted: a Wikipedia's language code, such as de or zh-yue")
    if not languages.is_language(value):
        guess = languages.suggest(value)
        hint = f"; did you mean {guess}?" if guess else ""
        raise ValueError(f"not the language code of a Wikipedia{hint}")
    return value


def _existing(kind: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        path = locate(value)
        found = "file" if path.is_file() else "folder" if path.is_dir() else ""
        if found != kind:
            problem = f"is a {found}" if found else "does not exist"
            raise ValueError(f"this {kind} {problem} (relative paths are relative to {Path.cwd()})")
        return value

    return check


def _date(value: Any) -> Any:
    text = str(value)
    if text != "latest" and not re.fullmatch(r"20\d{6}", text):
        raise ValueError("accepted: latest, or a dump's date such as 20261101")
    return text


def _number(value: Any) -> Any:
    # Snakemake gives numbers inside a mapping of --config as text: train='{max_update: 100}'.
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value) else value


Language = Annotated[str, BeforeValidator(_language)]
File = Annotated[str, AfterValidator(_existing("file"))]
Folder = Annotated[str, AfterValidator(_existing("folder"))]
Date = Annotated[str, BeforeValidator(_date)]
Positive = Annotated[int, Field(ge=1, strict=True), BeforeValidator(_number)]
Natural = Annotated[int, Field(ge=0, strict=True), BeforeValidator(_number)]
BlockLength = Annotated[int, Field(ge=8, strict=True), BeforeValidator(_number)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values can't be changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)
