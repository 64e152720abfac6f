"""Bytes, durations, numbers and tables as people read them."""

import pytest

from wikixlm import formatting


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (960_033, "960 kB"),
        (73_776, "73.8 kB"),
        (999_999, "1.0 MB"),
        (7.1e9, "7.1 GB"),
        (99_960, "100 kB"),
        (2.345e15, "2345 TB"),
    ],
)
def test_bytes_have_a_unit_and_few_digits(value, written):
    assert formatting.size(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0 s"), (1.44, "1.4 s"), (5, "5 s"), (9.97, "10 s"), (59, "59 s"), (59.7, "1 min"), (61, "1 min 1 s"),
     (235, "3 min 55 s"), (3900, "1 h 5 min"), (7300, "2 h 1 min"), (2e5, "2 d 7 h")],
)  # fmt: skip
def test_durations_have_two_units(value, written):
    assert formatting.duration(value) == written


@pytest.mark.parametrize(
    ("value", "written"), [(0, "0.0 %"), (0.0001, "< 0.1 %"), (0.99999, "> 99.9 %"), (1, "100.0 %")]
)
def test_a_percentage_never_hides_a_rest(value, written):
    assert formatting.percent(value) == written


def test_numbers_on_axes_and_in_sentences():
    assert [formatting.abbreviated(value) for value in (40, 1_234_567, -2500)] == ["40", "1.23 M", "-2.5 k"]
    assert [formatting.large(value) for value in (40_000, 1_234_567)] == ["40,000", "1.23 million"]


def test_text_of_strangers_is_shown_as_text():
    assert formatting.visible("a\x1b[31mb\u202e\tc\n") == "a\\x1b[31mb\\u202e\tc\n"
    assert formatting.markdown("<b>[x](y)|`z`\n# _h_") == r"&lt;b>\[x\](y)\|\`z\` # \_h\_"


def test_lists_of_names():
    assert formatting.listed(["a"]) == "a"
    assert formatting.listed(["a", "b", "c"]) == "a, b and c"
    assert formatting.listed([str(n) for n in range(13)]).endswith("8, 9 and 3 more")


def test_columns_are_aligned_without_spaces_at_the_end():
    rows = [["rule", "jobs", "note"], ["extract", "2", ""], ["x", "10", "long"]]
    assert formatting.table(rows, left=(0, 2)).splitlines() == [
        "rule     jobs  note",
        "extract     2",
        "x          10  long",
    ]
