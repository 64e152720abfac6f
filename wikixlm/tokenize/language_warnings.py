"""Languages that the preprocessing harms: by removing marks, or because their words can't be found."""

from collections.abc import Iterable

# Removing marks (category Mn of the decomposed text) makes words ambiguous in these (of the running words, in vi 88 %,
# hi 34 %, el 33 %, mr 28 %, ro 27 %, lv 21 %, ja 20 %, pl 18 %), or deletes letters: vowel signs and tone marks of
# Brahmic scripts. Korean syllables fall into jamo, й becomes и.
_MARKS = """
    ar ary arz as az be bg bh bn bo bpy chr ckb cs dty dz el et fa fi gag gom gu he hi hr hu ig ja kk km kn ko ks ky
    lo lt lv mai mk ml mn mnw mr my ne new or pa pi pl pnb ps ro ru sa sat sd shn si sk sl sr ta tcy te tg th tr tt
    ug uk ur uz vi wuu yi yo zh-min-nan
"""
MARKS_CARRY_MEANING = frozenset(_MARKS.split())
# Written without spaces between words, and no segmenter here.
WITHOUT_WORDS = frozenset(["blk", "bo", "dz", "gan", "km", "lo", "mnw", "my", "shn", "wuu", "zh-classical", "zh-yue"])


def preprocessing_warnings(languages: Iterable[str], lowercase_and_remove_accent: bool, japanese: str) -> list[str]:
    """What a user of these languages should know about the preprocessing of the scheme `xlm`, a line each.

    Args:
        languages: Wikipedia codes.
        lowercase_and_remove_accent: the setting tokenize.lowercase_and_remove_accent.
        japanese: the setting tokenize.japanese.
    """
    languages = list(languages)
    warnings = []
    harmed = [code for code in languages if code in MARKS_CARRY_MEANING]
    if lowercase_and_remove_accent and harmed:
        warnings.append(
            f"tokenize.lowercase_and_remove_accent removes marks that tell words apart in {', '.join(harmed)}; "
            "set it to false to keep them"
        )
    unsegmented = [code for code in languages if code in WITHOUT_WORDS or (code == "ja" and japanese == "moses")]
    if unsegmented:
        warnings.append(
            f"{', '.join(unsegmented)}: written without spaces between words, and not segmented into words here; "
            "symbols are learned from whole phrases; tokenize.scheme: sentencepiece needs no words"
        )
    return warnings
