"""Tokenize one shard, line by line: as transformers' XLMTokenizer does up to BPE, or without rules of any language.

With --scheme xlm the steps are: Unicode punctuation to ASCII, Moses punctuation normalisation, removal of non-printing
characters, Moses tokenization without escaping (Thai: PyThaiNLP, Chinese: Jieba, Japanese: KyTea), lower case and no
accents. With --scheme sentencepiece lines are only normalized, see `wikixlm.tokenize.normalization`; tokens are then
what is between spaces. Tokens are joined by single spaces, and output lines contain no other white space. Lines
without tokens and documents without lines are dropped and counted.
"""

import argparse
import dataclasses
import logging
from pathlib import Path
from typing import Protocol

from wikixlm.documents import Document, read_documents, write_document
from wikixlm.files import atomic_text, write_json
from wikixlm.tokenize.line_tokenizer import LineTokenizer
from wikixlm.tokenize.normalization import LineNormalizer, add_scheme_arguments
from wikixlm.tokenize.word_segmenters import JAPANESE


class Lines(Protocol):
    """What makes tokens of a line; none of them is empty or contains white space."""

    def tokenize(self, text: str) -> list[str]: ...


@dataclasses.dataclass
class TokenizeCounts:
    """Input and output of a shard; characters are code points, without line ends."""

    language: str
    documents_in: int = 0
    documents_out: int = 0
    lines_in: int = 0
    lines_out: int = 0
    lines_emptied: int = 0
    tokens: int = 0
    characters_in: int = 0
    characters_out: int = 0


def tokenize_document(document: Document, tokenizer: Lines, counts: TokenizeCounts) -> Document:
    """Tokenize a document's lines, drop those without a token, and add to `counts`."""
    lines = []
    for line in document.lines:
        tokens = tokenizer.tokenize(line)
        counts.characters_in += len(line)
        if tokens:
            counts.tokens += len(tokens)
            lines.append(" ".join(tokens))
    counts.documents_in += 1
    counts.documents_out += bool(lines)
    counts.lines_in += len(document.lines)
    counts.lines_out += len(lines)
    counts.lines_emptied += len(document.lines) - len(lines)
    counts.characters_out += sum(map(len, lines))
    return Document(document.id, lines)


def tokenize(source: Path, target: Path, tokenizer: Lines, language: str) -> TokenizeCounts:
    """Tokenize a shard, one document in memory at a time.

    Raises:
        UserError: the shard is missing or damaged, or the target can't be written.
    """
    counts = TokenizeCounts(language)
    with atomic_text(target) as stream:
        for document in read_documents(source):
            tokenized = tokenize_document(document, tokenizer, counts)
            if tokenized.lines:
                write_document(stream, tokenized)
    return counts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--input", type=Path, required=True, help="shard of extracted documents")
    parser.add_argument("--language", required=True, help="code of the language, as XLMTokenizer's `lang`")
    add_scheme_arguments(parser)
    parser.add_argument(
        "--lowercase-and-remove-accent",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="XLMTokenizer's do_lowercase_and_remove_accent",
    )
    parser.add_argument(
        "--japanese",
        choices=JAPANESE,
        default="kytea",
        help="word segmenter for ja: kytea as XLM (needs its model file); fugashi (UniDic) and moses (no words, only "
        "punctuation split off) are not what a plain XLMTokenizer does",
    )
    parser.add_argument(
        "--kytea-model",
        type=Path,
        help="KyTea's model.bin; by default where XLMTokenizer and KyTea's installation look",
    )
    parser.add_argument("--output", type=Path, required=True, help="shard of tokenized documents")
    parser.add_argument("--counts", type=Path, required=True, help="documents, lines, tokens in and out (JSON)")


def main(args: argparse.Namespace) -> None:
    tokenizer: Lines
    if args.scheme == "sentencepiece":
        tokenizer = LineNormalizer(args.normalization)
    else:
        tokenizer = LineTokenizer(args.language, args.lowercase_and_remove_accent, args.japanese, args.kytea_model)
    counts = tokenize(args.input, args.output, tokenizer, args.language)
    write_json(args.counts, dataclasses.asdict(counts))
    logging.info("%s: %s", args.input, counts)
