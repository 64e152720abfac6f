"""The mistakes that docs/troubleshooting.md lists, and whether a program's output has a row's line."""

import re
from typing import NamedTuple

from tests.workflow.conftest import ROOT

PAGE = ROOT / "docs" / "troubleshooting.md"


class Row(NamedTuple):
    """A row of the page: what happened, the line that is printed (`…`: anything), what to do."""

    mistake: str
    says: str
    remedy: str

    def found_in(self, output: str) -> int | None:
        """How many lines from the end of `output` the line stands; None where it does not."""
        pattern = ".*".join(map(re.escape, self.says.split("…")))
        lines = output.rstrip("\n").splitlines()
        return next((back for back, line in enumerate(reversed(lines), 1) if re.fullmatch(pattern, line)), None)


def rows() -> dict[str, Row]:
    """The rows of all tables, by mistake."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = re.fullmatch(r"\| (.+?) \| `(.+)` \| (.+) \|", line)
        if cells:
            # A code span within the code span of the line is written with two backticks.
            found[cells[1]] = Row(cells[1], cells[2].replace("``", "`"), cells[3])
    return found
