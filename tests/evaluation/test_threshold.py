from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, roc_curve

from suwen.core.errors import NameUnknown
from suwen.evaluation.outcome import Outcome, decisions
from suwen.evaluation.threshold import CRITERIA, choose_threshold


def _quality(outcome: Outcome, criterion: str, threshold: float) -> float:
    said = outcome.probabilities[:, 1] >= threshold
    found, cleared = said[outcome.target == 1].mean(), (~said)[outcome.target == 0].mean()
    return {
        "youden": found + cleared - 1,
        "accuracy": accuracy_score(outcome.target, said),
        "f1": f1_score(outcome.target, said),
        "sensitivity_95": cleared if found >= 0.95 else -1.0,
    }[criterion]


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("decimals", [None, 1])
def test_no_other_threshold_is_better(make_outcome: Any, criterion: str, decimals: int | None) -> None:
    outcome = make_outcome(40, decimals=decimals)
    chosen = choose_threshold(outcome, criterion)
    others = np.unique(np.concatenate([[0, 1], outcome.probabilities[:, 1], outcome.probabilities[:, 1] + 1e-9]))
    best = max(_quality(outcome, criterion, threshold) for threshold in others)
    assert _quality(outcome, criterion, chosen) == pytest.approx(best)  # type: ignore[arg-type]


def test_youden_is_the_top_of_scikit_learns_roc_curve(make_outcome: Any) -> None:
    outcome = make_outcome(200)
    false, true, _ = roc_curve(outcome.target, outcome.probabilities[:, 1])
    assert _quality(outcome, "youden", choose_threshold(outcome)) == pytest.approx((true - false).max())  # type: ignore[arg-type]


def test_the_threshold_stands_midway_between_the_scores_it_parts(make_outcome: Any) -> None:
    second = np.array([0.1, 0.2, 0.6, 0.9])
    outcome = replace(
        make_outcome(4), target=np.array([0, 0, 1, 1]), probabilities=np.stack([1 - second, second], axis=1)
    )
    assert choose_threshold(outcome) == pytest.approx(0.4)


def test_a_label_never_seen_keeps_one_half(make_outcome: Any) -> None:
    outcome = make_outcome(60, 3, multi_label=True)
    target = outcome.target.copy()
    target[:, 1] = 0
    chosen = np.asarray(choose_threshold(replace(outcome, target=target)))
    assert chosen.shape == (3,) and chosen[1] == 0.5 and chosen[0] != 0.5
    assert decisions(outcome, chosen).shape == (60, 3)


def test_an_unknown_criterion_is_refused(make_outcome: Any) -> None:
    with pytest.raises(NameUnknown, match="threshold criterion 'yuden'"):
        choose_threshold(make_outcome(), "yuden")
