"""Apostrophes of bold and italic text, paired as MediaWiki pairs them, and removed."""

import re

_RUN = re.compile(r"''+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")


def remove_emphasis(line: str) -> str:
    """A line without its quotation marks of bold and italic; apostrophes of words stay.

    A run of two apostrophes is italic, three bold, five both; of four and of more than five, the first ones are text.
    If both bold and italic are unbalanced, one run of three is an apostrophe before italic: the first one after a
    word of a single letter, else after a longer word, else after a space (MediaWiki's Parser::doQuotes).
    """
    if "''" not in line:
        return line
    pieces = _RUN.split(line)
    lengths = [len(run) for run in _RUN.findall(line)]
    extra = [length - 3 if length == 4 else max(length - 5, 0) for length in lengths]
    marks = [length - more for length, more in zip(lengths, extra, strict=True)]
    _find_apostrophes(pieces, marks, extra)
    italic = sum(mark in (2, 5) for mark in marks)
    bold = sum(mark in (3, 5) for mark in marks)
    if italic % 2 and bold % 2:
        at = _run_to_demote(pieces, marks, extra)
        if at is not None:
            extra[at] += 1
    parts = [pieces[0]]
    for more, piece in zip(extra, pieces[1:], strict=True):
        parts += ["'" * more, piece]
    return "".join(parts)


def _find_apostrophes(pieces: list[str], marks: list[int], extra: list[int]) -> None:
    """Read a run of three inside a word as apostrophe and italic, where italic ends or begins with it.

    MediaWiki only counts the runs of a line: it shows two such slips (`l'\''Odyssée'' … l'\''Énéide''`) as bold.
    """
    italic = bold = False
    for at, mark in enumerate(marks):
        inside_word = (
            pieces[at][-1:].isalpha() and pieces[at + 1][:1].isalpha() and not _UNSPACED.match(pieces[at][-1:])
        )
        opens = not italic and not bold and at + 1 < len(marks) and marks[at + 1] == 2
        if mark == 3 and inside_word and not bold and (italic or opens):
            marks[at] = mark = 2
            extra[at] += 1
        italic ^= mark in (2, 5)
        bold ^= mark in (3, 5)


def _run_to_demote(pieces: list[str], marks: list[int], extra: list[int]) -> int | None:
    """The run of three that is one apostrophe and italic; None if there is none."""
    longer = space = None
    for at, mark in enumerate(marks):
        if mark != 3:
            continue
        before = pieces[at] + "'" * extra[at]
        if before[-1:] == " ":
            space = at if space is None else space
        elif before[-2:-1] == " ":
            return at
        elif longer is None:
            longer = at
    return longer if longer is not None else space
