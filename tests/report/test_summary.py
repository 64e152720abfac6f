"""The last lines of the demo: where the model is, and its perplexities with their intervals."""

from tests.support.reports import make_run
from wikixlm.report.summary import describe


def test_perplexities_have_their_interval_and_tokens(tmp_path):
    lines = describe(make_run(tmp_path / "run")).splitlines()
    header = next(line for line in lines if line.startswith("test "))
    assert header.split("  ")[0] == "test" and "95 % interval" in header
    (row,) = [line.split() for line in lines if line.startswith("en ")]
    assert row == ["en", "50.0", "41", "to", "61", "100", "100.0"]
    assert "can't be compared" in lines[-1]
