"""The dumps that the benchmarks generate are dumps, of the size asked for, and their words never run out."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from common import dumps

from tests.support import dumps as factory


def test_replicated_pages_have_ids_of_their_own(tmp_path: Path) -> None:
    pages = factory.read_pages(dumps.write_multistream(tmp_path / "d", dumps.replicated(7)))
    assert [page.id for page in pages] == list(range(1, len(pages) + 1))
    assert len(pages) > 206
    assert pages[206].text == pages[0].text
    assert sum(len(page.text.encode()) for page in pages) > 6.5e6


def test_zipf_dump_grows_in_words(tmp_path: Path) -> None:
    one = dumps.write_multistream(tmp_path / "one", dumps.zipf(1))
    again = dumps.write_multistream(tmp_path / "again", dumps.zipf(1))
    two = dumps.write_multistream(tmp_path / "two", dumps.zipf(2))
    assert one.read_bytes() == again.read_bytes()
    pages = factory.read_pages(two)
    assert [page.id for page in pages] == list(range(1, len(pages) + 1))
    assert 1.5e6 < sum(len(page.text.encode()) for page in pages) < 2.2e6
    half = {word for page in pages[: len(pages) // 2] for word in page.text.split()}
    whole = {word for page in pages for word in page.text.split()}
    assert len(whole) > 1.4 * len(half)
