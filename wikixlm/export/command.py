"""Write the trained model as a Hugging Face directory, for transformers.

It opens offline with AutoModelForMaskedLM, AutoModel and AutoTokenizer: config.json and model.safetensors (a
BertForMaskedLM whose token_type_ids are the language's id), vocab.json, merges.txt and tokenizer_config.json, the code
of the tokenizer that is bound to a language, and a model card (README.md). Before the folder takes its place the
exported model is read back, and its logits are compared with those of the trained one. Nothing needs fairseq.
"""

import argparse
import logging
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from wikixlm import hf
from wikixlm.bpe.codes import SPECIALS, Merge, read_codes
from wikixlm.bpe.vocabulary import read_symbols
from wikixlm.errors import UserError
from wikixlm.files import atomic_folder, read_json
from wikixlm.tokenize.word_segmenters import JAPANESE
from wikixlm.train import checkpoints

FILES = (
    *("config.json", "model.safetensors", "vocab.json", "merges.txt", "tokenizer_config.json", "README.md"),
    hf.CODE.name,
)
# Rounding of 32-bit floats in a deep model stays far below; a weight in the wrong place goes far beyond.
LARGEST_DIFFERENCE = 1e-3
_COMPARED = 64  # tokens


def obstacle(embedding_norm: bool, stages_run_here: bool) -> str | None:
    """What keeps a run's model from being exported, known before it is trained; None: nothing.

    Args:
        embedding_norm: whether the model will have a LayerNorm on its embeddings.
        stages_run_here: whether this Python runs the stages, so that it needs their packages.
    """
    if not embedding_norm:
        return (
            "transformers has no class for a model without LayerNorm on its embeddings; "
            "train.encoder_normalize_before: true adds it"
        )
    missing = [name for name in ("transformers", "safetensors") if stages_run_here and find_spec(name) is None]
    if missing:
        return f"{' and '.join(missing)} not installed; pip install 'wikixlm[hf]'"
    return None


def read_names(state: dict[str, Any], path: Path, vocabulary: Path) -> list[str]:
    """The model's languages, in the order of their ids, after a look at whether the vocabulary is the model's.

    Raises:
        UserError: it is not.
    """
    from wikixlm.model.extend import names_of

    names = names_of(state, path)
    if list(names.symbols) != _symbols(vocabulary):
        raise UserError(f"{path} was trained with another vocabulary than {vocabulary}")
    return list(names.languages)


def _symbols(vocabulary: Path) -> list[str]:
    return [*SPECIALS, *(symbol for symbol, _ in read_symbols(vocabulary))]


def check_output(folder: Path) -> None:
    """Refuse to put the export in the place of a folder that holds anything else."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--output {folder} is a file; name a folder")
    foreign = sorted(entry.name for entry in folder.iterdir() if entry.name not in FILES) if folder.is_dir() else []
    if foreign:
        raise UserError(
            f"{folder} holds {', '.join(foreign[:3])}, which no export writes; move it away, or name another"
        )


def write_model(folder: Path, model: Any, languages: Sequence[str], args: argparse.Namespace) -> None:
    """Write `config.json` and `model.safetensors`, read them back and compare the logits in every language.

    Raises:
        UserError: they differ by more than rounding.
    """
    import torch

    from wikixlm.export.bert import EOS, bert_model

    transformers = hf.quietly()
    extra = {
        "lang2id": {code: number for number, code in enumerate(languages)},
        "id2lang": dict(enumerate(languages)),
        "do_lowercase_and_remove_accent": args.lowercase_and_remove_accent,
        "japanese_segmenter": args.japanese,
    }
    bert_model(model, extra).save_pretrained(folder)
    exported = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()
    network = model.network()
    generator = torch.Generator().manual_seed(0)
    size = (1, min(_COMPARED, model.config.max_positions))
    largest = 0.0
    for number in range(len(languages)):
        tokens = torch.randint(len(SPECIALS), model.config.vocab_size, size, generator=generator)
        tokens[:, 0] = EOS
        language = torch.full(size, number)
        with torch.inference_mode():
            difference = network(tokens, language) - exported(input_ids=tokens, token_type_ids=language).logits
        largest = max(largest, float(difference.abs().max()))
    logging.info("largest difference of the logits from the trained model's: %.1e", largest)
    if not largest < LARGEST_DIFFERENCE:
        raise UserError(
            f"the exported model's logits differ from the trained one's by {largest:.1e}; please report this"
        )


def write_card(folder: Path, model: Any, merges: list[Merge], languages: list[str], args: argparse.Namespace) -> None:
    """Write the model card."""
    from wikixlm.export import card
    from wikixlm.model.blocks import Blocks, prefix

    facts = card.Facts(
        languages=languages,
        config=model.config,
        merges=len(merges),
        lowercase=args.lowercase_and_remove_accent,
        japanese=args.japanese,
        manifest=read_json(args.manifest) if args.manifest else {},
        evaluation=card.read_evaluation(args.evaluation) if args.evaluation else (),
        tokens={code: Blocks(prefix(args.data, "train", code), 1).tokens for code in languages} if args.data else {},
    )
    (folder / "README.md").write_text(card.card(facts), encoding="utf-8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command line of this stage."""
    parser.add_argument("--model", type=Path, required=True, help="model.pt, or any of fairseq's checkpoints")
    parser.add_argument("--codes", type=Path, required=True, help="BPE codes that the text was segmented with")
    parser.add_argument("--vocabulary", type=Path, required=True, help="vocab_mlm that it was binarized with")
    parser.add_argument(
        "--lowercase-and-remove-accent",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="as the text was tokenized",
    )
    parser.add_argument("--japanese", choices=JAPANESE, default="kytea", help="as Japanese was tokenized")
    parser.add_argument("--manifest", type=Path, help="manifest.json of the model: sources and settings, for the card")
    parser.add_argument("--evaluation", type=Path, help="mlm_perplexity.tsv, for the card")
    parser.add_argument("--data", type=Path, help="folder of the binarized data: sizes of the languages, for the card")
    parser.add_argument("--output", type=Path, required=True, help="the folder; an export that is there is replaced")


def main(args: argparse.Namespace) -> None:
    """Write the folder."""
    hf.quietly()
    from wikixlm.export import bert
    from wikixlm.hf import vocabulary

    check_output(args.output)
    state = checkpoints.load(args.model)
    model = bert.trained(state, args.model)
    languages = read_names(state, args.model, args.vocabulary)
    merges = read_codes(args.codes)
    settings = {
        "do_lowercase_and_remove_accent": args.lowercase_and_remove_accent,
        "japanese_segmenter": args.japanese,
        "model_max_length": model.config.max_positions,
    }
    with atomic_folder(args.output) as folder:
        vocabulary.write_tokenizer(folder, _symbols(args.vocabulary), merges, languages, settings)
        write_model(folder, model, languages, args)
        write_card(folder, model, merges, languages, args)
