"""Every mistake of docs/troubleshooting.md, made for real: it ends in the line that the page promises."""

import os
import socket
import subprocess
import sys
import time

import pytest

from tests.mistakes import data_mistakes, training_mistakes  # noqa: F401 (they register theirs)
from tests.mistakes.conftest import failing
from tests.mistakes.page import Row, rows
from tests.mistakes.registry import MISTAKES, SLOW, configuration, mistake
from tests.workflow.conftest import ROOT, SNAKEMAKE, Workflow

# How far from the end a user looks; Snakemake's own last words stand below its summary of a misspelt target.
LAST_LINES = 4


# Setting up


@mistake("`make` outside the checkout")
def _(user, monkeypatch):
    return failing(["make", "demo"], cwd=user.folder)


@mistake("Python too old, or too new")
def _(user, monkeypatch):
    older = "import sys; sys.version_info = (3, 9, 2)"
    return user.sets_up(user.has_python(f'[ "$1" = -c ] && shift && set -- -c "{older}\n$1"'))


@mistake("no C++ compiler")
def _(user, monkeypatch):
    return user.sets_up(PATH=user.has_programs("c++"))


@mistake("Python without its venv module")
def _(user, monkeypatch):
    hidden = user.write("hidden/ensurepip.py", "raise ImportError('Debian keeps it in python3-venv')")
    return user.sets_up(user.has_python(f"export PYTHONPATH={hidden.parent}"))


@mistake("a set-up that was interrupted, or a Python that was removed since")
def _(user, monkeypatch):
    for name in ("python", "python3"):
        (user.folder / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
        (user.folder / ".venv" / "bin" / name).symlink_to("/removed/python3")
    return user.sets_up()


@mistake("no network, or no package index", slow=True)
def _(user, monkeypatch):
    return user.sets_up(PIP_INDEX_URL="http://127.0.0.1:9/simple", PIP_RETRIES="0", PIP_CONFIG_FILE=os.devnull)


@mistake("Snakemake of another Python")
def _(user, monkeypatch):
    program = "import sys; sys.modules['fairseq'] = None; from snakemake.cli import main; main()"
    return failing([sys.executable, "-c", program, "--dry-run"], cwd=ROOT)


@mistake("a Snakemake that is too old")
def _(user, monkeypatch):
    program = "import snakemake.common as c; c.__version__ = '8.30.0'; from snakemake.cli import main; main()"
    return failing([sys.executable, "-c", program, "--dry-run"], cwd=ROOT)


# Calling snakemake


@mistake("another directory than the checkout")
def _(user, monkeypatch):
    return user.calls_snakemake("--cores", "1", cwd=user.folder)


@mistake("no `--cores`")
def _(user, monkeypatch):
    return user.calls_snakemake("train_mlm")


@mistake("a profile that is not there")
def _(user, monkeypatch):
    return user.calls_snakemake("--profile", "profiles/slurn")


@mistake("an overlay that is not there")
def _(user, monkeypatch):
    return user.calls_snakemake("--cores", "1", "--configfile", "config/mine.yaml")


@mistake("an overlay that is not YAML, or has tabs")
def _(user, monkeypatch):
    return user.calls_snakemake("--cores", "1", "--configfile", str(user.write("tabs.yaml", "train:\n\tlr: 1\n")))


@mistake("a dotted key after `--config`")
def _(user, monkeypatch):
    return user.calls_snakemake("--cores", "1", "--config", "train.lr=0.0002")


@mistake("a misspelt target")
def _(user, monkeypatch):
    return user.calls_snakemake("--dry-run", "trian_mlm", languages=["en"])


@mistake("a file that no rule makes")
def _(user, monkeypatch):
    return user.calls_snakemake("--dry-run", "report/figures.pdf", languages=["en"])


@mistake("two runs in one directory, or one that was killed")
def _(user, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        run = Workflow(user.folder)
        run.configure(languages=["en"], dumps={"mirrors": [url], "contact": "tests@example.org"})
        command = [SNAKEMAKE, "--snakefile", ROOT / "Snakefile", "--configfile", run.overlay, "--cores", "1"]
        command.append("download")
        first = subprocess.Popen(
            command, cwd=user.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            locks = user.folder / ".snakemake" / "locks"
            end = time.monotonic() + 60
            while time.monotonic() < end and not (locks.is_dir() and any(locks.iterdir())):
                time.sleep(0.05)
            return failing(command, cwd=user.folder)
        finally:
            os.killpg(first.pid, 15)
            first.wait()


@mistake("a directory that can't be written")
def _(user, monkeypatch):
    # /proc takes no new files, from root neither.
    return failing([SNAKEMAKE, "--dry-run", "--snakefile", ROOT / "Snakefile", "--directory", "/proc/self"], cwd=ROOT)


@mistake("a cluster run from a path with a space")
def _(user, monkeypatch):
    (user.folder / "my venv").symlink_to(sys.prefix)
    return user.calls_snakemake(
        *("--profile", "profiles/slurm"),
        python=user.folder / "my venv" / "bin" / "python",
        languages=["en"],
        corpora={"local": {"en": [str(user.write("en.txt", "a line\n"))]}},
    )


# Configuration

configuration("a misspelt section", trian={})
configuration("a misspelt key", train={"max_updates": 5})
configuration("a word where a number belongs", train={"max_update": "many"})
configuration("a language code that is none", languages=["deu"])
configuration("Norwegian without quotes", languages=[False])
configuration("a language twice", languages=["en", "en"])
configuration("a dump that is not there", languages=["en"], dumps={"local": {"en": "gone.xml.bz2"}})
configuration("a batch smaller than a block", train={"max_tokens": 128})
configuration("an architecture that the recipe lacks", train={"arch": "bert_base"})
configuration("heads that don't divide the width", train={"encoder_embed_dim": 1000, "encoder_attention_heads": 16})
configuration("half precision on a CPU", train={"precision": "fp16", "device": "cpu"})
configuration("looking at neighbours without the sinusoids that tell them apart", train={"position_scale": 0})
configuration("a model to start from that is not there", train={"init_from": "old.pt"})


@mistake("a vocabulary without its codes")
def _(user, monkeypatch):
    return user.configures(bpe={"vocab_file": str(user.write("vocab_mlm", "a 1\n"))})


@mistake("no segmenter for Thai (or Chinese, Japanese)")
def _(user, monkeypatch):
    monkeypatch.setitem(sys.modules, "pythainlp", None)
    return user.configures(languages=["th"])


@mistake("Japanese without KyTea's model")
def _(user, monkeypatch):
    monkeypatch.setattr("wikixlm.tokenize.word_segmenters.KYTEA_MODELS", ("/nowhere/model.bin",))
    return user.configures(languages=["ja"])


# The tests

ROWS = rows()


def numbered() -> list[object]:
    """The mistakes that a test makes, with stable ids."""
    marks = {True: [pytest.mark.slow], False: []}
    return [pytest.param(name, marks=marks[name in SLOW], id=f"{n:02}") for n, name in enumerate(MISTAKES)]


@pytest.mark.parametrize("name", numbered())
def test_a_mistake_ends_in_its_line(name, user, monkeypatch):
    row = ROWS[name]
    output = MISTAKES[name](user, monkeypatch)
    back = row.found_in(output)
    assert back is not None, f"{row.says}\nis not in\n{output}"
    last = output.rstrip().splitlines()[-1]
    if last.startswith("failed: "):  # the job's own line stands above Snakemake's summary, and is repeated
        _, _, rest = last.partition(": ")[2].partition(": ")
        assert row.found_in("error: " + rest.rpartition(" (log: logs/")[0]), last
    else:
        assert back <= LAST_LINES, f"{row.says}\nstands {back} lines before the end of\n{output}"
    if row.says.startswith("error: "):
        lines = [line for line in output.splitlines() if line.startswith("error: ")]
        assert len(set(lines)) == 1, lines


def test_the_page_and_the_tests_have_the_same_mistakes():
    assert set(ROWS) == set(MISTAKES)
    assert len(ROWS) >= 30


def test_a_row_is_found_only_by_its_own_line():
    row = Row("", "error: … is gone; look at …", "")
    assert row.found_in("x\nerror: a is gone; look at b\nlast\n") == 2
    assert row.found_in("error: a is there; look at b") is None
    assert row.found_in("an error: a is gone; look at b") is None
