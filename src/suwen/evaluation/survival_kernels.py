"""Counting that survival figures rest on, for many weighted resamples at once. The order of times and of risks does not
depend on the weights: all is sorted once, and each resample is one pass."""

from __future__ import annotations

import numpy as np
from numba import njit

from suwen.evaluation.outcome import Floats, Integers


@njit(cache=True, nogil=True)
def concordance(
    order: Integers, block: Integers, rank: Integers, is_event: Floats, case: Floats, control: Floats
) -> Floats:
    """(R, 2): weight of the pairs whose risks have the order of their times, ties counting half, and of all pairs.

    A pair is a case and somebody followed longer: whose time is later, or who was censored at the same time. A Fenwick
    tree over the risks makes a resample O(n log n). Source: Fenwick, Software: Practice and Experience 1994;24:327.

    Args:
        order: (N,) people by time, the last first.
        block: (N,) number of the distinct time of each place in `order`.
        rank: (N,) dense rank of each person's risk, from 0.
        is_event: (N,) 1 where the event came.
        case, control: (R, N) weight of each person as the one whose event came, and as the one followed longer.
    """
    count, ranks = len(order), int(rank.max()) + 1
    found = np.zeros((case.shape[0], 2))
    for row in range(case.shape[0]):
        tree, total, start = np.zeros(ranks + 1), 0.0, 0
        while start < count:
            stop = start
            while stop < count and block[stop] == block[start]:
                person = order[stop]
                if is_event[person] == 0 and control[row, person] != 0:
                    total += control[row, person]
                    _add(tree, rank[person], control[row, person])
                stop += 1
            for place in range(start, stop):
                person = order[place]
                if is_event[person] != 0 and case[row, person] != 0:
                    below, up_to = _sum(tree, rank[person]), _sum(tree, rank[person] + 1)
                    found[row, 0] += case[row, person] * (below + up_to) / 2
                    found[row, 1] += case[row, person] * total
            for place in range(start, stop):
                person = order[place]
                if is_event[person] != 0 and control[row, person] != 0:
                    total += control[row, person]
                    _add(tree, rank[person], control[row, person])
            start = stop
    return found


@njit(cache=True, nogil=True)
def _add(tree: Floats, place: int, value: float) -> None:
    at = place + 1
    while at < len(tree):
        tree[at] += value
        at += at & -at


@njit(cache=True, nogil=True)
def _sum(tree: Floats, places: int) -> float:
    """Of the first `places`."""
    total, at = 0.0, places
    while at > 0:
        total += tree[at]
        at -= at & -at
    return total


@njit(cache=True, nogil=True)
def higher_said(
    curves: Floats, right: Integers, share: Floats, cases: Integers, longer: Integers, drawn: Floats
) -> Floats:
    """(R,): weight of the pairs in which the case was, by its own time, said to be at higher risk than somebody
    followed longer, ties counting half.

    Args:
        curves: (G, N) incidence by time of the grid, of people in an order in which those followed longer come first.
        right, share: (E,) each case's time lies this share of the way from the grid's time before `right` to it.
        cases: (E,) place of each case.
        longer: (E,) how many are followed longer: the first so many.
        drawn: (N, R) weights.
    """
    resamples = drawn.shape[1]
    found, won = np.zeros(resamples), np.zeros(resamples)
    for number in range(len(cases)):
        case, part = cases[number], share[number]
        low, high = curves[right[number] - 1], curves[right[number]]
        own = low[case] * (1 - part) + high[case] * part
        won[:] = 0.0
        for person in range(longer[number]):
            said = low[person] * (1 - part) + high[person] * part
            weight = 1.0 * (said < own) + 0.5 * (said == own)
            for resample in range(resamples):
                won[resample] += weight * drawn[person, resample]
        for resample in range(resamples):
            found[resample] += won[resample] * drawn[case, resample]
    return found


@njit(cache=True, nogil=True)
def uncensored(
    order: Integers, time: Floats, is_event: Floats, weights: Floats, moments: Floats
) -> tuple[Floats, Floats]:
    """The Kaplan-Meier estimate G of not being censored: (R, N) just before each person's time, and (R, M) at each
    moment. At equal times events come before censorings, so that those whose event came are not at risk of censoring.

    Args:
        order: (N,) people by time, the first first.
        time, is_event: (N,).
        weights: (R, N).
        moments: (M,) rising.
    """
    count = len(order)
    before, at = np.ones(weights.shape), np.ones((weights.shape[0], len(moments)))
    for row in range(weights.shape[0]):
        risk, value, start, moment = weights[row].sum(), 1.0, 0, 0
        while start < count:
            now = time[order[start]]
            while moment < len(moments) and moments[moment] < now:
                at[row, moment] = value
                moment += 1
            stop, events, censored = start, 0.0, 0.0
            while stop < count and time[order[stop]] == now:
                person = order[stop]
                before[row, person] = value
                if is_event[person] != 0:
                    events += weights[row, person]
                else:
                    censored += weights[row, person]
                stop += 1
            if censored > 0:
                value *= max(0.0, 1 - censored / (risk - events))
            risk -= events + censored
            start = stop
        at[row, moment:] = value
    return before, at


@njit(cache=True, nogil=True)
def came_true(
    order: Integers, time: Floats, event: Integers, group: Integers, weights: Floats, cause: int, horizon: float
) -> Floats:
    """(R, B): the Aalen-Johansen incidence of a cause by the horizon, in each of B groups (of one cause alone, 1 less
    Kaplan-Meier); NaN in a group that nobody of a resample is in.

    Args:
        order: (N,) people by time, the first first.
        time, event, group: (N,); event 0 is censored, else the code of a cause.
        weights: (R, N).
        cause: the code asked about.
        horizon: in the unit of time.
    """
    groups = int(group.max()) + 1
    found = np.full((weights.shape[0], groups), np.nan)
    for row in range(weights.shape[0]):
        risk, alive, happened = np.zeros(groups), np.ones(groups), np.zeros(groups)
        for person in range(len(order)):
            risk[group[person]] += weights[row, person]
        whole = risk.copy()
        mine, deaths, left = np.zeros(groups), np.zeros(groups), np.zeros(groups)
        start = 0
        while start < len(order) and time[order[start]] <= horizon:
            stop, now = start, time[order[start]]
            while stop < len(order) and time[order[stop]] == now:
                person = order[stop]
                weight = weights[row, person]
                left[group[person]] += weight
                deaths[group[person]] += weight * (event[person] != 0)
                mine[group[person]] += weight * (event[person] == cause)
                stop += 1
            for place in range(start, stop):
                at = group[order[place]]
                if left[at] > 0:
                    happened[at] += alive[at] * mine[at] / risk[at]
                    alive[at] *= 1 - deaths[at] / risk[at]
                    risk[at] -= left[at]
                    mine[at], deaths[at], left[at] = 0.0, 0.0, 0.0
            start = stop
        for at in range(groups):
            if whole[at] > 0:
                found[row, at] = happened[at]
    return found
