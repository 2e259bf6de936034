"""The curves behind the figures: ROC, precision-recall, decision curve, and the confusion table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from suwen.core.errors import DataError
from suwen.evaluation.outcome import Bools, Floats, Integers, Outcome, Threshold, decisions
from suwen.evaluation.ranking import ratio


@dataclass(frozen=True, eq=False)
class Curve:
    """Points of a curve, from calling nothing positive to calling everything positive.

    Attributes:
        label: the class it is about.
        x, y: (P,) the points.
        threshold: (P,) calling positive what scores at least this gives the point; the first is infinite.
        chance: what an uninformed score would reach: 0.5 (area under the ROC diagonal) or the prevalence.
    """

    label: str
    x: Floats
    y: Floats
    threshold: Floats
    chance: float


def _sweep(scores: Floats, truth: Bools) -> tuple[Floats, Floats, Floats]:
    """True positives, false positives and threshold at each distinct score, descending, after a leading (0, 0, ∞)."""
    distinct, group = np.unique(-scores, return_inverse=True)
    true = np.concatenate([[0.0], np.cumsum(np.bincount(group, weights=truth))])
    false = np.concatenate([[0.0], np.cumsum(np.bincount(group, weights=~truth))])
    return true, false, np.concatenate([[np.inf], -distinct])


def roc_curves(outcome: Outcome) -> list[Curve]:
    """Sensitivity (y) over 1 - specificity (x), one curve a scored label that has positives and negatives."""
    curves = []
    for column in _comparable(outcome):
        truth = outcome.truth[:, column]
        true, false, threshold = _sweep(outcome.probabilities[:, column], truth)
        curves.append(Curve(outcome.labels[column], false / false[-1], true / true[-1], threshold, 0.5))
    return curves


def precision_recall_curves(outcome: Outcome) -> list[Curve]:
    """Precision (y) over recall (x), one curve a scored label that has positives and negatives.

    Draw it as steps: straight lines between points promise precision that no threshold reaches (Davis & Goadrich,
    ICML 2006). The leading point, where nothing is called positive, has the precision of the next.
    """
    curves = []
    for column in _comparable(outcome):
        truth = outcome.truth[:, column]
        true, false, threshold = _sweep(outcome.probabilities[:, column], truth)
        precision = ratio(true, true + false)
        precision[0] = precision[1]
        curves.append(Curve(outcome.labels[column], true / true[-1], precision, threshold, float(truth.mean())))
    return curves


def _comparable(outcome: Outcome) -> list[int]:
    present = outcome.truth.sum(axis=0)
    return [column for column in outcome.scored if 0 < present[column] < len(outcome)]


def confusion(outcome: Outcome, threshold: Threshold = 0.5) -> Integers:
    """(K, K) counts, truth down and answer across; multi-label: (K, 2, 2), absent before present, for each label."""
    truth, said = outcome.truth.astype(np.int64), decisions(outcome, threshold).astype(np.int64)
    if not outcome.multi_label:
        return np.asarray(truth.T @ said)
    both = (1 - truth, truth), (1 - said, said)
    cells = [[(row * column).sum(axis=0) for column in both[1]] for row in both[0]]
    return np.asarray(np.moveaxis(np.array(cells), 2, 0))


@dataclass(frozen=True, eq=False)
class DecisionCurve:
    """Net benefit of acting on the answers, of treating all, and of treating none (always 0), by threshold.

    Attributes:
        label: the class acted upon.
        threshold: (T,) the probability from which one would act: at 0.1, one missed case weighs nine needless acts.
        model: (T,) net benefit of acting where the model's probability is at least the threshold.
        treat_all: (T,) net benefit of acting on everyone.
    """

    label: str
    threshold: Floats
    model: Floats
    treat_all: Floats


def decision_curve(outcome: Outcome, column: int | None = None, points: int = 99) -> DecisionCurve:
    """Net benefit = (true positives - false positives · p / (1 - p)) / N at threshold probability p.

    Source: Vickers & Elkin, Medical Decision Making 2006;26:565.

    Args:
        outcome: probabilities must mean what they say, so calibrate first.
        column: which label; the positive class of a binary question unless given.
        points: thresholds, evenly spaced strictly between 0 and 1.

    Raises:
        DataError: no column given and the question is not binary.
    """
    if column is None:
        if not outcome.binary:
            raise DataError(
                f"a decision curve of {len(outcome.labels)} labels at once",
                why="it weighs acting against not acting, one label at a time",
                fix=f"give the column of one of {', '.join(outcome.labels)}",
            )
        column = outcome.positive
    threshold = np.arange(1, points + 1) / (points + 1)
    truth, scores = outcome.truth[:, column], outcome.probabilities[:, column]
    harm = threshold / (1 - threshold)
    positives, negatives = np.sort(scores[truth]), np.sort(scores[~truth])
    true = len(positives) - np.searchsorted(positives, threshold, "left")
    false = len(negatives) - np.searchsorted(negatives, threshold, "left")
    return DecisionCurve(
        outcome.labels[column],
        threshold,
        (true - false * harm) / len(outcome),
        (len(positives) - len(negatives) * harm) / len(outcome),
    )
