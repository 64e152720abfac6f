"""The `wikixlm` command: one subcommand for each stage, and those for people.

A stage's module has `add_arguments(parser)` and `main(args)`; it is imported only when its command is called, so that
the CPU stages start without torch.
"""

import argparse
import contextlib
import difflib
import importlib
import json
import logging
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from wikixlm import __version__, console, processes
from wikixlm.commands import COMMANDS, GROUPS
from wikixlm.errors import UserError, describe

STAGES = {name: (command.module, command.summary) for name, command in COMMANDS.items()}


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Show defaults that mean something, keep the line breaks of descriptions."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        shown = super()._get_help_string(action)
        named = "(default" in (action.help or "")
        return action.help if named or action.default in (None, "", [], False) else shown


class Parser(argparse.ArgumentParser):
    """A parser that ends with one `error: ` line, and says what may have been meant."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"formatter_class": HelpFormatter, **options})

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """The arguments; one that is not known is an error with the nearest one that is."""
        known, unknown = self.parse_known_args(args, namespace)
        if unknown:
            chosen = list(self._chosen(vars(known)))
            options = [name for parser in chosen for name in parser._option_string_actions]
            hint = _did_you_mean(unknown[0].partition("=")[0], options)
            chosen[-1].error(f"{' '.join(unknown)}: no such argument{hint}")
        return known

    def _chosen(self, given: Mapping[str, Any]) -> Iterator[argparse.ArgumentParser]:
        """This parser and those of the subcommands that were called."""
        yield self
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction) and (chosen := given.get(action.dest)):
                parser = action.choices[chosen]
                yield from parser._chosen(given) if isinstance(parser, Parser) else [parser]

    def error(self, message: str) -> NoReturn:
        """Exit with status 2, without the whole usage."""
        wrong = re.match(r"argument \S+: invalid choice: '([^']*)' \(choose from (.*)\)$", message)
        if wrong and (hint := _did_you_mean(wrong[1], re.findall(r"[\w-]+", wrong[2]))):
            message = f"{message.partition(' (choose')[0]}{hint}"
        message = message.replace("argument COMMAND: invalid choice:", "no such command:")
        self.exit(2, f"error: {message}; {self.prog} --help shows what there is\n")


def _did_you_mean(wrong: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(wrong, list(known), n=1)
    return f"; did you mean {near[0]}?" if near else ""


def build_parser(stages: list[str]) -> argparse.ArgumentParser:
    """The parser with the arguments of `stages` filled in; the others keep their one-line help only."""
    parser = Parser(prog="wikixlm", usage="wikixlm COMMAND …", description=_overview())
    parser.add_argument("--version", action="version", version=f"wikixlm {__version__}")
    commands = parser.add_subparsers(dest="stage", metavar="COMMAND", required=True, help=argparse.SUPPRESS)
    for name, (module_name, summary, example) in COMMANDS.items():
        if name not in stages:
            commands.add_parser(name, prog=f"wikixlm {name}")
            continue
        module = importlib.import_module(module_name)
        command = commands.add_parser(
            name,
            prog=f"wikixlm {name}",
            description=module.__doc__ or summary,
            epilog=f"example:\n  {example}",
        )
        command.add_argument("--log", type=Path, help="write the details to this file; the terminal gets errors only")
        module.add_arguments(command)
        command.set_defaults(main=module.main)
    return parser


def _overview() -> str:
    """All commands in their groups, a line each."""
    lines = ["Wikipedia in N languages in, a cross-lingual masked language model out.", ""]
    lines += ["A run is started by snakemake (README.md); these commands are for before, beside and after it.", ""]
    for title, group in GROUPS.items():
        lines += [f"{title}:", *(f"  {name:<17} {command.summary}" for name, command in group.items()), ""]
    return "\n".join([*lines, "`wikixlm COMMAND --help` explains a command, with an example."])


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
        if isinstance(failure, OSError) and failure.strerror:
            console.error(describe(failure) if failure.filename else f"{args.stage}: {describe(failure)}")
            sys.exit(1)
        where = f"the traceback is in {args.log}" if args.log else "the traceback is above"
        console.error(f"{args.stage} failed unexpectedly: {type(failure).__name__}: {failure}; {where}")
        sys.exit(1)


if __name__ == "__main__":
    main()
