"""The sections of the page, from the data to the cost: what each one says, shows and tabulates."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from markupsafe import Markup

from wikixlm import formatting
from wikixlm.report import figures, run_tables, text_tables
from wikixlm.report.page import Section, Table
from wikixlm.report.run_files import RunFiles
from wikixlm.workflow import job_costs

CONFIGURATION = (
    "Keys that only say where and how to run (contact, device, workers, …) shape no result and are left out."
)
UNKNOWN = "The configuration is not recorded yet: models/mlm/manifest.json comes after the training."
FLOW = (
    "Redirects, pages of other namespaces and pages that are not wikitext are not articles. An article may have no "
    "text once markup, tables and templates are gone. A paragraph is a line of the training text; it is dropped where "
    "no token is left of it, or where it repeats text of valid or test."
)
OWN_TEXT = "In a language made from text of your own, a line of it counts as a page and as an article."
SAMPLING = (
    "A language with n of the text is drawn in proportion to n^alpha, which lifts the small ones: BPE is learned from "
    "lines drawn with alpha {bpe}, training draws blocks of tokens with alpha {train}."
)
UNIFORM = "The recipe tutorial draws all languages equally in training, whatever alpha is."
FROZEN = "The BPE codes are an earlier run's; nothing was sampled for them."
ALL_TAKEN = (
    "The BPE sample took every line there is, because bpe.sample_lines asks for more: alpha had no effect on it."
)
SEGMENTATION = (
    "The fewer tokens a word takes, the more of the joint codes belong to its language. A language with many more "
    "tokens a word than the others is poorly covered: raise bpe.codes, or lower bpe.alpha to give small languages more "
    "of the sample."
)
OVERLAP = (
    "A cell is the share of the row's training tokens whose symbols the column's language uses too: symbols that are "
    "at least one in 100,000 of its own tokens. What languages share (names, numbers, punctuation, a common script) is "
    "what a joint model can tie them together with."
)
NOTHING_TO_SHARE = "With one language there is nothing to share."
BASELINE_DRAWN = (
    "A dashed line is the unigram baseline of the language in the same colour: a curve that flattens out there has not "
    "left the plateau."
)
BASELINE_MISSING = "The unigram baseline is drawn in once the model has been evaluated."
PERPLEXITY = (
    "Perplexity of masked tokens in text that training never saw; lower is better. The unigram baseline is the "
    "perplexity of knowing only how often each token of the language occurs: a model learns that first, and only below "
    "it has it begun to use context. Perplexities of different languages can't be compared: their tokens differ. "
    "Of few tokens a perplexity is uncertain: in 95 of 100 such samples it lies in the interval."
)
CROSSLINGUAL = (
    "How often the nearest sentence of the other language is the translation, among sentences that were not used to "
    "choose the layer. Chance, a sentence of the same length, and the sentence that shares the most symbols (names, "
    "numbers) need no model: only an interval above all of them shows something shared."
)
OLDER = "This table is older than models/mlm/model.pt: it describes an earlier model."
XNLI = (
    "Natural language inference: the model, fine-tuned on English alone, tested in each language. The gap is to "
    "English; chance is a third."
)
COST = (
    "Time of all jobs of a stage, one after another; many of them run at once. Of each job the last run is counted, of "
    "a resumed training all of it. Memory and CPU time of jobs under a second or two are measured too coarsely to mean "
    "much. Disk is what the run takes now; temporary shards are gone."
)
VERSIONS = "What the model was made with. Hashes of sources, data and model are in models/mlm/manifest.json."
REQUESTS = (
    "Beside it is what the jobs asked for. Where a request is far off, the last column has a better one: "
    "--set-resources STAGE:KEY=VALUE (threads: --set-threads STAGE=N), or in the profile."
)
NO_REQUESTS = "What the jobs asked for is unknown: work/events.jsonl is missing, which older versions did not write."

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
    "repeated_in_train": "twice in training text",
}
HOLES_SHOWN = 200
PAIRS_SHOWN = 100  # rows of the table of shared vocabulary, beyond which the heat map must do


def sections(run: RunFiles, defaults: Mapping[str, Any]) -> list[Section]:
    """All sections of the page, in its order."""
    return [
        _data(run, defaults), _flow(run), _sampling(run), _segmentation(run), _overlap(run), _training(run),
        _perplexity(run), _crosslingual(run), _xnli(run), _cost(run), _versions(run),
    ]  # fmt: skip


def _table(name: str, title: str, frame: pd.DataFrame | None, **options: Any) -> list[Table]:
    return [] if frame is None or frame.empty else [Table(name, title, frame, **options)]


def _fits(frame: pd.DataFrame | None, rows: int) -> bool:
    """Whether the page can show so long a table; its file is always written."""
    return frame is None or len(frame) <= rows


def _drawn(*drawings: Markup | None) -> list[Markup]:
    return [drawing for drawing in drawings if drawing is not None]


def _data(run: RunFiles, defaults: Mapping[str, Any]) -> Section:
    changed = run_tables.configuration(run, defaults)
    if changed is None:
        said = UNKNOWN
    elif changed.empty:
        said = f"The configuration is the default one, config.yaml. {CONFIGURATION}"
    else:
        said = f"{len(changed)} keys of the configuration differ from the defaults in config.yaml. {CONFIGURATION}"
    tables = _table("sources", "Sources", run_tables.sources(run), hidden=("address",))
    tables += _table("configuration", "Configuration, where it differs from the defaults", changed)
    return Section("data", "What ran", said, tables=tables)


def _flow(run: RunFiles) -> Section:
    title, pages, lines, flow = (
        "From pages to tokens",
        text_tables.pages(run),
        text_tables.lines(run),
        text_tables.flow(run),
    )
    if pages is None or flow is None:
        return Section("flow", title, missing="no pages have been counted", target="data")
    said = f"{FLOW} {OWN_TEXT}" if (pages["source"] == "own text").any() else FLOW
    drawn = _drawn(
        figures.parts("pages", "Pages", pages, "pages", PAGES),
        None if lines is None else figures.parts("lines", "Paragraphs", lines, "lines", LINES),
        figures.amounts("tokens", "BPE tokens", flow, "tokens", "tokens of train, valid and test"),
    )
    tables = _table("flow", "The way of each language", flow, total=True)
    tables += _table("pages", "What became of the pages", pages, total=True)
    tables += _table("lines", "What became of the paragraphs", lines, total=True)
    holes = text_tables.holes(run)
    tables += _table("blocks", "List items and headings", text_tables.blocks(run))
    tables += _table("holes", "Templates that left a hole in a sentence", holes, shown=_fits(holes, HOLES_SHOWN))
    tables += _table("skipped", "Pages that the extraction failed on", text_tables.skipped(run))
    return Section("flow", title, said, drawn, tables)


def _sampling(run: RunFiles) -> Section:
    title, frame = "Sampling of languages", text_tables.sampling(run)
    if frame is None:
        return Section("sampling", title, missing="not every language has been split", target="data")
    said = SAMPLING.format(bpe=_alpha(run, "bpe"), train=_alpha(run, "train"))
    sampled, drawn = "bpe_lines" in frame, []
    if run.setting("train", "recipe") == "tutorial":
        said += f" {UNIFORM}"
    if run.setting("bpe", "codes_file"):
        said += f" {FROZEN}"
    if sampled and frame["bpe_lines"].sum() >= frame["lines"].sum():
        said += f" {ALL_TAKEN}"
    draw = figures.before_and_after
    if sampled:
        drawn.append(draw("bpe-sample", "BPE sample", frame, "share_of_lines", "share_of_bpe_lines", "of the sample"))
    if "blocks" in frame:
        drawn.append(
            draw("training-draws", "Training", frame, "share_of_blocks", "training_probability", "of the training")
        )
    return Section("sampling", title, said, drawn, _table("sampling", "Shares before and after alpha", frame))


def _alpha(run: RunFiles, section: str) -> str:
    value = run.setting(section, "alpha")
    return "that is not recorded yet" if value is None else f"{value:g}"


def _segmentation(run: RunFiles) -> Section:
    title, frame = "Words and BPE tokens", text_tables.segmentation(run)
    if frame is None:
        return Section("segmentation", title, missing="no text has been segmented", target="data")
    train = frame[frame["split"] == "train"]
    label = "BPE tokens per word of the training text"
    drawn = figures.amounts("tokens-per-word", "Tokens per word", train, "tokens_per_word", label, "{:.2f}".format)
    tables = _table("segmentation", "Segmentation by language and split", frame)
    return Section("segmentation", title, SEGMENTATION, _drawn(drawn), tables)


def _overlap(run: RunFiles) -> Section:
    title, frame = "Shared vocabulary", text_tables.overlap(run)
    if frame is None and len(run.languages) < 2:
        return Section("overlap", title, NOTHING_TO_SHARE)
    if frame is None:
        return Section("overlap", title, missing="no two languages have their symbols counted", target="data")
    headings = {"shared_tokens": "tokens the other uses too", "common_mass": "common mass of the distributions"}
    shown = _fits(frame, PAIRS_SHOWN)
    tables = _table("overlap", "Shared vocabulary of each pair", frame, headings=headings, shown=shown)
    return Section("overlap", title, OVERLAP, [figures.heat_map("overlap", "Tokens shared", frame)], tables)


def _training(run: RunFiles) -> Section:
    title, frame, held_out = "Training", run_tables.training(run), run_tables.validation(run)
    if frame is None:
        missing = "training has not begun; its curves can be drawn while it runs"
        return Section("training", title, missing=missing, target="train_mlm")
    goal, machine, baselines = run.setting("train", "max_update"), run_tables.hardware(run), run_tables.baselines(run)
    said = f"Update {int(frame['update'].max()):,}" + (f" of {goal:,}" if goal else "")
    said += f", trained on {machine.where}. " if machine else ". "
    if held_out is not None:
        said += BASELINE_DRAWN if baselines else BASELINE_MISSING
    drawn = _drawn(
        figures.loss(frame, held_out),
        None if held_out is None else figures.perplexities(held_out, baselines),
        figures.curve("learning-rate", "Learning rate", frame, "lr", "learning rate"),
        figures.curve("speed", "Speed", frame, "tokens_per_second", "tokens per second"),
    )
    tables = _table("training", "Training, as logged", frame, shown=False)
    tables += _table("validation", "Validations", held_out, shown=False)
    return Section("training", title, said, drawn, tables)


def _perplexity(run: RunFiles) -> Section:
    title, frame = "Perplexity beside the unigram baseline", run_tables.perplexity(run)
    if frame is None:
        return Section("perplexity", title, missing="the model has not been evaluated", target="evaluate_mlm")
    drawn = []
    for split in frame["split"].unique():
        rows = frame[(frame["split"] == split) & (frame["language"] != "mean")]
        drawn.append(figures.beside_baseline(f"perplexity-{split}", split.capitalize(), rows))
    tables = _table(
        "perplexity", "Perplexity", frame, headings={"tokens": "masked tokens", "loss_error": "loss, standard error"}
    )
    return Section("perplexity", title, _dated(PERPLEXITY, run, "mlm_perplexity.tsv"), drawn, tables)


def _dated(said: str, run: RunFiles, name: str) -> str:
    return f"{said} {OLDER}" if run_tables.outdated(run, name) else said


def _crosslingual(run: RunFiles) -> Section:
    title, frame = "Do the languages share a space?", run_tables.crosslingual(run)
    if frame is None:
        missing = "no translations have been looked for; crosslingual.retrieval names parallel files"
        return Section("crosslingual", title, missing=missing, target="evaluate_crosslingual")
    rows = frame[frame["score"] == "csls"].copy()
    rows["pair"] = [f"{source} → {target}" for source, target in zip(rows["source"], rows["target"], strict=True)]
    drawn = [figures.retrieval("retrieval", "Translations found", rows)]
    headings = {"shared": "above the baselines", "lowest": "95 % from", "highest": "to", "length": "length only",
                "surface": "shared symbols only", "best_baseline": "best baseline"}  # fmt: skip
    tables = _table("crosslingual", "Retrieval by direction and score", frame, headings=headings)
    return Section("crosslingual", title, _dated(CROSSLINGUAL, run, "crosslingual.tsv"), drawn, tables)


def _xnli(run: RunFiles) -> Section:
    frame = run_tables.xnli(run)
    if frame is None:
        missing = "the model has not been fine-tuned, which is no part of the default target"
        return Section("xnli", "XNLI", missing=missing, target="finetune_xnli")
    test = run_tables.xnli_test(frame)
    drawn = [] if test.empty else [figures.accuracies("xnli", "Test accuracy, mean of the seeds", test, chance=1 / 3)]
    tables = _table("xnli", "Accuracy by language, split and seed", frame)
    return Section("xnli", "XNLI", _dated(XNLI, run, "xnli.tsv"), drawn, tables)


def _cost(run: RunFiles) -> Section:
    stages, disk, drawn = run_tables.stages(run), run_tables.disk(run), []
    said = f"{COST} {REQUESTS if run.has_events else NO_REQUESTS}"
    if stages is not None:
        minutes, memory = stages["wall_seconds"] / 60, stages["peak_mb"] * job_costs.MEBIBYTE / 1e6
        drawn += _drawn(
            figures.amounts(
                *("time", "Time", stages.assign(shown=minutes), "shown", "minutes, all jobs"),
                lambda value: formatting.duration(60 * value),
            ),
            figures.amounts(
                "memory", "Memory", stages.assign(shown=memory), "shown", "MB, largest job", "{:,.0f}".format
            ),
        )
    named = disk.assign(folder=[str(folder).rpartition("/")[2] for folder in disk["folder"]], shown=disk["size"] / 1e6)
    drawn += _drawn(figures.amounts("disk", "Disk", named, "shown", "MB", lambda value: formatting.size(value * 1e6)))
    tables = _table("stages", "Time and memory by stage, used and asked for", stages, total=True)
    tables += _table(
        "slurm", "As SLURM measured them, failed jobs and Snakemake inside them too", run_tables.slurm(run)
    )
    tables += _table("disk", "Disk by folder", disk, total=True)
    return Section("cost", "Time, memory and disk", said, drawn, tables)


def _versions(run: RunFiles) -> Section:
    frame = run_tables.versions(run)
    if frame is None:
        return Section("versions", "Versions", missing="they are recorded with the model", target="all")
    return Section("versions", "Versions", VERSIONS, tables=_table("versions", "Code and packages", frame))
