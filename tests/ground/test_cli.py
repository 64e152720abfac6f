"""The wikixlm command: help for every stage, one line for every failure, details in the log."""

import importlib
import re
import shlex
import subprocess
import sys

import pytest

from wikixlm import cli
from wikixlm.cli import STAGES, build_parser
from wikixlm.commands import COMMANDS, GROUPS
from wikixlm.report import summary


def wikixlm(*arguments, cwd=None):
    command = [sys.executable, "-m", "wikixlm", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, check=False)


def test_the_help_lists_every_stage_with_a_line():
    shown = wikixlm("--help").stdout
    assert "usage: wikixlm COMMAND" in shown
    for name, (_, line) in STAGES.items():
        assert name in shown
        assert line.split()[0] in shown


def test_the_help_has_every_command_in_its_group(capsys):
    with pytest.raises(SystemExit):
        build_parser([]).parse_args(["--help"])
    sections = re.split(r"\n(?=\S.*:\n)", capsys.readouterr().out)
    for title, group in GROUPS.items():
        (section,) = [text for text in sections if text.startswith(f"{title}:")]
        assert re.findall(r"^  (\S+)", section, re.M) == list(group)


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_explains_itself(stage, capsys):
    module = importlib.import_module(STAGES[stage][0])
    with pytest.raises(SystemExit) as ended:
        build_parser([stage]).parse_args([stage, "--help"])
    shown = capsys.readouterr().out
    assert ended.value.code == 0
    assert module.__doc__.strip().splitlines()[0].split()[0] in shown
    assert "--log" in shown
    assert "(default: None)" not in shown and "(default: [])" not in shown


@pytest.mark.parametrize("stage", STAGES)
def test_the_example_of_every_help_is_a_call(stage):
    example = COMMANDS[stage].example
    shown = re.sub(r"\s+", " ", build_parser([stage])._subparsers._group_actions[0].choices[stage].format_help())
    assert re.sub(r"\s+", " ", example) in shown
    words = shlex.split(example)
    assert words[:2] == ["wikixlm", stage]
    assert build_parser([stage]).parse_args(words[1:]).main


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["tokenise"],
            "error: no such command: 'tokenise'; did you mean tokenize?; wikixlm --help shows what there is",
        ),
        (["plan", "--devise", "H100"], "error: --devise H100: no such argument; did you mean --device?; wikixlm plan"),
        (["dumps", "lst"], "error: argument ACTION: invalid choice: 'lst'; did you mean list?; wikixlm dumps --help"),
        (["summary", "--directory"], "error: argument --directory: expected one argument; wikixlm summary --help"),
        ([], "error: the following arguments are required: COMMAND; wikixlm --help"),
    ],
)
def test_a_mistyped_word_is_one_line_with_what_was_meant(words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        build_parser(words[:1]).parse_args(words)
    assert ended.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(said)


def test_the_cpu_stages_start_without_torch():
    program = (
        "import sys; from wikixlm.cli import build_parser\n"
        "build_parser(['extract', 'tokenize', 'split', 'apply-bpe', 'summary'])\n"
        "assert 'torch' not in sys.modules and 'fairseq' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_an_error_is_one_line_on_the_terminal_and_in_the_log(tmp_path):
    done = wikixlm("summary", "--directory", "nowhere", "--log", tmp_path / "logs" / "summary.log", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: nowhere/models/mlm/model.pt does not exist")
    assert line in (tmp_path / "logs" / "summary.log").read_text()


def test_an_unexpected_failure_names_the_log_and_keeps_the_traceback_there(tmp_path):
    program = (
        "from wikixlm import cli; from wikixlm.report import summary\n"
        "summary.main = lambda args: {}['language']\n"
        f"cli.main(['summary', '--log', {str(tmp_path / 'summary.log')!r}])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: summary failed unexpectedly: KeyError") and "summary.log" in line
    assert "Traceback" in (tmp_path / "summary.log").read_text()


@pytest.mark.parametrize(
    ("failure", "line"),
    [
        ((28, "No space left on device"), "error: summary: No space left on device; make room, then run the same"),
        (
            (24, "Too many open files", "a.txt"),
            "error: a.txt: Too many open files; too few files may be open (ulimit -n)",
        ),
        ((13, "Permission denied", "a.txt"), "error: a.txt: Permission denied"),
    ],
)
def test_what_the_system_refuses_is_said_in_its_own_words(failure, line, monkeypatch, capsys):
    def refused(args):
        raise OSError(*failure)

    monkeypatch.setattr(summary, "main", refused)
    with pytest.raises(SystemExit):
        cli.main(["summary"])
    assert [each for each in capsys.readouterr().err.splitlines() if each.startswith(line)]


def test_a_stage_that_does_not_exist_is_refused():
    done = wikixlm("tokenise")
    assert done.returncode == 2
    assert "tokenise" in done.stderr


@pytest.mark.parametrize(
    ("log", "reason"), [("/dev/full", "No space left on device"), ("/proc/x/y.log", "No such file")]
)
def test_a_log_that_cannot_be_written_is_one_line(log, reason):
    done = wikixlm("summary", "--log", log)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: cannot write the log {log}: {reason}")


def test_a_closed_standard_error_does_not_end_in_the_output(tmp_path):
    words = [sys.executable, "-m", "wikixlm", "summary", "--directory", tmp_path, "--log", tmp_path / "summary.log"]
    command = f"exec {shlex.join(map(str, words))} 2>&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "error: " in (tmp_path / "summary.log").read_text()
