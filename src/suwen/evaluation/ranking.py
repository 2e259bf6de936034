"""AUROC and average precision of many weighted resamples at once.

Resampling with replacement is the same as giving each sample an integer weight, and the order of the scores does
not depend on the weights. So the scores are sorted once, and every resample is a cumulative sum over that order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from suwen.evaluation.outcome import Bools, Floats

Statistic = Callable[[Floats], Floats]
"""Weights (R, N) of R resamples → the figure of each, (R,); NaN where it is not defined."""


def ratio(numerator: NDArray[Any], denominator: NDArray[Any]) -> Floats:
    """`numerator / denominator`, NaN where the denominator is 0."""
    result: Floats = np.full(numerator.shape, np.nan)
    np.divide(numerator, denominator, out=result, where=denominator != 0)
    return result


def _cumulative(weights: Floats) -> Floats:
    """(R, N + 1): the weight of the first 0, 1, … N columns."""
    total = np.zeros((weights.shape[0], weights.shape[1] + 1))
    np.cumsum(weights, axis=1, out=total[:, 1:])
    return total


def auroc_statistic(scores: Floats, truth: Bools) -> Statistic:
    """Area under the ROC curve: how often a positive scores above a negative, ties counting half.

    With R the sum of the positives' mid-ranks and P, N the weights of positives and negatives, the area is
    (R - P²/2) / (P N): the Mann-Whitney U divided by its maximum. Source: Hanley & McNeil, Radiology 1982;143:29.
    """
    positives, order = np.flatnonzero(truth), np.argsort(scores, kind="stable")
    below = np.searchsorted(scores[order], scores[positives], "left")
    up_to = np.searchsorted(scores[order], scores[positives], "right")

    def statistic(weights: Floats) -> Floats:
        cumulative, drawn = _cumulative(weights[:, order]), weights[:, positives]
        ranks = np.einsum("rp,rp->r", drawn, cumulative[:, below] + cumulative[:, up_to]) / 2
        positive = drawn.sum(axis=1)
        return ratio(ranks - positive**2 / 2, positive * (cumulative[:, -1] - positive))

    return statistic


def average_precision_statistic(scores: Floats, truth: Bools) -> Statistic:
    """Area under the precision-recall curve as a step function: the mean precision at each recalled positive.

    Source: Davis & Goadrich, ICML 2006 (no linear interpolation between points). Not defined without negatives,
    where every ranking would score 1.
    """
    order, positives = np.argsort(-scores, kind="stable"), np.flatnonzero(truth)
    positives = positives[np.argsort(-scores[positives], kind="stable")]
    called = np.searchsorted(-scores[order], -scores[positives], "right")
    recalled = np.searchsorted(-scores[positives], -scores[positives], "right")

    def statistic(weights: Floats) -> Floats:
        drawn, total = weights[:, positives], weights.sum(axis=1)
        precision = ratio(_cumulative(drawn)[:, recalled], _cumulative(weights[:, order])[:, called])
        positive = drawn.sum(axis=1)
        area = ratio(np.einsum("rp,rp->r", drawn, np.nan_to_num(precision)), positive)
        return np.where(positive < total, area, np.nan)

    return statistic
