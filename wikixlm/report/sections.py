"""The sections of the page, from the data to the cost: what each one says, shows and tabulates."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from wikixlm import formatting
from wikixlm.report import cost, figures, model, setup, text, wording
from wikixlm.report.page import Section, Table
from wikixlm.report.run import Run

# What becomes of a page or a line, in the order of the bars, with its name in the legend.
PAGES = {
    "documents": "article with text",
    "redirects": "redirect",
    "other_namespaces": "other namespace",
    "empty": "no text",
    "dropped_short": "too short",
    "other_models": "no wikitext",
    "skipped": "failed",
    "duplicates": "twice in the dump",
}
LINES = {
    "train": "train",
    "valid": "valid",
    "test": "test",
    "emptied": "no token",
    "repeats_held_out": "repeats held-out text",
    "repeated_in_held_out": "twice in held-out text",
}
PAIRS_SHOWN = 100  # rows of the table of shared vocabulary, beyond which the heat map must do


def sections(run: Run, defaults: Mapping[str, Any]) -> list[Section]:
    """All sections of the page, in its order."""
    return [
        _data(run, defaults), _flow(run), _sampling(run), _segmentation(run), _overlap(run), _training(run),
        _perplexity(run), _xnli(run), _cost(run), _versions(run),
    ]  # fmt: skip


def _table(name: str, title: str, frame: pd.DataFrame | None, **options: Any) -> list[Table]:
    return [] if frame is None or frame.empty else [Table(name, title, frame, **options)]


def _drawn(*drawings: Markup | None) -> list[Markup]:
    return [drawing for drawing in drawings if drawing is not None]


def _data(run: Run, defaults: Mapping[str, Any]) -> Section:
    changed = setup.configuration(run, defaults)
    if changed is None:
        said = wording.UNKNOWN
    elif changed.empty:
        said = f"The configuration is the default one, config.yaml. {wording.CONFIGURATION}"
    else:
        said = (
            f"{len(changed)} keys of the configuration differ from the defaults in config.yaml. {wording.CONFIGURATION}"
        )
    tables = _table("sources", "Sources", setup.sources(run), hidden=("address",))
    tables += _table("configuration", "Configuration, where it differs from the defaults", changed)
    return Section("data", "What ran", said, tables=tables)


def _flow(run: Run) -> Section:
    title, pages, lines, flow = "From pages to tokens", text.pages(run), text.lines(run), text.flow(run)
    if pages is None or flow is None:
        return Section("flow", title, missing="no pages have been counted", target="data")
    said = f"{wording.FLOW} {wording.OWN_TEXT}" if (pages["source"] == "own text").any() else wording.FLOW
    drawn = _drawn(
        figures.parts("pages", "Pages", pages, "pages", PAGES),
        None if lines is None else figures.parts("lines", "Paragraphs", lines, "lines", LINES),
        figures.amounts("tokens", "BPE tokens", flow, "tokens", "tokens of train, valid and test"),
    )
    tables = _table("flow", "The way of each language", flow, total=True)
    tables += _table("pages", "What became of the pages", pages, total=True)
    tables += _table("lines", "What became of the paragraphs", lines, total=True)
    tables += _table("skipped", "Pages that the extraction failed on", text.skipped(run))
    return Section("flow", title, said, drawn, tables)


def _sampling(run: Run) -> Section:
    title, frame = "Sampling of languages", text.sampling(run)
    if frame is None:
        return Section("sampling", title, missing="not every language has been split", target="data")
    said = wording.SAMPLING.format(bpe=_alpha(run, "bpe"), train=_alpha(run, "train"))
    sampled, drawn = "bpe_lines" in frame, []
    if run.setting("train", "recipe") == "tutorial":
        said += f" {wording.UNIFORM}"
    if run.setting("bpe", "codes_file"):
        said += f" {wording.FROZEN}"
    if sampled and frame["bpe_lines"].sum() >= frame["lines"].sum():
        said += f" {wording.ALL_TAKEN}"
    draw = figures.before_and_after
    if sampled:
        drawn.append(draw("bpe-sample", "BPE sample", frame, "share_of_lines", "share_of_bpe_lines", "of the sample"))
    if "blocks" in frame:
        drawn.append(
            draw("training-draws", "Training", frame, "share_of_blocks", "training_probability", "of the training")
        )
    return Section("sampling", title, said, drawn, _table("sampling", "Shares before and after alpha", frame))


def _alpha(run: Run, section: str) -> str:
    value = run.setting(section, "alpha")
    return "that is not recorded yet" if value is None else f"{value:g}"


def _segmentation(run: Run) -> Section:
    title, frame = "Words and BPE tokens", text.segmentation(run)
    if frame is None:
        return Section("segmentation", title, missing="no text has been segmented", target="data")
    train = frame[frame["split"] == "train"]
    label = "BPE tokens per word of the training text"
    drawn = figures.amounts("tokens-per-word", "Tokens per word", train, "tokens_per_word", label, "{:.2f}".format)
    tables = _table("segmentation", "Segmentation by language and split", frame)
    return Section("segmentation", title, wording.SEGMENTATION, _drawn(drawn), tables)


def _overlap(run: Run) -> Section:
    title, frame = "Shared vocabulary", text.overlap(run)
    if frame is None and len(run.languages) < 2:
        return Section("overlap", title, wording.NOTHING_TO_SHARE)
    if frame is None:
        return Section("overlap", title, missing="no two languages have their symbols counted", target="data")
    headings = {"shared_tokens": "tokens the other uses too", "common_mass": "common mass of the distributions"}
    shown = len(frame) <= PAIRS_SHOWN
    tables = _table("overlap", "Shared vocabulary of each pair", frame, headings=headings, shown=shown)
    return Section("overlap", title, wording.OVERLAP, [figures.heat_map("overlap", "Tokens shared", frame)], tables)


def _training(run: Run) -> Section:
    title, frame, held_out = "Training", model.training(run), model.validation(run)
    if frame is None:
        missing = "training has not begun; its curves can be drawn while it runs"
        return Section("training", title, missing=missing, target="train_mlm")
    goal, machine, baselines = run.setting("train", "max_update"), cost.hardware(run), model.baselines(run)
    said = f"Update {int(frame['update'].max()):,}" + (f" of {goal:,}" if goal else "")
    said += f", trained on {machine.where}. " if machine else ". "
    if held_out is not None:
        said += wording.BASELINE_DRAWN if baselines else wording.BASELINE_MISSING
    drawn = _drawn(
        figures.loss(frame, held_out),
        None if held_out is None else figures.perplexities(held_out, baselines),
        figures.curve("learning-rate", "Learning rate", frame, "lr", "learning rate"),
        figures.curve("speed", "Speed", frame, "tokens_per_second", "tokens per second"),
    )
    tables = _table("training", "Training, as logged", frame, shown=False)
    tables += _table("validation", "Validations", held_out, shown=False)
    return Section("training", title, said, drawn, tables)


def _perplexity(run: Run) -> Section:
    title, frame = "Perplexity beside the unigram baseline", model.perplexity(run)
    if frame is None:
        return Section("perplexity", title, missing="the model has not been evaluated", target="evaluate_mlm")
    drawn = []
    for split in frame["split"].unique():
        rows = frame[(frame["split"] == split) & (frame["language"] != "mean")]
        drawn.append(figures.beside_baseline(f"perplexity-{split}", split.capitalize(), rows))
    tables = _table("perplexity", "Perplexity", frame, headings={"tokens": "masked tokens"})
    return Section("perplexity", title, _dated(wording.PERPLEXITY, run, "mlm_perplexity.tsv"), drawn, tables)


def _dated(said: str, run: Run, name: str) -> str:
    return f"{said} {wording.OLDER}" if model.outdated(run, name) else said


def _xnli(run: Run) -> Section:
    frame = model.xnli(run)
    if frame is None:
        missing = "the model has not been fine-tuned, which is no part of the default target"
        return Section("xnli", "XNLI", missing=missing, target="finetune_xnli")
    test = model.xnli_test(frame)
    drawn = [] if test.empty else [figures.accuracies("xnli", "Test accuracy, mean of the seeds", test, chance=1 / 3)]
    tables = _table("xnli", "Accuracy by language, split and seed", frame)
    return Section("xnli", "XNLI", _dated(wording.XNLI, run, "xnli.tsv"), drawn, tables)


def _cost(run: Run) -> Section:
    stages, disk, drawn = cost.stages(run), cost.disk(run), []
    if stages is not None:
        minutes, memory = stages["wall_seconds"] / 60, stages["peak_mb"] * cost.MIB / 1e6
        drawn += _drawn(
            figures.amounts(
                *("time", "Time", stages.assign(shown=minutes), "shown", "minutes, all jobs"),
                lambda value: formatting.duration(60 * value),
            ),
            figures.amounts(
                "memory", "Memory", stages.assign(shown=memory), "shown", "MB, largest job", "{:,.0f}".format
            ),
        )
    named = disk.assign(folder=disk["folder"].str.rpartition("/")[2], shown=disk["size"] / 1e6)
    drawn += _drawn(figures.amounts("disk", "Disk", named, "shown", "MB", lambda value: formatting.size(value * 1e6)))
    tables = _table("stages", "Time and memory by stage", stages, total=True)
    tables += _table("disk", "Disk by folder", disk, total=True)
    return Section("cost", "Time, memory and disk", wording.COST, drawn, tables)


def _versions(run: Run) -> Section:
    frame = setup.versions(run)
    if frame is None:
        return Section("versions", "Versions", missing="they are recorded with the model", target="all")
    return Section("versions", "Versions", wording.VERSIONS, tables=_table("versions", "Code and packages", frame))
