"""The report's page: the four answers, what a run that has not ended shows, and the command."""

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from tests.support.reports import CONFIGURATION, make_run, make_text, make_training, perplexities
from wikixlm.files import read_json, write_json
from wikixlm.report import answers, run_tables, text_tables
from wikixlm.report.command import report
from wikixlm.report.run_files import RunFiles


class Page(HTMLParser):
    """What the tests look at: links, ids, the text of headings and the whole text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [str(given[name]) for name in ("href", "src", "xlink:href") if name in given]
        self.ids += [str(given["id"])] if "id" in given else []

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    directory = make_run(tmp_path_factory.mktemp("a run"))
    report(directory, None, directory / "report.html", directory / "report")
    return directory


def answer(run: RunFiles, number: int) -> answers.Answer:
    return answers.answers(run)[number]


def test_the_four_answers_of_a_finished_run(finished):
    data, lost, learned, price = answers.answers(RunFiles(finished))
    assert data.short == "1,301 tokens"
    assert data.sentences.startswith("3 languages: en, de and ka, from Wikipedia dumps on disk (ka: text of your own).")
    assert "120 pages gave 62 articles with text and 133 paragraphs: 630 words" in data.sentences
    assert lost.short == "88.6 % of articles kept"
    assert lost.sentences == (
        "Dropped of 70 articles: 5 without text, 2 under extract.min_chars and 1 failed in extraction. "
        "50 more pages of the dumps are redirects or otherwise no articles. "
        "Dropped of 133 paragraphs: 2 without a token, 4 repeating held-out text and 1 twice in held-out text. "
        "Every page and paragraph is accounted for."
    )
    assert (learned.short, learned.good) == ("Yes", True)
    assert price.short == "30 min"
    assert "The jobs took 2 min 30 s one after another and 3 min 27 s of CPU time" in price.sentences
    assert "the training 8 min of GPU time; the largest (train_mlm) needed 2.1 GB of memory" in price.sentences


@pytest.mark.parametrize(
    ("figures", "short", "said"),
    [
        ({"en": (581, 604), "de": (700, 690)}, "Not yet", "it has not left the unigram plateau"),
        ({"en": (300, 604), "de": (700, 690)}, "In 1 of 2 languages", "but not in de (700 of 690)"),
        ({"en": (300, 604), "de": (100, 690)}, "Yes", "perplexity 200 against a unigram baseline of 647 (means"),
    ],
)
def test_whether_it_learned_is_told_by_the_baseline(tmp_path, figures, short, said):
    make_text(tmp_path)
    perplexities(tmp_path, figures)
    found = answer(RunFiles(tmp_path, CONFIGURATION), 2)
    assert found.short == short
    assert said in found.sentences


def test_a_training_under_way_says_how_far_it_is(tmp_path):
    make_text(tmp_path)
    make_training(tmp_path)
    found = answer(RunFiles(tmp_path, CONFIGURATION), 2)
    assert found.sentences == "Not evaluated yet. Training is at update 40 of 40; validation perplexity 260."


def test_missing_pages_are_said_first(tmp_path):
    make_text(tmp_path)
    path = tmp_path / "work" / "counts" / "extract" / "de" / "00000-of-00001.json"
    write_json(path, read_json(path) | {"pages": 15})
    found = answer(RunFiles(tmp_path, CONFIGURATION), 1)
    assert "3 are not accounted for" in found.sentences
    assert found.good is False


def test_the_page_has_every_section_figure_and_table(finished):
    html = (finished / "report.html").read_text()
    page = Page(html)
    for section in (
        "data",
        "flow",
        "sampling",
        "segmentation",
        "overlap",
        "training",
        "perplexity",
        "cost",
        "versions",
    ):
        assert section in page.ids
    assert html.count("<svg") == html.count("</svg>") == 16
    assert len(page.ids) == len(set(page.ids))
    tables = {link.removeprefix("report/") for link in page.links if link.endswith(".tsv")}
    assert tables == {path.name for path in (finished / "report").iterdir()}
    assert "Not yet: the model has not been fine-tuned" in page.text


def test_the_page_asks_for_nothing_and_runs_nothing(finished):
    html = (finished / "report.html").read_text()
    links = Page(html).links
    assert not [link for link in links if not re.match(r"#|report/\w+\.tsv$|data:,$", link)]
    assert "<script" not in html
    assert "@import" not in html


def test_titles_of_pages_are_text_and_no_markup(finished):
    html = (finished / "report.html").read_text()
    assert "Katze &lt;b&gt;(Tier)&lt;/b&gt;" in html
    assert "<b>(Tier)" not in html


def test_no_stand_in_colour_and_no_black_is_left_in_a_figure(finished):
    html = (finished / "report.html").read_text()
    assert "#fa57" not in html
    figures = "".join(re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL))
    assert not re.findall(r"#[0-9a-f]{6}\b", figures)


def test_a_table_read_back_is_the_one_computed(finished):
    run = RunFiles(finished)
    read = pd.read_csv(finished / "report" / "pages.tsv", sep="\t")
    assert list(read["documents"]) == list(text_tables.pages(run)["documents"])
    read = pd.read_csv(finished / "report" / "perplexity.tsv", sep="\t")
    assert list(read["perplexity"]) == list(run_tables.perplexity(run)["perplexity"])


@pytest.mark.parametrize("stage", ["extract", "split", "all text"])
def test_a_run_that_has_only_begun_says_what_is_missing(tmp_path, stage):
    make_text(tmp_path)
    for name in {"extract": ["split", "vocabulary"], "split": ["vocabulary"], "all text": []}[stage]:
        for path in (tmp_path / "work" / name).rglob("*.*"):
            path.unlink()
    if stage != "all text":
        for path in (tmp_path / "work" / "counts" / "apply_bpe").rglob("*.json"):
            path.unlink()
    report(tmp_path, None, tmp_path / "report.html", tmp_path / "report")
    page = Page((tmp_path / "report.html").read_text())
    assert "The run has not ended" in page.text
    assert "snakemake train_mlm" in page.text
    assert "snakemake evaluate_mlm" in page.text
    assert ("Not yet: no text has been segmented" in page.text) == (stage != "all text")


def test_one_language_and_a_training_without_validations(tmp_path):
    make_text(tmp_path)
    make_training_of_one(tmp_path)
    configuration = CONFIGURATION | {"languages": ["en"]}
    report(tmp_path, configuration, tmp_path / "report.html", tmp_path / "report")
    assert "With one language there is nothing to share." in (tmp_path / "report.html").read_text()


def make_training_of_one(directory: Path) -> None:
    folder = directory / "checkpoints" / "mlm"
    folder.mkdir(parents=True)
    row = (
        '{"split": "train", "update": 1, "loss": null, "lr": 0.1, "tokens_per_second": 5.0, "wall": 1.0, "epoch": 1}\n'
    )
    (folder / "metrics.jsonl").write_text(row)


def test_many_languages_fit_too(tmp_path):
    codes = "af ar az be bg bn bs ca cs cy da de el en eo es et eu fa fi fr ga gl".split()  # noqa: SIM905
    configuration = CONFIGURATION | {"languages": codes}
    make_text(tmp_path)
    perplexities(tmp_path, dict.fromkeys(codes, (10.0, 20.0)))
    report(tmp_path, configuration, tmp_path / "report.html", tmp_path / "report")
    page = Page((tmp_path / "report.html").read_text())
    assert "23 languages" in page.text


def test_a_table_that_is_no_longer_part_of_it_is_removed(finished, tmp_path):
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "xnli.tsv").write_text("an earlier one")
    report(finished, None, tmp_path / "page.html", tables)
    assert not (tables / "xnli.tsv").exists()
    assert 'href="tables/pages.tsv"' in (tmp_path / "page.html").read_text()


def test_xnli_is_shown_where_it_was_run(tmp_path):
    make_text(tmp_path)
    (tmp_path / "evaluation").mkdir()
    rows = [("en", "valid", "1", 9, 0.9, 0.0), ("en", "test", "1", 9, 0.70, 0.0), ("en", "test", "2", 9, 0.72, 0.0)]
    rows += [("en", "test", "mean", 9, 0.71, 0.0), ("de", "test", "mean", 9, 0.62, 0.09)]
    rows += [("mean", "test", "mean", 18, 0.665, 0.09), ("en", "test", "std", 9, 0.014, 0.0)]
    lines = ["language\tsplit\tseed\texamples\taccuracy\tgap", *("\t".join(map(str, row)) for row in rows)]
    (tmp_path / "evaluation" / "xnli.tsv").write_text("\n".join(lines) + "\n")
    run = RunFiles(tmp_path, CONFIGURATION)
    assert list(run_tables.xnli_test(run_tables.xnli(run))["accuracy"]) == [0.71, 0.62]
    report(tmp_path, CONFIGURATION, tmp_path / "report.html", tmp_path / "report")
    html = (tmp_path / "report.html").read_text()
    assert "9.0 points" in html
    assert 'aria-label="Test accuracy, mean of the seeds of each language."' in html
    assert len((tmp_path / "report" / "xnli.tsv").read_text().splitlines()) == 8


def test_the_command_needs_no_more_than_the_directory(finished):
    (finished / "report.html").unlink()
    command = [sys.executable, "-m", "wikixlm", "report", "--directory", str(finished)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"report: {finished / 'report.html'}\n"
    assert (finished / "report.html").is_file()
