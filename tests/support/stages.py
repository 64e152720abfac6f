"""Run a stage in the test's own process."""

from wikixlm.cli import build_parser


def run_stage(*words: object) -> None:
    """Run `wikixlm WORDS`, with its errors as exceptions."""
    arguments = [str(word) for word in words]
    args = build_parser(arguments[:1]).parse_args(arguments)
    args.main(args)
