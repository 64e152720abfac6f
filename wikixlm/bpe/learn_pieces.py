"""Learn the pieces of the scheme `sentencepiece` from a sample of lines.

Unigram models are learned by Google's sentencepiece: the one of Hugging Face's tokenizers gives another model in each
run, as it sums over a hash table in no fixed order. It gets the parts of words that pieces don't cross, with their
counts, in a fixed order, and a fixed number of threads, so that the model depends on the sample alone. BPE merges are
learned by tokenizers.
"""

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, trainers
from tokenizers.models import BPE

from wikixlm.bpe.codes import SPECIALS
from wikixlm.bpe.pieces import PieceModel, pre_tokenizer
from wikixlm.errors import UserError
from wikixlm.files import open_text
from wikixlm.tokenize.normalization import WORD_START

# Words that contain one of these are not learned from: no piece may be taken for a special symbol or a byte.
RESERVED = (*SPECIALS, "madeupword", "<0x")
# Always pieces, so that text with the name of a special symbol or a byte can be cut otherwise.
ALPHABET = WORD_START + "".join(map(chr, range(0x21, 0x7F)))
COVERAGE = 0.99995  # of the sample's characters are pieces, as for XLM-R; the rarest are spelled in bytes
LONGEST_PIECE = 16  # characters, sentencepiece's default
MIN_FREQUENCY = 2
LEARNED_CHARACTERS = 100_000_000
"""More than these are scaled down: sentencepiece's memory grows with all characters, by 15 bytes each."""

_THREADS = 8  # partial sums are added in the order of threads: another number is another model in the last digits
_WORDS = 400_000  # word types counted before they are cut


def learn_pieces(sample: Path, kind: str, pieces: int, normalization: str) -> PieceModel:
    """Learn up to `pieces` pieces, the alphabet included and bytes not.

    Args:
        sample: normalized lines without `RESERVED` strings.
        kind: `unigram` or `bpe`.
        normalization: of the lines.

    Raises:
        UserError: there is no text, or `pieces` is not more than the sample's alphabet.
    """
    parts = count_parts(_lines(sample))
    if not parts:
        raise UserError("there is no text to learn pieces from")
    alphabet = frequent_characters(parts)
    if pieces <= len(alphabet):
        raise UserError(
            f"bpe.codes is {pieces}, but the sampled text has {len(alphabet)} different characters; "
            "with tokenize.scheme: sentencepiece bpe.codes must be more than that"
        )
    if kind == "bpe":
        return PieceModel(kind, normalization, *_merges(sample, pieces, alphabet))
    return PieceModel(kind, normalization, _scores(parts, pieces))


def _lines(path: Path) -> Iterator[str]:
    with open_text(path) as stream:
        for line in stream:
            yield line.removesuffix("\n")


def count_parts(lines: Iterator[str]) -> Counter[str]:
    """Count the parts of words, `▁word` or `,`, that pieces don't cross."""
    cut = pre_tokenizer().pre_tokenize_str
    parts: Counter[str] = Counter()
    words: Counter[str] = Counter()

    def empty() -> None:
        for word, count in words.items():
            for part, _ in cut(word):
                parts[part] += count
        words.clear()

    for line in lines:
        words.update(filter(None, line.split(" ")))
        if len(words) > _WORDS:
            empty()
    empty()
    return parts


def frequent_characters(parts: Counter[str]) -> set[str]:
    """`ALPHABET`, and the most frequent characters that make up `COVERAGE` of the parts."""
    counts: Counter[str] = Counter()
    for part, count in parts.items():
        for character in part:
            counts[character] += count
    rest = (1 - COVERAGE) * counts.total()
    kept = set(counts)
    for character, count in sorted(counts.items(), key=lambda entry: (entry[1], entry[0])):
        rest -= count
        if rest < 0:
            break
        kept.discard(character)
    return kept | set(ALPHABET)


def _scores(parts: Counter[str], pieces: int) -> dict[str, float]:
    """The pieces of a Unigram model and their log-probabilities."""
    import sentencepiece

    characters = sum(len(part) * count for part, count in parts.items())
    scale = min(1.0, LEARNED_CHARACTERS / characters)
    rows = ((part, round(count * scale)) for part, count in sorted(parts.items()) if "\0" not in part)
    output = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(f"{part}\t{count}" for part, count in rows if count),
            model_writer=output,
            input_format="tsv",
            model_type="unigram",
            vocab_size=pieces + 1,
            hard_vocab_limit=False,
            character_coverage=COVERAGE,
            required_chars=ALPHABET,
            max_sentencepiece_length=LONGEST_PIECE,
            max_sentence_length=1 << 24,
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            split_by_unicode_script=False,
            split_by_number=False,
            num_threads=_THREADS,
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            minloglevel=2,
        )
    except RuntimeError as failure:
        raise UserError(f"sentencepiece can't learn from this sample: {failure}") from failure
    learned = sentencepiece.SentencePieceProcessor(model_proto=output.getvalue())
    scores = {learned.id_to_piece(number): learned.get_score(number) for number in range(1, len(learned))}
    rarest = min(scores.values())
    return {**scores, **{character: rarest for character in ALPHABET if character not in scores}}


def _merges(sample: Path, pieces: int, alphabet: set[str]) -> tuple[dict[str, float], tuple[tuple[str, str], ...]]:
    """The pieces of BPE, and its merges."""
    trainer = trainers.BpeTrainer(
        vocab_size=pieces,
        min_frequency=MIN_FREQUENCY,
        limit_alphabet=len(alphabet),
        initial_alphabet=sorted(alphabet),
        max_token_length=LONGEST_PIECE,
        show_progress=False,
    )
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizer()
    tokenizer.train_from_iterator(_lines(sample), trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return dict.fromkeys(model["vocab"], 0.0), tuple((left, right) for left, right in model["merges"])
