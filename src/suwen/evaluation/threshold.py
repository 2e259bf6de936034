"""The operating threshold: chosen on validation, then kept."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from suwen.core.errors import NameUnknown
from suwen.evaluation.outcome import Bools, Floats, Outcome, Threshold

_Criterion = Callable[[Floats, Floats, Floats, Floats], Floats]
_UNCHOSEN = 0.5
_RULE_OUT = 0.95


def _youden(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> Floats:
    """Sensitivity + specificity - 1. Source: Youden, Cancer 1950;3:32."""
    return tp / (tp + fn) + tn / (tn + fp) - 1


def _accuracy(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> Floats:
    return (tp + tn) / (tp + fp + fn + tn)


def _f1(tp: Floats, fp: Floats, fn: Floats, _: Floats) -> Floats:
    return 2 * tp / (2 * tp + fp + fn)


def _rule_out(tp: Floats, fp: Floats, fn: Floats, tn: Floats) -> Floats:
    """The best specificity among thresholds that find at least 95 % of the positives."""
    return np.where(tp / (tp + fn) >= _RULE_OUT, tn / (tn + fp), -1.0)


CRITERIA: dict[str, _Criterion] = {"youden": _youden, "accuracy": _accuracy, "f1": _f1, "sensitivity_95": _rule_out}

PREVALENCE = "prevalence"


def choose_threshold(outcome: Outcome, criterion: str = "youden") -> Threshold:
    """The threshold at which the criterion is best on this outcome; call it on validation only.

    Candidates lie midway between neighbouring scores; of equally good ones, the nearest to 0.5 is taken. A label
    of which validation has only positives or only negatives keeps 0.5: there is nothing to choose by.

    Args:
        outcome: the validation split's.
        criterion: a name in `CRITERIA`: ``youden`` (sensitivity + specificity), ``accuracy``, ``f1``, or
            ``sensitivity_95`` (best specificity that still finds 95 % of the positives); or ``prevalence``, the share
            of positives itself: for calibrated probabilities the Bayes rule of balanced accuracy, steadier than the
            best cut of a few hundred images.

    Returns:
        A number if binary, (K,) if multi-label, None if multi-class (the most probable class is the answer).
    """
    known = [*CRITERIA, PREVALENCE]
    if criterion not in known:
        raise NameUnknown("threshold criterion", criterion, known, fix=f"one of {', '.join(known)}")
    if not (outcome.binary or outcome.multi_label):
        return None
    truth = outcome.truth
    if criterion == PREVALENCE:
        chosen = [float(truth[:, column].mean()) for column in outcome.scored]
    else:
        rule, scores = CRITERIA[criterion], outcome.probabilities
        chosen = [_choose(scores[:, column], truth[:, column], rule) for column in outcome.scored]
    return chosen[0] if outcome.binary else np.array(chosen)


def _choose(scores: Floats, truth: Bools, criterion: _Criterion) -> float:
    if truth.all() or not truth.any():
        return _UNCHOSEN
    distinct, group = np.unique(scores, return_inverse=True)
    positives = np.bincount(group, weights=truth)
    negatives = np.bincount(group, weights=~truth)
    # calling positive from the g-th distinct score upwards; g = 0 calls all, g = last + 1 calls none
    fn = np.concatenate([[0], np.cumsum(positives)])
    tn = np.concatenate([[0], np.cumsum(negatives)])
    edges = np.concatenate([[0.0], distinct, [1.0]])
    candidates = (edges[:-1] + edges[1:]) / 2
    value = criterion(positives.sum() - fn, negatives.sum() - tn, fn, tn)
    best = np.flatnonzero(value >= value.max() - 1e-12)
    return float(candidates[best[np.abs(candidates[best] - 0.5).argmin()]])
