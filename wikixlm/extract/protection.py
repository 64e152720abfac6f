"""Characters that must reach the corpus although they look like markup.

Text that the structure pass has resolved may still hold characters that WikiExtractor would interpret, such as the
braces of a set. Unicode's noncharacters stand for them until the last pass puts them back; no page holds any, because
those that it has are removed first.
"""

import re

SPECIAL = "<>&[]{}|'="
_CODES = {character: chr(0xFDD0 + number) for number, character in enumerate(SPECIAL)}
_NONCHARACTERS = re.compile("[\ufdd0-\ufdef\x00]")

LINE_START = "\ufddf"  # keeps WikiExtractor from judging a line by its first character
HOLE, HOLE_END = "\ufde0", "\ufde1"  # around the number of a dropped template
EXTERNAL = "\ufde2"  # after the label of an external link
EXPANDED, EXPANDED_END = "\ufde4", "\ufde5"  # around the text of a template that was read from the dump
MISSING = "\ufde6"  # a parameter of a template that has neither value nor default
LINE_BREAK = "\ufde3"  # a line break that ends no paragraph


def remove_noncharacters(text: str) -> str:
    """Text without characters that have a meaning here."""
    return _NONCHARACTERS.sub("", text)


def protect(text: str, characters: str = SPECIAL) -> str:
    """Replace characters that could be read as markup."""
    for character in characters:
        if character in text:
            text = text.replace(character, _CODES[character])
    return text


def restore(text: str) -> str:
    """Undo `protect`, and remove the mark at the start of a line."""
    text = text.replace(LINE_START, "")
    for character, code in _CODES.items():
        if code in text:
            text = text.replace(code, character)
    return text
