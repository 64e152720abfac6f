"""Time the text stages beside sacremoses, Moses' Perl scripts, subword-nmt, wikiextractor and XLM's chain of them.

    python benchmarks/text.py
    python benchmarks/text.py --megabytes 12        # a quick look

One run on one machine: the English sample (106 articles of the gensim wheel), replicated with new page ids. Rates are
MB of a stage's input per second of CPU time, start of the process included for ours, for Perl and for subword-nmt, and
not included for sacremoses and transformers. Replicated text flatters what remembers words, ours and subword-nmt
alike; benchmarks/scale.py has text that never repeats itself. The Perl scripts are those of the package mosestokenizer;
without perl their rows are left out. It lacks two of the four that XLM runs; a line of Perl of our own does what these
do, and its row says so. XLM's BPE is fastBPE, which no longer builds; subword-nmt stands in for it, and a ratio says
what is left if that step took the chain no time at all.
"""

import argparse
import hashlib
import json
import platform
import re
import shutil
import sys
import tempfile
import time
import unicodedata
from collections.abc import Callable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from common import dumps  # noqa: E402
from common.measure import Usage, measure  # noqa: E402

WIKIXLM = [sys.executable, "-m", "wikixlm"]
LIBRARY_BYTES = (
    12_000_000  # what sacremoses and transformers are timed on; they remember nothing of what they have seen
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=100, help="MB of XML (default: %(default)s)")
    parser.add_argument("--codes", type=int, default=10_000, help="BPE codes to learn (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the work goes (default: a temporary folder)")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "text.json")
    parser.add_argument("--child", nargs=3, metavar=("WHAT", "INPUT", "OUTPUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(*args.child)
        return
    with tempfile.TemporaryDirectory(prefix="wikixlm-bench-", dir=args.folder) as folder:
        bench = Bench(Path(folder), args.megabytes, args.codes)
        bench.run()
    bench.print()
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(bench.result(), indent=1) + "\n")


class Bench:
    """All measurements of one run: `rows` by name, and the checks that outputs are the same."""

    def __init__(self, folder: Path, megabytes: float, codes: int) -> None:
        self.folder = folder
        self.megabytes = megabytes
        self.codes = codes
        self.rows: dict[str, dict[str, Any]] = {}
        self.same: dict[str, bool] = {}

    def path(self, name: str) -> Path:
        return self.folder / name

    def record(self, name: str, size: float, usage: Usage) -> None:
        """Note a measurement on `size` MB of input."""
        self.rows[name] = {"MB": size, **asdict(usage), "MB/s": size / usage.cpu}
        print(f"{name}: {size / usage.cpu:.2f} MB/s", file=sys.stderr, flush=True)

    def command(self, name: str, size: float, command: list[str], source: str = "", target: str = "") -> None:
        """Measure a command on `size` MB of input."""
        files = [self.path(file) if file else None for file in (source, target)]
        with open(self.path("log"), "ab") as log:
            self.record(name, size, measure(command, *files, stderr=log, cwd=ROOT))

    def child(self, name: str, what: str, source: str, target: str) -> None:
        """Measure a loop in a process of its own."""
        here = [sys.executable, str(Path(__file__).resolve()), "--child", what]
        usage = measure([*here, str(self.path(source)), str(self.path(target))], None, self.path("child.json"))
        result = json.loads(self.path("child.json").read_text())
        usage.cpu = result["cpu"]
        self.record(name, megabytes(self.path(source)), usage)

    def run(self) -> None:
        self.ours()
        self.tokenization()
        self.chain()

    def ours(self) -> None:
        """The stages as the workflow runs them."""
        dump = dumps.write_multistream(self.path("dump.xml.bz2"), dumps.replicated(self.megabytes))
        extract = ["extract", "--dump", str(dump), "--language", "en", "--output", self.name("extracted.zst")]
        extract += ["--counts", self.name("counts.json")]
        self.command("extract", self.megabytes, [*WIKIXLM, *extract])
        write_lines(self.path("extracted.zst"), self.path("extracted.txt"))
        size = megabytes(self.path("extracted.txt"))
        tokenize = ["tokenize", "--language", "en", "--input", self.name("extracted.zst")]
        tokenize += ["--output", self.name("tokenized.jsonl.zst"), "--counts", self.name("counts.json")]
        self.command("tokenize", size, [*WIKIXLM, *tokenize])
        self.learn()
        apply = ["apply-bpe", "--codes", self.name("codes"), "--tokenized", self.name("tokenized.jsonl.zst")]
        apply += ["--held-out", self.name("held_out.json.zst"), "--symbols", self.name("symbols.zst")]
        write_lines(self.path("tokenized.jsonl.zst"), self.path("tokenized.txt"))
        size = megabytes(self.path("tokenized.txt"))
        self.command("apply-bpe", size, [*WIKIXLM, *apply, "--output", self.name("bpe.zst")])

    def name(self, file: str) -> str:
        return str(self.path(file))

    def learn(self) -> None:
        """Codes for the stages that follow. The split stage is passed over: it drops repeated text."""
        from wikixlm.documents import read_documents
        from wikixlm.files import write_json

        lines = sum(len(document.lines) for document in read_documents(self.path("tokenized.jsonl.zst")))
        write_json(self.path("held_out.json.zst"), {"documents": [], "lines": []})
        split = {"language": "en", "shards": [self.name("tokenized.jsonl.zst")], "train_lines": [lines]}
        write_json(self.path("split.json"), split)
        learn = ["learn-bpe", "--splits", self.name("split.json"), "--codes", str(self.codes)]
        self.command("learn-bpe", 0, [*WIKIXLM, *learn, "--output", self.name("codes")])
        merges = (line.split(" ") for line in self.path("codes").read_text(encoding="utf-8").split("\n") if line)
        lines_of_codes = "".join(f"{left} {right}\n" for left, right, _ in merges)
        self.path("codes2").write_text(f"#version: 0.2\n{lines_of_codes}", encoding="utf-8")

    def tokenization(self) -> None:
        """Step by step beside the libraries that define what must come out."""
        with open(self.path("extracted.txt"), "rb") as source, open(self.path("some.txt"), "wb") as target:
            target.writelines(source.readlines(LIBRARY_BYTES))
        self.child("normalise and tokenize", "moses", "some.txt", "a")
        self.child("sacremoses", "sacremoses", "some.txt", "b")
        self.same["normalise and tokenize as sacremoses"] = digest(self.path("a")) == digest(self.path("b"))
        self.child("lower case, no accents", "lower", "a", "c")
        self.child("transformers: lower case, no accents", "transformers", "a", "d")
        self.same["lower case, no accents as transformers"] = digest(self.path("c")) == digest(self.path("d"))

    def chain(self) -> None:
        """XLM's own chain, each program on the output of the one before."""
        options = ["--no-templates", "--processes", "1", "-q", "-o", "-", self.name("dump.xml.bz2")]
        program = [sys.executable, "-P", "-m", "wikiextractor.WikiExtractor"]
        self.command("wikiextractor", self.megabytes, [*program, *options], target="wikiextractor.txt")
        with open(self.path("wikiextractor.txt"), "rb") as source, open(self.path("chain.txt"), "wb") as target:
            target.writelines(line for line in source if line.strip() and not line.startswith((b"<doc", b"</doc")))
        scripts, perl = moses_scripts(), shutil.which("perl")
        if scripts and perl:
            steps = {
                "replace Unicode punctuation (ours)": ["-CSD", "-lpe", perl_substitutions()],
                "normalise": [str(scripts / "normalize-punctuation.perl"), "-l", "en"],
                "remove non-printing (ours)": ["-CSD", "-lpe", r"s/\p{C}/ /g"],
                "tokenize": [str(scripts / "tokenizer-v1.1.perl"), "-l", "en", "-q", "-no-escape"],
            }
            for number, (name, arguments) in enumerate(steps.items()):
                source, target = ("chain.txt" if number == 0 else f"chain.{number}"), f"chain.{number + 1}"
                self.command(f"Perl: {name}", megabytes(self.path(source)), [perl, *arguments], source, target)
            self.child("XLM's lowercase_and_remove_accent", "xlm-lowercase", f"chain.{len(steps)}", "chain.low")
        else:
            print("no perl, or no mosestokenizer: Moses' Perl scripts are left out", file=sys.stderr)
            shutil.copy(self.path("tokenized.txt"), self.path("chain.low"))
        size = megabytes(self.path("chain.low"))
        subword = [str(Path(sys.executable).with_name("subword-nmt")), "apply-bpe", "-c", self.name("codes2")]
        self.command("subword-nmt", size, subword, "chain.low", "chain.bpe")
        apply = ["apply-bpe", "--codes", self.name("codes"), "--lines", self.name("chain.low")]
        self.command("apply-bpe on the same", size, [*WIKIXLM, *apply, "--output", self.name("ours.bpe")])
        self.same["apply-bpe as subword-nmt"] = digest(self.path("chain.bpe")) == digest(self.path("ours.bpe"))

    def ratios(self) -> dict[str, tuple[float, str]]:
        """What the table is for: name to (value, goal)."""
        rate = {name: row["MB/s"] for name, row in self.rows.items()}
        cpu = {name: row["cpu"] for name, row in self.rows.items()}
        ours = sum(cpu[name] for name in ("extract", "tokenize", "apply-bpe"))
        found = {
            "normalise and tokenize: times sacremoses": (rate["normalise and tokenize"] / rate["sacremoses"], ">= 5"),
            "lower case, no accents: times transformers": (
                rate["lower case, no accents"] / rate["transformers: lower case, no accents"],
                ">= 2",
            ),
            "apply-bpe: MB/s per core": (rate["apply-bpe"], ">= 8"),
            "apply-bpe: times subword-nmt": (rate["apply-bpe on the same"] / rate["subword-nmt"], ""),
            "extract: CPU time, of wikiextractor alone": (cpu["extract"] / cpu["wikiextractor"], ""),
            "peak memory of a stage, MB": (
                max(self.rows[name]["peak"] for name in ("extract", "tokenize", "apply-bpe")),
                "< 500",
            ),
        }
        perl = [name for name in cpu if name.startswith("Perl")]
        if perl:
            both = 1 / (1 / rate["Perl: normalise"] + 1 / rate["Perl: tokenize"])
            chain = cpu["wikiextractor"] + sum(cpu[name] for name in perl) + cpu["XLM's lowercase_and_remove_accent"]
            found |= {
                "normalise and tokenize: times Moses' Perl": (rate["normalise and tokenize"] / both, ""),
                "dump to BPE: CPU time, of XLM's chain with subword-nmt": (
                    ours / (chain + cpu["subword-nmt"]),
                    "<= 0.75",
                ),
                "dump to BPE: CPU time, of XLM's chain if its BPE were free": (ours / chain, "<= 0.75"),
            }
        return found

    def print(self) -> None:
        machine = f"{platform.machine()}, Python {platform.python_version()}"
        print(f"\n{machine}, {self.megabytes:g} MB of XML, {self.codes} codes\n")
        print("| | MB | CPU s | MB/s per core | peak MB |\n| --- | ---: | ---: | ---: | ---: |")
        for name, row in self.rows.items():
            rate = f"{row['MB/s']:.2f}" if row["MB"] else ""
            print(f"| {name} | {row['MB']:.1f} | {row['cpu']:.1f} | {rate} | {row['peak']:.0f} |")
        print("\n| | | goal |\n| --- | ---: | ---: |")
        for name, (value, goal) in self.ratios().items():
            print(f"| {name} | {value:.2f} | {goal} |")
        for name, same in self.same.items():
            print(f"| {name} | {'the same' if same else 'DIFFERENT'} | the same |")

    def result(self) -> dict[str, Any]:
        ratios = {name: {"value": value, "goal": goal} for name, (value, goal) in self.ratios().items()}
        return {"command": sys.argv[1:], "python": platform.python_version(), "rows": self.rows, "ratios": ratios,
                "same": self.same}  # fmt: skip


def megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


def digest(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_lines(shard: Path, target: Path) -> None:
    """The lines of a shard as plain text."""
    from wikixlm.documents import read_documents

    with open(target, "w", encoding="utf-8", newline="\n") as stream:
        for document in read_documents(shard):
            stream.writelines(f"{line}\n" for line in document.lines)


def perl_substitutions() -> str:
    """What XLM's replace-unicode-punctuation.perl does, as sacremoses has it."""
    from sacremoses import MosesPunctNormalizer

    def ascii_only(text: str) -> str:
        return "".join(sign if sign.isascii() else f"\\x{{{ord(sign):x}}}" for sign in text)

    rules = MosesPunctNormalizer.REPLACE_UNICODE_PUNCTUATION
    return "".join(f"s/{ascii_only(pattern)}/{re.escape(new) if new.strip() else new}/g; " for pattern, new in rules)


def moses_scripts() -> Path | None:
    """Where the package mosestokenizer keeps its Perl scripts; it is not imported."""
    try:
        files = metadata.files("mosestokenizer") or []
    except metadata.PackageNotFoundError:
        return None
    return next((Path(str(file.locate())).parent for file in files if file.name == "tokenizer-v1.1.perl"), None)


# --- a child: one loop ----------------------------------------------------------------------------------------------


def step(what: str) -> Callable[[str], str]:
    """What is done to a line."""
    if what == "moses":
        from wikixlm.tokenize.moses import Normalizer, Tokenizer

        normalize, tokenize = Normalizer("en"), Tokenizer("en")
        return lambda line: " ".join(tokenize(normalize(line)))
    if what == "sacremoses":
        from sacremoses import MosesPunctNormalizer, MosesTokenizer

        normalizer, tokenizer = MosesPunctNormalizer(lang="en"), MosesTokenizer(lang="en")
        return lambda line: " ".join(tokenizer.tokenize(normalizer.normalize(line), escape=False))
    if what == "lower":
        from wikixlm.tokenize.characters import lowercase_and_remove_accents

        return lambda line: " ".join(lowercase_and_remove_accents(line.split(" ")))
    if what == "transformers":
        from transformers.models.xlm.tokenization_xlm import lowercase_and_remove_accent

        # It answers with an empty token where nothing but accents was in one; XLMTokenizer drops these later.
        return lambda line: " ".join(filter(None, lowercase_and_remove_accent(line.split(" "))))
    return lambda line: "".join(  # what XLM's tools/lowercase_and_remove_accent.py does to a line
        sign for sign in unicodedata.normalize("NFD", line.lower()) if unicodedata.category(sign) != "Mn"
    )


def child(what: str, source: str, target: str) -> None:
    """Do it to every line of `source`; print the CPU seconds that the loop took."""
    with open(source, encoding="utf-8", newline="\n") as stream:
        lines = [line.removesuffix("\n") for line in stream]
    do = step(what)
    start = time.process_time()
    done = [do(line) for line in lines]
    seconds = time.process_time() - start
    with open(target, "w", encoding="utf-8", newline="\n") as stream:
        stream.writelines(f"{line}\n" for line in done)
    print(json.dumps({"cpu": seconds}))


if __name__ == "__main__":
    main()
