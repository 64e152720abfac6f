"""What is refused before the first job starts; tests/mistakes makes the ones of the configuration."""

import os
import time
from types import SimpleNamespace

import pytest
from snakemake_interface_common.exceptions import WorkflowError

from wikixlm.workflow import preflight


def planned(*jobs):
    """Snakemake's workflow with these jobs to run, each of inputs and outputs."""
    jobs = [
        SimpleNamespace(input=[str(path) for path in read], output=[str(path) for path in made]) for read, made in jobs
    ]
    return SimpleNamespace(dag=SimpleNamespace(needrun_jobs=lambda: jobs))


@pytest.mark.attack(
    "machine",
    "a clock that was set back, or a source with a time stamp of the future",
    "refused before the first job, with the file's name",
)
def test_an_input_of_the_future_is_refused(tmp_path, capsys):
    text, old, made = tmp_path / "my text", tmp_path / "old", tmp_path / "made"
    for path in (text, old, made):
        path.touch()
    preflight.must_not_read_the_future(planned(([text, old], [made]), ([made, tmp_path / "missing"], [])))
    os.utime(made, (2e9, 2e9))  # it is made anew
    preflight.must_not_read_the_future(planned(([text, old], [made]), ([made], [])))
    os.utime(text, (time.time() + 300, time.time() + 300))
    with pytest.raises(WorkflowError):
        preflight.must_not_read_the_future(planned(([old], [made]), ([text], [])))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {text} was changed at ") and f"touch '{text}'" in line
