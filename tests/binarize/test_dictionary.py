"""dict.txt is written only where all languages share one dictionary."""

import pytest

from wikixlm.cli import main


def dictionary(folder, *languages):
    paths = [str(folder / f"dict.{language}.txt") for language in languages]
    main(["dictionary", "--dictionaries", *paths, "--output", str(folder / "dict.txt")])


def test_identical_dictionaries_become_dict_txt(tmp_path):
    for language in ("en", "bg"):
        (tmp_path / f"dict.{language}.txt").write_text("a 3\nb 1\n")
    dictionary(tmp_path, "en", "bg")
    assert (tmp_path / "dict.txt").read_text() == "a 3\nb 1\n"


@pytest.mark.parametrize("other", ["b 1\na 3\n", "a 3\n", "a 3\nb 1\nc 1\n", "a 3\nb 2\n", "a 3\r\nb 1\r\n", None])
def test_those_that_differ_are_named(tmp_path, capfd, other):
    for language in ("en", "bg", "hi"):
        (tmp_path / f"dict.{language}.txt").write_text("a 3\nb 1\n")
    if other is None:
        (tmp_path / "dict.hi.txt").unlink()
    else:
        (tmp_path / "dict.hi.txt").write_bytes(other.encode())
    with pytest.raises(SystemExit):
        dictionary(tmp_path, "en", "bg", "hi")
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "dict.hi.txt" in errors[0] and "dict.bg.txt" not in errors[0]
    assert not (tmp_path / "dict.txt").exists()
