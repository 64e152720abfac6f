"""Every kind of dump that can't be used, given to snakemake as a user would: one line, and nothing half-written."""

import bz2

import pytest

from tests.support import dumps as factory

WHOLE = factory.xml(factory.articles(12))
PACKED = bz2.compress(WHOLE.encode())

BAD = {
    "cut": (PACKED[: len(PACKED) // 2], ["cut short", "truncated", "ends"]),
    "garbled": (PACKED[:60] + b"\xff" * 40 + PACKED[100:], ["damaged", "garbled", "broken", "invalid"]),
    "empty": (b"", ["empty"]),
    "page of a server": (b"<!DOCTYPE html><html><body>Not found</body></html>", ["HTML", "html", "web page"]),
    "without siteinfo": (factory.xml(factory.articles(3), siteinfo=False).encode(), ["siteinfo"]),
    "without pages": (factory.xml([]).encode(), ["no page", "no article"]),
    "redirects only": (factory.xml([factory.P(n, redirect="There") for n in range(1, 5)]).encode(), ["redirect"]),
}


@pytest.mark.attack(
    "dump",
    "dumps that are empty, cut short, of HTML, of another format",
    "one line, and nothing half-written",
)
@pytest.mark.parametrize("kind", BAD)
def test_a_dump_that_cannot_be_used(workflow, tmp_path, kind):
    content, words = BAD[kind]
    path = tmp_path / "wiki.xml.bz2"
    path.write_bytes(content)
    workflow.configure(languages=["en"], dumps={"local": {"en": str(path)}}, extract={"shards": 1})
    done = workflow("work/split/en/split.json")
    assert done.returncode != 0
    errors = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stdout
    assert str(path) in errors[0] or "en" in errors[0].split()
    assert any(word in errors[0] for word in words), errors
    assert "Traceback" not in done.stdout
    assert not list((workflow.directory / "work").rglob("*.zst"))


def test_a_dump_that_cannot_be_read(workflow, tmp_path):
    path = tmp_path / "wiki.xml.bz2"
    path.symlink_to("/proc/self/mem")  # opens, and fails at the first read, for root too
    workflow.configure(languages=["en"], dumps={"local": {"en": str(path)}}, extract={"shards": 1})
    done = workflow("data")
    errors = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stdout
    assert str(path) in errors[0]
    assert "Traceback" not in done.stdout


def test_a_dump_that_is_missing_starts_nothing(workflow, tmp_path):
    workflow.configure(languages=["en"], dumps={"local": {"en": str(tmp_path / "gone.bz2")}})
    done = workflow("data")
    assert done.returncode != 0
    errors = [line for line in done.stdout.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "dumps.local.en" in errors[0]
    assert not (workflow.directory / "work").exists()
