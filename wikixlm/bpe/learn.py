"""Learn joint BPE codes from a sample of all languages' training text.

The sample is drawn from the whole corpus, line by line, with XLM's probabilities p ~ n^alpha over languages; it
depends on the seed, not on shards or cores, and neither do the codes. The codes are written in fastBPE's format:
`left right count` a merge, where count is how often the merge is made in the sample. Memory grows with the number of
different words in the sample, by 1 KB each: the trainer keeps a record for each character of each word, and for each
pair of symbols the words that have it (benchmarks/joint.py, words of 7.5 characters).

With --codes-file nothing is learned: the file is checked and taken over.
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
from wikixlm.bpe.codes import END_OF_WORD, RESERVED, Merge, codes_symbol, read_codes, write_codes
from wikixlm.bpe.encoder import BPEEncoder
from wikixlm.bpe.sampling import LineSampler, quotas
from wikixlm.errors import UserError
from wikixlm.files import atomic_text, open_text, read_json, work_folder, write_json
from wikixlm.tokenize.split import load_held_out, train_lines

MIN_FREQUENCY = 2  # a pair seen once is no regularity (subword-nmt's default as well)
_BATCH = 1000  # lines handed to the trainer at a time


@dataclass
class Language:
    """What `wikixlm split` says of a language: its tokenized shards, and the training lines in each."""

    name: str
    shards: list[Path]
    train_lines: list[int]
    held_out: Path

    @property
    def lines(self) -> int:
        return sum(self.train_lines)


@dataclass
class Sample:
    """The sample's file (one line of words a line) and what it is made of."""

    path: Path
    lines: dict[str, int] = field(default_factory=dict)
    words_left_out: int = 0
    characters: set[str] = field(default_factory=set)
    final_characters: set[str] = field(default_factory=set)


def read_split(path: Path) -> Language:
    """Read a split.json; its held-out lines lie beside it.

    Raises:
        UserError: the file does not come from the split stage.
    """
    content = read_json(path)
    try:
        shards = [Path(shard) for shard in content["shards"]]
        language = Language(content["language"], shards, content["train_lines"], path.parent / "held_out.json.zst")
    except (KeyError, TypeError) as failure:
        raise UserError(f"{path} does not come from `wikixlm split` ({failure}); delete it and run again") from failure
    if len(language.shards) != len(language.train_lines):
        raise UserError(f"{path}: {len(language.shards)} shards but {len(language.train_lines)} counts of lines")
    return language


def draw_sample(languages: list[Language], alpha: float, wanted: int, seed: int, path: Path) -> Sample:
    """Write the sampled lines of all languages to `path`, without words that no codes should be learned from.

    Raises:
        UserError: a shard does not hold the lines that the split stage counted in it.
    """
    quota = quotas({language.name: language.lines for language in languages}, alpha, wanted)
    sample = Sample(path)
    with atomic_text(path) as stream:
        for language in languages:
            share = quota[language.name] / language.lines if language.lines else 0.0
            sample.lines[language.name] = _draw_language(
                language, LineSampler(seed, language.name, share), sample, stream
            )
            logging.info("%s: %d of %d lines", language.name, sample.lines[language.name], language.lines)
    return sample


def _draw_language(language: Language, sampler: LineSampler, sample: Sample, stream: IO[str]) -> int:
    held_out = load_held_out(language.held_out)
    taken = 0
    for shard, expected in zip(language.shards, language.train_lines, strict=True):
        seen = 0
        for document_id, line in train_lines(shard, held_out):
            seen += 1
            if sampler.takes(document_id, line):
                taken += 1
                stream.write(_learnable(line, sample) + "\n")
        if seen != expected:
            raise UserError(f"{shard}: {seen} training lines, but split counted {expected}; delete it and run again")
    return taken


def _learnable(line: str, sample: Sample) -> str:
    """The line without words that contain reserved strings; notes the characters of the others."""
    if any(reserved in line for reserved in RESERVED):
        words = line.split(" ")
        kept = [word for word in words if not any(reserved in word for reserved in RESERVED)]
        sample.words_left_out += len(words) - len(kept)
        line = " ".join(kept)
    sample.characters.update(line)
    sample.final_characters.update(word[-1] for word in line.split(" ") if word)
    return line


def learn(sample: Sample, codes: int) -> list[Merge]:
    """Learn up to `codes` merges from the sample, most frequent pair first.

    Ties are broken by the ids that the trainer gives to the symbols; it numbers word-final characters as it meets
    them, in an order that changes from run to run. They are therefore announced beforehand, sorted.

    Raises:
        UserError: fewer codes are wanted than the sample has characters.
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
    # fastBPE refuses two merges that make the same symbol; the trainer gives such a pair no new symbol either.
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
    """Say how often each merge is made when the sample is segmented.

    A symbol is made each time it is written or is part of a larger one that is made; going from the last merge to the
    first, all larger ones are known before their parts.
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


def learn_codes(args: argparse.Namespace) -> dict[str, Any]:
    """Draw the sample, learn, write `args.output`; return the counts."""
    languages = [read_split(path) for path in args.splits]
    with work_folder(args.output) as folder:
        sample = draw_sample(languages, args.alpha, args.sample_lines, args.seed, folder / "sample.zst")
        merges = count_merges(learn(sample, args.codes), sample.path)
    if not merges:
        raise UserError(
            f"no BPE codes: no pair of characters comes twice in {sum(sample.lines.values())} sampled lines"
        )
    if len(merges) < args.codes:
        console.warn(
            f"bpe.codes is {args.codes}, but the sampled text gives only {len(merges)}; the run goes on with those"
        )
    write_codes(args.output, merges)
    return {
        "codes": len(merges),
        "characters": len(sample.characters),
        "sampled_lines": sample.lines,
        "words_left_out": sample.words_left_out,
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--splits",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="split.json of each language, held_out.json.zst beside it",
    )
    source.add_argument("--codes-file", type=Path, help="take these codes (fastBPE's or subword-nmt's) over unchanged")
    parser.add_argument("--codes", type=int, default=60000, help="merges to learn over all languages")
    parser.add_argument("--alpha", type=float, default=0.5, help="sample languages with p ~ n^alpha")
    parser.add_argument("--sample-lines", type=int, default=10_000_000, help="lines to learn from, over all languages")
    parser.add_argument("--seed", type=int, default=42, help="another seed, another sample")
    parser.add_argument("--output", type=Path, required=True, help="codes, fastBPE's format")
    parser.add_argument("--counts", type=Path, help="what was sampled and learned (JSON)")


def main(args: argparse.Namespace) -> None:
    """Run the stage."""
    if args.codes_file:
        merges = read_codes(args.codes_file)
        write_codes(args.output, merges)
        counts: dict[str, Any] = {"codes": len(merges), "codes_file": str(args.codes_file)}
    else:
        counts = learn_codes(args)
    logging.info("%s", counts)
    if args.counts:
        write_json(args.counts, counts)
