"""The configuration's reference page and JSON schema, generated from the typed model.

`make docs` writes docs/configuration.md and config/schema.json; a test fails with a diff when they drift.
"""

import json
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from wikixlm.config import OPERATIONAL, Config, read_defaults

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "configuration.md"
SCHEMA = ROOT / "config" / "schema.json"

HEADER = """# Configuration reference

Written by `make docs` from `wikixlm/config/`. The defaults are those of `config.yaml`, on top of which
`--configfile` and `--config` are merged. A changed key re-runs the stages that read it; keys marked *operational*
are about where and how to run, and re-run nothing.
"""


def page(defaults: dict[str, Any]) -> str:
    """The reference as Markdown: one table per section, one row per key."""
    top = {name: info for name, info in Config.model_fields.items() if not _section(info)}
    parts = [HEADER, _table(top, "", defaults)]
    for name, info in Config.model_fields.items():
        section = _section(info)
        if section:
            parts.append(f"## `{name}`\n\n{(section.__doc__ or '').strip()}\n")
            parts.append(_table(section.model_fields, f"{name}.", defaults[name]))
    return "\n".join(parts)


def schema() -> str:
    """The JSON schema of a complete configuration, for editors."""
    return json.dumps(Config.model_json_schema(), indent=2) + "\n"


def _section(info: FieldInfo) -> type[BaseModel] | None:
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _table(fields: dict[str, FieldInfo], prefix: str, defaults: dict[str, Any]) -> str:
    rows = ["| key | accepted | default | what |", "| --- | --- | --- | --- |"]
    properties = _properties(prefix)
    for name, info in fields.items():
        note = " *Operational.*" if prefix + name in OPERATIONAL else ""
        default = json.dumps(defaults[name], ensure_ascii=False)
        rows.append(f"| `{name}` | {_accepted(properties[name])} | `{default}` | {info.description}.{note} |")
    return "\n".join(rows) + "\n"


def _properties(prefix: str) -> dict[str, Any]:
    whole = Config.model_json_schema()
    if not prefix:
        return typing.cast(dict[str, Any], whole["properties"])
    reference = whole["properties"][prefix.rstrip(".")]["$ref"].rsplit("/", 1)[1]
    return typing.cast(dict[str, Any], whole["$defs"][reference]["properties"])


def _accepted(shape: dict[str, Any]) -> str:
    if "anyOf" in shape:
        return " or ".join(_accepted(option) for option in shape["anyOf"])
    if "const" in shape:
        return f"`{shape['const']}`"
    if "enum" in shape:
        return ", ".join(f"`{value}`" for value in shape["enum"])
    if shape.get("type") == "array":
        return f"list of {_accepted(shape['items'])}"
    if shape.get("type") == "object":
        return f"mapping to {_accepted(shape['additionalProperties'])}"
    words = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "`true`, `false`",
        "null": "`null`",
    }
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {shape[name]:g}" for name, sign in bounds.items() if name in shape]
    return " ".join([words[shape["type"]], ", ".join(limits)]).strip()


def main() -> None:
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(read_defaults()), encoding="utf-8")
    SCHEMA.write_text(schema(), encoding="utf-8")


if __name__ == "__main__":
    main()
