"""What stands in the documentation: blocks, inline code, links, headings."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

from tests.workflow.conftest import ROOT

PAGES = [ROOT / "README.md", ROOT / "profiles" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES.remove(ROOT / "docs" / "commands.md") if ROOT / "docs" / "commands.md" in PAGES else None
SHELL = {"sh", "bash", "shell", "console"}
COMMENT = re.compile(r"<!--\s*(not run|not a configuration):\s*(.+?)\s*-->")


class Block(NamedTuple):
    """A fenced block; `mark` and `reason` come from the comment on the line before it."""

    page: Path
    line: int
    language: str
    text: str
    mark: str
    reason: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


@cache
def tokens(page: Path) -> list[Token]:
    """The page, parsed; inline tokens' children follow their parent."""
    found = []
    for token in MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8")):
        found += [token, *(token.children or [])]
    return found


def blocks() -> Iterator[Block]:
    """Every fenced block of every page."""
    for page in PAGES:
        mark: re.Match[str] | None = None
        for token in tokens(page):
            if token.type == "html_block":
                mark = COMMENT.search(token.content)
            elif token.type == "fence":
                language = token.info.split()[0] if token.info.split() else ""
                line = (token.map or [0])[0] + 1
                yield Block(page, line, language, token.content, mark[1] if mark else "", mark[2] if mark else "")
                mark = None


def spans(page: Path) -> list[str]:
    """The inline code of a page."""
    return [token.content for token in tokens(page) if token.type == "code_inline"]


def links(page: Path) -> list[str]:
    """Targets of links and images."""
    found = [token.attrGet("href") or token.attrGet("src") for token in tokens(page)]
    return [str(target) for target in found if target]


def anchors(page: Path) -> set[str]:
    """The headings, as GitHub and MyST name them."""
    every = tokens(page)
    headings = [every[at + 1].content for at, token in enumerate(every) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(text: str) -> list[str]:
    """The command lines of a shell block: continued lines joined, comments and prompts off."""
    lines = text.replace("\\\n", " ").splitlines()
    bare = (re.sub(r"(^|\s)#( .*|$)", "", line.removeprefix("$ ")).strip() for line in lines)
    return [line for line in bare if line]
