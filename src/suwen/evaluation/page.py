"""From `ReportContent` to what the template prints, section by section."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from suwen.evaluation.content import Example, ReportContent
from suwen.evaluation.curves import confusion
from suwen.evaluation.figures import (
    confusion_figure,
    decision_figure,
    forest_figure,
    precision_recall_figure,
    reliability_figure,
    roc_figure,
    training_figure,
)
from suwen.evaluation.metrics import METRICS
from suwen.evaluation.outcome import Outcome, Threshold
from suwen.evaluation.tables import (
    Cell,
    Table,
    class_table,
    comparison_table,
    counts_table,
    explanation_table,
    figure_cell,
    first_site_table,
    gap_table,
    mean_said_and_observed,
    paired_table,
    plain_table,
    provenance_table,
    subgroup_metrics,
    subgroup_table,
    teacher_table,
    training_table,
)
from suwen.evaluation.verdict import Comparison, compare, number, verdict, what_got_worse
from suwen.evaluation.words import Words, metric_title


@dataclass(frozen=True)
class Drawing:
    """An inline SVG and what stands below it."""

    svg: Markup
    caption: str


@dataclass(frozen=True)
class Picture:
    """An example's images as data URIs, and what stands below them."""

    id: str
    image: str
    overlay: str | None
    caption: str


@dataclass(frozen=True)
class Section:
    """One section: an anchor, sentences, tables and drawings, in this order.

    Pictures stand under a heading that says whether the answers were right or wrong, or, those `shown`, under none.
    """

    anchor: str
    title: str
    sentences: Sequence[str] = ()
    findings: Sequence[str] = ()
    tables: Sequence[Table] = ()
    drawings: Sequence[Drawing] = ()
    right: Sequence[Picture] = ()
    wrong: Sequence[Picture] = ()
    shown: Sequence[Picture] = ()
    code: str = ""
    code_title: str = ""
    folded: bool = False
    """Whether the tables and the code are folded away until asked for."""


@dataclass(frozen=True)
class Page:
    """All that the template prints."""

    title: str
    subtitle: str
    leaks: Sequence[str]
    notes: Sequence[str]
    simulated: bool
    verdict: str
    standing: str
    tiles: Sequence[tuple[str, Cell]]
    sections: Sequence[Section]


def page_of(content: ReportContent, words: Words) -> Page:
    """The page of this content, with figures drawn and sentences written."""
    found: list[Section | None] = []
    comparisons: list[Comparison] = []
    if content.split:
        comparisons = compare(*_headline_outcomes(content), content.headline)
        found += [
            _beside_baselines(content, comparisons, words),
            _got_worse(content, words),
            _operating(content, words),
            _discrimination(content, words),
            _calibration(content, words),
            _decision(content, words),
            _subgroups(content, words),
            _first_site(content, words),
            _beside_teacher(content, words),
        ]
    found += [
        _examples(content, words),
        _explanations(content, words),
        _training(content, words),
        _data_check(content, words),
        _recipe(content, words),
        _reading(content, words),
    ]
    return Page(
        title=content.title,
        subtitle=f"{content.task} · {content.model}",
        leaks=content.leaks,
        notes=content.notes,
        simulated=content.simulated,
        verdict=verdict(content, comparisons, words),
        standing="leaks" if content.leaks else comparisons[0].standing if comparisons else "unclear",
        tiles=_tiles(content, comparisons, words) if content.split else [],
        sections=[section for section in found if section is not None],
    )


def _headline_outcomes(content: ReportContent) -> tuple[Outcome, dict[str, Outcome]]:
    split = content.split
    return content.outcomes[split], {name: found[split] for name, found in content.baselines.items() if split in found}


def _all_outcomes(content: ReportContent, words: Words) -> dict[str, Outcome]:
    model, baselines = _headline_outcomes(content)
    return {words["model"]: model, **baselines}


def _ranking_outcomes(content: ReportContent, words: Words) -> dict[str, Outcome]:
    """Without the baselines that give every sample the same answer: they have no curve."""
    everyone = _all_outcomes(content, words).items()
    return {name: outcome for name, outcome in everyone if (outcome.probabilities != outcome.probabilities[0]).any()}


def _threshold(content: ReportContent) -> Threshold:
    threshold: Threshold = content.metrics["splits"][content.split].get("threshold")
    return threshold


def _tiles(content: ReportContent, comparisons: Sequence[Comparison], words: Words) -> list[tuple[str, Cell]]:
    figures = content.figures(content.split)
    names = [*subgroup_metrics(content, content.outcomes[content.split]), "ece"]
    tiles = [(metric_title(name, words), figure_cell(figures[name], words)) for name in names if name in figures]
    if comparisons:
        title = words["over_baseline"].format(baseline=comparisons[0].baseline)
        tiles.append((title, figure_cell(comparisons[0].difference, words)))
    counts = content.metrics["splits"][content.split]
    tiles.append(
        (content.unit.capitalize(), Cell(str(counts["n"]), f"{counts['subjects']} {words['subjects'].lower()}"))
    )
    return tiles


def _beside_baselines(content: ReportContent, comparisons: Sequence[Comparison], words: Words) -> Section:
    splits = [content.split, *(split for split in content.outcomes if split != content.split)]
    tables = [comparison_table(content, split, words) for split in splits]
    if comparisons:
        tables.insert(1, paired_table(content, comparisons, words))
    sentences = [words["comparison_text"]]
    if any(METRICS[name].at_threshold for name in content.figures(content.split)):
        sentences.append(words["threshold_text"])
    if content.best_possible:
        sentences.append(words["best_possible_text"])
    return Section("baselines", words["comparison"], sentences, tables=tables)


def _got_worse(content: ReportContent, words: Words) -> Section:
    found = what_got_worse(content, words)
    return Section("worse", words["worse"], [words["worse_lead"] if found else words["nothing_worse"]], found)


def _operating(content: ReportContent, words: Words) -> Section:
    outcome, threshold = content.outcomes[content.split], _threshold(content)
    drawing = confusion_figure(outcome, threshold, words)
    drawings = _drawn((drawing, words["confusion_caption"]))
    return Section("threshold", words["threshold"], _decided(content, outcome, threshold, words), drawings=drawings)


def _decided(content: ReportContent, outcome: Outcome, threshold: Threshold, words: Words) -> list[str]:
    """How an answer is reached from the probabilities, and what comes of it."""
    criterion = words.get(f"criterion_{content.criterion}", content.criterion)
    if not (outcome.binary or outcome.multi_label):
        return [words["operating_classes"]]
    if threshold is None:
        return [words["operating_half"]]
    if outcome.binary:
        return _counted(content, outcome, threshold, criterion, words)
    each = zip(outcome.labels, threshold, strict=True)  # type: ignore[arg-type]
    listed = ", ".join(f"{label} {number(value, words)}" for label, value in each)
    return [words["operating_labels"].format(criterion=criterion, thresholds=listed)]


def _counted(content: ReportContent, outcome: Outcome, threshold: Threshold, criterion: str, words: Words) -> list[str]:
    """The operating point in natural frequencies (Gigerenzer & Hoffrage, Psychological Review 1995;102:684)."""
    table = confusion(outcome, threshold)
    yes, no = outcome.positive, 1 - outcome.positive
    found, missed, alarms, cleared = (int(table[cell]) for cell in ((yes, yes), (yes, no), (no, yes), (no, no)))
    facts: dict[str, Any] = {
        "positive": outcome.labels[yes],
        "threshold": number(float(threshold), words),  # type: ignore[arg-type]
        "criterion": criterion,
        "unit": content.unit,
        "present": found + missed,
        "found": found,
        "missed": missed,
        "absent": alarms + cleared,
        "cleared": cleared,
        "alarms": alarms,
        "called": found + alarms,
        "share": f"{found / (found + alarms):.0%}" if found + alarms else words["not_defined"],
        "prevalence": f"{(found + missed) / len(outcome):.0%}",
    }
    names = ("operating", "operating_found", "operating_cleared", "operating_called")
    return [words[name].format(**facts) for name in names]


def _discrimination(content: ReportContent, words: Words) -> Section:
    outcome, threshold = content.outcomes[content.split], _threshold(content)
    ranking = _ranking_outcomes(content, words)
    hardest = "" if outcome.binary else " " + words["hardest_caption"].format(count=min(5, len(outcome.labels)))
    drawings = _drawn(
        (roc_figure(ranking, threshold, words) if ranking else None, words["roc_caption"] + hardest),
        (precision_recall_figure(ranking, words) if ranking else None, words["pr_caption"] + hardest),
    )
    tables = [] if outcome.binary else [class_table(outcome, threshold, words)]
    return Section("discrimination", words["discrimination"], tables=tables, drawings=drawings)


def _calibration(content: ReportContent, words: Words) -> Section:
    outcome, figures = content.outcomes[content.split], content.figures(content.split)
    positive = outcome.labels[outcome.positive]
    kind = "binary" if outcome.binary else "labels" if outcome.multi_label else "classes"
    sentences = []
    if "ece" in figures:
        of = words[f"calibration_of_{kind}"].format(positive=positive)
        sentences.append(words["calibration_error"].format(value=number(figures["ece"]["value"], words), of=of))
    if outcome.binary:
        said, observed = (f"{share:.1%}" for share in mean_said_and_observed(outcome))
        sentences.append(words["calibration_large"].format(positive=positive, said=said, observed=observed))
    if content.temperature is not None:
        direction = words["temperature_over" if content.temperature > 1 else "temperature_under"]
        sentences.append(
            words["temperature"].format(temperature=number(content.temperature, words), direction=direction)
        )
    drawing = reliability_figure(content.uncalibrated, outcome, words)
    drawings = _drawn((drawing, words["reliability_caption"]))
    return Section("calibration", words["calibration"], sentences, drawings=drawings)


def _decision(content: ReportContent, words: Words) -> Section | None:
    drawn = decision_figure(
        _ranking_outcomes(content, words) or _all_outcomes(content, words), _threshold(content), words
    )
    if drawn is None:
        return None
    drawings = _drawn((drawn, words["decision_caption"]))
    return Section("decision", words["decision"], [words["decision_text"]], drawings=drawings)


def _subgroups(content: ReportContent, words: Words) -> Section | None:
    columns: Mapping[str, Any] = content.metrics["splits"][content.split].get("subgroups", {})
    if not columns:
        return None
    names = subgroup_metrics(content, content.outcomes[content.split])
    gaps = gap_table(columns, names, words)
    tables = [subgroup_table(columns, names, words), *([gaps] if gaps else [])]
    lines = [
        (f"{column}: {value}{' †' if group['note'] else ''}", group["metrics"][content.headline], bool(group["note"]))
        for column, found in columns.items()
        for value, group in found["groups"].items()
    ]
    overall = content.figures(content.split)[content.headline]["value"]
    caption = words["forest_caption"].format(metric=metric_title(content.headline, words))
    drawings = _drawn((forest_figure(lines, overall, content.headline, words), caption))
    return Section("subgroups", words["subgroups"], [words["subgroups_text"]], tables=tables, drawings=drawings)


def _first_site(content: ReportContent, words: Words) -> Section | None:
    first: Mapping[str, Any] = content.metrics.get("first", {})
    if not first:
        return None
    sentence = words["first_text"].format(
        model=first["model"], n=first["n"], unit=content.unit, subjects=first["subjects"], keep=first["keep"] or "–"
    )
    refused = words["first_refused"].format(**{when: f"{share:.0%}" for when, share in first["refused"].items()})
    return Section("first", words["first_site"], [sentence, refused], tables=[first_site_table(first, words)])


def _beside_teacher(content: ReportContent, words: Words) -> Section | None:
    found: Mapping[str, Any] = content.metrics.get("teacher", {})
    if not found:
        return None
    sentence = words["teacher_text"].format(
        model=found["model"],
        temperature=number(found["temperature"], words),
        share=f"{found['alpha']:.0%}",
        n=found["n"],
        unit=content.unit,
        subjects=found["subjects"],
    )
    return Section("teacher", words["beside_teacher"], [sentence], tables=[teacher_table(found, words)])


def _examples(content: ReportContent, words: Words) -> Section | None:
    if not content.examples:
        return None
    right = [_picture(example, words) for example in content.examples if example.correct]
    wrong = [_picture(example, words) for example in content.examples if not example.correct]
    return Section("examples", words["examples"], right=right, wrong=wrong)


def _explanations(content: ReportContent, words: Words) -> Section | None:
    found = content.metrics.get("explanations") or {}
    if not found.get("methods"):
        return None
    split = words.get(f"split_word_{found.get('split')}", str(found.get("split")))
    sentences = [words["explanations_text"].format(examples=found["examples"], split=split)]
    beaten = found["beats_random"]
    sentences.append(words["explanations_best"].format(best=found["best"]) if beaten else words["explanations_none"])
    skipped = [
        words["explanations_skipped"].format(method=name, reason=reason) for name, reason in found["skipped"].items()
    ]
    tables = [explanation_table(found, words)]
    return Section("explanations", words["explanations"], sentences, skipped, tables=tables)


def _picture(example: Example, words: Words) -> Picture:
    caption = words["example_caption"].format(
        answer=example.answer, probability=f"{example.probability:.0%}", truth=example.truth
    )
    overlay = None if example.overlay_png is None else data_uri(example.overlay_png)
    return Picture(example.id, data_uri(example.image_png), overlay, caption)


def data_uri(png: bytes) -> str:
    """A PNG as an address that holds it, so that a page needs no other file."""
    return f"data:image/png;base64,{b64encode(png).decode('ascii')}"


def _training(content: ReportContent, words: Words) -> Section | None:
    if not content.history:
        return None
    drawings = _drawn((training_figure(content.history, words), words["training_figure_caption"]))
    table = training_table(content.history, words)
    return Section("training", words["training"], tables=[table], drawings=drawings, folded=True)


def _data_check(content: ReportContent, words: Words) -> Section | None:
    tables = [
        plain_table(table["title"], table["columns"], table["rows"]) for table in content.data_check.get("tables", ())
    ]
    counts = content.metrics.get("data", {}).get("counts")
    if counts:
        tables.append(counts_table(counts, words))
    warnings = [str(warning) for warning in content.data_check.get("warnings", ())]
    return Section("data", words["data_check"], findings=warnings, tables=tables) if tables or warnings else None


def _recipe(content: ReportContent, words: Words) -> Section:
    table = provenance_table(content, words)
    return Section(
        "recipe",
        words["recipe"],
        tables=[table],
        code=content.recipe_yaml,
        code_title=words["recipe_in_full"],
        folded=True,
    )


def _reading(content: ReportContent, words: Words) -> Section:
    names = [name for name in METRICS if name in content.figures(content.split) and not METRICS[name].at_threshold]
    rows = [(metric_title(name, words), METRICS[name].summary, METRICS[name].source) for name in names]
    table = plain_table(words["reading"], [words["metric"], words["meaning"], words["source"]], rows)
    return Section(
        "reading",
        words["reading"],
        [words["reading_intervals"], words["reading_calibration"]],
        tables=[table] if rows else [],
        folded=True,
    )


def _drawn(*pairs: tuple[str | None, str]) -> list[Drawing]:
    return [Drawing(Markup(svg), caption) for svg, caption in pairs if svg is not None]
