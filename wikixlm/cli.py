"""The `wikixlm` command: one subcommand a stage.

A stage's module has `add_arguments(parser)` and `main(args)`; it is imported only when its command is called, so that
the CPU stages start without torch.
"""

import argparse
import contextlib
import importlib
import json
import logging
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import NoReturn

from wikixlm import __version__, console, processes
from wikixlm.errors import UserError

STAGES = {
    "dumps": ("wikixlm.download.list_dumps", "what a download would fetch, and which dump each language uses"),
    "download": ("wikixlm.download.command", "download one language's dump: resumable, verified, polite"),
    "collect-templates": ("wikixlm.extract.collect_templates", "a dump's own templates that carry text"),
    "extract": ("wikixlm.extract.extract", "text of one shard of a Wikipedia dump"),
    "corpus": ("wikixlm.extract.plain_text", "one shard of plain-text files, instead of a dump"),
    "tokenize": ("wikixlm.tokenize.tokenize", "tokenize one shard as transformers' XLMTokenizer does"),
    "split": ("wikixlm.tokenize.split", "choose a language's test and valid articles"),
    "learn-bpe": ("wikixlm.bpe.learn", "learn joint BPE codes from a sample of all languages"),
    "apply-bpe": ("wikixlm.bpe.apply", "segment one shard or one held-out split"),
    "concatenate": ("wikixlm.bpe.concatenate", "join the segmented shards of one language"),
    "segmentation": (
        "wikixlm.bpe.statistics",
        "tokens per word, whole words and unknown characters by language",
    ),
    "vocabulary": ("wikixlm.bpe.vocabulary", "merge symbol counts into the joint vocabulary"),
    "binarize": ("wikixlm.binarize.binarize", "run fairseq-preprocess on one language"),
    "dictionary": ("wikixlm.binarize.dictionary", "check that all languages share one dictionary and write dict.txt"),
    "train": ("wikixlm.train.command", "train the masked language model with fairseq"),
    "evaluate": ("wikixlm.evaluate.command", "masked-token perplexity per language beside the unigram baseline"),
    "download-xnli": ("wikixlm.download.xnli", "download XNLI: resumable, polite, the same content every time"),
    "prepare-xnli": ("wikixlm.finetune.prepare_xnli", "XNLI's examples in the model's languages"),
    "finetune": (
        "wikixlm.finetune.command",
        "fine-tune the exported model to classify texts or pairs",
    ),
    "score-xnli": ("wikixlm.finetune.xnli_table", "XNLI's table: accuracy per language, over seeds, and the gap"),
    "provenance": ("wikixlm.provenance.manifest", "what a model was made of: sources, configuration, versions, hashes"),
    "export": ("wikixlm.export.command", "write the model as a Hugging Face directory for transformers"),
    "fill": ("wikixlm.hf.fill", "have the model fill in [MASK] in a sentence"),
    "embed": ("wikixlm.hf.embed", "vectors of sentences, a line each, as a NumPy array"),
    "retrieve": ("wikixlm.hf.retrieve", "nearest-neighbour accuracy between the sentences of two languages"),
    "verify": ("wikixlm.provenance.verify", "compare a run's files with the manifest of its model"),
    "plan": ("wikixlm.plan.command", "what a run will need: downloads, disk, hours, jobs"),
    "status": ("wikixlm.workflow.status", "how far a run is: languages by stages, what failed, time left"),
    "report": ("wikixlm.report.command", "one HTML page on a run, finished or not: data, learning, cost"),
    "summary": ("wikixlm.report.summary", "where the model is, its perplexities, and what to type next"),
}


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Show defaults, keep the line breaks of descriptions."""


def build_parser(stages: list[str]) -> argparse.ArgumentParser:
    """The parser with the arguments of `stages` filled in; the others keep their one-line help only."""
    parser = argparse.ArgumentParser(prog="wikixlm", description=__doc__.splitlines()[0], formatter_class=HelpFormatter)
    parser.add_argument("--version", action="version", version=f"wikixlm {__version__}")
    commands = parser.add_subparsers(dest="stage", metavar="STAGE", required=True)
    for name, (module_name, summary) in STAGES.items():
        if name not in stages:
            commands.add_parser(name, help=summary)
            continue
        module = importlib.import_module(module_name)
        command = commands.add_parser(name, help=summary, description=module.__doc__, formatter_class=HelpFormatter)
        command.add_argument("--log", type=Path, help="write the details to this file; the terminal gets errors only")
        module.add_arguments(command)
        command.set_defaults(main=module.main)
    return parser


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """Turn SIGTERM into an exception, so that temporary files are removed and child processes ended."""
    raise SystemExit(128 + number)


def main(arguments: list[str] | None = None) -> None:
    """Run one stage; exit 1 with an `error: ` line when it fails."""
    console.open_closed_streams()
    argv = sys.argv[1:] if arguments is None else arguments
    args = build_parser([word for word in argv[:1] if word in STAGES]).parse_args(argv)
    processes.import_nothing_from_here()
    signal.signal(signal.SIGTERM, _stop)
    processes.end_with_snakemake()
    try:
        if args.log:
            # The log's first line is for the model's manifest.
            console.open_log(args.log, json.dumps({"command": ["wikixlm", *argv], "version": __version__}))
        console.start_logging()
        args.main(args)
    except UserError as failure:
        logging.debug("", exc_info=True)
        console.error(str(failure))
        sys.exit(failure.status)
    except KeyboardInterrupt:
        console.error(f"{args.stage} was interrupted")
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except MemoryError:
        console.error(f"{args.stage} ran out of memory; give the job more (mem_mb in the profile) and run again")
        sys.exit(1)
    except Exception as failure:
        with contextlib.suppress(OSError):
            traceback.print_exc()
        where = f"the traceback is in {args.log}" if args.log else "the traceback is above"
        console.error(f"{args.stage} failed unexpectedly: {type(failure).__name__}: {failure}; {where}")
        sys.exit(1)


if __name__ == "__main__":
    main()
