"""Byte-pair encoding as XLM uses it: the codes file, and applying the codes to words.

A word is a sequence of characters whose last one carries the end mark `</w>`; codes are merges of two neighbouring
symbols, applied in their order (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909, section 3.2). Segmented text
and the vocabulary are written in fairseq's style: a symbol that goes on has the joint `@@` at its end, a symbol that
ends a word has nothing (`lower` -> `low@@ er`).

The codes file has fastBPE's format: a line `left right count` a merge, no header. fastBPE insists on the third column
and never reads it. subword-nmt and transformers want the first two, subword-nmt below a line `#version: 0.2`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from wikixlm.errors import UserError
from wikixlm.files import atomic_text, text_lines

END = "</w>"
JOINT = "@@"
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""What fairseq's MaskedLMDictionary puts before the symbols of a vocabulary file, ids 0 to 4."""

# What a word must not contain to be learned from: a symbol made of these could not be told from a joint, from an end
# mark, or from a special symbol of fairseq or XLMTokenizer (which looks symbols up as plain strings).
RESERVED = (JOINT, END, *SPECIALS, "<special", "madeupword")


class Merge(NamedTuple):
    """Two symbols that become one, and how often that happened in the sample (0: not known)."""

    left: str
    right: str
    frequency: int = 0


def write_codes(path: Path, merges: Iterable[Merge]) -> None:
    """Write merges, first learned first, in fastBPE's format."""
    with atomic_text(path) as stream:
        stream.writelines(f"{left} {right} {frequency}\n" for left, right, frequency in merges)


def read_codes(path: Path) -> list[Merge]:
    """Read a codes file of fastBPE (three columns) or subword-nmt (two columns below `#version: 0.2`).

    Raises:
        UserError: a line is not a merge, repeats one, uses a symbol that no earlier line makes, or makes a symbol
            that segmented text could not show; the message names file and line.
    """
    merges: list[Merge] = []
    made: dict[str, int] = {}
    columns = 3
    for number, line in text_lines(path):
        if number == 1 and line.startswith("#version:"):
            columns = 2
            if line.split() != ["#version:", "0.2"]:
                raise UserError(f"{path}, line 1: {line!r}; of subword-nmt's formats only `#version: 0.2` is accepted")
            continue
        merge = _parse(line, columns)
        problem = merge if isinstance(merge, str) else _problem(merge, made)
        if isinstance(merge, str) or problem:
            raise UserError(f"{path}, line {number}: {problem}")
        made[merge.left + merge.right] = number
        merges.append(merge)
    if not any(merge.right.endswith(END) for merge in merges):
        what = f"none of its {len(merges)} merges ends a word with {END}" if merges else "it has no merges"
        raise UserError(f"{path}: {what}; these are not BPE codes of fastBPE or subword-nmt")
    return merges


def _parse(line: str, columns: int) -> Merge | str:
    fields = line.split(" ")
    wanted = "`left right count` (fastBPE's codes)" if columns == 3 else "`left right` (subword-nmt's codes)"
    if len(fields) != columns or any(field.split() != [field] for field in fields):
        return f"{line!r}, where {wanted} is expected; two columns need the first line `#version: 0.2`"
    if columns == 2:
        return Merge(fields[0], fields[1])
    if not (fields[2].isascii() and fields[2].isdigit()):
        return f"the count is {fields[2]!r}, where {wanted} is expected"
    return Merge(fields[0], fields[1], int(fields[2]))


def _problem(merge: Merge, made: dict[str, int]) -> str | None:
    """What keeps a merge from being applied, or its symbol from being written, in one way only."""
    symbol = merge.left + merge.right
    body = symbol.removesuffix(END) if merge.right.endswith(END) else symbol
    if merge.right == END or END in body:
        return f"the symbol {symbol!r} has {END} elsewhere than behind the last character of a word"
    if merge.right.endswith(END) and body.endswith(JOINT) and body != JOINT:
        return f"the word-final symbol {body!r} can't be told from a joint; delete the line, and those that use it"
    if body in SPECIALS:
        return f"{body!r} is a special symbol of the model; delete the line, and those that use it"
    if symbol in made:
        return f"{symbol!r} is made already in line {made[symbol]}"
    for part in (merge.left, merge.right):
        if len(part.removesuffix(END)) > 1 and part not in made:
            return f"no earlier line makes the symbol {part!r}"
    return None
