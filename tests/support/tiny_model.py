"""An exported model of two languages, untrained and tiny, that knows the words of xnli_factory; and the command."""

from pathlib import Path
from typing import Any

from tests.support import xnli as factory
from tests.support.stages import run_stage
from wikixlm.bpe.codes import CONTINUATION, END_OF_WORD, SPECIALS, Merge
from wikixlm.finetune import command as finetune
from wikixlm.finetune.scores import Score, read_table
from wikixlm.hf import vocabulary

LANGUAGES = ["en", "bg"]
POSITIONS = 40


def merges(words: list[str]) -> list[Merge]:
    """Codes that make a symbol of each word, from its left end on."""
    found: dict[Merge, None] = {}
    for word in words:
        left, *rest = [*word[:-1], word[-1] + END_OF_WORD]
        for right in rest:
            found[Merge(left, right)] = None
            left += right
    return list(found)


def export(folder: Path) -> Path:
    """The model's folder."""
    import torch
    from transformers import BertConfig, BertForMaskedLM

    words = [word for lang in LANGUAGES for word in factory.WORDS[lang].split()]
    codes = merges(words)
    letters = sorted({letter for word in [*words, "0?!.'"] for letter in word})
    symbols = [*SPECIALS, *(letter + CONTINUATION for letter in letters), *letters]
    made = [merge.left + merge.right for merge in codes]
    symbols += [one.removesuffix(END_OF_WORD) if one.endswith(END_OF_WORD) else one + CONTINUATION for one in made]
    symbols = list(dict.fromkeys(symbols))
    folder.mkdir(parents=True)
    settings = {"do_lowercase_and_remove_accent": True, "japanese_segmenter": "moses", "model_max_length": POSITIONS}
    vocabulary.write_tokenizer(folder, symbols, codes, LANGUAGES, settings)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(symbols),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=POSITIONS,
        type_vocab_size=len(LANGUAGES),
        pad_token_id=1,
        lang2id={code: number for number, code in enumerate(LANGUAGES)},
    )
    BertForMaskedLM(config).save_pretrained(folder)
    return folder


def words(model: Path, data: Path, output: Path, *options: str) -> list[str]:
    """The words behind `wikixlm finetune`: XNLI's prepared files in `data`, a training of seconds."""
    files = [f"--{split}={data / f'{split}.jsonl.zst'}" for split in ("train", "valid", "test")]
    return [
        *["--model", str(model), *files, "--text", "premise", "hypothesis", "--tokenized", "train"],
        *["--epochs", "6", "--batch-size", "16", "--lr", "0.003", "--save-interval-updates", "30"],
        *["--device", "cpu", "--threads", "1", "--output", str(output), *options],
    ]


def run(arguments: list[Any]) -> None:
    """`wikixlm finetune`, in this process."""
    run_stage("finetune", *arguments)


def scores(folder: Path) -> dict[tuple[str, str], Score]:
    """By language and split."""
    return {(row.language, row.split): row for row in read_table(folder / finetune.METRICS)}


def weights(folder: Path) -> dict[str, Any]:
    """The tensors of a model's folder."""
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))
