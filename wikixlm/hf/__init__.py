"""The model in transformers' terms. Importing this package loads nothing; what needs the extra `hf` asks for it.

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
"""The tokenizer's source, which every export carries a copy of."""


def require(module: str) -> Any:
    """Import a module of the extra `hf`: transformers and what goes with it.

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
    """Transformers without progress bars and remarks: for commands, whose terminal is for their results."""
    transformers = require("transformers")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


def load(path: Path | str, lang: str | None = None) -> "WikixlmTokenizer":
    """The tokenizer of an exported model (or of one fine-tuned from it), bound to a language.

    It is a PreTrainedTokenizer of transformers: pipelines, data collators and the Trainer take it. Its ids for a text
    are those that the pipeline's own stages make of it, see `WikixlmTokenizer`.

    Args:
        path: the folder that `wikixlm export` wrote.
        lang: one of the model's languages; may be left out where there is only one.

    Raises:
        UserError: no such export, a language that the model doesn't know, or a package that it needs is missing.
    """
    folder = Path(path)
    if not (folder / "tokenizer_config.json").is_file():
        raise UserError(f"{folder} is no exported model: it has no tokenizer_config.json; `wikixlm export` writes one")
    require("transformers")
    from wikixlm.hf.tokenization_wikixlm import WikixlmTokenizer

    try:
        return WikixlmTokenizer.from_pretrained(folder, lang=lang)
    except (ValueError, OSError, ImportError) as failure:
        raise UserError(f"{folder}: {failure}") from failure
