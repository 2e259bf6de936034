"""95 % intervals by bootstrap over subjects.

Images of one person resemble each other, so resampling images would make intervals too narrow: whole subjects are
drawn with replacement, each with all its samples. The interval is the 2.5th to the 97.5th percentile of the
resampled figures.

Source: Efron & Tibshirani, An Introduction to the Bootstrap (1993), sections 13.3 (percentile) and 8.3 (clusters).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypedDict

import numpy as np
import pandas as pd

from suwen.core.errors import DataError
from suwen.evaluation.metrics import metric_of
from suwen.evaluation.outcome import Floats, Judged, Threshold
from suwen.evaluation.ranking import Statistic

LEVEL = 95  # percent
CHUNK = 250_000  # weights held at once (2 MB): they stay in the processor cache, and memory stays flat
_LEAST_DEFINED = 0.5  # an interval from fewer of the resamples would describe a different, luckier, population


class Interval(TypedDict):
    """A figure with its 95 % interval; NaN where not defined."""

    value: float
    low: float
    high: float


def bootstrap(
    outcome: Judged, names: Iterable[str], thresholds: Threshold = None, *, resamples: int = 1000, seed: int = 0
) -> dict[str, Interval]:
    """Each metric with its 95 % percentile bootstrap interval over subjects.

    A resample in which a figure is not defined (it drew none of a class) is left out; if most are, or there is but
    one subject, so is the interval. The same seed gives the same interval.
    """
    statistics = {name: metric_of(name).prepare(outcome, thresholds) for name in names}
    whole = np.ones((1, len(outcome)))
    drawn = _resample(statistics, outcome, resamples, seed)
    return {name: _interval(float(statistic(whole)[0]), drawn[name]) for name, statistic in statistics.items()}


def bootstrap_difference(
    first: Judged,
    second: Judged,
    names: Iterable[str],
    thresholds: tuple[Threshold, Threshold] = (None, None),
    *,
    resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Interval]:
    """Each metric of `first` minus that of `second`, with its 95 % interval, on the very same resamples.

    Pairing takes out what both find hard, so it sees smaller differences than two separate intervals would.

    Raises:
        DataError: the two outcomes are not of the same samples in the same order.
    """
    if not (np.array_equal(first.ids, second.ids) and np.array_equal(first.subjects, second.subjects)):
        raise DataError(
            f"two outcomes of {len(first)} and {len(second)} samples that are not the same, or not in the same order",
            why="a paired difference compares two answers to the same question",
            fix="evaluate both on the same split",
        )
    statistics = {
        name: _difference(*(metric_of(name).prepare(*pair) for pair in zip((first, second), thresholds, strict=True)))
        for name in names
    }
    whole = np.ones((1, len(first)))
    drawn = _resample(statistics, first, resamples, seed)
    return {name: _interval(float(statistic(whole)[0]), drawn[name]) for name, statistic in statistics.items()}


def _difference(first: Statistic, second: Statistic) -> Statistic:
    return lambda weights: first(weights) - second(weights)


def _resample(statistics: Mapping[str, Statistic], outcome: Judged, resamples: int, seed: int) -> dict[str, Floats]:
    """The value of every statistic in every resample."""
    found: dict[str, list[Floats]] = {name: [np.empty(0)] for name in statistics}
    for weights in subject_weights(outcome, resamples, seed):
        for name, statistic in statistics.items():
            found[name].append(statistic(weights))
    return {name: np.concatenate(values) for name, values in found.items()}


def subject_weights(outcome: Judged, resamples: int, seed: int) -> Iterator[Floats]:
    """Weights (R, N) in chunks, `resamples` rows in all: how often each sample's subject was drawn."""
    subject, names = pd.factorize(outcome.subjects)  # numbered as they appear: their names play no part in the draws
    if len(names) < 2:
        return
    rng = np.random.default_rng(seed)
    rows = max(1, CHUNK // len(outcome))
    for start in range(0, resamples, rows):
        counts = [
            np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))
            for _ in range(min(rows, resamples - start))
        ]
        yield np.stack(counts).astype(np.float64)[:, subject]


def _interval(value: float, drawn: Floats) -> Interval:
    defined = drawn[np.isfinite(drawn)]
    if np.isnan(value) or len(defined) <= _LEAST_DEFINED * len(drawn):
        return {"value": value, "low": np.nan, "high": np.nan}
    low, high = np.percentile(defined, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return {"value": value, "low": float(low), "high": float(high)}
