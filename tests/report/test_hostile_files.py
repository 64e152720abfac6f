"""Text from a run's files is shown as text, and damaged files are errors of one line."""

import json

import pytest

from tests.support.reports import CONFIGURATION, make_run, make_text, perplexities
from wikixlm.errors import UserError
from wikixlm.files import read_json
from wikixlm.report.command import report
from wikixlm.report.run_files import RunFiles
from wikixlm.report.run_tables import perplexity

MARKUP = '"><script>document.title="run"</script><img src=x onerror=alert(1)>'


def make_hostile_run(directory):
    """A run whose titles, file names, configuration and splits hold markup and control characters."""
    make_run(directory)
    counts = directory / "work" / "counts" / "extract" / "de" / "00000-of-00001.json"
    titles = {"77": f"{MARKUP} $x$ \x1b[31m\u202e**bold** \ud800"}
    counts.write_text(json.dumps(read_json(counts) | {"skipped_titles": titles}))
    manifest = directory / "models" / "mlm" / "manifest.json"
    values = read_json(manifest)
    values["configuration"]["train"]["tracker"] = MARKUP
    values["sources"]["ka"][0]["path"] = f"/home/me/{MARKUP}.txt"
    values["packages"][MARKUP] = MARKUP
    values["git_commit"] = MARKUP
    manifest.write_text(json.dumps(values))
    table = directory / "evaluation" / "mlm_perplexity.tsv"
    table.write_text(table.read_text().replace("\ttest\t", f"\t{MARKUP}$\\frac$\t".replace('"', "'")))
    return directory


@pytest.mark.attack(
    "report",
    "HTML, scripts, Markdown and control characters in titles, values of the configuration, paths and names of splits",
    "shown as text in report.html",
)
def test_markup_and_control_characters_are_text(tmp_path):
    directory = make_hostile_run(tmp_path / "run")
    report(directory, None, tmp_path / "report.html", tmp_path / "report")
    html = (tmp_path / "report.html").read_text()
    assert "<script" not in html
    assert "<img" not in html
    assert "\x1b" not in html and "\u202e" not in html
    assert "\\x1b[31m\\u202e**bold** \\ud800" in html


def test_a_folder_of_dumps_that_is_empty_is_a_run_that_has_begun(tmp_path):
    (tmp_path / "dumps" / "en").mkdir(parents=True)
    report(tmp_path, None, tmp_path / "report.html", tmp_path / "report")
    assert "Not yet: no pages have been counted" in (tmp_path / "report.html").read_text()


@pytest.mark.attack(
    "run",
    "a table of the evaluation that was cut short",
    "one line names it",
)
@pytest.mark.parametrize("keep", [0.3, 0.7, 0.99])
def test_a_table_that_is_cut_short_is_an_error_that_names_it(tmp_path, keep):
    make_text(tmp_path)
    perplexities(tmp_path, {"en": (50.0, 100.0)})
    path = tmp_path / "evaluation" / "mlm_perplexity.tsv"
    text = path.read_bytes()
    path.write_bytes(text[: int(keep * len(text))])
    with pytest.raises(UserError, match=r"mlm_perplexity.tsv (is damaged|has no column).*; delete it and run again"):
        perplexity(RunFiles(tmp_path, CONFIGURATION))
