"""Sections of a report about labels: from probability to answer, discrimination, calibration, decisions."""

from __future__ import annotations

from typing import Any

from suwen.evaluation.content import ReportContent
from suwen.evaluation.curves import confusion
from suwen.evaluation.figures import (
    confusion_figure,
    decision_figure,
    precision_recall_figure,
    reliability_figure,
    roc_figure,
)
from suwen.evaluation.outcome import Outcome, Threshold
from suwen.evaluation.section import Section, drawn, headline_outcomes
from suwen.evaluation.tables import class_table, mean_said_and_observed
from suwen.evaluation.verdict import number
from suwen.evaluation.words import Words


def _threshold(content: ReportContent) -> Threshold:
    threshold: Threshold = content.metrics["splits"][content.split].get("threshold")
    return threshold


def _operating(content: ReportContent, words: Words) -> Section:
    outcome, threshold = content.outcomes[content.split], _threshold(content)
    drawing = confusion_figure(outcome, threshold, words)
    drawings = drawn((drawing, words["confusion_caption"]))
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
    drawings = drawn(
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
    drawings = drawn((drawing, words["reliability_caption"]))
    return Section("calibration", words["calibration"], sentences, drawings=drawings)


def _decision(content: ReportContent, words: Words) -> Section | None:
    everyone = _ranking_outcomes(content, words) or _all_outcomes(content, words)
    figure = decision_figure(everyone, _threshold(content), words)
    if figure is None:
        return None
    drawings = drawn((figure, words["decision_caption"]))
    return Section("decision", words["decision"], [words["decision_text"]], drawings=drawings)


def _all_outcomes(content: ReportContent, words: Words) -> dict[str, Outcome]:
    model, baselines = headline_outcomes(content)
    return {words["model"]: model, **baselines}


def _ranking_outcomes(content: ReportContent, words: Words) -> dict[str, Outcome]:
    """Without the baselines that give every sample the same answer: they have no curve."""
    everyone = _all_outcomes(content, words).items()
    return {name: outcome for name, outcome in everyone if (outcome.probabilities != outcome.probabilities[0]).any()}


LABEL_SECTIONS = (_operating, _discrimination, _calibration, _decision)
"""In the order of the page."""
