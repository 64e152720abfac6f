"""The index as fairseq's own builders write it, and as its datasets read ours."""

import numpy as np
import pytest

from tests.support import fairseq_data
from wikixlm.binarize.indexed_format import IndexedWriter, read_layout
from wikixlm.errors import UserError

LINES = [[7, 1, 4], [0], [], [9, 9, 9, 9]]
TOKENS = sum(len(line) + 1 for line in LINES)


@pytest.mark.parametrize(("implementation", "itemsize", "shift"), [("mmap", 2, 0), ("lazy", 4, 1)])
def test_fairseqs_files(tmp_path, implementation, itemsize, shift):
    fairseq_data.binarize(tmp_path / "train.en", LINES, implementation)
    layout = read_layout(tmp_path / "train.en")
    assert (layout.dtype.itemsize, *layout[1:]) == (itemsize, shift, len(LINES), TOKENS)


@pytest.mark.parametrize("implementation", ["mmap", "lazy"])
@pytest.mark.parametrize("suffix", ["bin", "idx"])
def test_a_file_of_another_size_is_found(tmp_path, implementation, suffix):
    fairseq_data.binarize(tmp_path / "train.en", LINES, implementation)
    path = tmp_path / f"train.en.{suffix}"
    whole = path.read_bytes()
    for damaged in [*(whole[:size] for size in range(len(whole))), whole + b"\0", whole * 2]:
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=f"train.en.{suffix}"):
            read_layout(tmp_path / "train.en")


def test_fairseq_reads_what_is_written(tmp_path):
    with IndexedWriter(tmp_path / "train.en") as writer:
        for line in LINES:
            writer.write([*line, 2])
    assert read_layout(tmp_path / "train.en")[2:] == (len(LINES), TOKENS)
    from fairseq.data import data_utils

    data = data_utils.load_indexed_dataset(str(tmp_path / "train.en"), None, "mmap")
    assert [data[number].tolist() for number in range(len(data))] == [[*line, 2] for line in LINES]


def test_no_index_is_written_when_writing_fails(tmp_path):
    with pytest.raises(ZeroDivisionError), IndexedWriter(tmp_path / "train.en") as writer:
        writer.write(np.array([5, 2]))
        raise ZeroDivisionError
    assert not (tmp_path / "train.en.idx").exists()
