"""Write the trained model as a Hugging Face directory, for transformers.

The directory opens offline with AutoModelForMaskedLM, AutoModel and AutoTokenizer. It holds config.json and
model.safetensors (a BertForMaskedLM whose token_type_ids are the language's id), vocab.json, merges.txt and
tokenizer_config.json, the code of the tokenizer bound to a language, and a model card (README.md). Before it is put in
place the exported model is read back and its logits are compared with the trained model's.
"""

import argparse
import logging
import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wikixlm import hf
from wikixlm.bpe.codes import SPECIALS, Merge, read_codes
from wikixlm.bpe.vocabulary import read_symbols
from wikixlm.errors import UserError
from wikixlm.files import atomic_folder, read_json
from wikixlm.hf.exported import UNIGRAMS
from wikixlm.seals import check_seals
from wikixlm.tokenize.word_segmenters import JAPANESE

if TYPE_CHECKING:
    from wikixlm.model.checkpoint import TrainedModel

FILES = (
    *("config.json", "model.safetensors", "vocab.json", "merges.txt", "tokenizer_config.json", "README.md"),
    *(hf.CODE.name, UNIGRAMS),
)
# Rounding of 32-bit floats in a deep model is far smaller; the effect of a misplaced weight is far larger.
LARGEST_DIFFERENCE = 1e-3
_COMPARED_TOKENS = 64


@dataclass(frozen=True)
class TokenizerSettings:
    """How the training text was tokenized, which the export's tokenizer repeats."""

    lowercase_and_remove_accent: bool
    japanese: str


@dataclass(frozen=True)
class CardSources:
    """Where the model card's facts are from; None leaves them out.

    Attributes:
        manifest: `manifest.json` of the model, with sources and configuration.
        evaluation: `mlm_perplexity.tsv`.
        data: the folder of the binarized data, for the languages' sizes.
    """

    manifest: Path | None
    evaluation: Path | None
    data: Path | None


def obstacle(embedding_norm: bool, stages_run_here: bool, scheme: str = "xlm") -> str | None:
    """Why a run's model can't be exported, as far as is known before training; None if it can.

    Args:
        embedding_norm: whether the model will have a LayerNorm on its embeddings.
        stages_run_here: whether this Python runs the stages, so that it needs their packages.
        scheme: of the text, `tokenize.scheme`.
    """
    if scheme != "xlm":
        return f"models of tokenize.scheme: {scheme} have no export yet; those of the scheme xlm have"
    if not embedding_norm:
        return (
            "transformers has no class for a model without LayerNorm on its embeddings; "
            "train.encoder_normalize_before: true adds it"
        )
    missing = [name for name in ("transformers", "safetensors") if stages_run_here and find_spec(name) is None]
    if missing:
        return f"{' and '.join(missing)} not installed; pip install 'wikixlm[hf]'"
    return None


def export_model(
    path: Path, codes: Path, vocabulary: Path, tokenizer: TokenizerSettings, sources: CardSources, output: Path
) -> None:
    """Export a checkpoint to the folder `output`, which is replaced as a whole.

    Args:
        path: the checkpoint.
        codes: the BPE codes that the training text was segmented with.
        vocabulary: the `vocab_mlm` that it was binarized with.

    Raises:
        UserError: no class of transformers fits the model, the vocabulary is another one, `output` holds other things.
    """
    from wikixlm.export import bert
    from wikixlm.hf.vocabulary import write_tokenizer
    from wikixlm.model.checkpoint import read_model

    refuse_foreign_files(output)
    model = read_model(path)
    bert.refuse_misfit(model, path)
    check_seals(codes, vocabulary)
    symbols = [*SPECIALS, *(symbol for symbol, _ in read_symbols(vocabulary))]
    languages = model_languages(model, path, symbols, vocabulary)
    merges = read_codes(codes)
    settings: dict[str, Any] = {
        "do_lowercase_and_remove_accent": tokenizer.lowercase_and_remove_accent,
        "japanese_segmenter": tokenizer.japanese,
    }
    with atomic_folder(output) as folder:
        write_tokenizer(
            folder, symbols, merges, languages, {**settings, "model_max_length": model.config.max_positions}
        )
        write_model(folder, model, languages, settings)
        if sources.data is not None:
            write_unigrams(folder, sources.data, languages, model.config.vocab_size)
        write_card(folder, model, merges, languages, tokenizer, sources)


def model_languages(model: "TrainedModel", path: Path, symbols: list[str], vocabulary: Path) -> list[str]:
    """The model's languages in the order of their ids, once `symbols` are known to be its vocabulary."""
    if model.languages is None:
        raise UserError(f"{path} doesn't name its languages; train it with the wikixlm recipe")
    if len(symbols) != model.config.vocab_size or model.symbols not in (None, symbols):
        raise UserError(f"{path} was trained with another vocabulary than {vocabulary}")
    return model.languages


def refuse_foreign_files(folder: Path) -> None:
    """Raise a UserError if `folder` holds anything but an export, which alone may be replaced."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"--output {folder} is a file; name a folder")
    foreign = sorted(entry.name for entry in folder.iterdir() if entry.name not in FILES) if folder.is_dir() else []
    if foreign:
        raise UserError(
            f"{folder} holds {', '.join(foreign[:3])}, which no export writes; move it away, or name another"
        )


def write_model(folder: Path, model: "TrainedModel", languages: list[str], settings: dict[str, Any]) -> None:
    """Write `config.json` and `model.safetensors`, read them back and compare the logits in every language.

    Raises:
        UserError: they differ by more than rounding.
    """
    import torch

    from wikixlm.export.bert import EOS, bert_model
    from wikixlm.hf.exported import load_bert, read_export

    extra = {
        "lang2id": {code: number for number, code in enumerate(languages)},
        "id2lang": dict(enumerate(languages)),
        **settings,
    }
    bert_model(model, extra).save_pretrained(folder)
    exported = load_bert(read_export(folder), "BertForMaskedLM").eval()
    network = model.network()
    generator = torch.Generator().manual_seed(0)
    size = (1, min(_COMPARED_TOKENS, model.config.max_positions))
    largest = 0.0
    for number in range(len(languages)):
        tokens = torch.randint(len(SPECIALS), model.config.vocab_size, size, generator=generator)
        tokens[:, 0] = EOS
        language = torch.full(size, number)
        with torch.inference_mode():
            difference = network(tokens, language) - exported(input_ids=tokens, token_type_ids=language).logits
        largest = max(largest, float(difference.abs().nan_to_num(math.inf).max()))
    logging.info("largest difference of the logits from the trained model's: %.1e", largest)
    if not largest < LARGEST_DIFFERENCE:
        raise UserError(
            f"the exported model's logits differ from the trained one's by {largest:.1e}; please report this"
        )


def write_unigrams(folder: Path, data: Path, languages: list[str], vocab_size: int) -> None:
    """Write how often each symbol occurs in a language's training text, for the baseline of an evaluation."""
    from safetensors.numpy import save_file

    from wikixlm.binarize.indexed_format import split_prefix
    from wikixlm.model.unigram import symbol_counts

    save_file(
        {code: symbol_counts([split_prefix(data, "train", code)], vocab_size) for code in languages}, folder / UNIGRAMS
    )


def write_card(
    folder: Path,
    model: "TrainedModel",
    merges: list[Merge],
    languages: list[str],
    tokenizer: TokenizerSettings,
    sources: CardSources,
) -> None:
    """Write the model card, `README.md`."""
    from wikixlm.binarize.indexed_format import split_prefix
    from wikixlm.export import card
    from wikixlm.model.blocks import Blocks

    data = sources.data
    facts = card.CardFacts(
        languages=languages,
        config=model.config,
        merges=len(merges),
        lowercase=tokenizer.lowercase_and_remove_accent,
        japanese=tokenizer.japanese,
        manifest=read_json(sources.manifest) if sources.manifest else {},
        evaluation=card.read_evaluation(sources.evaluation) if sources.evaluation else (),
        tokens={code: Blocks(split_prefix(data, "train", code), 1).tokens for code in languages} if data else {},
    )
    (folder / "README.md").write_text(card.model_card(facts), encoding="utf-8")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="model.pt, or any of fairseq's checkpoints")
    parser.add_argument("--codes", type=Path, required=True, help="BPE codes that the text was segmented with")
    parser.add_argument("--vocabulary", type=Path, required=True, help="vocab_mlm that it was binarized with")
    parser.add_argument(
        "--lowercase-and-remove-accent",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="as the text was tokenized",
    )
    parser.add_argument("--japanese", choices=JAPANESE, default="kytea", help="as Japanese was tokenized")
    parser.add_argument("--manifest", type=Path, help="manifest.json of the model: sources and settings, for the card")
    parser.add_argument("--evaluation", type=Path, help="mlm_perplexity.tsv, for the card")
    parser.add_argument("--data", type=Path, help="folder of the binarized data: sizes of the languages, for the card")
    parser.add_argument("--output", type=Path, required=True, help="the folder; an export in it is replaced")


def main(args: argparse.Namespace) -> None:
    hf.quietly()
    tokenizer = TokenizerSettings(args.lowercase_and_remove_accent, args.japanese)
    sources = CardSources(args.manifest, args.evaluation, args.data)
    export_model(args.model, args.codes, args.vocabulary, tokenizer, sources, args.output)
