"""Compile the pins: requirements.txt and the conda environments, from pyproject.toml.

`make pins` runs this with uv and keeps the versions that still fit; `--upgrade` resolves all of them anew. Torch and
what its own build brings along (CUDA libraries, triton) stay out of requirements.txt, so that a CPU build or one for
another CUDA version can be installed first; every other package is pinned with hashes. No download address is written
anywhere.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TORCH_BUILD = re.compile(r"(torch|triton|nvidia-.*|cuda-.*)$")

# What the stages of each environment import or run, by the name of the package.
DATA = [
    "httpx",
    "pydantic",
    "pyyaml",
    "rich",
    "sacremoses",
    "sentencepiece",
    "tokenizers",
    "wikiextractor",
    "zstandard",
]
DATA_LANGUAGES = ["fugashi", "kytea", "pythainlp", "rjieba", "unidic-lite"]
TRAIN = [
    "antlr4-python3-runtime",
    "bitarray",
    "cffi",
    "cython",
    "numpy",
    "pandas",
    "regex",
    "sacrebleu",
    "torch",
    "tqdm",
]
HF = ["numpy", "accelerate", "safetensors", "scikit-learn", "torch", "transformers"]
REPORT = ["jinja2", "matplotlib", "numpy", "pandas"]
# Their metadata asks for versions that today's installers refuse: installed without it, after the rest.
WITHOUT_METADATA = ["fairseq", "hydra-core", "omegaconf"]


def compile_pins(upgrade: bool) -> str:
    """What uv resolves for every extra, for Python 3.11 to 3.13 on every platform, with hashes."""
    with tempfile.NamedTemporaryFile(suffix=".txt") as output:
        if not upgrade:  # uv prefers the versions that it finds in its output file
            Path(output.name).write_bytes((ROOT / "requirements.txt").read_bytes())
        subprocess.run(
            [
                *["uv", "pip", "compile", "--quiet", "pyproject.toml", "--all-extras", "--universal"],
                *["--python-version", "3.11", "--fork-strategy", "fewest", "--generate-hashes"],
                *["--no-header", "--no-annotate", "--output-file", output.name],
            ],
            cwd=ROOT,
            check=True,
        )
        return Path(output.name).read_text(encoding="utf-8")


def requirements(compiled: str) -> str:
    """The blocks of `compiled` that do not belong to torch's build."""
    blocks = re.split(r"(?m)^(?=[a-zA-Z0-9])", compiled)
    return "".join(
        block for block in blocks if block.strip() and not TORCH_BUILD.match(re.split("[=;]", block)[0].strip())
    )


def versions(compiled: str) -> dict[str, str]:
    """Package name to pinned version."""
    return dict(re.findall(r"(?m)^([a-zA-Z0-9._-]+)==([^\s;\\]+)", compiled))


def environment(title: str, packages: list[str], pins: dict[str, str]) -> str:
    """A conda environment that installs `packages` with pip, at the pinned versions."""
    lines = [
        f"# {title} Written by `make pins`; the package itself comes by PYTHONPATH.",
        "channels:",
        "  - conda-forge",
    ]
    lines += ["  - nodefaults", "dependencies:", "  - python=3.11", "  - pip", "  - pip:"]
    lines += [f"      - {name}=={pins[name]}" for name in sorted(packages)]
    return "\n".join(lines) + "\n"


def post_deploy(pins: dict[str, str]) -> str:
    """What Snakemake runs in the training environment once conda has made it."""
    wanted = " ".join(f"{name}=={pins[name]}" for name in WITHOUT_METADATA)
    return f"#!/usr/bin/env bash\n# Written by `make pins`.\nset -euo pipefail\npip install --no-deps {wanted}\n"


def main() -> None:
    """Write requirements.txt and the environments."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    compiled = compile_pins(parser.parse_args().upgrade)
    pins = versions(compiled)
    (ROOT / "requirements.txt").write_text(requirements(compiled), encoding="utf-8")
    write_environments(ROOT / "envs", pins)


def write_environments(folder: Path, pins: dict[str, str]) -> None:
    """data.yaml, train.yaml with train.post-deploy.sh, hf.yaml and report.yaml, in `folder`."""
    data = DATA + DATA_LANGUAGES
    (folder / "data.yaml").write_text(environment("The CPU stages.", data, pins), encoding="utf-8")
    (folder / "train.yaml").write_text(environment("The fairseq stages.", DATA + TRAIN, pins), encoding="utf-8")
    (folder / "hf.yaml").write_text(environment("Export and fine-tuning.", data + HF, pins), encoding="utf-8")
    (folder / "report.yaml").write_text(environment("The report.", DATA + REPORT, pins), encoding="utf-8")
    (folder / "train.post-deploy.sh").write_text(post_deploy(pins), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
