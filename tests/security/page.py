"""docs/security.md: its tables are written from the tests' marks, `@pytest.mark.attack(AREA, ATTACK, OUTCOME)`.

A test that is marked makes the attack and checks the outcome, wherever the test lies. The marks are read from the
sources, so that the page also has the attacks whose tests need a cluster or a browser.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "security.md"
BEGIN = "<!-- from here on written by make docs, from the tests' marks -->\n"
# The page's sections, in their order.
AREAS = {
    "mirror": "A mirror and the network",
    "dump": "Dumps and texts",
    "model": "Checkpoints and exported models",
    "configuration": "A configuration and its paths",
    "run": "The files of a run",
    "report": "What is shown",
    "machine": "The machine",
    "kill": "Killed processes",
    "cluster": "A cluster",
}


class Attack(NamedTuple):
    """A row of the page; `test` is the file of the test that makes it, below tests/."""

    area: str
    what: str
    outcome: str
    test: str


def attacks() -> list[Attack]:
    """The marks of all tests, in the order of the files' names and of the lines.

    Raises:
        ValueError: a mark does not have three texts, or its area is none of AREAS.
    """
    found = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        if "mark.attack" in source:
            name = path.relative_to(ROOT / "tests").as_posix()
            found += [Attack(*texts, name) for texts in _marks(ast.parse(source, name), name)]
    return found


def _marks(module: ast.Module, name: str) -> Iterator[tuple[str, str, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.attack":
            texts = [word.value for word in node.args if isinstance(word, ast.Constant) and isinstance(word.value, str)]
            if len(texts) != 3 or len(node.args) != 3 or texts[0] not in AREAS:
                raise ValueError(f"{name}, line {node.lineno}: wants an area of {', '.join(AREAS)}, attack and outcome")
            yield texts[0], texts[1], texts[2]


def tables(found: list[Attack]) -> str:
    """The sections of the page, in Markdown."""
    parts = []
    for area, heading in AREAS.items():
        if rows := [attack for attack in found if attack.area == area]:
            parts.append(f"\n## {heading}\n\n| attack | outcome | test |\n| --- | --- | --- |\n")
            parts += [f"| {attack.what} | {attack.outcome} | `{attack.test}` |\n" for attack in rows]
    return "".join(parts)


def page() -> str:
    """The page as it should be: its own words, then the tables."""
    words = PAGE.read_text(encoding="utf-8").partition(BEGIN)[0]
    return f"{words}{BEGIN}{tables(attacks())}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
