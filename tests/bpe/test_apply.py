"""Segmenting a shard: one line out for each line in, counts, and no half file."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from wikixlm.bpe.codes import Merge, write_codes
from wikixlm.cli import main
from wikixlm.documents import Document, write_document
from wikixlm.files import atomic_text, open_text, write_json
from wikixlm.seals import sealed

CODES = [Merge("l", "o"), Merge("lo", "w</w>"), Merge("lo", "w"), Merge("e", "r</w>"), Merge("low", "er</w>")]


@pytest.fixture
def work(tmp_path):
    """A folder with codes, a shard of three documents, one of them held out, and a held-out split."""
    write_codes(tmp_path / "codes", CODES)
    with atomic_text(tmp_path / "shard.jsonl.zst") as stream:
        write_document(stream, Document("1", ["low lower", "lowest !"]))
        write_document(stream, Document("2", ["held out"]))
        write_document(stream, Document("3", ["é low"]))
    write_json(tmp_path / "held_out.json.zst", {"documents": ["2"], "lines": []})
    with atomic_text(tmp_path / "valid.zst") as stream:
        stream.write("low low\n\nlower\n")
    return tmp_path


def apply(work, *arguments, codes="codes", output="out.zst"):
    command = ["apply-bpe", "--codes", work / codes, "--output", work / output, "--symbols", work / "symbols.zst"]
    main([str(each) for each in [*command, "--counts", work / "counts.json", *arguments]])
    with open_text(work / output) as stream:
        return stream.read()


def shard(work):
    return "--tokenized", work / "shard.jsonl.zst", "--held-out", work / "held_out.json.zst"


def error_of(capfd, *arguments, **files):
    with pytest.raises(SystemExit):
        apply(*arguments, **files)
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    return errors[0]


def test_a_shards_training_lines_are_segmented_and_counted(work):
    assert apply(work, *shard(work)) == "low lower\nlow@@ e@@ s@@ t !\né low\n"
    with open_text(work / "symbols.zst") as stream:
        assert stream.read() == "! 1\ne@@ 1\nlow 2\nlow@@ 1\nlower 1\ns@@ 1\nt 1\né 1\n"
    counts = json.loads((work / "counts.json").read_text())
    assert (counts["lines_in"], counts["lines_out"], counts["words"], counts["tokens"]) == (3, 3, 6, 9)
    assert (counts["whole_words"], counts["tokens_per_word"]) == (5, 1.5)
    assert (counts["characters"], counts["unknown_characters"]) == (19, 2)  # s and t of lowest


def test_a_held_out_split_is_segmented_line_by_line(work):
    assert apply(work, "--lines", work / "valid.zst") == "low low\n\nlower\n"
    assert json.loads((work / "counts.json").read_text())["lines_out"] == 3


def test_symbols_are_written_only_where_asked_for(work):
    main(
        [
            str(each)
            for each in ["apply-bpe", "--codes", work / "codes", "--lines", work / "valid.zst", "--output", work / "o"]
        ]
    )
    assert (work / "o").read_text() == "low low\n\nlower\n"


def test_an_empty_shard_gives_empty_files(work):
    with atomic_text(work / "empty.jsonl.zst"):
        pass
    assert apply(work, "--tokenized", work / "empty.jsonl.zst", "--held-out", work / "held_out.json.zst") == ""
    assert json.loads((work / "counts.json").read_text())["lines_in"] == 0


def test_bad_input_is_one_clear_line_and_no_output(work, capfd):
    with atomic_text(work / "nbsp.zst") as stream:
        stream.write("low\nlow\xa0er\n")
    (work / "bad").write_text("l o\n")
    assert "white space" in error_of(capfd, work, "--lines", work / "nbsp.zst")
    assert "nowhere.zst" in error_of(capfd, work, "--lines", work / "nowhere.zst")
    assert f"{work}/bad, line 1" in error_of(capfd, work, *shard(work), codes="bad")
    assert "--held-out" in error_of(capfd, work, "--tokenized", work / "shard.jsonl.zst")
    packed = (work / "shard.jsonl.zst").read_bytes()
    (work / "shard.jsonl.zst").write_bytes(packed[: len(packed) // 2])
    assert "shard.jsonl.zst" in error_of(capfd, work, *shard(work))
    assert not [path.name for path in work.iterdir() if "out.zst" in path.name or "symbols" in path.name]


def test_damaged_codes_are_not_applied(work, capfd):
    with sealed(work / "codes"):
        pass
    whole = (work / "codes").read_bytes()
    (work / "codes").write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]))
    assert f"{work}/codes is damaged or was changed" in error_of(capfd, work, *shard(work))
    (work / ".codes.sha256").unlink()
    apply(work, *shard(work))


def test_a_killed_stage_leaves_nothing_under_the_final_names(work):
    rng = random.Random(1)
    with atomic_text(work / "long.zst") as stream:
        for _ in range(200_000):
            stream.write(" ".join("".join(rng.choices("lower", k=8)) for _ in range(5)) + "\n")
    command = [
        "apply-bpe",
        "--codes",
        "codes",
        "--lines",
        "long.zst",
        "--output",
        "out.zst",
        "--symbols",
        "symbols.zst",
    ]
    with subprocess.Popen([sys.executable, "-m", "wikixlm", *command], cwd=work) as process:
        while not list(work.glob(".out.zst.*")):
            assert process.poll() is None
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert not (work / "out.zst").exists()
    assert not (work / "symbols.zst").exists()
