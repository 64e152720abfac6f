"""The BPE codes file, and the forms of a symbol in codes and in text.

A word is a sequence of characters whose last one carries the mark `</w>`; codes are merges of two neighbouring
symbols, applied in their order (Sennrich et al. 2016, https://arxiv.org/abs/1508.07909, section 3.2). Segmented text
and the vocabulary have fairseq's form: a word-internal symbol ends in `@@`, a word-final one is unmarked (`lower` ->
`low@@ er`; in the codes `low` and `er</w>`).

The codes file has fastBPE's format: one merge a line, `left right count`, without a header. fastBPE requires the third
column and never reads it. subword-nmt and transformers want the first two, subword-nmt below a line `#version: 0.2`.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from wikixlm.errors import UserError
from wikixlm.files import atomic_text, text_lines

END_OF_WORD = "</w>"
CONTINUATION = "@@"
SPECIALS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
"""What fairseq's MaskedLMDictionary puts before the symbols of a vocabulary file, ids 0 to 4."""

# Words that contain one of these are not learned from: their symbols would be ambiguous with a continuation mark, an
# end-of-word mark, or a special symbol of fairseq or XLMTokenizer (which looks symbols up as plain strings).
RESERVED = (CONTINUATION, END_OF_WORD, *SPECIALS, "<special", "madeupword")


class Merge(NamedTuple):
    """Two symbols that become one, and how often that happened in the sample (0: unknown)."""

    left: str
    right: str
    frequency: int = 0


def is_word_internal(symbol: str) -> bool:
    """Whether a symbol of segmented text has a continuation mark; a lone `@@` is a word of its own."""
    return symbol.endswith(CONTINUATION) and symbol != CONTINUATION


def codes_symbol(symbol: str) -> str:
    """The codes' form of a symbol of segmented text: `low@@` -> `low`, `er` -> `er</w>`."""
    return symbol.removesuffix(CONTINUATION) if is_word_internal(symbol) else symbol + END_OF_WORD


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
    if not any(merge.right.endswith(END_OF_WORD) for merge in merges):
        what = f"none of its {len(merges)} merges ends a word with {END_OF_WORD}" if merges else "it has no merges"
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
    body = symbol.removesuffix(END_OF_WORD) if merge.right.endswith(END_OF_WORD) else symbol
    if merge.right == END_OF_WORD or END_OF_WORD in body:
        return f"the symbol {symbol!r} has {END_OF_WORD} elsewhere than behind the last character of a word"
    if merge.right.endswith(END_OF_WORD) and body.endswith(CONTINUATION) and body != CONTINUATION:
        return f"the word-final symbol {body!r} looks like a word-internal one; delete the line, and those that use it"
    if body in SPECIALS:
        return f"{body!r} is a special symbol of the model; delete the line, and those that use it"
    if symbol in made:
        return f"{symbol!r} is made already in line {made[symbol]}"
    for part in (merge.left, merge.right):
        if len(part.removesuffix(END_OF_WORD)) > 1 and part not in made:
            return f"no earlier line makes the symbol {part!r}"
    return None
