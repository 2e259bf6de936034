"""Sections of a report about times: curves by predicted risk, calibration at horizons, Brier score over time."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from suwen.evaluation.content import ReportContent
from suwen.evaluation.metrics import metric_of
from suwen.evaluation.section import Section, drawn, headline_outcomes
from suwen.evaluation.survival_curves import aalen_johansen
from suwen.evaluation.survival_outcome import SurvivalOutcome
from suwen.evaluation.survival_scores import Agreement, agreement, brier_curve, times_to_last
from suwen.evaluation.survival_summary import separation, thirds
from suwen.evaluation.svg import NEUTRAL, draw_svg, series_style
from suwen.evaluation.tables import Cell, Table, figure_cell
from suwen.evaluation.verdict import number
from suwen.evaluation.words import ENGLISH, Words, metric_title

_THIRDS = ("risk_third_0", "risk_third_1", "risk_third_2")
_LEAST_P = 1e-4  # smaller ones are said to be below it


def _risk_groups(content: ReportContent, words: Words) -> Section | None:
    outcome: SurvivalOutcome = content.outcomes[content.split]
    if not outcome.causes:
        return None
    sentences, pictures = [], []
    estimator = words["kaplan_meier" if len(outcome.labels) == 1 else "aalen_johansen"]
    for cause in outcome.causes:
        test, name = separation(outcome, cause), outcome.labels[cause - 1]
        p = f"p < {_LEAST_P:g}" if test.p < _LEAST_P else f"p = {test.p:.2g}"
        told = {"cause": name, "estimator": estimator, "freedom": test.freedom, "p": p}
        sentences.append(words["risk_groups_text"].format(statistic=number(test.statistic, words), **told))
        pictures.append((groups_figure(outcome, cause, words), words["risk_groups_caption"].format(cause=name)))
    return Section("risk-groups", words["risk_groups"], sentences, drawings=drawn(*pictures))


def _horizons(content: ReportContent, words: Words) -> Section | None:
    outcome: SurvivalOutcome = content.outcomes[content.split]
    found = content.metrics["splits"][content.split].get("horizons", {})
    if not found or not outcome.causes:
        return None
    names = list(next(iter(found.values()))["metrics"])
    titles = [metric_title(name, words) + ("" if metric_of(name).higher_is_better else " ↓") for name in names]
    rows = [
        [Cell(horizon), *(figure_cell(each["metrics"][name], words) for name in names)]
        for horizon, each in found.items()
    ]
    pictures = []
    for cause in outcome.causes:
        for horizon in outcome.horizons:
            each = agreement(outcome, cause, float(horizon))
            caption = words["calibration_at"].format(horizon=f"{horizon:g}", cause=each.cause)
            pictures.append((agreement_figure(each, caption, words), caption))
    table = Table(words["horizons"], [words["horizon"], *titles], rows)
    return Section("horizons", words["horizons"], [words["horizons_text"]], tables=[table], drawings=drawn(*pictures))


def _brier(content: ReportContent, words: Words) -> Section | None:
    model, baselines = headline_outcomes(content)
    if not model.causes:
        return None
    answers: dict[str, SurvivalOutcome] = {words["model"]: model, **baselines}
    pictures = [
        (
            brier_figure(answers, cause, words),
            words["brier_over_time_caption"].format(cause=model.labels[cause - 1]),
        )
        for cause in model.causes
    ]
    text = [words["brier_over_time_text"]]
    return Section("brier-over-time", words["brier_over_time"], text, drawings=drawn(*pictures))


def groups_figure(outcome: SurvivalOutcome, cause: int, words: Words = ENGLISH) -> str:
    """Cumulative incidence of a cause in thirds of predicted risk, observed and said."""
    group, last = thirds(outcome, cause), float(outcome.grid[-1])
    times = np.concatenate([[0.0], outcome.grid])

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for third in range(int(group.max()) + 1):
            some = outcome.take(group == third)
            style = series_style(third)
            curve = aalen_johansen(some.time, some.event, cause)
            moments = np.append(times, last)
            low, high = curve.interval(moments)
            axes.fill_between(moments, low, high, step="post", color=style["color"], alpha=0.15, linewidth=0)
            axes.step(moments, curve.at(moments), where="post", color=style["color"], label=words[_THIRDS[third]])
            axes.plot(times, some.said(cause, times).mean(axis=0), color=style["color"], linestyle=":", linewidth=1.2)
        axes.set(xlim=(0, last), xlabel=words["follow_up_time"], ylabel=words["came_true"])
        axes.set_ylim(bottom=0)
        axes.grid(True)
        axes.legend(loc="upper left")

    return draw_svg(
        draw, width=4.2, height=3.6, label=words["risk_groups_caption"].format(cause=outcome.labels[cause - 1])
    )


def agreement_figure(found: Agreement, caption: str, words: Words = ENGLISH) -> str:
    """Observed over said risk, a mark a tenth, on the line where they agree."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        top = float(np.nanmax([*found.said, *found.observed, 1e-3])) * 1.08
        axes.plot([0, top], [0, top], color=NEUTRAL, linewidth=0.9)
        axes.plot(found.said, found.observed, marker="o", markersize=4, **series_style(0))
        axes.set(xlim=(0, top), ylim=(0, top), xlabel=words["risk_said"], ylabel=words["came_true"])
        axes.grid(True)

    return draw_svg(draw, width=3.2, height=3.1, label=caption)


def brier_figure(answers: dict[str, SurvivalOutcome], cause: int, words: Words = ENGLISH) -> str:
    """The Brier score of several answers to the same question, by time."""
    first = next(iter(answers.values()))
    times = times_to_last(first)
    ones = np.ones((1, len(first)))

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for place, (name, outcome) in enumerate(answers.items()):
            scores = brier_curve(outcome, cause, times[1:])(ones)[0]
            axes.plot(times, np.concatenate([[0.0], scores]), label=name, **series_style(place))
        axes.set(xlim=(0, times[-1]), xlabel=words["follow_up_time"], ylabel=words["metric_brier"])
        axes.set_ylim(bottom=0)
        axes.grid(True)
        axes.legend(loc="upper left")

    caption = words["brier_over_time_caption"].format(cause=first.labels[cause - 1])
    return draw_svg(draw, width=4.2, height=3.4, label=caption)


SURVIVAL_SECTIONS = (_risk_groups, _horizons, _brier)
"""In the order of the page."""
