"""Learn joint BPE codes from a sample of all languages' training text.

The sample is drawn from the whole corpus, line by line, with XLM's probabilities p ~ n^alpha over languages; it
depends on the seed, not on shards or cores, and neither do the codes. The codes are written in fastBPE's format, one
merge a line, `left right count`; count is how often the merge is made in the sample. Memory grows with the number of
different words in the sample, by 1 KB each: the trainer keeps a record for each character of each word, and for each
pair of symbols the words that have it (measured by benchmarks/joint.py, words of 7.5 characters).

With --codes-file nothing is learned: the file is checked and copied.

With --scheme sentencepiece the codes are a tokenizer.json, see `wikixlm.bpe.pieces` and `wikixlm.bpe.learn_pieces`.
"""

import argparse
import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tokenizers import Tokenizer, pre_tokenizers, trainers
from tokenizers.models import BPE

from wikixlm import console
from wikixlm.bpe import learn_pieces
from wikixlm.bpe.codes import END_OF_WORD, RESERVED, Merge, codes_symbol, read_codes, write_codes
from wikixlm.bpe.encoder import BPEEncoder
from wikixlm.bpe.pieces import MODELS, is_pieces_file, read_pieces, write_pieces
from wikixlm.bpe.sampling import LineSampler, quotas
from wikixlm.errors import UserError
from wikixlm.files import atomic_text, open_text, read_json, work_folder, write_json
from wikixlm.seals import sealed
from wikixlm.tokenize.normalization import add_scheme_arguments
from wikixlm.tokenize.split import load_held_out, train_lines

MIN_FREQUENCY = 2  # a pair seen once is no regularity (subword-nmt's default as well)
_BATCH = 1000  # lines handed to the trainer at a time


@dataclass
class TrainingText:
    """A language's tokenized shards, the training lines in each, and the file of what training leaves out."""

    language: str
    shards: list[Path]
    train_lines: list[int]
    held_out: Path

    @property
    def lines(self) -> int:
        return sum(self.train_lines)


@dataclass
class Sample:
    """The sample's file, one line of words a line, and statistics of its text.

    Words that contain one of the strings `reserved` are left out.
    """

    path: Path
    reserved: tuple[str, ...] = RESERVED
    lines: dict[str, int] = field(default_factory=dict)
    words_left_out: int = 0
    characters: set[str] = field(default_factory=set)
    final_characters: set[str] = field(default_factory=set)


def read_split(path: Path) -> TrainingText:
    """Read a split.json; its held_out.json.zst is in the same folder.

    Raises:
        UserError: the file does not come from the split stage.
    """
    content = read_json(path)
    try:
        shards = [Path(shard) for shard in content["shards"]]
        text = TrainingText(content["language"], shards, content["train_lines"], path.parent / "held_out.json.zst")
    except (KeyError, TypeError) as failure:
        raise UserError(f"{path} does not come from `wikixlm split` ({failure}); delete it and run again") from failure
    if len(text.shards) != len(text.train_lines):
        raise UserError(f"{path}: {len(text.shards)} shards but {len(text.train_lines)} counts of lines")
    return text


def draw_sample(
    texts: list[TrainingText],
    alpha: float,
    sample_lines: int,
    seed: int,
    path: Path,
    reserved: tuple[str, ...] = RESERVED,
) -> Sample:
    """Write about `sample_lines` lines of all languages to `path`, without words that contain reserved strings.

    Raises:
        UserError: a shard has another number of lines than the split stage counted.
    """
    quota = quotas({text.language: text.lines for text in texts}, alpha, sample_lines)
    sample = Sample(path, reserved)
    with atomic_text(path) as stream:
        for text in texts:
            share = quota[text.language] / text.lines if text.lines else 0.0
            drawn = _draw_language(text, LineSampler(seed, text.language, share), sample, stream)
            sample.lines[text.language] = drawn
            logging.info("%s: %d of %d lines", text.language, drawn, text.lines)
    return sample


def _draw_language(text: TrainingText, sampler: LineSampler, sample: Sample, stream: IO[str]) -> int:
    held_out = load_held_out(text.held_out)
    drawn = 0
    for shard, expected in zip(text.shards, text.train_lines, strict=True):
        seen = 0
        for document_id, line in train_lines(shard, held_out):
            seen += 1
            if sampler.selects(document_id, line):
                drawn += 1
                stream.write(_without_reserved(line, sample) + "\n")
        if seen != expected:
            raise UserError(f"{shard}: {seen} training lines, but split counted {expected}; delete it and run again")
    return drawn


def _without_reserved(line: str, sample: Sample) -> str:
    """The line without words that contain reserved strings; adds the characters of the others to `sample`."""
    if any(reserved in line for reserved in sample.reserved):
        words = line.split(" ")
        kept = [word for word in words if not any(reserved in word for reserved in sample.reserved)]
        sample.words_left_out += len(words) - len(kept)
        line = " ".join(kept)
    sample.characters.update(line)
    sample.final_characters.update(word[-1] for word in line.split(" ") if word)
    return line


def learn(sample: Sample, codes: int) -> list[Merge]:
    """Learn up to `codes` merges from the sample, most frequent pair first.

    The trainer breaks ties by the ids of symbols, and numbers word-final characters in an order that changes from run
    to run; passing them sorted, as special tokens, fixes their ids.

    Raises:
        UserError: `codes` is less than the sample's number of characters.
    """
    sample.characters.discard(" ")
    if codes < len(sample.characters):
        raise UserError(
            f"bpe.codes is {codes}, but the sampled text has {len(sample.characters)} different characters; "
            "bpe.codes must be at least that many"
        )
    finals = [character + END_OF_WORD for character in sorted(sample.final_characters)]
    trainer = trainers.BpeTrainer(
        vocab_size=len(sample.characters) + len(finals) + codes,
        min_frequency=MIN_FREQUENCY,
        end_of_word_suffix=END_OF_WORD,
        special_tokens=finals,
        show_progress=False,
    )
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.CharDelimiterSplit(" ")
    tokenizer.train_from_iterator(_batches(sample.path), trainer)
    learned: list[tuple[str, str]] = json.loads(tokenizer.to_str())["model"]["merges"]
    # fastBPE refuses two merges that make the same symbol; such a pair gets no new symbol from the trainer either.
    unique: dict[str, tuple[str, str]] = {}
    for left, right in learned:
        unique.setdefault(left + right, (left, right))
    return [Merge(left, right) for left, right in list(unique.values())[:codes]]


def _batches(path: Path) -> Iterator[list[str]]:
    batch: list[str] = []
    for line in _lines(path):
        batch.append(line)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


def _lines(path: Path) -> Iterator[str]:
    with open_text(path) as stream:
        for line in stream:
            yield line.removesuffix("\n")


def count_merges(merges: list[Merge], sample: Path) -> list[Merge]:
    """Count how often each merge is made when the sample is encoded.

    A symbol is made each time it is written or is part of a larger one that is made. From the last merge to the first,
    the counts of all larger symbols are known before those of their parts.
    """
    encoder = BPEEncoder(merges)
    for line in _lines(sample):
        encoder.encode(line)
    made: Counter[str] = Counter()
    for written, count in encoder.statistics().symbols.items():
        made[codes_symbol(written)] += count
    counted = []
    for left, right, _ in reversed(merges):
        count = made[left + right]
        made[left] += count
        made[right] += count
        counted.append(Merge(left, right, count))
    return counted[::-1]


def learn_codes(
    splits: list[Path], codes: int, alpha: float, sample_lines: int, seed: int, output: Path
) -> dict[str, Any]:
    """Draw the sample, learn the codes and write them.

    Args:
        splits: the split.json of each language.
        codes: merges to learn.
        alpha: sampling exponent, see `quotas`.
        sample_lines: lines to learn from, over all languages.
        seed: another seed gives another sample.
        output: the codes file.

    Returns:
        The counts of codes, characters, sampled lines and words left out.

    Raises:
        UserError: a shard is damaged, or no codes can be learned; nothing is written then.
    """
    texts = [read_split(path) for path in splits]
    with work_folder(output) as folder:
        sample = draw_sample(texts, alpha, sample_lines, seed, folder / "sample.zst")
        merges = count_merges(learn(sample, codes), sample.path)
        if not merges:
            raise UserError(
                f"no BPE codes: no pair of characters comes twice in {sum(sample.lines.values())} sampled lines"
            )
        _check_readable(merges, codes, folder / "codes")
    if len(merges) < codes:
        console.warn(f"bpe.codes is {codes}, but the sampled text gives only {len(merges)}; the run uses those")
    write_codes(output, merges)
    return {
        "codes": len(merges),
        "characters": len(sample.characters),
        "sampled_lines": sample.lines,
        "words_left_out": sample.words_left_out,
    }


@dataclass(frozen=True)
class PieceOptions:
    """How text becomes pieces: `unigram` or `bpe`, and the normalization."""

    kind: str
    normalization: str


def learn_piece_model(
    splits: list[Path], codes: int, alpha: float, sample_lines: int, seed: int, options: PieceOptions, output: Path
) -> dict[str, Any]:
    """As `learn_codes`, for the scheme `sentencepiece`; `codes` are the pieces."""
    texts = [read_split(path) for path in splits]
    with work_folder(output) as folder:
        sample = draw_sample(texts, alpha, sample_lines, seed, folder / "sample.zst", learn_pieces.RESERVED)
        model = learn_pieces.learn_pieces(sample.path, options.kind, codes, options.normalization)
    if len(model.scores) < codes:
        console.warn(f"bpe.codes is {codes}, but the sampled text gives only {len(model.scores)}; the run uses those")
    write_pieces(output, model)
    return {
        "codes": len(model.scores),
        "characters": len(sample.characters - {" "}),
        "sampled_lines": sample.lines,
        "words_left_out": sample.words_left_out,
    }


def reuse(codes_file: Path, options: PieceOptions | None, output: Path) -> int:
    """Check codes and copy them; return their number.

    Args:
        options: None: they must be merges; else pieces with this normalization.

    Raises:
        UserError: they are bad, or of the other scheme.
    """
    refuse_other_scheme(codes_file, options.normalization if options else None)
    if options is None:
        merges = read_codes(codes_file)
        write_codes(output, merges)
        return len(merges)
    model = read_pieces(codes_file)
    write_pieces(output, model)
    return len(model.scores)


def refuse_other_scheme(codes_file: Path, normalization: str | None) -> None:
    """Raise a UserError where codes do not fit the scheme.

    Args:
        normalization: that of the scheme `sentencepiece`; None: the scheme is `xlm`.
    """
    if is_pieces_file(codes_file) != (normalization is not None):
        own, other = ("xlm", "sentencepiece") if normalization is None else ("sentencepiece", "xlm")
        raise UserError(
            f"bpe.codes_file: {codes_file} holds codes of the scheme {other}, and tokenize.scheme is {own}; "
            f"set tokenize.scheme: {other}, as in the run that the codes are from"
        )
    if normalization is not None and (known := read_pieces(codes_file).normalization) != normalization:
        raise UserError(
            f"bpe.codes_file: {codes_file} was learned from text normalized by {known}, and tokenize.normalization is "
            f"{normalization}; set it to {known}"
        )


def _check_readable(merges: list[Merge], codes: int, path: Path) -> None:
    """Read the codes as `wikixlm apply-bpe` will."""
    write_codes(path, merges)
    try:
        read_codes(path)
    except UserError as failure:
        reason = str(failure).removeprefix(f"{path}")
        raise UserError(
            f"bpe.codes: {codes} gives codes that can't be applied{reason}; raise bpe.codes or bpe.sample_lines"
        ) from failure


def add_arguments(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--splits",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="split.json of each language, with held_out.json.zst in the same folder",
    )
    source.add_argument("--codes-file", type=Path, help="use these codes (fastBPE's or subword-nmt's, or pieces)")
    add_scheme_arguments(parser)
    parser.add_argument("--model", choices=MODELS, default="unigram", help="of the pieces of --scheme sentencepiece")
    parser.add_argument("--codes", type=int, default=60000, help="merges, or pieces, to learn over all languages")
    parser.add_argument("--alpha", type=float, default=0.5, help="sample languages with p ~ n^alpha")
    parser.add_argument("--sample-lines", type=int, default=10_000_000, help="lines to learn from, over all languages")
    parser.add_argument("--seed", type=int, default=42, help="another seed, another sample")
    parser.add_argument("--output", type=Path, required=True, help="codes, fastBPE's format or tokenizer.json")
    parser.add_argument("--counts", type=Path, help="what was sampled and learned (JSON)")


def main(args: argparse.Namespace) -> None:
    counts: dict[str, Any]
    options = PieceOptions(args.model, args.normalization) if args.scheme == "sentencepiece" else None
    how = (args.splits, args.codes, args.alpha, args.sample_lines, args.seed)
    with sealed(args.output):
        if args.codes_file:
            counts = {"codes": reuse(args.codes_file, options, args.output), "codes_file": str(args.codes_file)}
        elif options:
            counts = learn_piece_model(*how, options, args.output)
        else:
            counts = learn_codes(*how, args.output)
    logging.info("%s", counts)
    if args.counts:
        write_json(args.counts, counts)
