"""What a target can't do with this configuration, said before anything starts and not after days of training.

Needs: cfg.
Makes: EXPORT, the files of the export; functions that end the run, or leave a part of it out.
"""

import functools

from wikixlm import console
from wikixlm.export.command import FILES
from wikixlm.export.command import obstacle

EXPORT = [f"export/{name}" for name in FILES]

# Why the model can't be exported, where it can't.
NO_EXPORT = obstacle(cfg.train.fits_transformers(), stages_run_here=not CONDA)


def refuse(reason):
    """End the run before it starts anything, with one line that says why."""
    console.error(reason)
    raise SystemExit(1)


def must_be_exportable(wildcards):
    """No more inputs; where the model can't be exported this ends the run before anything is made."""
    if NO_EXPORT:
        refuse(f"export_hf: {NO_EXPORT}")
    return []


def export_if_possible(wildcards):
    """The export, for targets that go without where the model can't be exported."""
    return go_without_export() if NO_EXPORT else EXPORT


@functools.cache
def go_without_export():
    """No files; said once."""
    console.warn(f"export/ is left out: {NO_EXPORT}")
    return []


def has_english(wildcards):
    """No more inputs; without English there is nothing to fine-tune on, and this ends the run before it starts."""
    if "en" not in cfg.languages:
        there = ", ".join(cfg.languages)
        refuse(f"finetune_xnli: XNLI is fine-tuned on English, and languages is {there}: add en")
    return []


def must_start_on_slurm(executor):
    """Where jobs go to SLURM: its plugin does not quote the interpreter's path, so with a space none of them starts."""
    if executor == "slurm" and any(map(str.isspace, sys.executable)):
        refuse(f"SLURM jobs can't start {sys.executable}: its path has a space; move or clone to one without")
