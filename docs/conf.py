"""Sphinx's configuration: the Markdown pages of this folder, README.md and profiles/README.md as one site.

The sources' root is the checkout, so that links between the pages are the same on the site and in a file browser:
`make docs` calls `sphinx-build -c docs . build/docs`.
"""

import os
from pathlib import Path

from wikixlm import __version__
from wikixlm.cli import STAGES, build_parser

project = "wikixlm"
release = version = __version__
extensions = ["myst_parser"]
root_doc = "docs/index"
include_patterns = ["README.md", "profiles/README.md", "docs/*.md"]
suppress_warnings = ["myst.header"]  # profiles/README.md and others may begin below a title
myst_heading_anchors = 3
myst_links_external_new_tab = False
highlight_language = "none"
html_theme = "furo"
html_title = "wikixlm"
html_extra_path = ["site"]
html_show_copyright = False
html_show_sphinx = False


def commands() -> str:
    """A page of every command's --help."""
    parts = ["# Commands\n\nEvery stage is a command that knows nothing of Snakemake. This is their `--help`.\n"]
    for name in STAGES:
        actions = build_parser([name])._actions
        choices = next(action.choices for action in actions if isinstance(action.choices, dict))
        parts.append(f"## `wikixlm {name}`\n\n```text\n{choices[name].format_help()}```\n")
    return "\n".join(parts)


os.environ["COLUMNS"] = "100"  # argparse's width, whatever the terminal's
Path(__file__).with_name("commands.md").write_text(commands(), encoding="utf-8")
