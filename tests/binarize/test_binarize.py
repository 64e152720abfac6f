"""Binarizing with the real fairseq-preprocess: ids, counts, and nothing under a final name unless all is well."""

import functools
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wikixlm.binarize import binarize
from wikixlm.bpe.codes import SPECIALS
from wikixlm.bpe.vocabulary import read_symbols
from wikixlm.cli import main
from wikixlm.run_layout import SPLITS
from wikixlm.seals import sealed
from wikixlm.train.fairseq import compat

FILES = {"dict.en.txt"} | {f"{split}.en.{suffix}" for split in SPLITS for suffix in ("bin", "idx")}
FINAL = FILES | {f".{name}.sha256" for name in FILES}


@pytest.fixture
def work(tmp_path):
    """A vocabulary and three short texts of it."""
    symbols = [f"{letter}{end}" for letter in "abcdefgé中й" for end in ("", "@@", "x")]
    (tmp_path / "vocab").write_text("".join(f"{symbol} 5\n" for symbol in symbols), encoding="utf-8")
    (tmp_path / "text").mkdir()
    for split, size in (("train", 300), ("valid", 30), ("test", 1)):
        write_text(tmp_path, split, size)
    return tmp_path


def write_text(work, split, lines):
    rng = random.Random(lines)
    symbols = [symbol for symbol, _ in read_symbols(work / "vocab")]
    with open(work / "text" / f"{split}.en", "w", encoding="utf-8") as stream:
        stream.writelines(" ".join(rng.choices(symbols, k=rng.randint(1, 40))) + "\n" for _ in range(lines))


def texts(work):
    return {split: work / "text" / f"{split}.en" for split in SPLITS}


def command(work, *arguments):
    parts = ["binarize", "--language", "en", "--vocabulary", work / "vocab", "--output-dir", work / "out"]
    for split, path in texts(work).items():
        parts += [f"--{split}", path]
    return [str(each) for each in [*parts, "--workers", 3, *arguments]]


def failing(capfd, work, *arguments):
    with pytest.raises(SystemExit):
        main(command(work, *arguments))
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert list((work / "out").iterdir() if (work / "out").exists() else []) == []
    return errors[0]


@pytest.mark.parametrize("implementation", ["mmap", "lazy"])
def test_fairseq_reads_the_ids_of_the_vocabulary_back(work, implementation, monkeypatch):
    write_text(work, "train", 6000)
    monkeypatch.setattr(binarize, "_BYTES_PER_WORKER", 100_000)  # enough text for three workers
    counts = binarize.binarize("en", texts(work), work / "vocab", work / "out", implementation, workers=3)
    assert {path.name for path in (work / "out").iterdir()} == FINAL

    compat.apply()
    from fairseq.data import data_utils
    from fairseq.data.legacy.masked_lm_dictionary import MaskedLMDictionary

    dictionary = MaskedLMDictionary.load(str(work / "out" / "dict.en.txt"))
    ids = {symbol: number for number, (symbol, _) in enumerate(read_symbols(work / "vocab"), start=len(SPECIALS))}
    assert {symbol: dictionary.index(symbol) for symbol in ids} == ids
    for split in SPLITS:
        data = data_utils.load_indexed_dataset(str(work / "out" / f"{split}.en"), dictionary, implementation)
        lines = (work / "text" / f"{split}.en").read_text(encoding="utf-8").splitlines()
        assert len(data) == len(lines)
        for number in range(0, len(lines), 97):
            assert data[number].tolist() == [*(ids[symbol] for symbol in lines[number].split(" ")), dictionary.eos()]
        assert counts[split] == (len(lines), sum(len(line.split(" ")) + 1 for line in lines), 0)


@pytest.mark.parametrize("implementation", ["mmap", "lazy"])
def test_unknown_symbols_are_counted_and_more_than_one_percent_is_a_warning(work, capfd, implementation):
    (work / "text" / "train.en").write_text("a b c d\n" * 30)
    (work / "text" / "valid.en").write_text("a b new d\n" * 30)
    (work / "text" / "test.en").write_text("a b c d\n" * 60 + "new\n")
    counts = binarize.binarize("en", texts(work), work / "vocab", work / "out", implementation, workers=3)
    assert {split: counts[split].unknown for split in SPLITS} == {"train": 0, "valid": 30, "test": 1}
    warnings = [line for line in capfd.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1 and "valid.en: 25.0%" in warnings[0]


def test_an_empty_split_is_named(work, capfd):
    (work / "text" / "valid.en").write_bytes(b"")
    assert f"{work}/text/valid.en is empty" in failing(capfd, work)


def test_a_missing_text_and_a_bad_vocabulary_are_named(work, capfd):
    (work / "vocab").write_text("a 1\na 2\n")
    assert f"{work}/vocab, line 2" in failing(capfd, work)
    (work / "vocab").write_text("a 1\n")
    (work / "text" / "test.en").unlink()
    assert f"{work}/text/test.en" in failing(capfd, work)


@pytest.mark.parametrize("name", ["vocab", "text/train.en", "text/valid.en"])
@pytest.mark.parametrize("damage", [lambda whole: whole[: len(whole) // 2], lambda whole: b"b" + whole[1:]])
def test_a_damaged_input_is_found(work, capfd, name, damage):
    path = work / name
    with sealed(path):
        pass
    path.write_bytes(damage(path.read_bytes()))
    assert f"{path} is damaged or was changed" in failing(capfd, work)


def test_a_line_that_fairseq_splits_is_found(work, capfd):
    (work / "text" / "valid.en").write_bytes(b"a b\rc d\n" * 5)
    assert "valid.en: 5 lines of text, but 1" in failing(capfd, work)


def test_a_failure_of_fairseq_leaves_nothing(work, capfd):
    (work / "text" / "test.en").write_bytes(b"a \xff\n")
    assert "fairseq-preprocess failed on en with exit status 1" in failing(capfd, work)


def test_a_killed_stage_leaves_nothing_under_a_final_name_and_the_next_one_clears_up(work):
    write_text(work, "train", 20_000)
    with subprocess.Popen([sys.executable, "-m", "wikixlm", *command(work)], start_new_session=True) as process:
        while not list((work / "out").glob(".en.work/made/train*")):
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
    assert [path.name for path in (work / "out").iterdir()] == [".en.work"]
    main(command(work))
    assert {path.name for path in (work / "out").iterdir()} == FINAL


def test_fairseq_preprocess_ends_with_a_killed_stage(work):
    write_text(work, "train", 60_000)
    with subprocess.Popen([sys.executable, "-m", "wikixlm", *command(work)]) as process:
        while not list((work / "out").glob(".en.work/made/train*")):
            assert process.poll() is None
            time.sleep(0.01)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
    end = time.monotonic() + 10
    while running := [pid for pid in children if Path(f"/proc/{pid}/cmdline").exists()]:
        assert time.monotonic() < end, running
        time.sleep(0.02)
    assert children


def children(pid):
    """The ids of a process's children."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_a_killed_worker_of_fairseq_preprocess_ends_the_stage(work):
    write_text(work, "train", 60_000)
    words = command(work)
    stderr = work / "stderr"
    with (
        open(stderr, "w") as stream,
        subprocess.Popen(
            [sys.executable, "-m", "wikixlm", *words], stdout=subprocess.DEVNULL, stderr=stream
        ) as process,
    ):
        while not (workers := [each for child in children(process.pid) for each in children(child)]):
            assert process.poll() is None
            time.sleep(0.01)
        while not list((work / "out").glob(".en.work/made/*.pt1.bin")):
            assert process.poll() is None
            time.sleep(0.001)
        os.kill(int(workers[0]), signal.SIGKILL)
        assert process.wait(timeout=60) == 1
    errors = [line for line in stderr.read_text().splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "one of its workers was killed; out of memory?" in errors[0], errors
    assert list((work / "out").iterdir()) == []


def test_a_killed_fairseq_preprocess_is_named_with_its_signal(work, capfd, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(work / "killed"))
    (work / "killed").write_text("#!/bin/sh\nkill -9 $$\n")
    (work / "killed").chmod(0o755)
    assert "fairseq-preprocess on en was ended by SIGKILL; out of memory?" in failing(capfd, work)


def test_a_full_disk_in_fairseq_preprocess_is_named(work, capfd, monkeypatch):
    """A limit on the size of files, the unprivileged way to have writes fail."""
    write_text(work, "train", 20_000)
    monkeypatch.setattr(subprocess, "Popen", functools.partial(subprocess.Popen, preexec_fn=limit_files))
    assert "failed on en: File too large; lower binarize.workers, or give the job more memory or disk" in failing(
        capfd, work
    )


def limit_files():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
