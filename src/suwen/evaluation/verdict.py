"""What the figures amount to, in words: whether the model beats its baselines, and what got worse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from suwen.evaluation.content import ReportContent
from suwen.evaluation.intervals import Interval, bootstrap_difference
from suwen.evaluation.metrics import metric_of
from suwen.evaluation.outcome import Judged
from suwen.evaluation.words import Words, baseline_title, metric_title

Standing = Literal["beats", "tied", "loses", "unclear"]

OVERALL = (
    "auroc",
    "auprc",
    "accuracy",
    "balanced_accuracy",
    "f1_macro",
    "brier",
    "dice",
    "iou",
    "hd95",
    "surface_dice",
    "mae",
    "rmse",
    "r2",
    "c_index",
    "c_uno",
    "c_td",
    "auroc_horizon",
    "brier_horizon",
    "ibs",
)  # no trade-offs among these
_RISE = 1.1  # a validation loss a tenth above its best is more than its usual wobble


@dataclass(frozen=True)
class Comparison:
    """The model against one baseline in the headline metric, on the same subjects.

    Attributes:
        baseline: its name.
        other: its figure.
        difference: the model's less the baseline's, with a paired 95 % interval.
        standing: ``beats`` if the whole interval is on the better side, ``tied`` if it holds zero, ``loses`` if the
            model is not better at all, ``unclear`` if the difference or its interval is not defined.
    """

    baseline: str
    other: float
    difference: Interval
    standing: Standing


def compare(model: Judged, baselines: Mapping[str, Any], headline: str) -> list[Comparison]:
    """The model against each baseline, the strongest first."""
    sign = 1 if metric_of(headline).higher_is_better else -1
    found = [_compare_one(model, name, outcome, headline, sign) for name, outcome in baselines.items()]
    return sorted(found, key=lambda each: np.inf if np.isnan(each.other) else -sign * each.other)


def _compare_one(model: Judged, name: str, outcome: Judged, headline: str, sign: int) -> Comparison:
    difference = bootstrap_difference(model, outcome, [headline])[headline]
    least = difference["low"] if sign > 0 else -difference["high"]
    standing: Standing
    if np.isnan(difference["value"]) or np.isnan(least):
        standing = "unclear"
    elif sign * difference["value"] <= 0:
        standing = "loses"
    else:
        standing = "beats" if least > 0 else "tied"
    return Comparison(name, metric_of(headline).function(outcome), difference, standing)


def verdict(content: ReportContent, comparisons: list[Comparison], words: Words) -> str:
    """One or two sentences: how good, on whom, and against the strongest baseline."""
    if not content.split:
        return words["nothing_measured"]
    outcome, headline = content.outcomes[content.split], content.headline
    sentence = words[outcome.sentence].format(
        positive=outcome.labels[outcome.positive],
        classes=len(outcome.labels),
        metric=metric_title(headline, words),
        figure=with_interval(content.figures(content.split)[headline], words),
        n=len(outcome),
        unit=content.unit,
        subjects=len(np.unique(outcome.subjects)),
        split=words.get(f"split_word_{content.split}", content.split),
    )
    if content.leaks:
        sentence = f"{words['leaks_verdict']} {sentence}"
    if not comparisons:
        return f"{sentence} {words['no_baseline']}"
    strongest = comparisons[0]
    against = words[strongest.standing].format(
        baseline=baseline_title(strongest.baseline, words),
        other=number(strongest.other, words),
        difference=with_interval(strongest.difference, words),
    )
    return f"{sentence} {against}"


def what_got_worse(content: ReportContent, words: Words) -> list[str]:
    """One sentence for each thing that is worse than it should be; empty if none is."""
    return [
        *_worse_than_baselines(content, words),
        *_worse_than_validation(content, words),
        *_worse_groups(content, words),
        *_worse_training(content, words),
    ]


def is_worse(name: str, value: float | None, other: float | None) -> bool:
    """Whether `value` is worse than `other` in this metric; False if either is not defined."""
    if value is None or other is None or np.isnan(value) or np.isnan(other):
        return False
    return value < other if metric_of(name).higher_is_better else value > other


def _worse_than_baselines(content: ReportContent, words: Words) -> Iterator[str]:
    mine = content.figures(content.split)
    for baseline, theirs in content.baseline_figures(content.split).items():
        for name in (name for name in OVERALL if name in mine and name in theirs):
            if is_worse(name, mine[name]["value"], theirs[name]["value"]):
                yield words["worse_than_baseline"].format(
                    metric=metric_title(name, words),
                    baseline=baseline_title(baseline, words),
                    other=with_interval(theirs[name], words),
                    value=with_interval(mine[name], words),
                )


def _worse_than_validation(content: ReportContent, words: Words) -> Iterator[str]:
    splits = content.metrics["splits"]
    if not {"val", "test"} <= set(splits):
        return
    before, after = content.figures("val"), content.figures("test")
    for name in (name for name in (*OVERALL, "ece") if name in before and name in after):
        worst = before[name]["low" if metric_of(name).higher_is_better else "high"]
        if is_worse(name, after[name]["value"], worst):
            yield words["worse_than_val"].format(
                metric=metric_title(name, words),
                value=with_interval(after[name], words),
                other=with_interval(before[name], words),
            )


def _worse_groups(content: ReportContent, words: Words) -> Iterator[str]:
    name = content.headline
    everyone = content.figures(content.split)[name]
    best = "high" if metric_of(name).higher_is_better else "low"
    for column, found in content.metrics["splits"][content.split].get("subgroups", {}).items():
        for group, entry in found["groups"].items():
            figure = entry["metrics"].get(name)
            if figure and not entry.get("note") and is_worse(name, figure[best], everyone["value"]):
                yield words["worse_group"].format(
                    metric=metric_title(name, words),
                    column=column,
                    group=group,
                    value=with_interval(figure, words),
                    unit=content.unit,
                    other=with_interval(everyone, words),
                )


def _worse_training(content: ReportContent, words: Words) -> Iterator[str]:
    losses = [(row["val_loss"], row["epoch"]) for row in content.history if row.get("val_loss") is not None]
    if losses and losses[-1][0] > _RISE * min(losses)[0]:
        (least, best), (value, last) = min(losses), losses[-1]
        yield words["worse_training"].format(
            other=number(least, words), best=best, value=number(value, words), last=last
        )


def number(value: float | None, words: Words) -> str:
    """Three decimals with a true minus sign, or "not defined"."""
    return words["not_defined"] if value is None or np.isnan(value) else f"{value:.3f}".replace("-", "−")


def interval_text(figure: Mapping[str, Any], words: Words) -> str:
    """``0.940–0.980``, with "to" where a minus sign would confuse; empty if not defined."""
    low, high = figure["low"], figure["high"]
    if low is None or high is None or np.isnan(low) or np.isnan(high):
        return ""
    return f"{number(low, words)}{' to ' if min(low, high) < 0 else '–'}{number(high, words)}"


def with_interval(figure: Mapping[str, Any], words: Words) -> str:
    """``0.960 (0.940–0.980)``."""
    between = interval_text(figure, words)
    return number(figure["value"], words) + (f" ({between})" if between else "")
