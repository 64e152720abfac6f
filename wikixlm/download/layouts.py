"""Find a run of a wiki's dumps and its files: two layouts of Wikimedia's server behind one interface.

`multistream`: the classic dumps, https://dumps.wikimedia.org/dewiki/20261101/. dumpstatus.json has the
status of each job of a run and lists its files with size, SHA-1 and MD5. Large wikis are dumped in parts, which a
second job recombines into one file; that file is used if its job is done, else the parts.

`content_current`: the newer exports, https://dumps.wikimedia.org/other/mediawiki_content_current/dewiki/2026-11-01/.
The parts are listed in SHA256SUMS; a file named _SUCCESS appears when the export is complete.
"""

import datetime
import json
import logging
import re
from dataclasses import dataclass, field
from typing import Any, Protocol

from wikixlm.download.client import Client, NotFoundError, PermanentError
from wikixlm.errors import UserError

_HASHES = {"sha1": "[0-9a-f]{40}", "md5": "[0-9a-f]{32}"}


class IncompleteRunError(Exception):
    """A run that does not exist or is not finished."""


@dataclass(frozen=True)
class DumpFile:
    """One file of a run."""

    name: str
    path: str
    """below the root of a mirror"""
    size: int
    """bytes"""
    hashes: dict[str, str] = field(default_factory=dict)
    """`sha1`, `md5` or `sha256`, in hexadecimal"""


@dataclass(frozen=True)
class DumpRun:
    """One complete run of a wiki's dumps: the files to download."""

    wiki: str
    layout: str
    date: str
    """YYYYMMDD in both layouts"""
    files: tuple[DumpFile, ...]
    """in the order of their pages"""


class Layout(Protocol):
    """How a server lays out its dumps."""

    name: str

    def list_dates(self, client: Client, root: str, wiki: str) -> list[str]:
        """The dates (YYYYMMDD) of the wiki's runs, complete or not, newest first; none for an unknown wiki."""

    def describe_run(self, client: Client, root: str, wiki: str, date: str) -> DumpRun:
        """The run of a date.

        Raises:
            IncompleteRunError: it does not exist or is not finished.
            PermanentError: the request failed.
        """


class Multistream:
    """The classic dumps."""

    name = "multistream"
    jobs = ("articlesmultistreamdumprecombine", "articlesmultistreamdump")

    def list_dates(self, client: Client, root: str, wiki: str) -> list[str]:
        return _dates(client, f"{root}/{wiki}/", r"\d{8}")

    def describe_run(self, client: Client, root: str, wiki: str, date: str) -> DumpRun:
        url = f"{root}/{wiki}/{date}/dumpstatus.json"
        try:
            jobs = client.document(url, _jobs)
        except NotFoundError:
            raise IncompleteRunError("does not exist") from None
        for job in self.jobs:
            if _status(jobs, job) == "done":
                return DumpRun(wiki, self.name, date, self._files(jobs[job].get("files"), wiki, date))
        raise IncompleteRunError(f"the status of its multistream job is {_status(jobs, self.jobs[-1])!r}")

    def _files(self, listed: Any, wiki: str, date: str) -> tuple[DumpFile, ...]:
        pattern = re.compile(
            rf"{wiki}-{date}-pages-articles-multistream([0-9]{{0,6}})\.xml(?:-p([0-9]{{1,15}})p[0-9]{{1,15}})?\.bz2"
        )
        found = []
        for name, about in listed.items() if isinstance(listed, dict) else ():
            if match := pattern.fullmatch(name):
                part, first_page = (int(number or 0) for number in match.groups())
                found.append(((first_page, part), self._file(name, about, f"{wiki}/{date}/{name}")))
        if not found:
            raise IncompleteRunError("its multistream job lists no dump")
        parts = {part for (_, part), _ in found}
        if 0 in parts:  # the whole dump in one file
            found = [entry for entry in found if entry[0][1] == 0]
        elif parts != set(range(1, len(parts) + 1)):
            raise IncompleteRunError(f"its multistream job lists parts {sorted(parts)} only")
        return tuple(file for _, file in sorted(found, key=lambda entry: entry[0]))

    @staticmethod
    def _file(name: str, about: Any, path: str) -> DumpFile:
        about = about if isinstance(about, dict) else {}
        hashes = {kind: str(about[kind]).lower() for kind in _HASHES if about.get(kind)}
        if not hashes or type(about.get("size")) is not int or about["size"] <= 0:
            raise IncompleteRunError(f"size or hashes of {name} are not published yet")
        if wrong := [kind for kind, value in hashes.items() if not re.fullmatch(_HASHES[kind], value)]:
            raise PermanentError(f"dumpstatus.json gives {name} no valid {' and '.join(wrong)}")
        return DumpFile(name, path, about["size"], hashes)


class ContentCurrent:
    """The exports that supersede them: current revisions of all namespaces."""

    name = "content_current"

    def list_dates(self, client: Client, root: str, wiki: str) -> list[str]:
        url = f"{root}/other/mediawiki_content_current/{wiki}/"
        return [date.replace("-", "") for date in _dates(client, url, r"\d{4}-\d\d-\d\d")]

    def describe_run(self, client: Client, root: str, wiki: str, date: str) -> DumpRun:
        day = f"{date[:4]}-{date[4:6]}-{date[6:]}"
        path = f"other/mediawiki_content_current/{wiki}/{day}/xml/bzip2"
        try:
            client.document(f"{root}/{path}/_SUCCESS", _no_web_page)
        except NotFoundError:
            raise IncompleteRunError("it has no _SUCCESS: it does not exist, or is not finished") from None
        sums = client.document(f"{root}/{path}/SHA256SUMS", _checksums)
        files = []
        for name in sorted(sums, key=_first_page):
            if re.fullmatch(rf"{wiki}-{day}[a-z0-9.-]*\.xml\.bz2", name):
                size = client.size(f"{root}/{path}/{name}")
                files.append(DumpFile(name, f"{path}/{name}", size, {"sha256": sums[name]}))
            elif name.endswith(".bz2"):
                raise PermanentError(
                    f"{root}/{path}/SHA256SUMS lists {name!r}, which is not the name of a dump of {wiki}"
                )
        if not files:
            raise IncompleteRunError("its SHA256SUMS lists no dump")
        return DumpRun(wiki, self.name, date, tuple(files))


LAYOUTS: dict[str, Layout] = {layout.name: layout for layout in (Multistream(), ContentCurrent())}
LAYOUT_CHOICES = ["auto", *LAYOUTS]


def find_run(client: Client, root: str, wiki: str, date: str, layout: str) -> DumpRun:
    """The run to download, according to the primary mirror `root`.

    Args:
        date: YYYYMMDD, or `latest`: the newest complete run.
        layout: `multistream`, `content_current`, or `auto`: multistream if it has such a run, else
            content_current.

    Raises:
        UserError: no layout has a complete run of that date (the message lists the available ones), or requests failed.
    """
    reasons = []
    for candidate in LAYOUTS.values() if layout == "auto" else [LAYOUTS[layout]]:
        try:
            try:
                if date == "latest":
                    return _newest(client, root, wiki, candidate)
                return candidate.describe_run(client, root, wiki, date)
            except IncompleteRunError as reason:
                dates = ", ".join(candidate.list_dates(client, root, wiki)) or "none"
                reasons.append(f"{candidate.name}: {reason}; available dates: {dates}")
        except PermanentError as failure:
            raise UserError(f"cannot list the dumps of {wiki}: {failure}") from failure
    wanted = "no complete dump" if date == "latest" else f"no complete dump of {date}"
    raise UserError(f"{root} has {wanted} for {wiki}: {'. '.join(reasons)}")


def available_dates(client: Client, root: str, run: DumpRun) -> str:
    """The dates that the layout of `run` has now, for a message."""
    try:
        return ", ".join(LAYOUTS[run.layout].list_dates(client, root, run.wiki)) or "none"
    except PermanentError as failure:
        return f"unknown ({failure})"


def _newest(client: Client, root: str, wiki: str, layout: Layout) -> DumpRun:
    for date in layout.list_dates(client, root, wiki):
        try:
            return layout.describe_run(client, root, wiki, date)
        except IncompleteRunError as reason:
            logging.info("%s, %s of %s: %s; trying the run before", wiki, layout.name, date, reason)
    raise IncompleteRunError("no run is complete")


def _dates(client: Client, url: str, pattern: str) -> list[str]:
    """The dates in a listing of folders, newest first."""
    try:
        page = client.document(url, lambda body: body.decode("utf-8", errors="replace"))
    except NotFoundError:
        return []
    found = set(re.findall(rf'href="(?:[^"]*/)?({pattern})/?"', page))
    return sorted(filter(_is_date, found), reverse=True)


def _is_date(text: str) -> bool:
    try:
        datetime.date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _jobs(body: bytes) -> dict[str, Any]:
    _no_web_page(body)
    try:
        status = json.loads(body)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(status, dict) or not isinstance(status.get("jobs"), dict):
        raise ValueError("no jobs in it")
    jobs: dict[str, Any] = status["jobs"]
    return jobs


def _status(jobs: dict[str, Any], job: str) -> str:
    entry = jobs.get(job)
    return str(entry.get("status"))[:40] if isinstance(entry, dict) else "missing"


def _checksums(body: bytes) -> dict[str, str]:
    """Name -> SHA-256 of a sha256sum listing."""
    _no_web_page(body)
    sums = {}
    for line in body.decode("utf-8").splitlines():
        match = re.fullmatch(r"([0-9a-fA-F]{64}) [ *](?:\./)?(\S+)", line.strip())
        if match:
            sums[match[2]] = match[1].lower()
        elif line.strip():
            raise ValueError(f"a line is {line[:80]!r}")
    return sums


def _no_web_page(body: bytes) -> None:
    if re.match(rb"\s*<(!doctype|html)", body[:100], re.IGNORECASE):
        raise ValueError("a web page")


def _first_page(name: str) -> tuple[int, str]:
    match = re.search(r"-p([0-9]{1,15})p[0-9]+\.xml", name)
    return (int(match[1]) if match else 0, name)
