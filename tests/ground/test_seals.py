"""Seals: written last, gone while a file is written anew, and any change of the file is found."""

import subprocess

import pytest

from wikixlm.errors import UserError
from wikixlm.seals import check_seals, seal_file, sealed


def test_sha256sum_reads_a_seal(tmp_path):
    with sealed(tmp_path / "train.en"):
        (tmp_path / "train.en").write_text("a b\n")
    subprocess.run(["sha256sum", "--check", "--quiet", ".train.en.sha256"], cwd=tmp_path, check=True)
    check_seals(tmp_path / "train.en")


@pytest.mark.attack(
    "run",
    "a kept file that was cut, emptied, changed or lengthened since its stage wrote it",
    "its reader refuses it: its SHA-256 is not that of its seal",
)
@pytest.mark.parametrize("damaged", [b"", b"a b", b"a c\n", b"a b\na b\n"])
def test_a_change_is_found(tmp_path, damaged):
    path = tmp_path / "train.en"
    with sealed(path):
        path.write_bytes(b"a b\n")
    path.write_bytes(damaged)
    with pytest.raises(UserError, match=r"train\.en is damaged or was changed: .* delete it and run again"):
        check_seals(path)


def test_a_file_without_a_seal_and_a_missing_one_are_left_alone(tmp_path):
    (tmp_path / "own").touch()
    with sealed(tmp_path / "gone"):
        (tmp_path / "gone").touch()
    (tmp_path / "gone").unlink()
    check_seals(tmp_path / "own", tmp_path / "gone")


def test_a_failure_leaves_no_seal_of_the_earlier_file(tmp_path):
    path = tmp_path / "train.en"
    with sealed(path):
        path.write_bytes(b"a b\n")
    with pytest.raises(ZeroDivisionError), sealed(path):
        path.write_bytes(b"half")
        raise ZeroDivisionError
    assert not seal_file(path).exists()
