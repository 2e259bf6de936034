"""Who comes first: concordance of risks with times, and areas under time-dependent ROC curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from suwen.evaluation.outcome import Floats, Integers, Threshold
from suwen.evaluation.ranking import Statistic, ratio
from suwen.evaluation.survival_kernels import concordance, higher_said, uncensored
from suwen.evaluation.survival_outcome import SurvivalOutcome

CauseStatistic = Callable[[SurvivalOutcome, int], Statistic]
"""(outcome, code of the cause) → the statistic of any weights."""


def mean_over_causes(of_cause: CauseStatistic) -> Callable[[SurvivalOutcome, Threshold], Statistic]:
    """The mean over the causes that occur; NaN where none does."""

    def prepare(outcome: SurvivalOutcome, _: Threshold) -> Statistic:
        found = [of_cause(outcome, cause) for cause in outcome.causes]
        if not found:
            return lambda weights: np.full(len(weights), np.nan)
        return lambda weights: np.asarray(np.mean([each(weights) for each in found], axis=0))

    return prepare


def longest(outcome: SurvivalOutcome, cause: int) -> tuple[Floats, Floats]:
    """(N,) times and (N,) 1 where the cause's event came. Who had another cause's will never have this one's, and
    counts as followed for ever.

    Source: Wolbers et al., Epidemiology 2009;20:555.
    """
    other = (outcome.event != 0) & (outcome.event != cause)
    return np.where(other, np.inf, outcome.time), (outcome.event == cause).astype(np.float64)


def pairs(time: Floats, event: Floats, risk: Floats) -> Callable[[Floats, Floats], Floats]:
    """A count of pairs by the weights of cases and of those followed longer: see `concordance`."""
    _, rank = np.unique(risk, return_inverse=True)
    order = np.argsort(-time, kind="stable")
    _, block = np.unique(-time[order], return_inverse=True)

    def count(case: Floats, control: Floats) -> Floats:
        drawn = np.ascontiguousarray(case), np.ascontiguousarray(control)
        found: Floats = concordance(order, block, rank, event, *drawn)
        return found

    return count


def harrell(outcome: SurvivalOutcome, cause: int) -> Statistic:
    """Harrell's C: in how many of the pairs of which one's event came while the other was followed, the first had the
    higher risk (`SurvivalOutcome.time_lost`); equal risks count half, events at the same time are no pair.

    Source: Harrell et al., JAMA 1982;247:2543; with competing causes Wolbers et al., Epidemiology 2009;20:555.
    """
    time, event = longest(outcome, cause)
    count = pairs(time, event, outcome.time_lost(cause))
    return lambda weights: ratio(*count(weights * event, weights).T)


def uno(outcome: SurvivalOutcome, cause: int) -> Statistic:
    """Uno's C: as Harrell's, but each pair counts 1 / G(t)² with G the Kaplan-Meier estimate of not being censored just
    before its event, and only events before the last horizon: it does not depend on who was censored. Somebody whose
    other cause's event came first, at u, counts 1 / (G(t) G(u)).

    Source: Uno et al., Statistics in Medicine 2011;30:1105; Wolbers et al., Biostatistics 2014;15:526.
    """
    mine = (outcome.event == cause).astype(np.float64)
    other = ((outcome.event != 0) & (outcome.event != cause)).astype(np.float64)
    risk, known = outcome.time_lost(cause), Censoring(outcome)
    later = pairs(outcome.time, mine + other, risk)
    earlier = pairs(-outcome.time, mine, risk)
    counted = mine * (outcome.time < outcome.horizons.max())

    def statistic(weights: Floats) -> Floats:
        before, _ = known(weights)
        once = np.nan_to_num(ratio(weights, before))
        twice = np.nan_to_num(ratio(once, before))
        found = later(twice * counted, weights)
        if other.any():
            found = found + earlier(once * counted, once * other)
        return ratio(*found.T)

    return statistic


class Censoring:
    """G, the Kaplan-Meier estimate of not being censored, of any weights: (R, N) just before each person's time, and
    (R, H) at some moments (the horizons unless given)."""

    def __init__(self, outcome: SurvivalOutcome, moments: Floats | None = None) -> None:
        self.order = np.argsort(outcome.time, kind="stable")
        self.time, self.event = outcome.time, (outcome.event != 0).astype(np.float64)
        self.moments = np.sort(outcome.horizons) if moments is None else moments

    def __call__(self, weights: Floats) -> tuple[Floats, Floats]:
        """See the class."""
        found: tuple[Floats, Floats] = uncensored(
            self.order, self.time, self.event, np.ascontiguousarray(weights), self.moments
        )
        return found


def antolini(outcome: SurvivalOutcome, cause: int) -> Statistic:
    """Time-dependent concordance: in how many pairs the one whose event came had, by that very time, the higher
    incidence said. Curves that cross are judged where it counts. Compares cases × people, so that time and not memory
    grows with their product.

    Source: Antolini et al., Statistics in Medicine 2005;24:3927.
    """
    time, event = longest(outcome, cause)
    order = np.lexsort((event, -time))  # the last first; at one time the censored first, as they were followed longer
    cases = np.flatnonzero(event[order])
    times = time[order][cases]
    longer = np.searchsorted(-time[order], -times, "left") + _censored_at(time, event, times)
    grid = np.concatenate([[0.0], outcome.grid])
    curves = np.ascontiguousarray(np.pad(outcome.incidence[order, cause - 1], ((0, 0), (1, 0))).T)
    right = np.clip(np.searchsorted(grid, times, "left"), 1, len(grid) - 1)
    share = np.clip((times - grid[right - 1]) / (grid[right] - grid[right - 1]), 0.0, 1.0)

    def statistic(weights: Floats) -> Floats:
        drawn = np.ascontiguousarray(weights[:, order].T)
        before = np.concatenate([np.zeros((1, len(weights))), np.cumsum(drawn, axis=0)])
        concordant = higher_said(curves, right, share, cases, longer, drawn)
        return ratio(concordant, (drawn[cases] * before[longer]).sum(axis=0))

    return statistic


def _censored_at(time: Floats, event: Floats, times: Floats) -> Integers:
    """How many were censored at each of these times."""
    found = np.sort(time[event == 0])
    return np.asarray(np.searchsorted(found, times, "right") - np.searchsorted(found, times, "left"))


def dynamic_auroc(outcome: SurvivalOutcome, cause: int) -> Statistic:
    """Cumulative/dynamic area under the ROC curve, the mean over horizons: how often somebody whose event has come by
    the horizon was said to be at higher risk than somebody whose event has not (or who had another cause's). Cases
    count 1 / G(their time), those followed beyond the horizon 1 / G(horizon).

    Source: Uno et al., JASA 2007;102:527; Blanche et al., Statistics in Medicine 2013;32:5381 (definition 2 where
    causes compete).
    """
    horizons = np.sort(outcome.horizons)
    known = Censoring(outcome, horizons)
    pieces = [_sides(outcome, cause, horizon) for horizon in horizons]

    def statistic(weights: Floats) -> Floats:
        before, at = known(weights)
        once = np.nan_to_num(ratio(weights, before))
        areas = []
        for number, (order, below, up_to, case, control, beyond) in enumerate(pieces):
            later = ratio(weights, np.broadcast_to(at[:, [number]], weights.shape))
            controls = np.where(beyond, np.nan_to_num(later), once * control)[:, order]
            total = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(controls, axis=1)], axis=1)
            cases = once[:, case]
            won = np.einsum("rp,rp->r", cases, total[:, below] + total[:, up_to]) / 2
            areas.append(ratio(won, cases.sum(axis=1) * total[:, -1]))
        return np.asarray(np.mean(areas, axis=0))

    return statistic


def _sides(outcome: SurvivalOutcome, cause: int, horizon: float) -> tuple[Any, ...]:
    """Order of the risks at a horizon, places of the cases in it, who is a case, a control by another cause, beyond."""
    risk = outcome.said(cause, horizon)[:, 0]
    by_then = outcome.time <= horizon
    case = np.flatnonzero(by_then & (outcome.event == cause))
    order = np.argsort(risk, kind="stable")
    below = np.searchsorted(risk[order], risk[case], "left")
    up_to = np.searchsorted(risk[order], risk[case], "right")
    control = by_then & (outcome.event != 0) & (outcome.event != cause)
    return order, below, up_to, case, control, ~by_then
