"""Whether what was said came true: Brier scores over time, and calibration at horizons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suwen.evaluation.outcome import Floats, Integers
from suwen.evaluation.ranking import Statistic, ratio
from suwen.evaluation.survival_kernels import came_true
from suwen.evaluation.survival_outcome import SurvivalOutcome
from suwen.evaluation.survival_ranking import Censoring

GROUPS = 10
"""Tenths of predicted risk (Hosmer & Lemeshow, Communications in Statistics 1980;9:1043)."""

BANDWIDTH = 0.05
"""Of the smooth calibration curve: so large a share of the people on either side of a risk, our choice."""


def brier_statistic(outcome: SurvivalOutcome, cause: int) -> Statistic:
    """Brier score under censoring, the mean over horizons: ``(1/N) Σ w (1[T ≤ t, cause] - F(t))²``, with w = 1 / G(T)
    for those whose event came by t, 1 / G(t) for those followed beyond, and 0 for those censored before.

    Source: Graf et al., Statistics in Medicine 1999;18:2529; with competing causes Schoop et al., Biometrical Journal
    2011;53:88.
    """
    curve = brier_curve(outcome, cause, np.sort(outcome.horizons))
    return lambda weights: np.asarray(curve(weights).mean(axis=1))


def integrated_brier(outcome: SurvivalOutcome, cause: int) -> Statistic:
    """The mean of the Brier score from 0 to the last horizon, by trapezoids over the grid. Source: Graf et al. 1999."""
    times = times_to_last(outcome)
    curve = brier_curve(outcome, cause, times[1:])

    def statistic(weights: Floats) -> Floats:
        scores = np.pad(curve(weights), ((0, 0), (1, 0)))  # at 0 nothing has happened, and nothing was said to have
        return np.asarray(np.trapezoid(scores, times, axis=1) / times[-1])

    return statistic


def times_to_last(outcome: SurvivalOutcome) -> Floats:
    """0, the grid below the last horizon, and that horizon."""
    last = outcome.horizons.max()
    return np.concatenate([[0.0], outcome.grid[outcome.grid < last], [last]])


def brier_curve(outcome: SurvivalOutcome, cause: int, times: Floats) -> Statistic:
    """(R, T): the Brier score at each of rising times, of any weights."""
    said = outcome.said(cause, times)
    mine = (outcome.event == cause)[:, None]
    gone = (outcome.time[:, None] <= times) & (outcome.event != 0)[:, None]
    happened = np.where(gone, (mine - said) ** 2, 0.0)
    beyond = np.where(outcome.time[:, None] > times, said**2, 0.0)
    known = Censoring(outcome, times)

    def statistic(weights: Floats) -> Floats:
        before, at = known(weights)
        once = np.nan_to_num(ratio(weights, before))
        later = weights @ beyond
        found = once @ happened + np.where(later > 0, ratio(later, at), 0.0)
        return np.asarray(found / weights.sum(axis=1, keepdims=True))

    return statistic


def risk_groups(risk: Floats, groups: int = GROUPS) -> Integers:
    """(N,) number of each person's group of about equal size by risk; equal risks stay together, and none is empty."""
    edges = np.quantile(risk, np.arange(1, groups) / groups)
    _, found = np.unique(np.searchsorted(edges, risk, "left"), return_inverse=True)
    return np.asarray(found, np.int64)


@dataclass(frozen=True, eq=False)
class Agreement:
    """What was said and what came true by a horizon, by group of risk.

    Attributes:
        cause: its name.
        horizon: in the unit of time.
        said: (B,) mean risk said.
        observed: (B,) Aalen-Johansen incidence (of one cause, 1 - Kaplan-Meier).
        count: (B,) people.
    """

    cause: str
    horizon: float
    said: Floats
    observed: Floats
    count: Integers

    @property
    def error(self) -> float:
        """Mean gap, weighted by people."""
        return float((np.abs(self.observed - self.said) * self.count).sum() / self.count.sum())


def agreement(outcome: SurvivalOutcome, cause: int, horizon: float) -> Agreement:
    """Said and observed by a horizon in tenths of risk."""
    risk = outcome.said(cause, horizon)[:, 0]
    group = risk_groups(risk)
    order = np.argsort(outcome.time, kind="stable")
    ones = np.ones((1, len(outcome)))
    observed = came_true(order, outcome.time, outcome.event, group, ones, cause, horizon)[0]
    count = np.bincount(group)
    said = np.bincount(group, weights=risk) / count
    return Agreement(outcome.labels[cause - 1], float(horizon), said, observed, count)


def calibration_error(outcome: SurvivalOutcome, cause: int) -> Statistic:
    """Expected calibration error at horizons: the mean gap, over tenths of predicted risk, between the mean risk said
    and the incidence that came true (Aalen-Johansen); the mean over horizons.

    Source: as the ECE of Naeini et al., AAAI 2015, with observed risks as D'Agostino & Nam, Handbook of Statistics
    2003;23:1.
    """
    order = np.argsort(outcome.time, kind="stable")
    risks = [(float(horizon), outcome.said(cause, horizon)[:, 0]) for horizon in outcome.horizons]
    groups = [risk_groups(risk) for _, risk in risks]

    def statistic(weights: Floats) -> Floats:
        found = []
        for (horizon, risk), group in zip(risks, groups, strict=True):
            drawn = np.ascontiguousarray(weights)
            observed = came_true(order, outcome.time, outcome.event, group, drawn, cause, horizon)
            member = np.eye(group.max() + 1)[group]
            size = weights @ member
            gaps = np.abs(observed * size - weights @ (member * risk[:, None]))
            found.append(np.nansum(gaps, axis=1) / weights.sum(axis=1))
        return np.asarray(np.mean(found, axis=0))

    return statistic


def integrated_calibration(outcome: SurvivalOutcome, cause: int) -> Statistic:
    """Integrated calibration index at horizons (E_avg): the mean gap between the risk said and a smooth curve of what
    came true, here the mean over the `BANDWIDTH` neighbours on either side, weighed as in the Brier score; the mean
    over horizons.

    Source: Austin, Harrell & van Klaveren, Statistics in Medicine 2020;39:2714 (the index); Gerds et al., Statistics in
    Medicine 2014;33:3191 (nearest neighbours).
    """
    horizons = np.sort(outcome.horizons)
    known = Censoring(outcome, horizons)
    risks = outcome.said(cause, horizons)

    def statistic(weights: Floats) -> Floats:
        before, at = known(weights)
        once = np.nan_to_num(ratio(weights, before))
        found = []
        for number, horizon in enumerate(horizons):
            gone, mine = (outcome.time <= horizon) & (outcome.event != 0), outcome.event == cause
            later = np.nan_to_num(ratio(weights, np.broadcast_to(at[:, [number]], weights.shape)))
            known_weight = np.where(gone, once, np.where(outcome.time > horizon, later, 0.0))
            risk = risks[:, number]
            smooth = _smooth(risk, known_weight, known_weight * (gone & mine))
            gap = np.nan_to_num(np.abs(smooth - risk))
            found.append((weights * gap).sum(axis=1) / weights.sum(axis=1))
        return np.asarray(np.mean(found, axis=0))

    return statistic


def _smooth(risk: Floats, weight: Floats, came: Floats) -> Floats:
    """(R, N): for each person the weighted mean of what came true over the neighbours in risk; equal risks share
    one."""
    order = np.argsort(risk, kind="stable")
    _, first, group = np.unique(risk[order], return_index=True, return_inverse=True)
    last = np.append(first[1:], len(risk))
    half = max(1, round(BANDWIDTH * len(risk)))
    low, high = np.maximum(first[group] - half, 0), np.minimum(last[group] + half, len(risk))
    sums = [np.pad(np.cumsum(values[:, order], axis=1), ((0, 0), (1, 0))) for values in (came, weight)]
    part, whole = (each[:, high] - each[:, low] for each in sums)
    found = np.empty_like(weight)
    found[:, order] = ratio(part, whole)
    return found
