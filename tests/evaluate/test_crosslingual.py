"""Retrieval of translations beside baselines: the figures by hand, the command on a real model, the report's answer."""

import numpy as np
import pytest

from tests.support import reports
from wikixlm.cli import main
from wikixlm.config import BASE_CONFIG, load
from wikixlm.config.crosslingual import Crosslingual
from wikixlm.errors import UserError
from wikixlm.evaluate.crosslingual import (
    CrosslingualRow,
    Representation,
    best_representation,
    bootstrap_interval,
    halves,
    measure_direction,
)
from wikixlm.hf.retrieve import EncodedTexts
from wikixlm.hf.sentence_vectors import SentenceEmbedder
from wikixlm.report.answers import shared_space
from wikixlm.report.run_files import RunFiles

COLUMNS = [
    "task",
    "source",
    "target",
    "sentences",
    "layer",
    "centred",
    "score",
    "accuracy",
    "lowest",
    "highest",
    "chance",
    "length",
    "surface",
]


def sides(count: int = 60) -> tuple[EncodedTexts, EncodedTexts]:
    """Layer 0 holds noise; layer 1 the same meaning in both languages, far apart until each is centred."""
    rng = np.random.default_rng(0)
    meaning = rng.standard_normal((count, 16))
    made = []
    for number, lang in enumerate(("en", "el")):
        noise = rng.standard_normal((count, 16))
        shifted = meaning + 0.1 * rng.standard_normal((count, 16)) + 40 * np.eye(16)[number]
        vectors = np.stack([noise, shifted], axis=1).astype(np.float32)
        lines = [f"{lang} {n}" for n in range(count)]
        # Symbol 5 is everywhere; the others are the language's own.
        made.append(EncodedTexts(lang, lines, [[5, 10 + 100 * number + n % 7] for n in range(count)], vectors))
    return made[0], made[1]._replace(lines=made[0].lines)


def test_the_layer_and_the_centring_that_find_most_are_chosen():
    assert best_representation(*sides()) == Representation(1, True)
    source, target = sides()
    reversed_layers = [side._replace(vectors=side.vectors[:, ::-1]) for side in (source, target)]
    assert best_representation(*reversed_layers) == Representation(0, True)


def test_a_direction_has_its_figures_and_its_baselines():
    source, target = sides()
    cosine, csls = measure_direction(source, target, Representation(1, True), seed=0)
    assert (cosine.score, csls.score) == ("cosine", "csls")
    assert csls.accuracy == csls.lowest == csls.highest == 1
    assert cosine[1:6] == ("en", "el", 60, 1, True)
    # All sentences are equally long and share one symbol: no better than a guess.
    assert [cosine.chance, cosine.length, cosine.surface] == pytest.approx([1 / 60] * 3)
    noise = measure_direction(source, target, Representation(0, False), seed=0)[1]
    assert noise.accuracy < 0.2 and noise.lowest <= noise.accuracy <= noise.highest


def test_the_halves_are_disjoint_and_depend_on_the_seed():
    first, second = halves(101, 0)
    assert sorted([*first, *second]) == list(range(101))
    assert len(first) == 50
    assert halves(101, 0)[0].tolist() == first.tolist() != halves(101, 1)[0].tolist()


def test_the_interval_is_that_of_resampled_sentences():
    found = np.arange(400) % 4 == 0
    lowest, highest = bootstrap_interval(found, 0)
    rng = np.random.default_rng(1)
    shares = [rng.choice(found, 400).mean() for _ in range(3000)]
    assert [lowest, highest] == pytest.approx(np.quantile(shares, [0.025, 0.975]), abs=0.01)


def test_every_layer_is_the_mean_of_its_states(run):
    embedder = SentenceEmbedder(run.export, "en")
    layers, empty = embedder.embed_layers(run.raw["en"][:3])
    last, _ = embedder.embed(run.raw["en"][:3])
    assert layers.shape[:2] == (3, embedder._model.config.num_hidden_layers + 1)
    assert not empty
    np.testing.assert_allclose(layers[:, -1], last, rtol=1e-6)


def test_the_command_writes_both_directions_and_refuses_what_can_not_be(run, tmp_path, capsys):
    lines = [f"Line {number} of the text." for number in range(40)]
    files = [tmp_path / "a", tmp_path / "b"]
    for path in files:
        path.write_text("".join(f"{line}\n" for line in lines))
    table = tmp_path / "table.tsv"
    words = ["crosslingual", "--export", str(run.export), "--device", "cpu", "--output", str(table)]
    main([*words, "--pair", "en", "bg", *map(str, files)])
    printed = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0].strip() for line in printed[1:]] == ["en → bg", "bg → en"]
    header, *rows = [line.split("\t") for line in table.read_text().splitlines()]
    assert header == COLUMNS == list(CrosslingualRow._fields)
    assert [row[1:3] + row[6:7] for row in rows] == [
        [*languages, score] for languages in (["en", "bg"], ["bg", "en"]) for score in ("cosine", "csls")
    ]
    assert all(row[3] == "20" and float(row[12]) > 0.5 for row in rows), "the same text shares its symbols"

    def error(*pair):
        table.unlink(missing_ok=True)
        with pytest.raises(SystemExit):
            main([*words, "--pair", *map(str, pair)])
        assert not table.exists()
        (line,) = capsys.readouterr().err.splitlines()
        return line

    assert "not trained on de" in error("en", "de", *files)
    files[1].write_text("one\n" * 39)
    assert f"{files[0]} 40 and {files[1]} 39" in error("en", "bg", *files)
    files[1].write_text("one\n" * 39 + " \n")
    assert f"{files[1]}: 1 lines have no text" in error("en", "bg", *files)
    for path in files:
        path.write_text("one\n" * 5)
    assert "has 5 lines; at least 20" in error("en", "bg", *files)


@pytest.mark.parametrize(
    ("name", "pair"),
    [
        ("el", ("en", "el")),
        ("el-en", ("el", "en")),
        ("be-x-old-zh-yue", ("be-x-old", "zh-yue")),
        ("zh-yue", ("en", "zh-yue")),
    ],
)
def test_a_pair_is_read_from_its_name(tmp_path, name, pair):
    file = tmp_path / "x"
    file.touch()
    section = Crosslingual(retrieval={name: [str(file)] * 2}, seed=0)
    (found,) = section.pairs(["en", "el", "be-x-old", "zh-yue"])
    assert (found.source, found.target) == pair


@pytest.mark.parametrize(
    ("retrieval", "message"),
    [
        ({"de": ["{x}", "{x}"]}, "de names no two languages of the run"),
        ({"en": ["{x}", "{x}"]}, "en names no two languages of the run"),
        ({"el": ["{x}", "{x}"], "el-en": ["{x}", "{x}"]}, "el and el-en are the same pair"),
        ({"el": ["{x}"]}, "crosslingual.retrieval.el"),
        ({"el": ["{x}", "missing"]}, "missing"),
    ],
)
def test_a_wrong_pair_is_one_error_of_the_configuration(tmp_path, retrieval, message):
    file = tmp_path / "x"
    file.touch()
    given = {name: [path.format(x=file) for path in paths] for name, paths in retrieval.items()}
    with pytest.raises(UserError, match=message):
        load(BASE_CONFIG, {"languages": ["en", "el"], "crosslingual": {"retrieval": given}})


@pytest.mark.parametrize(
    ("accuracies", "short", "good"),
    [
        ((0.9, 0.8), "Yes", True),
        ((0.9, 0.25), "In 1 of 2 directions", False),
        ((0.1, 0.25), "Not above the baseline", False),
    ],
)
def test_the_report_answers_whether_languages_share_a_space(tmp_path, accuracies, short, good):
    directory = reports.make_run(tmp_path / "run")
    run = RunFiles(directory)
    assert shared_space(run) == []
    rows = [
        ("retrieval", *pair, 500, 3, 1, "csls", value, value - 0.05, value + 0.05, 0.002, 0.004, 0.24)
        for pair, value in zip((("en", "de"), ("de", "en")), accuracies, strict=True)
    ]
    path = directory / "evaluation" / "crosslingual.tsv"
    path.write_text("\n".join("\t".join(map(str, row)) for row in (COLUMNS, *rows)) + "\n")
    (answer,) = shared_space(run)
    assert (answer.short, answer.good) == (short, good)
    assert "best baseline 24" in answer.sentences
    main(["report", "--directory", str(directory)])
    page = (directory / "report.html").read_text()
    assert "Do the languages share a space?" in page and "en → de" in page
