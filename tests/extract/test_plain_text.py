"""Plain text in place of a dump: every line once, in any sharding."""

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wikixlm.cli import main
from wikixlm.documents import Document, read_documents
from wikixlm.extract.plain_text import line_id


def arguments(files: list[Path], folder: Path, shard: int = 0, shards: int = 1) -> list[str]:
    name = f"{shard:05d}-of-{shards:05d}"
    return [
        *("corpus", "--text", *map(str, files), "--language", "sv", "--shard", str(shard), "--shards", str(shards)),
        *("--output", str(folder / f"{name}.jsonl.zst"), "--counts", str(folder / f"{name}.json")),
    ]


def corpus(files: list[Path], folder: Path, shards: int = 1) -> tuple[list[Document], dict[str, int]]:
    """Documents of all shards in order, and the sums of their counts."""
    documents, sums = [], {"lines_in": 0, "empty": 0, "documents": 0, "characters": 0, "bytes": 0}
    for shard in range(shards):
        main(arguments(files, folder, shard, shards))
        name = f"{shard:05d}-of-{shards:05d}"
        documents += read_documents(folder / f"{name}.jsonl.zst")
        counts = json.loads((folder / f"{name}.json").read_text())
        sums = {key: value + counts[key] for key, value in sums.items()}
    return documents, sums


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    files=st.lists(
        st.lists(st.text(alphabet="aß語😀 \u2028\x85\r\x0c", max_size=6), max_size=8), min_size=1, max_size=3
    ),
    last_end=st.booleans(),
    shards=st.integers(1, 9),
)
def test_every_line_once(tmp_path: Path, files: list[list[str]], last_end: bool, shards: int) -> None:
    paths = []
    for number, lines in enumerate(files):
        paths.append(tmp_path / f"{number}.txt")
        lines = ["begin", *lines]
        paths[-1].write_bytes(("\n".join(lines) + "\n" * last_end).encode())
    expected = [line.strip() for lines in files for line in ["begin", *lines]]
    documents, sums = corpus(paths, tmp_path, shards)
    assert [document.lines for document in documents] == [[line] for line in expected if line]
    assert sums["documents"] == len(documents)
    assert sums["lines_in"] == sums["documents"] + sums["empty"]
    assert sums["bytes"] == sum(len(line.encode()) for line in expected)


def test_ids_are_the_lines_own(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one\ntwo\none\n")
    documents, _ = corpus([tmp_path / "a"], tmp_path)
    assert documents[0] == documents[2] != documents[1]
    assert documents[0].id == line_id("one")
    assert len(documents[0].id) == 16


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress, zstandard.compress])
def test_encodings_and_compression(tmp_path: Path, encoding: str, compress) -> None:
    text = "Första raden 😀\r\nandra\n\ntredje"
    mark = "\ufeff" if encoding == "utf-16-be" else ""  # Python writes the others' itself
    data = (mark + text).encode(encoding)
    (tmp_path / "a.txt").write_bytes(compress(data))
    documents, sums = corpus([tmp_path / "a.txt"], tmp_path, 2)
    assert [document.lines for document in documents] == [["Första raden 😀"], ["andra"], ["tredje"]]
    assert sums["empty"] == 1


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "is empty"),
        (b"\n \n\n", "no text in 3 lines"),
        ("åäö\n".encode() + b"abc\nsm\xf6rg\xe5s\n", "line 3, byte 13: 0xf6 is not UTF-8"),
        (gzip.compress(b"abc\n" * 1000)[:-8], "cut short"),
        (bz2.compress(b"abc\n")[:-4] + b"abcd", "damaged"),
        ("odd".encode("utf-16")[:-1], "damaged"),
        (b"x" * (65 << 20), "one paragraph a line"),
    ],
    ids=["empty", "blank", "latin-1", "gzip", "bz2", "utf-16", "no line ends"],
)
def test_bad_files(tmp_path: Path, capfd, data: bytes, cause: str) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(SystemExit):
        main(arguments([tmp_path / "a.txt"], tmp_path / "out"))
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert cause in errors[0]
    assert str(tmp_path / "a.txt") in errors[0]
    assert list(tmp_path.glob("out/*")) == []
