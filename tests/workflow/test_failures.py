"""Failures as a user meets them through snakemake, and the next call, which recovers."""

import shutil
import subprocess

from tests.support import dumps as factory
from tests.workflow.conftest import ROOT, Workflow

TOKENIZED = "work/tokenized/en/00000-of-00001.jsonl.zst"


def errors(output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith("error: ")]


def dump(path, pages=20):
    return factory.write_multistream(path, [factory.P(n, text=f"Page {n} has words.") for n in range(1, pages + 1)], 5)


def test_a_cut_dump_fails_in_one_line_and_the_whole_one_then_runs(workflow, tmp_path):
    path = dump(tmp_path / "en.xml.bz2")
    whole = path.read_bytes()
    path.write_bytes(whole[:-200])
    workflow.configure(languages=["en"], dumps={"local": {"en": str(path)}}, extract={"shards": 1})
    done = workflow(TOKENIZED)
    assert done.returncode != 0
    (line,) = errors(done.stdout)
    assert str(path) in line
    assert "Traceback" not in done.stdout
    assert not list((workflow.directory / "work").rglob("*.zst"))

    path.write_bytes(whole)
    assert workflow(TOKENIZED).returncode == 0
    assert (workflow.directory / TOKENIZED).is_file()


def test_a_language_too_small_to_split_names_the_keys_to_lower(workflow, tmp_path):
    path = dump(tmp_path / "en.xml.bz2", pages=4)
    workflow.configure(languages=["en"], dumps={"local": {"en": str(path)}}, extract={"shards": 2})
    done = workflow("work/split/en/split.json")
    (line,) = errors(done.stdout)
    for part in ("en is left without training text", "4 articles", "split.test", "split.valid"):
        assert part in line
    workflow.configure(
        languages=["en"],
        dumps={"local": {"en": str(path)}},
        extract={"shards": 2},
        split={"valid": 1, "test": 1},
    )
    jobs = workflow.planned("work/split/en/split.json")
    assert jobs == {"split:en": 1}


def test_a_checkout_and_a_directory_with_a_space_and_a_quote(tmp_path):
    checkout = tmp_path / "it's a checkout"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False).stdout.decode()
    names = [name for name in listed.split("\0") if name] or ["Snakefile", "config.yaml", "rules", "wikixlm", "envs"]
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, checkout / name)
        elif (ROOT / name).is_file():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, checkout / name)
    run = Workflow(tmp_path / "a run", checkout)
    run.directory.mkdir()
    path = dump(run.directory / "a dump.bz2")
    run.configure(languages=["en"], dumps={"local": {"en": path.name}}, extract={"shards": 1})
    done = run(TOKENIZED)
    assert done.returncode == 0, done.stdout
    assert (run.directory / TOKENIZED).is_file()
