"""Tables of what ran: sources, the configuration's difference from the defaults, versions."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from wikixlm import languages
from wikixlm.config import OPERATIONAL
from wikixlm.report.run import Counts, Run

_HASHES = ("sha256", "sha1", "md5")


def sources(run: Run) -> pd.DataFrame | None:
    """The files each language was made from, a row each: which wiki, date of the dump, size in bytes, hash."""
    rows: list[dict[str, Any]] = []
    for language in run.languages:
        for source in _sources(run, language):
            rows += _files(run, language, source)
    return pd.DataFrame(rows) if rows else None


def _sources(run: Run, language: str) -> list[Counts]:
    """As the model's manifest records them, as downloaded, or as the extraction's counts name them."""
    recorded = (run.manifest or {}).get("sources", {}).get(language)
    if recorded:
        return list(recorded)
    downloaded = run.downloaded(language)
    if downloaded is not None:
        return [downloaded]
    named = dict.fromkeys(path for counts in run.counts("extract", language) for path in counts["files"])
    return [{"path": path} for path in named]


def _files(run: Run, language: str, source: Counts) -> Iterator[dict[str, Any]]:
    if "path" in source:
        yield {
            "language": language,
            "wiki": _host(run, language),
            "date": "",
            "file": Path(source["path"]).name,
        } | _measures(source)
        return
    for file in source["files"]:
        yield {
            "language": language,
            "wiki": _host(run, language),
            "date": source.get("date", ""),
            "file": file["name"],
        } | _measures(file)


def _host(run: Run, language: str) -> str:
    return "own text" if run.own_text(language) else languages.wiki(language).host


def _measures(file: Counts) -> dict[str, Any]:
    path = file.get("path")
    size = file.get("size") or (Path(path).stat().st_size if path and Path(path).is_file() else None)
    digest = next((f"{kind}:{file[kind]}" for kind in _HASHES if kind in file), "")
    return {"size": size, "hash": digest, "address": file.get("url", "")}


def configuration(run: Run, defaults: Mapping[str, Any]) -> pd.DataFrame | None:
    """The keys that differ from the defaults, a row each; operational keys, which shape no result, stay out.

    Empty where nothing differs, None where the run's configuration is not known.
    """
    if run.configuration is None:
        return None
    usual, here = dict(_flat(defaults)), dict(_flat(run.configuration))
    rows = [
        {
            "key": key,
            "default": json.dumps(usual.get(key), ensure_ascii=False),
            "run": json.dumps(value, ensure_ascii=False),
        }
        for key, value in here.items()
        if key not in OPERATIONAL and usual.get(key) != value
    ]
    return pd.DataFrame(rows, columns=["key", "run", "default"])


def _flat(values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """`section.key` and value; values of keys that are mappings themselves stay whole."""
    for section, content in values.items():
        if isinstance(content, Mapping):
            yield from ((f"{section}.{key}", value) for key, value in content.items())
        else:
            yield section, content


def versions(run: Run) -> pd.DataFrame | None:
    """Versions of the code, Python and packages with which the model was made, and the machine."""
    if run.manifest is None:
        return None
    named = {
        "wikixlm": run.manifest.get("wikixlm"),
        "commit of the code": run.manifest.get("git_commit"),
        "Python": run.manifest.get("python"),
        "platform": run.manifest.get("platform"),
        **_machine(run.manifest),
        **run.manifest.get("packages", {}),
    }
    return pd.DataFrame([{"what": name, "version": str(text)} for name, text in named.items() if text])


def _machine(manifest: Counts) -> dict[str, Any]:
    """The hardware of the training's last call where that is recorded, else of the machine that wrote the manifest."""
    calls = (manifest.get("training") or {}).get("sessions") or []
    hardware = calls[-1].get("hardware", {}) if calls else manifest.get("hardware") or {}
    memory = hardware.get("memory_bytes")
    return {
        "processor": hardware.get("cpu"),
        "cores": hardware.get("cores"),
        "memory": f"{memory / 1e9:.0f} GB" if memory else None,
        "GPUs": ", ".join(hardware.get("gpus") or []),
    }
