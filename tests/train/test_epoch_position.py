"""A training resumes where it was with another number of GPUs, or other batches."""

import pytest

from tests.support import fairseq_data as factory
from tests.support import training
from tests.support.blocks_data import load_recipe
from tests.train.test_dataset import training as examples


@pytest.fixture
def iterator():
    """A function that makes the iterator of one of `workers` over 440 examples."""
    load_recipe()
    from fairseq.data.iterators import EpochBatchIterator

    from wikixlm.train.fairseq import patches

    before = EpochBatchIterator.state_dict, EpochBatchIterator.load_state_dict
    patches.epoch_position()

    def make(workers, shard=0, max_tokens=36):
        dataset = examples([400, 40])
        batches = dataset.batch_by_size(dataset.ordered_indices(), max_tokens=max_tokens)
        return EpochBatchIterator(dataset, list, batches, seed=1, num_shards=workers, shard_id=shard)

    yield make
    EpochBatchIterator.state_dict, EpochBatchIterator.load_state_dict = before


def read(made, batches):
    """The examples of the next `batches` batches."""
    steps = made.next_epoch_itr()
    return [example for _ in range(batches) for example in next(steps)]


def rest(make, state, workers, **options):
    """The examples that `workers` still read after `state`."""
    found = []
    for shard in range(workers):
        made = make(workers, shard, **options)
        made.load_state_dict(state)
        found += [example for batch in made.next_epoch_itr() for example in batch]
    return found


@pytest.mark.parametrize("workers", [1, 2, 4, 5])
def test_other_workers_read_what_is_left_of_the_epoch(iterator, workers):
    one = iterator(1)
    before = read(one, 80)  # of 110 batches
    after = rest(iterator, one.state_dict(), workers)
    assert sorted(before + after) == list(range(440))


def test_fewer_workers_read_nothing_twice(iterator):
    four = [iterator(4, shard) for shard in range(4)]
    before = [example for made in four for example in read(made, 20)]
    after = rest(iterator, four[0].state_dict(), 1)
    assert sorted(before + after) == list(range(440))


@pytest.mark.parametrize("max_tokens", [18, 72])
def test_other_batches_leave_the_same_amount_to_read(iterator, max_tokens):
    one = iterator(1)
    read(one, 80)
    after = rest(iterator, one.state_dict(), 1, max_tokens=max_tokens)
    assert len(after) == 120


def test_the_end_of_an_epoch_is_no_dead_end(iterator):
    one = iterator(1)
    read(one, 109)
    assert 0 < len(rest(iterator, one.state_dict(), 8)) <= 2 * 8 * 4


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_a_training_resumes_with_another_number_of_workers(tmp_path, before, after):
    """About 50 batches an epoch, stopped after 40."""
    data = factory.make_data(tmp_path / "data", training.LANGUAGES, train=200)
    for workers, goal in ((before, 20), (after, 30)):
        changes = {"update_freq": 2 // workers, "lr_decay": "none"}
        arguments = training.words(data, tmp_path, "--gpus", str(workers), max_update=goal, **changes)
        status, output = training.finish(arguments, tmp_path / "log")
        assert status == 0, output
    assert "resuming from update 20 of 30" in output
    assert training.updates(tmp_path) == 30
