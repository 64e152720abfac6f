"""Blocks, batches of mixed languages, epochs, and the task that opens them; real fairseq data and iterators."""

import pickle
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.blocks_data import load_recipe, write_data, write_dictionary, write_split
from wikixlm.errors import UserError
from wikixlm.model.batches import Symbols
from wikixlm.model.blocks import Blocks
from wikixlm.model.masking import Masking

MASKING = Masking(4, 5, 105, 0.3)
SYMBOLS = Symbols(pad=1, eos=2)


@pytest.fixture(scope="module", autouse=True)
def recipe():
    load_recipe()


def make_task(folder, languages, **options):
    from wikixlm.train.fairseq.task import WikixlmTask

    values = {"tokens_per_sample": 9, "alpha": 0.7, "mask_ratio": 0.3, "valid_mask_seed": 0, "seed": 0, **options}
    return WikixlmTask.setup_task(SimpleNamespace(data=str(folder), monolingual_langs=",".join(languages), **values))


def training(counts, alpha=1.0, seed=0, folders=1):
    """Training examples over stand-ins for blocks, of which only the number and length matter here."""
    from wikixlm.train.fairseq.dataset import Language, TrainingExamples

    class Counted(list):
        length = 8

    languages = [Language(f"l{number}", number, Counted(range(count))) for number, count in enumerate(counts)]
    return TrainingExamples(languages, alpha, MASKING, SYMBOLS, seed, folders)


@pytest.mark.parametrize("impl", ["mmap", "lazy"])
@pytest.mark.parametrize("symbols", [100, 70_000])
def test_blocks_are_the_running_text(tmp_path, impl, symbols):
    text = np.random.default_rng(0).integers(5, symbols, 203)
    text = write_split(tmp_path, "train.en", text, impl, symbols)
    blocks = Blocks(tmp_path / "train.en", 8)
    assert len(blocks) == 26
    assert blocks.tokens == 203
    tokens, lengths = blocks.read(np.array([25, 0, 7]), pad=1)
    assert lengths.tolist() == [3, 8, 8]
    assert tokens[0].tolist() == [*text[200:203], 1, 1, 1, 1, 1]
    assert tokens[1].tolist() == text[:8].tolist()
    assert tokens[2].tolist() == text[56:64].tolist()
    again, _ = pickle.loads(pickle.dumps(blocks)).read(np.array([7]), pad=1)
    assert again.tolist() == tokens[2:].tolist()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data, index: data.unlink(), "cannot read"),
        (lambda data, index: index.unlink(), "wikixlm binarize"),
        (lambda data, index: data.write_bytes(b""), "empty"),
        (lambda data, index: data.write_bytes(data.read_bytes()[:-1]), "cut short"),
        (lambda data, index: index.write_bytes(b"something else"), "not an index"),
    ],
)
def test_damaged_data_is_a_user_error_that_names_the_file(tmp_path, damage, words):
    write_split(tmp_path, "train.en", np.arange(5, 80))
    damage(tmp_path / "train.en.bin", tmp_path / "train.en.idx")
    with pytest.raises(UserError, match=words) as error:
        Blocks(tmp_path / "train.en", 8)
    assert "train.en" in str(error.value)


def test_with_alpha_1_every_example_comes_up_exactly_once_an_epoch_in_another_order(tmp_path):
    dataset = training([300, 20, 1])
    orders = []
    for epoch in (1, 2):
        dataset.set_epoch(epoch)
        numbers = [dataset.block_ids(place, np.arange(count)) for place, count in enumerate(dataset.counts)]
        assert [sorted(part) for part in numbers] == [list(range(300)), list(range(20)), [0]]
        orders.append(numbers[0].tolist())
    assert orders[0] != orders[1]
    assert orders[0] != sorted(orders[0])


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.7])
def test_alpha_below_1_repeats_small_languages_evenly(alpha):
    counts = [1000, 100, 7]
    dataset = training(counts, alpha)
    share = np.array(dataset.counts) / sum(dataset.counts)
    wanted = np.array(counts) ** alpha
    assert share == pytest.approx(wanted / wanted.sum(), rel=0.02)
    seen = [Counter() for _ in counts]
    for epoch in range(1, 6):
        dataset.set_epoch(epoch)
        for place, count in enumerate(dataset.counts):
            seen[place].update(dataset.block_ids(place, np.arange(count)).tolist())
            # over any number of epochs no example is ahead of another by more than one
            assert len(seen[place]) == counts[place]
            assert max(seen[place].values()) - min(seen[place].values()) <= 1


def languages_of(dataset, indices):
    return np.searchsorted(dataset.offsets, dataset.draws(np.asarray(indices)), side="right") - 1


@pytest.mark.parametrize(
    ("counts", "alpha"), [([50, 3, 20], 1.0), ([4000, 900, 70, 1], 0.7), ([1], 1.0), ([2, 1], 0.0)]
)
def test_batches_are_full_and_hold_all_examples_once(counts, alpha):
    dataset = training(counts, alpha)
    batches = dataset.batch_by_size(dataset.ordered_indices(), max_tokens=8 * 9 + 5)
    assert [len(batch) for batch in batches[:-1]] == [8] * (len(batches) - 1)
    drawn = dataset.draws(np.concatenate([np.array(batch) for batch in batches]))
    assert sorted(drawn.tolist()) == list(range(sum(dataset.counts)))
    with pytest.raises(ValueError, match="tokens_per_sample 9"):
        dataset.batch_by_size(dataset.ordered_indices(), max_tokens=8)


@pytest.mark.parametrize("size", [8, 32, 256])
def test_each_batch_has_every_languages_share(size):
    dataset = training([40_000, 9_000, 7_000, 300], 0.7)
    share = np.array(dataset.counts) / len(dataset)
    for batch in dataset.batch_by_size(dataset.ordered_indices(), max_sentences=size)[:-1]:
        counts = np.bincount(languages_of(dataset, batch), minlength=4)
        assert abs(counts - share * size).max() < 3


def test_held_out_batches_hold_one_language_each_and_all_examples_once(tmp_path):
    task = make_task(write_data(tmp_path, {"en": 100, "bg": 100}, held_out=203), ["en", "bg"])
    task.load_dataset("valid")
    dataset = task.dataset("valid")
    batches = dataset.batch_by_size(dataset.ordered_indices(), max_tokens=8 * 9 + 5)
    assert sorted(index for batch in batches for index in batch) == list(range(52))
    assert max(len(batch) for batch in batches) == 8
    assert [dataset.collater(batch)["language"] for batch in batches] == [0] * 4 + [1] * 4


def iterate(task, folder_epoch, shards, shard, skip=0, workers=0):
    task.load_dataset("train", epoch=folder_epoch)
    iterator = task.get_batch_iterator(
        task.dataset("train"), max_tokens=36, seed=1, num_shards=shards, shard_id=shard, epoch=folder_epoch,
        num_workers=workers,
    )  # fmt: skip
    if skip:
        iterator.load_state_dict({"version": 2, "epoch": folder_epoch, "iterations_in_epoch": skip, "shuffle": True})
    return list(iterator.next_epoch_itr(shuffle=True))


def identity(batch):
    net_input = batch["net_input"]
    return net_input["segment_labels"].tolist(), net_input["src_tokens"].tolist(), batch["target"].tolist()


def test_workers_share_an_epoch_and_a_resumed_one_goes_on_where_it_was(tmp_path):
    folder = write_data(tmp_path, {"en": 900, "bg": 300, "hi": 60})
    task = make_task(folder, ["en", "bg", "hi"])
    whole = [identity(batch) for batch in iterate(task, 3, 1, 0)]
    halves = [[identity(batch) for batch in iterate(task, 3, 2, shard) if batch["ntargets"]] for shard in (0, 1)]
    assert halves[0] == whole[0::2]
    assert halves[1] == whole[1::2]
    assert [identity(batch) for batch in iterate(task, 3, 1, 0, skip=5)] == whole[5:]
    assert [identity(batch) for batch in iterate(task, 3, 1, 0, workers=1)] == whole
    assert [identity(batch) for batch in iterate(task, 4, 1, 0)] != whole
    # a batch of 4 rows has English and most of the time another language
    assert all([0] in labels for labels, _, _ in whole[:-1])
    assert len([1 for labels, _, _ in whole if len({label for (label,) in labels}) > 1]) > 20


def test_a_row_is_read_from_the_text_of_its_language(tmp_path):
    """The last block of each language is shorter: its row is padded beside those of the others."""
    folder = write_data(tmp_path, {"en": 403, "bg": 301, "hi": 5})
    task = make_task(folder, ["en", "bg", "hi"], alpha=1.0)
    task.load_dataset("train")
    dataset = task.dataset("train")
    batch = dataset.collater(list(range(len(dataset))))
    tokens = batch["net_input"]["src_tokens"][:, 1:].clone()
    tokens[batch["net_input"]["masked_tokens"][:, 1:]] = batch["target"]  # unmasked again
    rows = [(int(label), row.tolist()) for label, row in zip(batch["net_input"]["segment_labels"], tokens, strict=True)]
    expected = []
    for number, code in enumerate(["en", "bg", "hi"]):
        blocks = Blocks(folder / f"train.{code}", 8)
        expected += [(number, row.tolist()) for row in blocks.read(np.arange(len(blocks)), 1)[0]]
    assert sorted(rows, key=str) == sorted([(n, row + [1] * (8 - len(row))) for n, row in expected], key=str)
    assert batch["net_input"]["padded"]
    assert batch["ntokens"] == 403 + 301 + 5 + len(dataset)


def test_a_batch_tells_the_model_what_to_predict(tmp_path):
    folder = write_data(tmp_path, {"en": 100, "bg": 51}, held_out=203)
    task = make_task(folder, ["en", "bg"])
    task.load_dataset("valid")
    dataset = task.dataset("valid")
    batch = dataset.collater(list(range(26, 51)))
    net_input, target = batch["net_input"], batch["target"]
    source, masked = net_input["src_tokens"], net_input["masked_tokens"]
    assert batch["language"] == 1
    assert net_input["segment_labels"].unique().tolist() == [1]
    assert source.shape == (25, 9)
    assert (source[:, 0] == 2).all()
    assert not masked[:, 0].any()
    assert net_input["masked_selection"] is None
    assert net_input["masked_positions"].tolist() == masked.nonzero()[:, 1].view(25, 2).tolist()
    # 203 tokens make 25 blocks of 8 and one of 3, of which 1 is chosen
    short = task.dataset("valid").collater([49, 50, 51])["net_input"]
    assert short["padded"]
    assert short["masked_selection"].tolist() == [0, 1, 2, 3, 4]
    assert short["masked_tokens"].sum() == 5
    # 15 % in held-out data, whatever the training has: 2 of 8
    assert masked.sum(1).tolist() == [2] * 25
    assert batch["ntargets"] == len(target) == 50
    text, _ = Blocks(folder / "valid.bg", 8).read(np.arange(25), 1)
    assert target.tolist() == text[masked[:, 1:].numpy()].tolist()
    idle = dataset.collater([])  # of a worker that has no example left: it computes, and counts for nothing
    assert idle["net_input"]["src_tokens"].shape == (1, 9)
    assert idle["ntargets"] == idle["ntokens"] == idle["nsentences"] == 0


def test_held_out_masks_depend_on_neither_seed_epoch_nor_languages(tmp_path):
    folder = write_data(tmp_path, {"en": 100, "bg": 100})
    batches = []
    for languages, seed, epoch, place in ((["en", "bg"], 0, 1, 25), (["bg"], 7, 4, 0)):
        task = make_task(folder, languages, seed=seed, mask_ratio=0.4)
        task.load_dataset("valid", epoch=epoch)
        batches.append(task.dataset("valid").collater(list(range(place, place + 25))))
    assert identity(batches[0])[1:] == identity(batches[1])[1:]


def test_only_the_languages_of_a_batch_are_read(tmp_path, monkeypatch):
    folder = write_data(tmp_path, {"en": 4000, "bg": 300, "hi": 8})
    task = make_task(folder, ["en", "bg", "hi"])
    task.load_dataset("train")
    read = []
    original = Blocks.read
    monkeypatch.setattr(
        Blocks, "read", lambda self, numbers, pad: read.append(self.prefix) or original(self, numbers, pad)
    )
    dataset = task.dataset("train")
    indices = [index for index in range(len(dataset)) if languages_of(dataset, [index]) != 2][:9]
    batch = dataset.collater([dataset[index] for index in indices])
    assert read == [folder / "train.en", folder / "train.bg"]
    assert batch["nsentences"] == 9


def test_a_hundred_tiny_languages(tmp_path):
    languages = [f"l{number:02}" for number in range(100)]
    folder = write_data(tmp_path, {code: 10 + 3 * number for number, code in enumerate(languages)})
    task = make_task(folder, languages)
    batches = iterate(task, 1, 1, 0)
    assert {label for batch in batches for (label,) in batch["net_input"]["segment_labels"].tolist()} == set(range(100))
    assert sum(batch["nsentences"] for batch in batches) == len(task.dataset("train"))
    assert all(batch["net_input"]["src_tokens"].numel() <= 36 for batch in batches)


def test_a_corpus_in_several_folders_is_read_one_an_epoch(tmp_path):
    write_data(tmp_path / "a", {"en": 160, "bg": 40})
    write_data(tmp_path / "b", {"en": 80})
    folders = f"{tmp_path / 'a'}:{tmp_path / 'b'}"
    task = make_task(folders, ["en", "bg"])
    assert task.has_sharded_data("train")
    seen = {}
    for epoch in range(1, 5):
        task.load_dataset("train", epoch=epoch)
        dataset = task.dataset("train")
        seen[epoch] = [dataset.block_ids(0, np.arange(dataset.counts[0])).tolist(), len(dataset.languages)]
    assert [seen[epoch][1] for epoch in seen] == [2, 1, 2, 1]
    assert sorted(seen[1][0]) == sorted(seen[3][0]) == list(range(20))
    assert sorted(seen[2][0]) == sorted(seen[4][0]) == list(range(10))
    assert seen[1][0] != seen[3][0]


def test_missing_data_is_a_user_error(tmp_path):
    with pytest.raises(UserError, match=r"dict\.txt"):
        make_task(tmp_path, ["en"])
    write_dictionary(tmp_path, 100)
    task = make_task(tmp_path, ["en"])
    with pytest.raises(UserError, match=r"train\.en"):
        task.load_dataset("train")
    with pytest.raises(UserError, match="tokens_per_sample"):
        make_task(tmp_path, ["en"], tokens_per_sample=1).load_dataset("train")
