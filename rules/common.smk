"""What the files beside this one share: the configuration, the command that runs a stage, the names of shards.

Needs: config.yaml beside the Snakefile, merged with --configfile and --config.
Makes: cfg (the typed configuration), layout (the paths), refusals (what a target can't do with this configuration),
       `wikixlm` as a shell function, the names of files per shard and language; work/run.json and work/events.jsonl
       from the start of a run.
"""

import re
import shlex
import sys
from pathlib import Path

from snakemake.logging import logger
from snakemake.settings.types import DeploymentMethod

from wikixlm import processes
from wikixlm import run_layout as layout
from wikixlm.config.package_paths import locate
from wikixlm.files import sha256
from wikixlm.plan import long_training
from wikixlm.workflow import failures
from wikixlm.workflow import leftovers
from wikixlm.workflow import preflight
from wikixlm.workflow import resources
from wikixlm.workflow import run_record

CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method

# Neither a stage nor what it starts, nor the Snakemake of a cluster's job.
processes.import_nothing_from_here()

failures.watch(
    logger,
    lambda: [rule.name for rule in workflow.rules if not rule.has_wildcards()],
    workflow.output_settings.quiet,
)

cfg = preflight.load_or_refuse(Path(workflow.basedir) / "config.yaml", config, stages_run_here=not CONDA)
refusals = preflight.Refusals(cfg, stages_run_here=not CONDA)

# In a conda environment the package is reached by PYTHONPATH and run by that environment's python; otherwise by the
# interpreter that runs Snakemake, activated or not.
PYTHON = "python" if CONDA else sys.executable
PATHS = f"PYTHONPATH={shlex.quote(str(workflow.basedir))}${{PYTHONPATH:+:$PYTHONPATH}}"

# So that a rule's command reads `wikixlm STAGE …`, whatever runs it; the stage takes the shell's place, as a child of this
# snakemake, to end with it even where that is killed. Snakemake formats the prefix: braces are doubled.
COMMAND = f'wikixlm() {{ {PATHS} WIKIXLM_SNAKEMAKE=$PPID exec {shlex.quote(PYTHON)} -m wikixlm "$@"; }}'
shell.prefix(f"set -euo pipefail; {COMMAND.replace('{', '{{').replace('}', '}}')}; ")


onstart:
    # Not called by a dry run, nor by the Snakemake inside a cluster's job.
    preflight.must_start_on_slurm(workflow)
    preflight.must_not_read_the_future(workflow)
    preflight.warn_of_preprocessing(cfg)
    leftovers.clean(workflow, cfg.languages)
    # For `wikixlm status` and the report.
    run_record.start(cfg, workflow, logger, log)
    long_training.warn(cfg, [job.rule.name for job in workflow.dag.needrun_jobs()], workflow.executor_plugin.name)


wildcard_constraints:
    lang="[a-z0-9_-]+",
    shard=layout.SHARD_PATTERN,
    split="|".join(layout.SPLITS),


def operational(**settings):
    """Settings of where and how a job runs, as resources.

    Snakemake re-runs a job whose params have changed, never one whose resources have: so another mirror, device or
    number of GPUs makes nothing anew.
    """
    return settings


def kept(path):
    """A shard between two stages: temporary unless keep_intermediate."""
    return path if cfg.keep_intermediate else temp(path)


def sources(lang):
    """What a language is made from: files of its own, or the manifest of what is downloaded."""
    local = cfg.corpora.local.get(lang) or [cfg.dumps.local[lang]] if lang not in cfg.downloaded() else []
    return [str(locate(name)) for name in local] or [layout.DUMP_MANIFEST.format(lang=lang)]


def source_flag(wildcards):
    """How the extraction takes what `sources` names: the dump itself, or the manifest beside it."""
    return "--dump" if wildcards.lang in cfg.dumps.local else "--manifest"


def position(wildcards):
    """Which shard a job makes, of how many."""
    shard, shards = layout.shards_in(wildcards.shard)
    return f"--shard {shard} --shards {shards}"


def read_mb(wildcards, input):
    """MB that a job reads."""
    return input.size_mb


def shard_mb(wildcards, input):
    """MB of its source that a shard's job reads; the source may be a manifest beside the dump."""
    return resources.source_megabytes(input.get("dump") or input.text) / len(cfg.shards(wildcards.lang))


def dump_mb(wildcards, input):
    """MB of a language's source; the source may be a manifest beside the dump."""
    return resources.source_megabytes(input)


def memory(stage, workers=1, size=read_mb):
    """A function for mem_mb: by what the job reads, where that matters, and more with each attempt."""
    known = (lambda *_: 0) if resources.flat(stage) else size
    return lambda wildcards, input, attempt: attempt * resources.memory(stage, known(wildcards, input), workers)


def minutes(stage, workers=1, size=read_mb):
    """A function for runtime, likewise."""
    return lambda wildcards, input, attempt: attempt * resources.minutes(stage, size(wildcards, input), workers)


def shards(pattern):
    """An input function: `pattern` for every shard of the job's language."""
    return lambda wildcards: expand(pattern, lang=wildcards.lang, shard=cfg.shards(wildcards.lang))


def every_shard(pattern):
    """`pattern` for every shard of every language."""
    return [path for lang in cfg.languages for path in expand(pattern, lang=lang, shard=cfg.shards(lang))]


def every_language(pattern, **wildcards):
    """`pattern` for every language of the run."""
    return expand(pattern, lang=cfg.languages, **wildcards)


def state_of(path):
    """A param that changes with a file which is no input: its hash, nothing where there is no such file."""
    return lambda wildcards: sha256(Path(path)) if Path(path).is_file() else ""


def one_of(languages):
    """A wildcard constraint: one of these languages (none of them: matches nothing)."""
    return "|".join(map(re.escape, languages)) or "(?!)"
