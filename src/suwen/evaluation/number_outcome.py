"""A `NumberOutcome`: what was true and what was said, a number each."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from suwen.core.errors import DataError
from suwen.evaluation.metric import Metric
from suwen.evaluation.outcome import Floats, Threshold
from suwen.evaluation.ranking import Statistic, ratio


@dataclass(frozen=True, eq=False, kw_only=True)
class NumberOutcome:
    """N samples.

    Attributes:
        ids, subjects: (N,) names; bootstraps draw subjects.
        target, said: float64 (N,).
        labels: one name: what the number is.
        metadata: N rows of further columns.

    Raises:
        DataError: no samples, or numbers that are not finite.
    """

    ids: NDArray[np.str_]
    subjects: NDArray[np.str_]
    target: Floats
    said: Floats
    labels: tuple[str, ...] = ("value",)
    metadata: pd.DataFrame = field(default_factory=pd.DataFrame)

    def __post_init__(self) -> None:
        if not len(self.ids):
            raise DataError("no samples to evaluate", why="no figure would be defined", fix="check the split's size")
        if not (np.isfinite(self.target).all() and np.isfinite(self.said).all()):
            raise DataError(
                "numbers that are not finite", why="every figure would be one of them", fix="check the data"
            )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def in_short(self) -> tuple[str, ...]:
        """The few metrics that a table with little room shows beside the headline."""
        return ("rmse", "bias")

    @property
    def sentence(self) -> str:
        """Which sentence of the report says how good the model is."""
        return "finds_number"

    @property
    def positive(self) -> int:
        """The label that a sentence about one label names."""
        return 0

    def note(self) -> str:
        """Nothing keeps some of them from being compared with others."""
        return ""

    def take(self, index: ArrayLike) -> NumberOutcome:
        """The samples at `index` (integers or a boolean mask), in that order."""
        rows = np.arange(len(self))[np.asarray(index, dtype=None if np.size(index) else np.int64)]
        return NumberOutcome(
            ids=self.ids[rows],
            subjects=self.subjects[rows],
            target=self.target[rows],
            said=self.said[rows],
            labels=self.labels,
            metadata=self.metadata.iloc[rows].reset_index(drop=True) if len(self.metadata) else self.metadata,
        )


def _mean_of(values: Floats) -> Statistic:
    return lambda weights: np.asarray(weights @ values / weights.sum(axis=1))


def _mae(outcome: NumberOutcome, _: Threshold) -> Statistic:
    return _mean_of(np.abs(outcome.said - outcome.target))


def _rmse(outcome: NumberOutcome, _: Threshold) -> Statistic:
    mean = _mean_of((outcome.said - outcome.target) ** 2)
    return lambda weights: np.sqrt(mean(weights))


def _bias(outcome: NumberOutcome, _: Threshold) -> Statistic:
    return _mean_of(outcome.said - outcome.target)


def _r2(outcome: NumberOutcome, _: Threshold) -> Statistic:
    left = _mean_of((outcome.said - outcome.target) ** 2)
    first, second = _mean_of(outcome.target), _mean_of(outcome.target**2)
    return lambda weights: 1 - ratio(left(weights), np.round(second(weights) - first(weights) ** 2, 12))


_ERRORS = "Willmott & Matsuura, Climate Research 2005"

NUMBER_METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("mae", _mae, False, "mean of |said - true|, in the number's own unit", _ERRORS),
        Metric("rmse", _rmse, False, "root of the mean of (said - true)²", _ERRORS),
        Metric("bias", _bias, False, "mean of said - true: best at 0, from either side", "Bland & Altman, Lancet 1986"),
        Metric("r2", _r2, True, "1 - Σ(said - true)² / Σ(true - mean)²; 0: as the mean", "Wright, J Agric Res 1921"),
    )
}
"""Name → metric."""
