"""Dumps are read whole, in any cutting, or not at all."""

import bz2
import gzip
import lzma
import random
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import dumps as factory
from tests.support.dumps import P
from wikixlm.errors import UserError
from wikixlm.extract.dump_reader import Page, PartReader
from wikixlm.extract.shards import shard_parts


def read_shard(paths: list[Path], shard: int, shards: int) -> list[Page]:
    return [page for part in shard_parts(paths, shard, shards) for page in PartReader(part).pages()]


def ids(paths: Path | list[Path], shards: int = 1) -> list[int]:
    """Ids of all pages, shard after shard."""
    paths = paths if isinstance(paths, list) else [paths]
    return [page.id for shard in range(shards) for page in read_shard(paths, shard, shards)]


@pytest.mark.parametrize("shards", [1, 2, 3, 8, 50])
def test_multistream_shards_are_a_partition(tmp_path: Path, shards: int) -> None:
    dump = factory.write_multistream(tmp_path / "d", factory.articles(40))
    assert ids(dump, shards) == list(range(1, 41))


def test_shards_share_the_work(tmp_path: Path) -> None:
    dump = factory.write_multistream(tmp_path / "d", factory.articles(60))
    sizes = [len(read_shard([dump], shard, 4)) for shard in range(4)]
    assert min(sizes) >= 9, sizes


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(length=st.integers(20, 4000), shards=st.integers(1, 9), count=st.integers(1, 12))
def test_streams_cut_anywhere(tmp_path: Path, length: int, shards: int, count: int) -> None:
    dump = factory.write_cut(tmp_path / "d", factory.articles(count), length)
    assert ids(dump, shards) == list(range(1, count + 1))


def test_every_cut_of_a_page_tag(tmp_path: Path) -> None:
    data = factory.xml(factory.articles(3)).encode()
    begin = data.index(b"<page>", data.index(b"</page>"))
    for cut in range(begin - 1, begin + 8):
        (tmp_path / "d").write_bytes(bz2.compress(data[:cut]) + bz2.compress(data[cut:]))
        assert ids(tmp_path / "d", 2) == [1, 2, 3]


@pytest.mark.parametrize("shards", [1, 2, 5, 16])
def test_several_files(tmp_path: Path, shards: int) -> None:
    paths = [
        factory.write_multistream(tmp_path / "1", factory.articles(14, 1)),
        factory.write_single(tmp_path / "2", factory.articles(5, 15)),
        factory.write_plain(tmp_path / "3", factory.articles(5, 20)),
        factory.write_multistream(tmp_path / "4", factory.articles(10, 25)),
    ]
    assert ids(paths, shards) == list(range(1, 35))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be"])
@pytest.mark.parametrize("write", [factory.write_plain, factory.write_single])
def test_encodings(tmp_path: Path, write, encoding: str) -> None:
    title = "Заглавие 😀\u2028"
    pages = [P(1, title, 'Текст \x85 и < & " 😀'), *factory.articles(3, 2)]
    dump = write(tmp_path / "d", pages, encoding=encoding)
    if encoding == "utf-16-be":  # Python writes no mark for it
        data = "\ufeff".encode(encoding) + factory.xml(pages).encode(encoding)
        dump.write_bytes(data if write is factory.write_plain else bz2.compress(data))
    pages = read_shard([dump], 0, 3)
    assert [page.id for page in pages] == [1, 2, 3, 4]
    assert (pages[0].title, pages[0].text) == (title, 'Текст \x85 и < & " 😀')
    assert read_shard([dump], 1, 3) == read_shard([dump], 2, 3) == []


@pytest.mark.parametrize("compress", [gzip.compress, lzma.compress, zstandard.compress])
def test_other_compression_under_any_name(tmp_path: Path, compress) -> None:
    (tmp_path / "d.xml.bz2").write_bytes(compress(factory.xml(factory.articles(5)).encode()))
    assert ids(tmp_path / "d.xml.bz2", 3) == [1, 2, 3, 4, 5]


def test_what_a_page_says(tmp_path: Path) -> None:
    dump = factory.write_single(
        tmp_path / "d", [P(3, "A & B", ns=4, redirect="C"), P(4, "Data", "{}", model="json"), P(5, "Empty", "")]
    )
    assert read_shard([dump], 0, 1) == [
        Page(3, "A & B", 4, True, "wikitext", factory.default_text(3)),
        Page(4, "Data", 0, False, "json", "{}"),
        Page(5, "Empty", 0, False, "wikitext", ""),
    ]


def test_empty_streams_and_files_laid_end_to_end(tmp_path: Path) -> None:
    first, second = factory.multistream(factory.articles(6)), factory.multistream(factory.articles(6, 7))
    (tmp_path / "d").write_bytes(bz2.compress(b"").join(first + second) + bz2.compress(b""))
    for shards in (1, 2, 7):
        assert ids(tmp_path / "d", shards) == list(range(1, 13))


def test_real_dumps() -> None:
    assert len(ids(factory.english_dump(), 4)) == 206
    assert [page.namespace for page in read_shard([factory.bulgarian_dump()], 0, 8)] == [0, 4, 4]


# What is damaged or no dump at all: an error that names the file and the cause, in one of the shards.

STREAMS = factory.multistream(factory.articles(30))
WHOLE = b"".join(STREAMS)
XML = factory.xml(factory.articles(30)).encode()
HTML = b"<!DOCTYPE html>\n<html><head><title>403 Forbidden</title></head><body>Forbidden</body></html>\n"
STUB = XML.replace(b">'''Page 7", b"/><!--'''Page 7")


def flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


BAD = {
    "empty file": (b"", "empty"),
    "empty bz2": (bz2.compress(b""), "empty"),
    "html": (HTML, "not a MediaWiki XML dump"),
    "html in bz2": (bz2.compress(HTML), "not a MediaWiki XML dump"),
    "other xml": (b'<?xml version="1.0"?><rss><page>x</page></rss>', "not a MediaWiki XML dump"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04", "7z archive"),
    "latin-1": (b'<?xml version="1.0" encoding="ISO-8859-1"?>\n' + XML, "encoding ISO-8859-1"),
    "no siteinfo": (factory.xml(factory.articles(3), siteinfo=False).encode(), "no <siteinfo>"),
    "cut inside a stream": (WHOLE[: len(WHOLE) * 2 // 3], "cut short"),
    "cut at a stream boundary": (b"".join(STREAMS[:-2]), "cut short"),
    "footer missing": (b"".join(STREAMS[:-1]), "cut short"),
    "first stream missing": (b"".join(STREAMS[1:]), "not a MediaWiki XML dump"),
    "bit flipped in a stream": (flip(WHOLE, len(STREAMS[0]) + len(STREAMS[1]) // 2), "damaged"),
    "bit flipped in a stream's header": (flip(WHOLE, len(b"".join(STREAMS[:5]))), "damaged"),
    "garbage after a stream": (b"".join(STREAMS[:4]) + b"garbage" + b"".join(STREAMS[4:]), "damaged"),
    "garbage at the end": (WHOLE + bytes(512), "damaged"),
    "html after the streams": (b"".join(STREAMS[:5]) + HTML, "damaged"),
    "plain, cut in a page": (XML[: len(XML) * 2 // 3], "cut short"),
    "plain, cut after a page": (XML[: XML.rindex(b"</page>") + 8], "cut short"),
    "invalid UTF-8": (XML.replace(b"second", b"sec\xffnd", 1), "page 1 (Page 1)"),
    "not well-formed": (XML.replace(b"</revision>", b"", 1), "page 1 (Page 1)"),
    "page end missing": (XML.replace(b"</page>", b"", 1), "page 1 (Page 1)"),
    "text between pages": (XML.replace(b"</page>", b"</page>oops", 1), "between two pages"),
    "whole history": (XML.replace(b"</revision>", b"</revision><revision></revision>", 1), "2 revisions"),
    "stub dump": (
        XML.replace(XML[XML.index(b"xml:space") : XML.index(b"</text>")], b'id="3">', 1),
        "stub dump",
    ),
    "no text": (XML.replace(b"<text ", b"<test ", 1).replace(b"</text>", b"</test>", 1), "no revision with a <text>"),
    "odd UTF-16": (XML.decode().encode("utf-16")[:-1], "damaged"),
    "gzip cut": (gzip.compress(XML)[:-9], "cut short"),
    "zstd cut": (zstandard.compress(XML)[:-9], "cut short"),
}


@pytest.mark.parametrize("shards", [1, 4])
@pytest.mark.parametrize("name", BAD)
def test_bad_dumps_are_errors(tmp_path: Path, name: str, shards: int) -> None:
    data, cause = BAD[name]
    path = tmp_path / "bad.xml.bz2"
    path.write_bytes(data)
    messages = []
    for shard in range(shards):
        try:
            read_shard([path], shard, shards)
        except UserError as failure:
            messages.append(str(failure))
    assert messages, "nothing was noticed"
    assert any(cause in message for message in messages), messages
    assert all(str(path) in message and "\n" not in message for message in messages)


def test_missing_file_and_bad_shard(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.xml does not exist"):
        ids(tmp_path / "none.xml")
    with pytest.raises(UserError, match="not a file"):
        ids(tmp_path)
    dump = factory.write_plain(tmp_path / "d", factory.articles(1))
    with pytest.raises(UserError, match="--shard 3 --shards 3"):
        read_shard([dump], 3, 3)


def test_any_single_damage_is_noticed(tmp_path: Path) -> None:
    """Cut, or one byte changed, anywhere: some shard fails, or the pages are exactly the same."""
    choose = random.Random(5)
    path = tmp_path / "d"
    path.write_bytes(WHOLE)
    good = read_shard([path], 0, 1)
    for _ in range(60):
        at = choose.randrange(len(WHOLE))
        path.write_bytes(choose.choice([WHOLE[:at] or b"B", flip(WHOLE, at)]))
        try:
            pages = [page for shard in range(3) for page in read_shard([path], shard, 3)]
        except UserError:
            continue
        assert pages == good, at
