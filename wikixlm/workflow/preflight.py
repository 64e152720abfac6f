"""What is refused before a run starts anything: a configuration, a target or a place where it could only fail later."""

import contextlib
import functools
import importlib.util
import logging
import shlex
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_logger_plugins.common import LogEvent

from wikixlm import console, run_layout
from wikixlm.bpe.learn import refuse_other_scheme
from wikixlm.config import Config, ConfigError, load
from wikixlm.config.package_paths import locate
from wikixlm.download.client import user_agent
from wikixlm.errors import UserError
from wikixlm.export.command import FILES, obstacle
from wikixlm.tokenize import word_segmenters
from wikixlm.tokenize.language_warnings import preprocessing_warnings

# What the stages import that Snakemake does not bring along.
STAGES_NEED = ("fairseq", "sacremoses", "sentencepiece", "tokenizers", "torch", "wikiextractor", "zstandard")

# By which a file server's clock may be ahead of this machine's.
SECONDS_AHEAD = 60.0

EXPORT = [f"{run_layout.EXPORT}/{name}" for name in FILES]


def load_or_refuse(base: Path, overlay: Mapping[str, Any], stages_run_here: bool) -> Config:
    """The run's configuration, for the Snakefile.

    Args:
        base: config.yaml.
        overlay: what --configfile and --config add.
        stages_run_here: whether this Python runs the stages, so that it must have the packages that they need.

    Raises:
        WorkflowError: the configuration has mistakes, each said on a line, or a package is missing.
    """
    try:
        cfg = load(base, overlay)
        if stages_run_here:
            _check_packages()
            for lang in cfg.languages if cfg.tokenize.scheme == "xlm" else ():
                word_segmenters.check_installed(lang, cfg.tokenize.japanese)
            if cfg.bpe.codes_file:
                refuse_other_scheme(locate(cfg.bpe.codes_file), cfg.tokenize.normalization_of_pieces)
        return cfg
    except ConfigError as failure:
        refuse(*failure.problems)
    except UserError as failure:
        refuse(str(failure))


def _check_packages() -> None:
    """Raise UserError where this Python lacks what the stages import: then it is not the one of the set-up."""
    if missing := [name for name in STAGES_NEED if importlib.util.find_spec(name) is None]:
        raise UserError(
            f"{sys.executable} has no {', '.join(missing)}, which the stages need; call the snakemake of the set-up, "
            ".venv/bin/snakemake in the checkout (`make demo` sets it up), or add --sdm conda"
        )


def refuse(*reasons: str) -> NoReturn:
    """End the run with an `error: ` line for each reason, in place of the several that Snakemake prints.

    Raises:
        WorkflowError: always.
    """
    for reason in reasons:
        console.error(reason)
    logging.getLogger("snakemake.logging").addFilter(
        lambda record: getattr(record, "event", None) != LogEvent.ERROR,
    )
    raise WorkflowError(*reasons)


def refuse_target(reason: str) -> NoReturn:
    """End the run from an input function.

    Not by a WorkflowError: Snakemake ignores one there when the file that the rule would make exists already, and so
    would use what an earlier run left.
    """
    console.error(reason)
    raise SystemExit(1)


class Refusals:
    """Input functions that end the run where its configuration keeps a target from being made.

    Args:
        stages_run_here: see `load_or_refuse`.
    """

    def __init__(self, cfg: Config, stages_run_here: bool) -> None:
        self._languages = cfg.languages
        self._contact = cfg.dumps.contact
        self._has_pairs = bool(cfg.retrieval_pairs())
        # Why the model can't be exported, where it can't.
        self._no_export = obstacle(cfg.train.fits_transformers(), stages_run_here, cfg.tokenize.scheme)

    def must_be_exportable(self, wildcards: object) -> list[str]:
        """No more inputs; where the model can't be exported this ends the run before anything is made."""
        if self._no_export:
            refuse_target(f"export_hf: {self._no_export}")
        return []

    def export_if_possible(self, wildcards: object) -> list[str]:
        """The export, for targets that do without it where the model can't be exported."""
        return self._without_export() if self._no_export else EXPORT

    def must_have_pairs(self, wildcards: object) -> list[str]:
        """No more inputs; without parallel text there is nothing to retrieve."""
        if not self._has_pairs:
            refuse_target(
                "evaluate_crosslingual: crosslingual.retrieval is empty; name parallel files of two languages"
            )
        return self.must_be_exportable(wildcards)

    def crosslingual_if_possible(self, wildcards: object) -> list[str] | str:
        """The table of what languages share, where there is parallel text and an export."""
        return run_layout.CROSSLINGUAL if self._has_pairs and not self._no_export else []

    @functools.cache  # noqa: B019 (there is one, and it lives as long as the run)
    def _without_export(self) -> list[str]:
        """No files; said once."""
        console.warn(f"export/ is left out: {self._no_export}")
        return []

    def must_name_contact(self, wildcards: Mapping[str, str]) -> list[str]:
        """No more inputs; without a contact nothing is downloaded, which a dry run must say, too.

        A dump that is there already needs none.
        """
        lang = wildcards.get("lang")
        there = (run_layout.RESOLVED, run_layout.DUMP_MANIFEST) if lang else (run_layout.XNLI_MANIFEST,)
        if not all(Path(path.format(lang=lang)).exists() for path in there):
            try:
                user_agent(self._contact)
            except UserError as failure:
                refuse_target(str(failure))
        return []

    def must_have_english(self, wildcards: object) -> list[str]:
        """No more inputs; without English there is nothing to fine-tune on."""
        if "en" not in self._languages:
            there = ", ".join(self._languages)
            refuse_target(f"finetune_xnli: XNLI is fine-tuned on English, and languages is {there}: add en")
        return []


def must_start_on_slurm(workflow: Any) -> None:
    """Refuse jobs that would go to SLURM and never start.

    Either for a path with a space, which its plugin does not quote, or because no node is large enough.

    Args:
        workflow: Snakemake's, whose jobs are planned.
    """
    if workflow.executor_plugin.name != "slurm":
        return
    if any(map(str.isspace, sys.executable)):
        refuse(f"SLURM jobs can't start {sys.executable}: its path has a space; move or clone to one without")
    # The plugin, which only these runs need, takes its time to import.
    from wikixlm.workflow import slurm_limits

    if reasons := slurm_limits.what_cannot_start(workflow):
        refuse(*reasons)


def must_not_read_the_future(workflow: Any) -> None:
    """Refuse inputs whose time stamps are ahead of this machine's clock.

    Snakemake, which finds them newer than what a job has made of them, would throw that away after the job.

    Args:
        workflow: Snakemake's, whose jobs are planned.
    """
    jobs = list(workflow.dag.needrun_jobs())
    made = {path for job in jobs for path in job.output}
    latest, path = max(
        ((_changed(path), path) for path in {path for job in jobs for path in job.input} - made), default=(0.0, "")
    )
    if latest > time.time() + SECONDS_AHEAD:
        when = datetime.fromtimestamp(latest).isoformat(" ", "seconds")
        refuse(
            f"{path} was changed at {when}, which is in the future: is this machine's clock right? Snakemake would "
            f"throw away what is made of it; if the clock is right, `touch {shlex.quote(str(path))}`"
        )


def _changed(path: str) -> float:
    with contextlib.suppress(OSError):
        return Path(path).stat().st_mtime
    return 0.0


def warn_of_preprocessing(cfg: Config) -> None:
    """Warn of languages that the preprocessing harms; the scheme `sentencepiece` harms none."""
    if cfg.tokenize.scheme != "xlm":
        return
    for warning in preprocessing_warnings(
        cfg.languages, cfg.tokenize.lowercase_and_remove_accent, cfg.tokenize.japanese
    ):
        console.warn(warning)
