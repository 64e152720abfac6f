"""Types of the configuration's values: languages, files, dates, numbers within bounds."""

import datetime
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

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
        if value.startswith("-") or not value.isprintable() or "{" in value or "}" in value:
            raise ValueError(
                f"a {kind}'s name can't begin with - or have braces, line ends or other control characters; rename it"
            )
        path = locate(value)
        found = "file" if path.is_file() else "folder" if path.is_dir() else ""
        if found != kind:
            problem = f"is a {found}" if found else "does not exist"
            raise ValueError(f"this {kind} {problem} (relative paths are relative to {Path.cwd()})")
        return value

    return check


def _date(value: Any) -> Any:
    text = str(value)
    if text != "latest":
        try:
            if not re.fullmatch(r"20[0-9]{6}", text):
                raise ValueError
            datetime.date.fromisoformat(text)
        except ValueError:
            raise ValueError("accepted: latest, or a dump's date such as 20261101") from None
    return text


def check_mirror(url: str) -> str:
    """`url` without its last slash, if it can be the address of a mirror.

    Raises:
        ValueError: it has another scheme, no host, credentials, or a query. The message has none of them: addresses
            are recorded in logs and manifests, where a password does not belong.
    """
    if not re.match(r"https?://[^/]", url) or not url.isprintable() or " " in url:
        raise ValueError("a mirror's address must begin with https:// or http://")
    if "@" in url:
        raise ValueError("a mirror's address has no name and password; put them into ~/.netrc")
    if "?" in url or "#" in url:
        raise ValueError("a mirror's address has no query")
    return url.rstrip("/")


def _number(value: Any) -> Any:
    # Snakemake gives numbers inside a mapping of --config as text: train='{max_update: 100}'.
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value) else value


def _one_message(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    # pydantic has a message for each alternative of a union; the first one says what is wrong with a number.
    try:
        return validate(value)
    except ValidationError as failure:
        raise ValueError(failure.errors()[0]["msg"]) from None


Language = Annotated[str, BeforeValidator(_language)]
File = Annotated[str, AfterValidator(_existing("file"))]
Folder = Annotated[str, AfterValidator(_existing("folder"))]
Date = Annotated[str, BeforeValidator(_date)]
Positive = Annotated[int, Field(ge=1, strict=True), BeforeValidator(_number)]
Natural = Annotated[int, Field(ge=0, strict=True), BeforeValidator(_number)]
# More make jobs of no size, and the dry run alone takes minutes.
Shards = Annotated[int, Field(ge=1, le=10_000, strict=True), BeforeValidator(_number)]
# What numpy and torch accept.
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True), BeforeValidator(_number)]
Mirror = Annotated[str, AfterValidator(check_mirror)]
PositiveOrAuto = Annotated[Positive | Literal["auto"], WrapValidator(_one_message)]
Rate = Annotated[float, Field(gt=0)]
RateOrAuto = Annotated[Rate | Literal["auto"], WrapValidator(_one_message)]
BlockLength = Annotated[int, Field(ge=8, strict=True), BeforeValidator(_number)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class Section(BaseModel):
    """A part of the configuration: unknown keys are errors, values can't be changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
