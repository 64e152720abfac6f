"""The dump that the tests download, and the command as a process of its own."""

import functools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.wikimedia_server import WikimediaServer, multistream
from wikixlm.download.client import RetryPolicy

CONTACT = "tests@example.org"
QUICK_POLICY = RetryPolicy(retries=3, backoff=0.01, stall_timeout=1)
QUICK = ["--retries", "3", "--backoff", "0.01", "--stall", "1", "--contact", CONTACT]
NAME = "dewiki-20261101-pages-articles-multistream.xml.bz2"
DUMP = multistream(400, seed=1)

Download = Callable[..., dict[str, Any]]


def start(
    server: WikimediaServer,
    folder: Path,
    *options: str,
    extra_path: Path | None = None,
    stderr: int = subprocess.PIPE,
    **variables: str,
) -> "subprocess.Popen[str]":
    """Start `wikixlm download` as a process of its own; `extra_path` goes first on its module path."""
    command = [sys.executable, "-m", "wikixlm", "download", "--output", str(folder / "manifest.json")]
    command += ["--language", folder.name, "--mirrors", server.url, *QUICK, *options]
    paths = [path for path in (extra_path, Path(__file__).parents[2]) if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), **variables}
    # A shell that runs the tests in the background has them ignore SIGINT, and so their children.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    return subprocess.Popen(command, env=environment, stderr=stderr, text=True, preexec_fn=heed)


def no_bad_file(folder: Path) -> bool:
    """Whether nothing lies under the dump's name but the dump."""
    target = folder / NAME
    return not target.exists() or target.read_bytes() == DUMP
