"""pyproject.toml, requirements.txt and the conda environments say the same."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def load_pins_tool():
    spec = importlib.util.spec_from_file_location("pins", ROOT / "tools" / "pins.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pins = load_pins_tool()
PINNED = {
    **pins.versions((ROOT / "requirements.txt").read_text()),
    "torch": str(next(Requirement(line) for line in PROJECT["dependencies"] if line.startswith("torch")).specifier)[2:],
}


@pytest.mark.parametrize("line", [*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)])
def test_every_dependency_is_pinned_within_its_range(line):
    wanted = Requirement(line)
    assert PINNED[canonicalize_name(wanted.name)] in wanted.specifier


def test_the_environments_have_the_pins_of_the_requirements(tmp_path):
    pins.write_environments(tmp_path, PINNED)
    for written in tmp_path.iterdir():
        assert (ROOT / "envs" / written.name).read_text() == written.read_text(), "run `make pins`"


def test_every_pin_has_a_hash_and_no_download_address_is_written():
    text = (ROOT / "requirements.txt").read_text()
    blocks = [block for block in re.split(r"(?m)^(?=[a-zA-Z0-9])", text) if block.strip()]
    assert len(blocks) > 50
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text


def test_torch_and_what_its_build_brings_stay_out_of_the_requirements():
    names = pins.versions((ROOT / "requirements.txt").read_text())
    assert not [name for name in names if pins.TORCH_BUILD.match(name)]


def test_what_is_installed_is_what_is_pinned():
    from importlib.metadata import version

    for name in ("fairseq", "omegaconf", "snakemake", "sacremoses", "tokenizers", "wikiextractor"):
        assert version(name) == PINNED[name]
    assert version("torch").split("+")[0] == PINNED["torch"]
