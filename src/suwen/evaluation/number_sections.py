"""Sections of a report about numbers: said over true, and the difference over the mean of both."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from suwen.evaluation.content import ReportContent
from suwen.evaluation.number_outcome import NumberOutcome
from suwen.evaluation.section import Section, drawn
from suwen.evaluation.svg import NEUTRAL, SERIES, draw_svg
from suwen.evaluation.verdict import number
from suwen.evaluation.words import ENGLISH, Words


def _agreement(content: ReportContent, words: Words) -> Section:
    outcome: NumberOutcome = content.outcomes[content.split]
    low, high = limits_of_agreement(outcome)
    sentences = [words["agreement_text"].format(low=number(low, words), high=number(high, words))]
    drawings = drawn(
        (said_figure(outcome, words), words["said_over_true"]),
        (difference_figure(outcome, words), words["difference_caption"]),
    )
    return Section("agreement", words["agreement"], sentences, drawings=drawings)


def limits_of_agreement(outcome: NumberOutcome) -> tuple[float, float]:
    """Mean difference ± 1.96 standard deviations (Bland & Altman, Lancet 1986;327:307)."""
    difference = outcome.said - outcome.target
    spread = 1.96 * float(difference.std(ddof=1)) if len(difference) > 1 else float("nan")
    return float(difference.mean()) - spread, float(difference.mean()) + spread


def said_figure(outcome: NumberOutcome, words: Words = ENGLISH) -> str:
    """Said over true, on the line where they agree."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        ends = [float(np.min([outcome.target, outcome.said])), float(np.max([outcome.target, outcome.said]))]
        axes.plot(ends, ends, color=NEUTRAL, linewidth=0.9)
        axes.plot(outcome.target, outcome.said, "o", color=SERIES[0], markersize=3, alpha=0.6)
        axes.set(xlabel=words["true_number"], ylabel=words["said_number"])
        axes.grid(True)

    return draw_svg(draw, width=4.2, height=4.0, label=words["said_over_true"])


def difference_figure(outcome: NumberOutcome, words: Words = ENGLISH) -> str:
    """Bland-Altman: said less true over the mean of both, with the limits of agreement."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        difference = outcome.said - outcome.target
        axes.plot((outcome.said + outcome.target) / 2, difference, "o", color=SERIES[0], markersize=3, alpha=0.6)
        for height in (float(difference.mean()), *limits_of_agreement(outcome)):
            axes.axhline(height, color=NEUTRAL, linewidth=0.9)
        axes.set(xlabel=words["mean_number"], ylabel=words["difference_number"])
        axes.grid(True)

    return draw_svg(draw, width=4.2, height=4.0, label=words["difference_caption"])


NUMBER_SECTIONS = (_agreement,)
"""In the order of the page."""
