"""Atomic writing and compressed reading."""

import errno
import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from wikixlm import files
from wikixlm.documents import Document, read_documents, write_document
from wikixlm.errors import UserError


@pytest.mark.parametrize("name", ["plain.txt", "packed.zst"])
def test_text_comes_back_as_it_was(tmp_path, name):
    odd = ["a\u2028b", "c\rd", "e\x85f", "", "g\x0bh\x1ci"]
    with files.atomic_text(tmp_path / name) as stream:
        stream.writelines(f"{line}\n" for line in odd)
    with files.open_text(tmp_path / name) as stream:
        assert [line.removesuffix("\n") for line in stream] == odd


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n")))))
def test_documents_come_back_as_they_were(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("documents") / "shard.jsonl.zst"
    documents = [Document(str(number), lines) for number, lines in enumerate(texts)]
    with files.atomic_text(path) as stream:
        for document in documents:
            write_document(stream, document)
    assert list(read_documents(path)) == documents


@pytest.mark.parametrize("name", ["plain.txt", "packed.zst"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, name):
    path = tmp_path / name
    with files.atomic_text(path) as stream:
        stream.write("old\n")
    before = path.read_bytes()
    with pytest.raises(RuntimeError), files.atomic_text(path) as stream:
        stream.write("new\n")
        raise RuntimeError
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_killed_writer_leaves_nothing_under_the_final_name(tmp_path):
    path = tmp_path / "out.zst"
    program = (
        "import sys, time; from pathlib import Path; from wikixlm.files import atomic_text\n"
        "with atomic_text(Path(sys.argv[1])) as stream:\n"
        "    stream.write('x' * 10_000_000); print('writing', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == "writing\n"
        writer.send_signal(signal.SIGKILL)
    assert not path.exists()
    with files.atomic_text(path) as stream:
        stream.write("next run\n")
    with files.open_text(path) as stream:
        assert stream.read() == "next run\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line_that_names_the_file(tmp_path, monkeypatch):
    path = tmp_path / "out.txt"
    real = io.open

    def full(name, *rest, **named):
        return real("/dev/full", "wb", buffering=0) if ".tmp" in str(name) else real(name, *rest, **named)

    monkeypatch.setattr("builtins.open", full)
    message = rf"cannot write {path}: {os.strerror(errno.ENOSPC)}"
    with pytest.raises(UserError, match=message), files.atomic_text(path) as stream:
        stream.write("x" * 100_000)
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [0, 0.0001, 0.1, 0.3, 0.5, 0.99, 0.99999])
def test_a_damaged_shard_is_an_error_never_a_short_one(tmp_path, cut):
    path = tmp_path / "shard.jsonl.zst"
    with files.atomic_text(path) as stream:
        for number in range(5000):
            write_document(stream, Document(str(number), [os.urandom(20).hex()]))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(UserError, match=r"shard\.jsonl\.zst"):
        list(read_documents(path))


def test_a_flipped_bit_is_an_error(tmp_path):
    path = tmp_path / "lines.zst"
    with files.atomic_text(path) as stream:
        stream.write("".join(f"{number}\n" for number in range(100_000)))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match=r"lines\.zst"), files.open_text(path) as stream:
        stream.read()


def test_a_flipped_bit_is_one_error_or_changes_nothing(tmp_path):
    """Also a bit that makes bytes that are not UTF-8 before the checksum; a few bits of a frame mean nothing."""
    path = tmp_path / "lines.zst"
    text = "".join(f"{os.urandom(6).hex()} größer ไทย\n" for _ in range(200))
    with files.atomic_text(path) as stream:
        stream.write(text)
    whole = path.read_bytes()
    errors = 0
    for position in range(0, len(whole), 7):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x10]) + whole[position + 1 :])
        try:
            with files.open_text(path) as stream:
                assert stream.read() == text
        except UserError as error:
            assert "lines.zst is damaged" in str(error)
            errors += 1
    assert errors > 0.98 * len(range(0, len(whole), 7))


@pytest.mark.parametrize("name", ["codes", "codes.zst"])
def test_a_line_without_end_is_an_error(tmp_path, monkeypatch, name):
    monkeypatch.setattr(files, "LONGEST_LINE", 1000)
    with files.atomic_text(tmp_path / name) as stream:
        stream.write("x" * 999 + "\n" + "y" * 1001)
    lines = files.text_lines(tmp_path / name)
    assert next(lines) == (1, "x" * 999)
    with pytest.raises(UserError, match=f"{name}, line 2: longer than 1000 bytes"):
        next(lines)


def test_several_frames_are_one_text(tmp_path):
    parts = [zstandard.ZstdCompressor().compress(text) for text in (b"one\n", b"", b"two\n")]
    (tmp_path / "parts.zst").write_bytes(b"".join(parts))
    with files.open_text(tmp_path / "parts.zst") as stream:
        assert stream.read() == "one\ntwo\n"


def test_missing_and_damaged_json(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*gone\.json"):
        files.read_json(tmp_path / "gone.json")
    (tmp_path / "bad.json").write_text('{"a": ')
    with pytest.raises(UserError, match=r"bad\.json is not valid JSON"):
        files.read_json(tmp_path / "bad.json")


def test_permissions_follow_the_umask(tmp_path):
    old = os.umask(0o027)
    try:
        files.write_json(tmp_path / "a.json", {})
    finally:
        os.umask(old)
    assert (tmp_path / "a.json").stat().st_mode & 0o777 == 0o640


def test_compressed_files_open_with_the_standard_tool(tmp_path):
    with files.atomic_text(tmp_path / "a.zst") as stream:
        stream.write("text\n")
    assert zstandard.ZstdDecompressor().decompress((tmp_path / "a.zst").read_bytes(), max_output_size=100) == b"text\n"
    assert time.time() - (tmp_path / "a.zst").stat().st_mtime < 60


def test_a_folder_takes_its_place_whole_or_not_at_all(tmp_path):
    target = tmp_path / "folder"
    for content in ("one", "two"):
        with files.atomic_folder(target) as folder:
            (folder / "a").write_text(content)
            assert not target.exists() or (target / "a").read_text() == "one"
        assert (target / "a").read_text() == content
    with pytest.raises(RuntimeError), files.atomic_folder(target) as folder:
        (folder / "a").write_text("three")
        raise RuntimeError
    assert (target / "a").read_text() == "two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_a_folder_that_a_kill_left_aside_comes_back(tmp_path):
    """Killed between the two renamings, and then nothing new comes of it."""
    (tmp_path / ".folder.old").mkdir()
    (tmp_path / ".folder.old" / "a").write_text("one")
    with pytest.raises(RuntimeError), files.atomic_folder(tmp_path / "folder"):
        raise RuntimeError
    assert (tmp_path / "folder" / "a").read_text() == "one"
