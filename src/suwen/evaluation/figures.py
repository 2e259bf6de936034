"""The report's figures, each an inline SVG string. Names of the axes come from `words`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from suwen.evaluation.calibration import Reliability, reliability
from suwen.evaluation.curves import Curve, confusion, decision_curve, precision_recall_curves, roc_curves
from suwen.evaluation.metrics import METRICS
from suwen.evaluation.outcome import Integers, Outcome, Threshold
from suwen.evaluation.svg import NEUTRAL, SERIES, Axes, draw_svg, series_style
from suwen.evaluation.words import ENGLISH, Words, metric_title

WIDTH = 4.2  # inches
_SQUARE = (WIDTH, 4.0)
_MOST_CURVES = 5


def roc_figure(outcomes: Mapping[str, Outcome], threshold: Threshold = None, words: Words = ENGLISH) -> str | None:
    """ROC curves of model and baselines (binary) or of the model's hardest classes; None if nothing is defined.

    Args:
        outcomes: by the name to show, the model first.
        threshold: the operating point, marked on the model's curve if binary.
    """
    curves = _named_curves(outcomes, roc_curves, "auroc")
    if not curves:
        return None

    def draw(figure: Figure) -> None:
        axes = _unit_square(figure, words["false_positive_rate"], words["sensitivity"])
        axes.plot([0, 1], [0, 1], color=NEUTRAL, linewidth=0.9)
        for number, (name, curve) in enumerate(curves):
            axes.plot(curve.x, curve.y, label=name, **series_style(number))
        first = curves[0][1]
        if isinstance(threshold, float) and next(iter(outcomes.values())).binary:
            at = int(np.searchsorted(-first.threshold, -threshold, "right")) - 1
            axes.plot(first.x[at], first.y[at], "o", color=SERIES[0], markersize=7, label=words["operating_point"])
        axes.legend(loc="lower right")

    return draw_svg(draw, width=_SQUARE[0], height=_SQUARE[1], label=words["roc_alt"])


def precision_recall_figure(outcomes: Mapping[str, Outcome], words: Words = ENGLISH) -> str | None:
    """Precision-recall curves as steps, with the prevalence (chance) if binary; None if nothing is defined."""
    curves = _named_curves(outcomes, precision_recall_curves, "auprc")
    if not curves:
        return None

    def draw(figure: Figure) -> None:
        axes = _unit_square(figure, words["recall"], words["precision"])
        for number, (name, curve) in enumerate(curves):
            found_more = np.diff(curve.x, prepend=-1) > 0  # the points between only add false alarms
            x, y = curve.x[found_more], curve.y[found_more]
            axes.plot(x, y, drawstyle="steps-pre", label=name, **series_style(number))
        if next(iter(outcomes.values())).binary:
            axes.axhline(curves[0][1].chance, color=NEUTRAL, linewidth=0.9, label=words["prevalence"])
        axes.legend(loc="lower left")

    return draw_svg(draw, width=_SQUARE[0], height=_SQUARE[1], label=words["pr_alt"])


def _named_curves(outcomes: Mapping[str, Outcome], curves_of: Any, metric: str) -> list[tuple[str, Curve]]:
    """(name with its area, curve): of each outcome if binary, else of the first one's `_MOST_CURVES` lowest classes."""
    first = next(iter(outcomes.values()))
    area = METRICS[metric].function
    if first.binary:
        found = [(name, outcome, curves_of(outcome)) for name, outcome in outcomes.items()]
        return [(f"{name} {area(outcome):.3f}", curves[0]) for name, outcome, curves in found if curves]
    curves = {curve.label: curve for curve in curves_of(first)}
    areas = {label: area(first.one_vs_rest(first.labels.index(label))) for label in curves}
    hardest = sorted(areas, key=areas.__getitem__)[:_MOST_CURVES]
    return [(f"{label} {areas[label]:.3f}", curves[label]) for label in hardest]


def reliability_figure(before: Outcome | None, after: Outcome, words: Words = ENGLISH) -> str:
    """What was said against what came true, with 95 % intervals, over a histogram of what was said.

    Multi-label questions show the pooled bins of all labels.

    Args:
        before: the outcome before temperature scaling, drawn faintly, if there is one.
        after: the outcome as given to the user.
    """

    def draw(figure: Figure) -> None:
        axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        axes.plot([0, 1], [0, 1], color=NEUTRAL, linewidth=0.9)
        for outcome, number, name in ((before, 1, words["before_scaling"]), (after, 0, words["answers_given"])):
            if outcome is not None:
                _draw_bins(axes, _pooled(reliability(outcome)), number, name)
        axes.set(xlim=(0, 1), ylim=(-0.02, 1.02), ylabel=words["came_true"])
        axes.grid(True)
        axes.legend(loc="upper left")
        bins = _pooled(reliability(after))
        edges = np.linspace(0, 1, len(bins.count) + 1)
        below.bar((edges[:-1] + edges[1:]) / 2, bins.count, width=0.8 / len(bins.count), color=SERIES[0], alpha=0.6)
        below.set(xlabel=words["said"], ylabel=words["count"])
        below.locator_params(axis="y", nbins=2)

    return draw_svg(draw, width=WIDTH, height=4.6, label=words["reliability_alt"])


def _pooled(each: Sequence[Reliability]) -> Reliability:
    count = np.sum([bins.count for bins in each], axis=0)
    mean = [
        np.divide(
            np.nansum([getattr(bins, part) * bins.count for bins in each], axis=0),
            count,
            out=np.full(len(count), np.nan),
            where=count > 0,
        )
        for part in ("said", "came_true")
    ]
    subjects = np.max([bins.subjects for bins in each], axis=0)
    return Reliability(each[0].of, mean[0], mean[1], count, subjects)


def _draw_bins(axes: Axes, bins: Reliability, number: int, name: str) -> None:
    style = series_style(number)
    filled = bins.count > 0
    low, high = bins.interval()
    marker, face = ("o", style["color"]) if number == 0 else ("s", "none")
    area = 10 + 90 * bins.count[filled] / bins.count.max()
    axes.scatter(
        bins.said[filled],
        bins.came_true[filled],
        s=area,
        marker=marker,
        facecolor=face,
        edgecolor=style["color"],
        label=name,
    )
    if number == 0:
        axes.vlines(bins.said[filled], low[filled], high[filled], color=style["color"], linewidth=1.0, alpha=0.7)


def confusion_figure(outcome: Outcome, threshold: Threshold = 0.5, words: Words = ENGLISH) -> str | None:
    """Counts of truth (down) against answer (across), shaded by the share of each true class; None if multi-label."""
    if outcome.multi_label:
        return None
    table = confusion(outcome, threshold)
    width = WIDTH if len(table) <= 6 else 1.6 + 0.45 * len(table)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        _draw_cells(axes, table)
        ticks = np.arange(len(table))
        names = [label if len(label) <= 16 else f"{label[:15]}…" for label in outcome.labels]
        turned = 0 if sum(map(len, names)) <= 34 else 60
        axes.set_xticks(
            ticks,
            names,
            rotation=turned,
            ha="right" if turned else "center",
            rotation_mode="anchor" if turned else None,
        )
        axes.set_yticks(ticks, names)
        axes.set(
            xlabel=words["answer"], ylabel=words["truth"], xlim=(-0.5, len(table) - 0.5), ylim=(len(table) - 0.5, -0.5)
        )
        axes.set_aspect("equal")
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)

    return draw_svg(draw, width=width, height=max(3.2, width - 0.6), label=words["confusion_alt"])


def _draw_cells(axes: Axes, table: Integers) -> None:
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    for (row, column), count in np.ndenumerate(table):
        shade = 0.04 + 0.56 * share[row, column]
        axes.add_patch(
            Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, facecolor=SERIES[0], alpha=shade, linewidth=0)
        )
        text = f"{count}\n{share[row, column]:.0%}" if len(table) <= 4 else str(count)
        axes.text(column, row, text, ha="center", va="center", fontsize=10 if len(table) <= 4 else 8)


def decision_figure(outcomes: Mapping[str, Outcome], threshold: Threshold = None, words: Words = ENGLISH) -> str | None:
    """Net benefit by threshold probability, with treat-all and treat-none; None unless binary."""
    if not next(iter(outcomes.values())).binary:
        return None
    curves = {name: decision_curve(outcome) for name, outcome in outcomes.items()}
    prevalence = max(float(curve.treat_all[0]) for curve in curves.values())

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for number, (name, curve) in enumerate(curves.items()):
            axes.plot(curve.threshold, curve.model, label=name, **series_style(number))
        first = next(iter(curves.values()))
        axes.plot(
            first.threshold, first.treat_all, color=NEUTRAL, linewidth=1.1, linestyle="--", label=words["treat_all"]
        )
        axes.axhline(0, color=NEUTRAL, linewidth=1.1, label=words["treat_none"])
        if isinstance(threshold, float):
            axes.axvline(threshold, color=SERIES[0], linewidth=0.8, linestyle=":")
        axes.set(xlabel=words["threshold_probability"], ylabel=words["net_benefit"], xlim=(0, 1))
        axes.set_ylim(-0.12 * prevalence, 1.12 * prevalence)
        axes.grid(True)
        axes.legend(loc="best")

    return draw_svg(draw, width=WIDTH, height=3.5, label=words["decision_alt"])


def training_figure(history: Sequence[Mapping[str, Any]], words: Words = ENGLISH) -> str | None:
    """Losses above, what was measured on validation (``val_METRIC``) below, by epoch; None without rows."""
    if not history:
        return None
    measured = [name for name in dict.fromkeys(name for row in history for name in row) if name.startswith("val_")]
    measured = [name for name in measured if name != "val_loss"]

    def draw(figure: Figure) -> None:
        panels = figure.subplots(2 if measured else 1, 1, sharex=True, squeeze=False)[:, 0]
        for axes, names in zip(panels, (["val_loss", "train_loss"], measured), strict=False):
            for number, name in enumerate(names):
                points = [(row["epoch"], row[name]) for row in history if row.get(name) is not None]
                title = words.get(name) or metric_title(name.removeprefix("val_"), words)
                axes.plot(*np.array(points).reshape(-1, 2).T, marker=".", label=title, **series_style(number))
            axes.grid(True)
            axes.legend(loc="best")
        panels[0].set_ylabel(words["loss"])
        panels[-1].set_xlabel(words["epoch"])
        panels[-1].xaxis.get_major_locator().set_params(integer=True)

    return draw_svg(draw, width=WIDTH, height=4.2 if measured else 2.8, label=words["training_alt"])


def forest_figure(
    groups: Sequence[tuple[str, Mapping[str, Any], bool]], overall: float | None, metric: str, words: Words = ENGLISH
) -> str | None:
    """One line a subgroup: value and 95 % interval, hollow where the group is marked; None without a defined value.

    Args:
        groups: (name, {"value", "low", "high"}, whether it is marked); an entry whose value is None is left blank.
        overall: the figure of all samples, drawn as a line.
        metric: whose name stands on the axis.
    """
    if not any(interval["value"] is not None for _, interval, _ in groups):
        return None

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        if overall is not None:
            axes.axvline(overall, color=NEUTRAL, linewidth=1.0, linestyle="--", label=words["all_samples"])
        for row, (_, interval, marked) in enumerate(groups):
            value, low, high = (_number(interval[part]) for part in ("value", "low", "high"))
            axes.plot([low, high], [row, row], color=SERIES[0], linewidth=1.4, alpha=0.5 if marked else 1)
            axes.plot(value, row, "o", color=SERIES[0], markersize=5, fillstyle="none" if marked else "full")
        axes.set_yticks(range(len(groups)), [name for name, _, _ in groups])
        axes.set(xlabel=metric_title(metric, words), ylim=(len(groups) - 0.4, -0.6))
        axes.tick_params(axis="y", length=0)
        axes.grid(True, axis="x")
        if overall is not None:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.0 + 0.9 / (len(groups) + 1)))

    return draw_svg(draw, width=WIDTH, height=1.0 + 0.27 * len(groups), label=words["forest_alt"])


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _unit_square(figure: Figure, x: str, y: str) -> Axes:
    axes = figure.subplots()
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel=x, ylabel=y)
    axes.set_aspect("equal")
    axes.grid(True)
    return axes
