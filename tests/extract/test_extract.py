"""The extract stage on real dumps and generated ones, with the real wikiextractor."""

import bz2
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import dumps as factory
from tests.support.dumps import P
from wikixlm.cli import main
from wikixlm.documents import Document, read_documents
from wikixlm.errors import UserError
from wikixlm.extract.dump_reader import Page
from wikixlm.extract.extract import DumpShardCounts
from wikixlm.extract.wikiextractor_process import extract_texts
from wikixlm.extract.wikitext import WikitextConverter

MINIDUMPS = Path(__file__).resolve().parents[3] / "shared" / "data" / "minidumps"  # more languages, where it is there


def arguments(dump: Path | list[Path], folder: Path, *options: str, shard: int = 0, shards: int = 1) -> list[str]:
    paths = dump if isinstance(dump, list) else [dump]
    name = f"{shard:05d}-of-{shards:05d}"
    return [
        *("extract", "--dump", *map(str, paths), "--language", "en", "--shard", str(shard), "--shards", str(shards)),
        *("--output", str(folder / f"{name}.jsonl.zst"), "--counts", str(folder / f"{name}.json"), *options),
    ]


def extract(
    dump: Path | list[Path], folder: Path, *options: str, shard: int = 0, shards: int = 1
) -> tuple[list[Document], dict]:
    main(arguments(dump, folder, *options, shard=shard, shards=shards))
    name = f"{shard:05d}-of-{shards:05d}"
    documents = list(read_documents(folder / f"{name}.jsonl.zst"))
    return documents, json.loads((folder / f"{name}.json").read_text())


def fails(capfd: pytest.CaptureFixture[str], argv: list[str]) -> str:
    """Run a stage that must fail with one error line; return that line."""
    capfd.readouterr()
    with pytest.raises(SystemExit) as exit_:
        main(argv)
    assert exit_.value.code == 1
    errors = capfd.readouterr().err
    assert "Traceback" not in errors
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, errors
    return lines[0]


def test_english_sample(tmp_path: Path) -> None:
    documents, counts = extract(factory.english_dump(), tmp_path)
    assert (counts["pages"], counts["redirects"], counts["other_namespaces"], counts["articles"]) == (206, 99, 1, 106)
    assert len(documents) == counts["documents"] == 106
    assert counts["lines"] == sum(len(document.lines) for document in documents)
    assert counts["characters"] == sum(len(line) for document in documents for line in document.lines) > 2_500_000
    anarchism = next(document for document in documents if document.id == "12")
    assert anarchism.lines[0].startswith("Anarchism is a political philosophy that advocates")
    assert all(line and line == line.strip() and "\n" not in line for d in documents for line in d.lines)


def test_bulgarian_sample_takes_namespaces(tmp_path: Path) -> None:
    documents, counts = extract(factory.bulgarian_dump(), tmp_path, "--namespaces", "0", "4")
    assert counts["documents"] == 3
    assert counts["characters"] > 150_000
    assert any("България" in line for document in documents for line in document.lines)
    documents, counts = extract(factory.bulgarian_dump(), tmp_path)
    assert (counts["documents"], counts["other_namespaces"]) == (1, 2)


def test_text_is_the_parallel_modes_text(tmp_path: Path) -> None:
    """Wikiextractor's ordinary mode, fed the dump as it is, gives the same text for the pages that it does not lose."""
    dumps = [factory.english_dump(), *sorted(MINIDUMPS.glob("*.bz2"))]
    for dump in dumps:
        options = ["-q", "--no-templates", "--json", "--processes", "1", "--html-safe", "", "-o", "-", "/dev/stdin"]
        output = subprocess.run(
            [sys.executable, "-m", "wikiextractor.WikiExtractor", *options],
            input=bz2.decompress(dump.read_bytes()),
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        texts = {answer["id"]: answer["text"] for answer in map(json.loads, output.splitlines())}
        pages = [
            page
            for page in factory.read_pages(dump)
            if str(page.id) in texts or (page.namespace == 0 and not page.redirect)
        ]
        assert {str(page.id): text for page, text in extract_texts(pages)} == texts


def test_shards_partition_and_select(tmp_path: Path) -> None:
    pages = factory.articles(30)
    pages[3].redirect, pages[4].ns, pages[5].model, pages[6].text = "Page 1", 14, "json", ""
    pages.insert(20, P(8, "Page 8"))
    pages[7].title = "Template matching"
    pages[8].title = "Kill Bill: Volume 1 & 2"
    dump = factory.write_multistream(tmp_path / "d.bz2", pages, per_stream=4)
    alone, counts = extract(dump, tmp_path)
    assert (counts["redirects"], counts["other_namespaces"], counts["other_models"]) == (1, 1, 1)
    assert (counts["duplicates"], counts["empty"], counts["documents"]) == (1, 1, 26)
    assert {document.id for document in alone} == {str(n) for n in range(1, 31)} - {"4", "5", "6", "7"}
    for document in alone:
        assert document.lines == [
            f"Page {document.id} is about number {document.id}, which has a paragraph of some length.",
            f"The second paragraph of page {document.id} says & means something else.",
        ]
    shards = [extract(dump, tmp_path, shard=shard, shards=3)[0] for shard in range(3)]
    assert {tuple(map(str, d)) for shard in shards for d in shard} == {tuple(map(str, d)) for d in alone}
    assert sum(bool(shard) for shard in shards) >= 2


def test_short_articles_and_manifest(tmp_path: Path) -> None:
    factory.write_multistream(tmp_path / "one", [P(1, text="Short."), P(2)])
    factory.write_multistream(tmp_path / "two", [P(3)])
    sizes = [{"name": name, "size": (tmp_path / name).stat().st_size} for name in ("one", "two")]
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"files": sizes}))
    argv = arguments([], tmp_path, "--min-chars", "20", "--manifest", str(manifest))
    argv.remove("--dump")
    main(argv)
    counts = json.loads((tmp_path / "00000-of-00001.json").read_text())
    assert (counts["documents"], counts["dropped_short"]) == (2, 1)
    (tmp_path / "two").write_bytes(b"BZh9")
    with pytest.raises(SystemExit):
        main(argv)


def test_odd_characters_stay_in_their_lines(tmp_path: Path) -> None:
    text = (
        "One\u2028still one\x85still. &#xD800;End&#0;\n\nTwo &amp;lt;tag> &lt;i&gt; 5 &lt; 6 [[a|]] {{PAGENAME}} ]]&gt;"
    )
    documents, _ = extract(factory.write_plain(tmp_path / "d", [P(1, "AT&T", text), P(2)]), tmp_path)
    assert len(documents[0].lines) == 2
    assert documents[0].lines[0].startswith("One\u2028still one\x85still. End")
    assert "AT&T" in documents[0].lines[1]
    assert documents[1].id == "2"


@pytest.mark.parametrize(
    ("pages", "cause"),
    [
        ([], "has no pages"),
        ([P(1, redirect="A"), P(2, redirect="A"), P(3, ns=14)], "all 2 pages in namespaces 0 are redirects"),
        ([P(1, ns=4), P(2, ns=14)], "none of its 2 pages is in namespaces 0"),
        ([P(1, text="{{only}}")], "no text in its 1 articles"),
    ],
)
def test_nothing_to_make_text_of(tmp_path: Path, capfd, pages: list[P], cause: str) -> None:
    dump = factory.write_single(tmp_path / "d", pages)
    for shards in (1, 2):  # one stream: the first shard has seen it all
        error = fails(capfd, arguments(dump, tmp_path / "out", shards=shards))
        assert cause in error
        assert str(dump) in error
    assert not any(path.is_file() for path in (tmp_path / "out").iterdir())
    assert extract(dump, tmp_path / "out", shard=1, shards=2)[0] == []


def test_damaged_dump_names_language_shard_and_file(tmp_path: Path, capfd) -> None:
    dump = tmp_path / "d.bz2"
    dump.write_bytes(b"".join(factory.multistream(factory.articles(200))[:-5]))
    error = fails(capfd, arguments(dump, tmp_path / "out", shard=2, shards=3))
    assert error == (
        f"error: extract en, shard 00002-of-00003: {dump} is cut short: it does not end with </mediawiki>; "
        "copy or download it again"
    )
    assert list((tmp_path / "out").iterdir()) == []


# A program in wikiextractor's place, which fails where the test wants it to.

STAND_IN = """
import json, os, re, sys, time
number = None
for line in open("/dev/stdin"):
    if line.startswith("<id>"):
        number = re.sub("<.*?>", "", line.strip())
    if line.startswith("<text"):
        {fault}
        print(json.dumps({{"id": number, "text": line}}), flush=True)
"""


def pages(count: int) -> list[Page]:
    return [Page(1000 + n, f"T{n}", 0, False, "wikitext", f"text {n} " + "x" * 5000) for n in range(1, count + 1)]


def answers(tmp_path: Path, fault: str, count: int = 300, stall_seconds: int = 20) -> dict[int, bool]:
    """Page id → whether it was answered, under a program with a fault."""
    program = tmp_path / "program.py"
    program.write_text(STAND_IN.format(fault=fault))
    texts = extract_texts(pages(count), stall_seconds, [sys.executable, str(program)])
    return {page.id: text is not None and f"text {page.id - 1000} " in text for page, text in texts}


@pytest.mark.parametrize(
    "fault",
    [
        'if number == "7": sys.exit(1)',
        'if number == "7": raise RecursionError',
        'if number == "7": os.kill(os.getpid(), 9)',
        'if number == "7": print("{"); continue',
    ],
)
def test_crash_costs_one_page(tmp_path: Path, fault: str) -> None:
    # A stand-in counts as the program does: the number stays with the page over restarts.
    found = answers(tmp_path, fault)
    assert len(found) == 300
    assert [page for page, answered in found.items() if not answered] == [1007]


def test_hang_costs_one_page(tmp_path: Path) -> None:
    found = answers(tmp_path, 'if number == "7": time.sleep(1000)', stall_seconds=2)
    assert [page for page, answered in found.items() if not answered] == [1007]


@pytest.mark.slow
def test_page_that_hangs_the_real_program(tmp_path: Path, capfd) -> None:
    """Skipped and named; an error where it is more than one page, and more than 0.1 % of the language."""
    endless = "A{{#expr:9**9**9}}"
    dump = factory.write_single(tmp_path / "d", [P(1), P(2, text=endless), P(3)])
    for shards in (2, 1):
        documents, counts = extract(dump, tmp_path, "--stall-seconds", "4", shards=shards)
        assert [document.id for document in documents] == ["1", "3"]
        assert counts["skipped"] == [2]
        warning = f"warning: shard 00000-of-0000{shards} of en: wikiextractor fails on page 2 (Page 2)"
        assert warning in capfd.readouterr().err
    dump = factory.write_single(tmp_path / "d", [P(1), P(2, text=endless), P(3, text=endless)])
    error = fails(capfd, arguments(dump, tmp_path / "out", "--stall-seconds", "4"))
    assert "wikiextractor failed on 2 of 3 articles (at most 0.1%, or one, may fail): page ids 2, 3" in error
    assert "raise extract.stall_seconds" in error


def test_a_page_that_takes_the_first_pass_too_long_is_skipped(tmp_path: Path, capfd, monkeypatch) -> None:
    prepare = WikitextConverter.prepare

    def endless(self: WikitextConverter, wikitext: str, title: str = "") -> str:
        while title == "Page 2":
            pass
        return prepare(self, wikitext, title)

    monkeypatch.setattr(WikitextConverter, "prepare", endless)
    dump = factory.write_single(tmp_path / "d", [P(1), P(2), P(3)])
    documents, counts = extract(dump, tmp_path, "--stall-seconds", "1")
    assert [document.id for document in documents] == ["1", "3"]
    assert (counts["skipped"], counts["skipped_titles"]) == ([2], {"2": "Page 2"})
    assert "takes more than 1 s of CPU time on page 2 (Page 2)" in capfd.readouterr().err


def test_options_and_counts(tmp_path: Path) -> None:
    text = "Intro.\n\n== Rivers ==\n* The river flows north.\n* short\n\n{{unknown|a}} and the {{unknown|b}} end."
    dump = factory.write_plain(tmp_path / "d", [P(1, text=text)])
    documents, counts = extract(dump, tmp_path)
    assert documents[0].lines == ["Intro.", "The river flows north.", "and the end."]
    assert counts["wikitext"]["holes"] == {"unknown": {"count": 1, "example": "and the {{unknown}} end."}}
    dropped = ("items_kept", "items_dropped_short", "headings_dropped")
    assert [counts["wikitext"][key] for key in dropped] == [1, 1, 1]
    documents, _ = extract(dump, tmp_path, "--lists", "all", "--headings", "keep")
    assert documents[0].lines == ["Intro.", "Rivers", "The river flows north.", "short", "and the end."]
    documents, counts = extract(dump, tmp_path, "--lists", "none")
    assert documents[0].lines == ["Intro.", "and the end."]
    assert counts["wikitext"]["items_dropped"] == 2


def test_namespaces_of_the_dump_itself(tmp_path: Path) -> None:
    """`<siteinfo>` names the wiki's namespaces, in whatever language the table lacks."""
    text = factory.xml([P(1, text="[[Bildeto:x.jpg|thumb|caption]] Text [[Other: Title]].")])
    (tmp_path / "d").write_text(text.replace(">File<", ">Bildeto<"))
    assert extract(tmp_path / "d", tmp_path)[0][0].lines == ["Text Other: Title."]


def test_a_dump_that_changes_while_it_is_read(tmp_path: Path, capfd, monkeypatch) -> None:
    dump = factory.write_plain(tmp_path / "d", factory.articles(3))

    def grow(*_: object) -> None:
        with open(dump, "a") as stream:
            stream.write("\n")

    monkeypatch.setattr(DumpShardCounts, "check_balance", grow)
    assert "changed while it was read" in fails(capfd, arguments(dump, tmp_path / "out"))
    assert list((tmp_path / "out").iterdir()) == []


def test_killed_once_costs_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    fault = f'if number == "7" and not os.path.exists({str(mark)!r}): open({str(mark)!r}, "w"); os.kill(os.getpid(), 9)'
    assert all(answers(tmp_path, fault).values())
    assert mark.exists()


@pytest.mark.parametrize("number", [7, 300])
def test_silent_loss_is_an_error(tmp_path: Path, number: int) -> None:
    with pytest.raises(UserError, match=f"left out pages that it was given: ids {1000 + number}$"):
        answers(tmp_path, f'if number == "{number}": continue')


def test_no_process_is_left_behind() -> None:
    def broken():
        yield pages(1)[0]
        raise UserError("the dump is damaged")

    before = set(children(os.getpid()))  # other tests' helpers, such as multiprocessing's resource tracker
    with pytest.raises(UserError, match="the dump is damaged"):
        list(extract_texts(broken(), 20, [sys.executable, "-c", "import time; time.sleep(1000)"]))
    assert set(children(os.getpid())) <= before


def children(parent: int) -> list[int]:
    """Living child processes, from /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def big_dump(tmp_path: Path) -> Path:
    return factory.write_multistream(
        tmp_path / "big.bz2", [P(n, text=f"Word {n} and more. " * 400) for n in range(1, 1001)], 100
    )


@pytest.mark.slow
def test_killed_in_the_middle(tmp_path: Path) -> None:
    """No file under the final name, no process left (SIGTERM: nothing at all); the next run makes it whole."""
    argv = arguments(big_dump(tmp_path), tmp_path / "out")
    for number, temporary_files in ((signal.SIGTERM, 0), (signal.SIGKILL, 1)):
        stage = subprocess.Popen([sys.executable, "-m", "wikixlm", *argv], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not (program := children(stage.pid)) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3)
        stage.send_signal(number)
        assert stage.wait() != 0
        assert len(list((tmp_path / "out").iterdir())) == temporary_files
        while any(Path(f"/proc/{pid}").exists() for pid in program):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    main(argv)
    assert len(list(read_documents(tmp_path / "out" / "00000-of-00001.jsonl.zst"))) == 1000


def test_disk_full(tmp_path: Path) -> None:
    """The kernel refuses to let the file grow, as it does on a full disk."""
    argv = arguments(factory.english_dump(), tmp_path / "out")
    stage = subprocess.run(
        [sys.executable, "-m", "wikixlm", *argv, "--log", str(tmp_path / "log")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000)),
        capture_output=True,
        text=True,
    )
    assert stage.returncode == 1
    assert len(stage.stderr.splitlines()) == 1
    assert "cannot write" in stage.stderr and "00000-of-00001.jsonl.zst: File too large" in stage.stderr
    assert list((tmp_path / "out").iterdir()) == []
