"""The documentation holds: blocks run or say why not, configurations are valid, commands parse, links resolve."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import PAGES, SHELL, anchors, blocks, commands, links, spans
from tests.workflow.conftest import ROOT
from wikixlm.cli import STAGES, build_parser
from wikixlm.config import Config, load

BASE = ROOT / "config.yaml"
BLOCKS = list(blocks())
SHELL_BLOCKS = [block for block in BLOCKS if block.language in SHELL]
RUN = [block for block in SHELL_BLOCKS if block.mark != "not run"]
CONFIGURATIONS = [block for block in BLOCKS if block.language == "yaml" and not block.mark]
OVERLAYS = sorted(path.name for path in (ROOT / "config").glob("*.yaml"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """What looks like a fresh checkout with .venv, and may be written to."""
    folder = tmp_path_factory.mktemp("docs") / "checkout"
    folder.mkdir()
    for name in ("Snakefile", "config.yaml", "config", "rules", "profiles", "wikixlm", "envs", "docs", "benchmarks"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "bin").symlink_to(Path(sys.executable).parent)
    return folder


def test_there_are_pages_and_blocks_to_check():
    assert {page.name for page in PAGES} >= {"README.md", "adding-a-language.md", "reproducing-xlm.md", "scaling.md"}
    assert len(RUN) >= 2
    assert len(CONFIGURATIONS) >= 8


@pytest.mark.parametrize("block", RUN, ids=str)
def test_a_shell_block_runs(block, checkout):
    """Each that carries no `<!-- not run: reason -->` on the line before it, as it stands."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text], cwd=checkout, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"


def test_a_block_that_looks_like_shell_says_so():
    for block in BLOCKS:
        if not block.language:
            assert not re.match(r"(\$ |\.venv/|snakemake |make |wikixlm |pip )", block.text), f"{block}: mark it sh"


def with_files(overlay: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The overlay, once the files and folders that it names are there."""
    local = {**overlay.get("dumps", {}).get("local", {}), **overlay.get("corpora", {}).get("local", {})}
    named = [name for names in local.values() for name in ([names] if isinstance(names, str) else names)]
    named += [overlay.get("bpe", {}).get(key) for key in ("codes_file", "vocab_file")]
    named.append(overlay.get("train", {}).get("init_from"))
    named += [name for pair in overlay.get("crosslingual", {}).get("retrieval", {}).values() for name in pair]
    for name in named:
        if name and not name.startswith("package:"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
    if there := overlay.get("xnli", {}).get("local"):
        (folder / there).mkdir()
    return overlay


@pytest.mark.parametrize("block", CONFIGURATIONS, ids=str)
def test_a_configuration_is_valid(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    load(BASE, with_files(yaml.safe_load(block.text), tmp_path))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_key_in_running_text_is_one(page, tmp_path, monkeypatch):
    """`section: {key: value}` loads, and `section.key` is there."""
    monkeypatch.chdir(tmp_path)
    for span in spans(page):
        section = re.match(r"(\w+): \{", span)
        if section and section[1] in Config.model_fields:
            load(BASE, with_files(yaml.safe_load(span), tmp_path))
        dotted = re.match(r"(\w+)\.(\w+)(: .+)?$", span)
        if dotted and dotted[1] in Config.model_fields and dotted[2] not in ("yaml", "smk", "py"):
            fields = Config.model_fields[dotted[1]].annotation.model_fields
            assert dotted[2] in fields, f"{span}: no such key"


def test_a_command_of_wikixlm_parses():
    """With the parser of the program itself."""
    lines = [line for block in SHELL_BLOCKS for line in commands(block.text)]
    lines += [span for page in PAGES for span in spans(page)]
    checked = 0
    for line in lines:
        words = shlex.split(line) if re.match(r"(\.venv/bin/)?wikixlm \S", line) else []
        if len(words) < 2 or "…" in line or words[1].isupper():
            continue
        assert words[1] in STAGES, line
        if len(words) > 2:
            with_help = words[2:] == ["--help"]
            try:
                build_parser([words[1]]).parse_args(words[1:])
            except SystemExit as ended:
                assert ended.code == 0 and with_help, line
        checked += 1
    assert checked >= 3


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in links(page):
        if re.match(r"[a-z]+:", target):  # `make docs` lists these, and nothing fetches them
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(there), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_of_the_checkout_are_there(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"\b((?:config|rules|profiles|benchmarks|envs|tools)/[\w./-]+\.\w+)", text):
        if not re.search(rf"(/|mine/|my){re.escape(name)}", text):
            assert (ROOT / name).exists(), f"{page.name}: {name}"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_of_the_checkout_is_valid(overlay):
    load(BASE, yaml.safe_load((ROOT / "config" / overlay).read_text(encoding="utf-8")))


@pytest.mark.parametrize("overlay", ["xlm15.yaml", "xlm17.yaml"])
def test_the_overlays_of_xlm_plan_offline(overlay, workflow):
    shutil.copy(ROOT / "config" / overlay, workflow.overlay)
    wanted = yaml.safe_load(workflow.overlay.read_text(encoding="utf-8"))
    # KyTea's model is on few machines.
    config = ["tokenize={japanese: moses}", "dumps={contact: someone@example.org}"]
    jobs = workflow.planned("train_mlm", "--config", *config)
    assert jobs["train_mlm"] == 1
    assert {name.split(":")[1] for name in jobs if name.startswith("download_dump:")} == set(wanted["languages"])
    assert jobs["extract:en"] == 32


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "sphinx", "-W", "-q", "-c", "docs", ".", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for page in PAGES:
        made = tmp_path / page.relative_to(ROOT).with_suffix(".html")
        assert made.is_file(), made
    assert "wikixlm extract" in (tmp_path / "docs" / "commands.html").read_text(encoding="utf-8")
