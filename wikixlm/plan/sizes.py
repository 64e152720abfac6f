"""How large each language's source is, before anything is downloaded."""

from dataclasses import dataclass
from pathlib import Path

from wikixlm import languages
from wikixlm.config import Config
from wikixlm.config.package_paths import locate
from wikixlm.download import pinned
from wikixlm.download.client import Client, RetryPolicy
from wikixlm.download.partial import bytes_on_disk
from wikixlm.errors import UserError
from wikixlm.workflow.run_record import DUMP, TEXT, WIKIMEDIA

# Few retries, as someone waits at a terminal.
RETRY_POLICY = RetryPolicy(retries=2, backoff=1.0)


@dataclass(frozen=True)
class Source:
    """One language's source; sizes in bytes, `missing`: what is still to be downloaded."""

    language: str
    kind: str
    size: int
    missing: int
    about: str


def find_sources(cfg: Config, directory: Path, given: dict[str, float]) -> list[Source]:
    """All languages' sources, in their order.

    Args:
        directory: the run's, where dumps may lie already.
        given: GB of a dump, by language, instead of asking the server.

    Raises:
        UserError: a size can't be had.
    """
    found = [_here(cfg, language, given) for language in cfg.languages]
    if all(found):
        return [source for source in found if source]
    try:
        with Client(cfg.dumps.contact, RETRY_POLICY) as client:
            return [
                here or _resolved(client, cfg, directory, lang) for lang, here in zip(cfg.languages, found, strict=True)
            ]
    except UserError as failure:
        raise UserError(
            f"{failure}. Without the server, give the sizes of the dumps in GB: --sizes de=7.1 fr=6.2,"
            " or a dump on disk: dumps.local"
        ) from failure


def _here(cfg: Config, language: str, given: dict[str, float]) -> Source | None:
    """A source whose size needs no server."""
    if language in cfg.corpora.local:
        size = sum(locate(name).stat().st_size for name in cfg.corpora.local[language])
        return Source(language, TEXT, size, 0, "own text")
    if language in cfg.dumps.local:
        path = locate(cfg.dumps.local[language])
        return Source(language, DUMP, path.stat().st_size, 0, "plain XML" if path.suffix == ".xml" else "dump on disk")
    if language in given:
        size = round(given[language] * 1e9)
        return Source(language, WIKIMEDIA, size, size, "--sizes")
    return None


def _resolved(client: Client, cfg: Config, directory: Path, language: str) -> Source:
    folder = directory / "dumps" / language
    dumps = cfg.dumps
    root = dumps.mirrors[0].rstrip("/")
    export = pinned.pin_dump(client, root, languages.wiki(language), dumps.date, dumps.layout, folder / "resolved.yaml")
    size = sum(file.size for file in export.files)
    there = sum(min(bytes_on_disk(folder, file.name), file.size) for file in export.files)
    return Source(language, WIKIMEDIA, size, size - there, f"{export.layout} {export.date}")
