"""Mistakes with dumps, texts, codes and disks."""

import errno
import os
import subprocess
import sys

from tests.mistakes.conftest import User, failing
from tests.mistakes.registry import mistake, said
from wikixlm import files


@mistake("no contact")
def _(user, monkeypatch):
    return user.calls_snakemake("--cores", "1", "download", languages=["ka"])


@mistake("a server that can't be reached")
def _(user, monkeypatch):
    server = ["--mirrors", "http://127.0.0.1:9", "--contact", "tests@example.org"]
    patience = ["--retries", "1", "--backoff", "0.01"]
    return user.runs("dumps", "resolve", "--language", "de", "--output", "resolved.yaml", *server, *patience)


@mistake("a dump that was cut off")
def _(user, monkeypatch):
    path = user.has_dump()
    path.write_bytes(path.read_bytes()[:-100])
    return user.calls_snakemake(
        "--cores", "1", "data", languages=["en"], dumps={"local": {"en": str(path)}}, extract={"shards": 1}
    )


@mistake("a server's error page instead of a dump")
def _(user, monkeypatch):
    return user.extracts(user.write("wiki.xml.bz2", "<!DOCTYPE html>\n<html><body>404 Not Found</body></html>"))


@mistake("a dump of another language")
def _(user, monkeypatch):
    return user.extracts(user.has_dump(language="de"), fails=False)


@mistake("namespaces without pages")
def _(user, monkeypatch):
    return user.extracts(user.has_dump(), "--namespaces", "4")


@mistake("an empty text file")
def _(user, monkeypatch):
    return user.reads_text(b"")


@mistake("a text file of empty lines")
def _(user, monkeypatch):
    return user.reads_text(b"\n \n\n")


@mistake("a text file that is not UTF-8")
def _(user, monkeypatch):
    return user.reads_text("ascii\ncafé\n".encode("latin-1"))


def tokenized(user: User, lines: str) -> list[str]:
    """The arguments of `wikixlm split` on one tokenized shard of the user's text."""
    user.write("own.txt", lines)
    shard = ["--language", "en", "--shard", "0", "--shards", "1"]
    user.runs("corpus", "--text", "own.txt", *shard, "--output", "e.zst", "--counts", "e.json", fails=False)
    made = ["--output", "t.zst", "--counts", "t.json"]
    user.runs("tokenize", "--input", "e.zst", "--language", "en", *made, fails=False)
    outputs = ["--output-valid", "v.zst", "--output-test", "x.zst", "--held-out", "held_out.json.zst"]
    outputs += ["--output", "s.json"]
    counts = ["--extract-counts", "e.json", "--tokenize-counts", "t.json"]
    return ["split", "--tokenized", "t.zst", *counts, "--language", "en", "--seed", "1", *outputs]


@mistake("held-out sets larger than the language")
def _(user, monkeypatch):
    command = tokenized(user, "one line\ntwo lines\nthree lines\nfour lines\n")
    return user.runs(*command, "--valid", "5000", "--test", "5000")


@mistake("fewer codes than characters")
def _(user, monkeypatch):
    command = tokenized(user, "".join(f"some words and the number {n}\n" for n in range(20)))
    user.runs(*command, "--valid", "1", "--test", "1", fails=False)
    sample = ["--codes", "3", "--alpha", "0.5", "--sample-lines", "100", "--seed", "1"]
    return user.runs("learn-bpe", "--splits", "s.json", *sample, "--output", "codes", "--counts", "c.json")


@mistake("a file of the data that was damaged or edited")
def _(user, monkeypatch):
    user.write("symbols", "a 3\nb 1\n")
    user.runs("vocabulary", "--symbols", "symbols", "--output", "vocab_mlm", fails=False)
    vocabulary = user.write("vocab_mlm", "a 3\n")
    texts = [word for split in ("train", "valid", "test") for word in (f"--{split}", user.write(f"{split}.en", "a\n"))]
    return user.runs(
        "binarize",
        "--language",
        "en",
        "--vocabulary",
        vocabulary,
        *texts,
        "--output-dir",
        "binarized",
        "--workers",
        "1",
    )


@mistake("codes in another program's format")
def _(user, monkeypatch):
    codes = user.write("merges.txt", "t h\nth e</w>\n")  # as transformers' tokenizers write them
    return user.runs("learn-bpe", "--codes-file", codes, "--output", "codes", "--counts", "c.json")


def no_room(number: int) -> str:
    """What is said where the disk gives up while a file is written."""

    def write() -> None:
        with files.atomic_text(files.Path("work/out.txt")):
            raise OSError(number, os.strerror(number))

    return said(write)


@mistake("a full disk")
def _(user, monkeypatch):
    (user.folder / "disk").mkdir()
    user.write("own.txt", "".join(f"a line of text, {os.urandom(40).hex()}\n" for _ in range(5000)))
    command = 'mount -t tmpfs -o size=64k tmpfs disk && "$0" -m wikixlm corpus --text own.txt'
    command += " --language en --shard 0 --shards 1 --output disk/out.zst --counts disk/counts.json"
    if subprocess.run(["unshare", "-Urm", "true"], capture_output=True, check=False).returncode:
        return no_room(errno.ENOSPC).replace("error: ", "error: corpus en, here: ")  # no file system of one's own
    return failing(["unshare", "-Urm", "sh", "-c", command, sys.executable], cwd=user.folder)


@mistake("a quota that is used up")
def _(user, monkeypatch):
    return no_room(errno.EDQUOT)
