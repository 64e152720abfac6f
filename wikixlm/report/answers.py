"""The answers that a reader wants first: what data, how much was lost, did it learn, what did it cost.

Where translations were looked for, also whether the languages share a space.
"""

from typing import NamedTuple

from wikixlm import formatting
from wikixlm.report import run_tables, text_tables
from wikixlm.report.run_files import RunFiles
from wikixlm.workflow import job_costs

# A perplexity below this share of the unigram baseline is more than the plateau: there, models end a few percent
# below the baseline at most (or above it), because they know how often tokens occur and nothing else.
LEARNED = 0.9


class Answer(NamedTuple):
    """A question, the answer in a word or a figure, the sentences behind it, and the section that shows it."""

    question: str
    short: str
    sentences: str
    section: str
    good: bool | None = None


def answers(run: RunFiles) -> list[Answer]:
    """The answers in this order; for what a run has not got to yet they say so."""
    return [data(run), lost(run), learned(run), *shared_space(run), price(run)]


def data(run: RunFiles) -> Answer:
    """Languages, dates, and the way from pages to tokens in numbers."""
    question, section = "What data?", "data"
    several = f"{len(run.languages)} languages" if len(run.languages) > 1 else "one language"
    names = f"{several.capitalize()}: {formatting.listed(run.languages)}{_origin(run)}."
    flow = text_tables.flow(run)
    if flow is None:
        return Answer(question, several, f"{names} No text has been extracted yet.", section)
    total = flow.sum(numeric_only=True, skipna=True)
    said = f"{names} {total['pages']:,.0f} pages gave {total['documents']:,.0f} articles with text"
    said += f" and {total['lines']:,.0f} paragraphs"
    if not total["tokens"]:
        return Answer(question, several, f"{said}; not segmented yet.", section)
    said += f": {total['words']:,.0f} words, {total['tokens']:,.0f} BPE tokens."
    return Answer(question, f"{formatting.large(total['tokens'])} tokens", said, section)


def _origin(run: RunFiles) -> str:
    """Where the text is from, as words that follow the languages."""
    dates = sorted({str(downloaded["date"]) for each in run.languages if (downloaded := run.downloaded(each))})
    own = [each for each in run.languages if run.own_text(each)]
    if dates:
        said = f", Wikipedia as of {dates[0]}" + (f" to {dates[-1]}" if len(dates) > 1 else "")
    else:
        said = ", from text of your own" if len(own) == len(run.languages) else ", from Wikipedia dumps on disk"
    return said + (f" ({formatting.listed(own)}: text of your own)" if 0 < len(own) < len(run.languages) else "")


def lost(run: RunFiles) -> Answer:
    """Articles and lines that did not arrive, by reason, and whether everything is accounted for."""
    question, section = "How much was kept, and what was lost?", "flow"
    pages, lines = text_tables.pages(run), text_tables.lines(run)
    if pages is None:
        return Answer(question, "not yet", "No pages have been read yet.", section)
    sums = pages.sum(numeric_only=True)
    articles, gone = int(sums["articles"]), {name: int(sums[name]) for name in text_tables.LOST}
    kept = articles - sum(gone.values())
    short = f"{formatting.percent(kept / articles)} of articles kept" if articles else "no articles"
    reasons = {"empty": "without text", "dropped_short": "under extract.min_chars", "skipped": "failed in extraction"}
    said = _dropped(articles, "articles", gone, reasons)
    if others := sum(int(sums[name]) for name in text_tables.NOT_TAKEN):
        said += f" {others:,} more pages of the dumps are redirects or otherwise no articles."
    missing = int(sums["unaccounted"])
    if lines is not None:
        totals = lines.sum(numeric_only=True)
        reasons = {
            "emptied": "without a token",
            "repeats_held_out": "repeating held-out text",
            "repeated_in_held_out": "twice in held-out text",
            "repeated_in_train": "twice in training text",
        }
        said += " " + _dropped(
            int(totals["lines"]), "paragraphs", {name: int(totals[name]) for name in reasons}, reasons
        )
        missing += int(totals["unaccounted"])
    if missing:
        return Answer(question, short, f"{said} {missing:,} are not accounted for.", section, good=False)
    return Answer(question, short, f"{said} Every page and paragraph is accounted for.", section)


def _dropped(total: int, what: str, counts: dict[str, int], reasons: dict[str, str]) -> str:
    """How many of `total` were dropped, by reason."""
    if not sum(counts.values()):
        return f"None of {total:,} {what} was dropped."
    found = formatting.listed([f"{count:,} {reasons[name]}" for name, count in counts.items() if count])
    return f"Dropped of {total:,} {what}: {found}."


def learned(run: RunFiles) -> Answer:
    """The test perplexity against the unigram baseline, or how far the training is."""
    question, section = "Did it learn?", "perplexity"
    frame = run_tables.perplexity(run)
    if frame is None:
        return _in_training(run, question)
    split = "test" if (frame["split"] == "test").any() else str(frame["split"].iloc[-1])
    rows = {row["language"]: row for row in frame[frame["split"] == split].to_dict("records")}
    each = {language: row for language, row in rows.items() if language != "mean"}
    mean = rows.get("mean") or next(iter(each.values()))
    said = f"{split.capitalize()} perplexity {mean['perplexity']:,.0f} against a unigram baseline of "
    said += f"{mean['unigram']:,.0f}" + (
        " (means over languages, whose perplexities can't be compared)" if len(each) > 1 else ""
    )
    stuck = {language: row for language, row in each.items() if row["share_of_baseline"] >= LEARNED}
    if not stuck:
        everywhere = ", in every language" if len(each) > 1 else ""
        return Answer(question, "Yes", f"{said}: it learned context{everywhere}.", section, good=True)
    if len(stuck) == len(each):
        said += ": it has not left the unigram plateau. It knows how often tokens occur, and little else; train longer."
        return Answer(question, "Not yet", said, section, good=False)
    named = formatting.listed(
        [f"{name} ({row['perplexity']:,.0f} of {row['unigram']:,.0f})" for name, row in stuck.items()]
    )
    short = f"In {len(each) - len(stuck)} of {len(each)} languages"
    said += f": it learned context, but not in {named}, still at the unigram plateau."
    return Answer(question, short, said, section, good=False)


def shared_space(run: RunFiles) -> list[Answer]:
    """Whether retrieval of translations is above the baselines that need no model; nothing where none was measured."""
    question, frame = "Do the languages share a space?", run_tables.crosslingual(run)
    if frame is None:
        return []
    rows = frame[frame["score"] == "csls"].to_dict("records")
    above = [row for row in rows if row["shared"] == "yes"]
    shown = [
        f"{row['source']} → {row['target']} {formatting.percent(row['accuracy'])} "
        f"({formatting.percent(row['lowest'])} to {formatting.percent(row['highest'])}, "
        f"best baseline {formatting.percent(row['best_baseline'])})"
        for row in rows[:6]
    ]
    said = f"Translations found: {formatting.listed(shown)}{', …' if len(rows) > 6 else ''}. "
    if len(above) == len(rows):
        return [Answer(question, "Yes", f"{said}All are above the baselines.", "crosslingual", good=True)]
    if not above:
        said += "None is above the baseline, so nothing shows that they do."
        return [Answer(question, "Not above the baseline", said, "crosslingual", good=False)]
    short = f"In {len(above)} of {len(rows)} directions"
    return [Answer(question, short, f"{said}The others are not above the baseline.", "crosslingual", good=False)]


def _in_training(run: RunFiles, question: str) -> Answer:
    rows = run.metrics
    if not rows:
        return Answer(question, "not yet", "Training has not begun.", "training")
    said = f"Not evaluated yet. Training is at update {rows[-1]['update']:,}"
    if goal := run.setting("train", "max_update"):
        said += f" of {goal:,}"
    valid = [row["perplexity"] for row in rows if row["split"] == "valid" and row.get("perplexity")]
    said += f"; validation perplexity {valid[-1]:,.0f}." if valid else "."
    return Answer(question, "not yet", said, "training")


def price(run: RunFiles) -> Answer:
    """Wall time, CPU and GPU hours, peak memory, disk."""
    question, section = "What did it cost?", "cost"
    stages = run_tables.stages(run)
    used = f"{formatting.size(int(run_tables.disk(run)['size'].sum()))} on disk now"
    if stages is None:
        return Answer(question, used, f"No job has ended yet; {used}.", section)
    calls, rows = run_tables.calls(run), stages.to_dict("records")
    wall, cpu = (sum(row[name] for row in rows) for name in ("wall_seconds", "cpu_seconds"))
    said = f"The jobs took {formatting.duration(wall)} one after another and {_work(cpu, 'CPU')}"
    machine = run_tables.hardware(run)
    training = sum(row["wall_seconds"] for row in rows if row["stage"] == "train_mlm")
    if machine is not None and machine.gpus and training:
        said += f", the training {_work(training * machine.gpus, 'GPU')}"
    measured = [row for row in rows if row["peak_mb"] > 0]
    if measured:
        largest = max(measured, key=lambda row: float(row["peak_mb"]))
        peak = formatting.size(largest["peak_mb"] * job_costs.MEBIBYTE)
        said += f"; the largest ({largest['stage']}) needed {peak} of memory"
    said += f"; {used}."
    if calls.number:
        span = formatting.duration(calls.seconds)
        said = f"{span} from first to last job, over {_times(calls.number)} of snakemake. {said}"
    return Answer(question, formatting.duration(calls.seconds or wall), said, section)


def _times(number: int) -> str:
    return "one call" if number == 1 else f"{number} calls"


def _work(seconds: float, unit: str) -> str:
    """Time of CPUs or GPUs, in hours from one on."""
    hours = seconds / 3600
    if hours < 1:
        return f"{formatting.duration(seconds)} of {unit} time"
    return f"{hours:,.0f} {unit} hours" if hours >= 100 else f"{hours:.2g} {unit} hours"
