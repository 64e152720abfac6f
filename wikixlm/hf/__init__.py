"""The model in transformers' terms. Importing this package imports nothing of the extra `hf`.

tokenizer = wikixlm.hf.load("runs/demo/export", lang="bg")
tokenizer("сурови текст")  # input_ids as binarized, token_type_ids the language's id, attention_mask
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wikixlm.errors import UserError

if TYPE_CHECKING:
    from wikixlm.hf.tokenization_wikixlm import WikixlmTokenizer

CODE = Path(__file__).with_name("tokenization_wikixlm.py")
"""The tokenizer's source; every export has a copy of it."""


def require(module: str) -> Any:
    """Import a module of the extra `hf`.

    Raises:
        UserError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as failure:
        raise UserError(
            f"this needs {module}, which can't be imported ({failure}); install it with: pip install 'wikixlm[hf]'"
        ) from failure


def quietly() -> Any:
    """Import transformers, silenced: a command's terminal is for its results."""
    transformers = require("transformers")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def load(path: Path | str, lang: str | None = None) -> "WikixlmTokenizer":
    """The tokenizer of an exported model (or of one fine-tuned from it), bound to a language.

    It is a PreTrainedTokenizer, for transformers' pipelines, data collators and Trainer. Its ids for a text are those
    of the binarized data, see `WikixlmTokenizer`.

    Args:
        path: the folder that `wikixlm export` wrote.
        lang: one of the model's languages; optional if it has only one.

    Raises:
        UserError: it is not an export, the model was not trained on the language, or a package is missing.
    """
    folder = Path(path)
    if not (folder / "tokenizer_config.json").is_file():
        raise UserError(
            f"{folder} is not an exported model: it has no tokenizer_config.json; `wikixlm export` writes one"
        )
    require("transformers")
    from wikixlm.hf.tokenization_wikixlm import WikixlmTokenizer

    try:
        return WikixlmTokenizer.from_pretrained(folder, lang=lang, local_files_only=True, trust_remote_code=False)
    except (ValueError, OSError, ImportError) as failure:
        raise UserError(f"{folder}: {failure}") from failure
