"""Word segmenters for Thai, Chinese and Japanese, installed by the extras `th`, `zh` and `ja` of this package."""

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from wikixlm.errors import UserError

WordSegmenter = Callable[[str], list[str]]

JAPANESE = ("kytea", "fugashi", "moses")

# Where XLMTokenizer looks for the model, and where KyTea's own installation and Linux distributions put it.
KYTEA_MODELS = ("~/local/share/kytea/model.bin", "/usr/local/share/kytea/model.bin", "/usr/share/kytea/model.bin")


def _extra(module: str, language: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as failure:
        raise UserError(
            f"language {language} needs the package {module}, which can't be imported ({failure}); "
            f"install it with: pip install 'wikixlm[{extra}]'"
        ) from failure


def thai() -> WordSegmenter:
    """PyThaiNLP's default segmenter (newmm)."""
    word_tokenize: WordSegmenter = _extra("pythainlp.tokenize", "th", "th").word_tokenize
    return word_tokenize


def chinese() -> WordSegmenter:
    """Jieba, by way of rjieba."""
    cut: WordSegmenter = _extra("rjieba", "zh", "zh").cut
    return cut


def kytea(model: Path | None = None) -> WordSegmenter:
    """KyTea, which XLM uses for Japanese.

    Args:
        model: KyTea's `model.bin`; None searches `KYTEA_MODELS`. The package on PyPI has none: it comes with KyTea's
            sources (https://www.phontron.com/kytea).

    Raises:
        UserError: the package or the model is missing, or the model is damaged.
    """
    found = _kytea_model(model)
    package = _extra("Mykytea", "ja", "ja")
    try:
        segmenter = package.Mykytea(f"-model {found}")
    except RuntimeError as failure:
        raise UserError(f"KyTea can't read its model {found}: {failure}") from failure
    return lambda text: list(segmenter.getWS(text))


def _kytea_model(model: Path | None) -> Path:
    places = [Path(place).expanduser() for place in KYTEA_MODELS] if model is None else [model]
    for place in places:
        if place.is_file():
            if " " in str(place):  # KyTea takes its options as one string and splits it at spaces
                raise UserError(f"KyTea can't open a model whose path has a space: {place}; move or link it elsewhere")
            return place
    raise UserError(
        f"tokenize.japanese: kytea needs KyTea's model, which is not at {' or '.join(map(str, places))}"
        "; build and install KyTea (https://www.phontron.com/kytea, configure --prefix=$HOME/local), "
        "or set tokenize.japanese: fugashi"
    )


def fugashi() -> WordSegmenter:
    """MeCab with UniDic's short units, by way of fugashi and unidic-lite."""
    dictionary = _extra("unidic_lite", "ja", "ja").DICDIR
    module = _extra("fugashi", "ja", "ja")
    tagger = module.GenericTagger(f'-Owakati -r "{dictionary}/mecabrc" -d "{dictionary}"')

    def segment(text: str) -> list[str]:
        words: list[str] = tagger.parse(text).split()
        return words

    return segment


def check_installed(language: str, japanese: str) -> None:
    """Check that the packages of a language are installed, without loading them: to fail before a run, not in it.

    Raises:
        UserError: a package or KyTea's model is missing.
    """
    modules = {"th": ["pythainlp"], "zh": ["rjieba"], "ja": _JAPANESE_MODULES[japanese]}.get(language, [])
    for module in modules:
        if importlib.util.find_spec(module) is None:
            _extra(module, language, language)
    if language == "ja" and japanese == "kytea":
        _kytea_model(None)


_JAPANESE_MODULES = {"kytea": ["Mykytea"], "fugashi": ["fugashi", "unidic_lite"], "moses": []}
