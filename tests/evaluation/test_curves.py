from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peer

from suwen.core.errors import DataError
from suwen.evaluation.curves import confusion, decision_curve, precision_recall_curves, roc_curves


def test_the_roc_curve_is_scikit_learns(make_outcome: Any) -> None:
    outcome = make_outcome(200, decimals=2)
    (curve,) = roc_curves(outcome)
    false, true, threshold = peer.roc_curve(outcome.target, outcome.probabilities[:, 1], drop_intermediate=False)
    assert curve.x == pytest.approx(false) and curve.y == pytest.approx(true)
    assert curve.threshold[1:] == pytest.approx(threshold[1:])
    assert curve.label == "class-1"


def test_the_precision_recall_curve_is_scikit_learns(make_outcome: Any) -> None:
    outcome = make_outcome(200, decimals=2)
    (curve,) = precision_recall_curves(outcome)
    precision, recall, _ = peer.precision_recall_curve(outcome.target, outcome.probabilities[:, 1])
    assert curve.x[1:] == pytest.approx(recall[:-1][::-1]) and curve.y[1:] == pytest.approx(precision[:-1][::-1])
    assert curve.chance == pytest.approx(outcome.target.mean())


def test_labels_without_both_sides_have_no_curve(make_outcome: Any) -> None:
    outcome = make_outcome(60, 3)
    two = outcome.take(outcome.target != 2)
    assert [curve.label for curve in roc_curves(two)] == ["class-0", "class-1"]
    assert precision_recall_curves(outcome.take(outcome.target == 0)) == []


@pytest.mark.parametrize("classes", [2, 4])
def test_the_confusion_table_is_scikit_learns(make_outcome: Any, classes: int) -> None:
    outcome = make_outcome(100, classes)
    said = outcome.probabilities[:, 1] >= 0.3 if classes == 2 else outcome.probabilities.argmax(axis=1)
    assert confusion(outcome, 0.3).tolist() == peer.confusion_matrix(outcome.target, said).tolist()


def test_each_label_of_several_has_its_own_confusion_table(make_outcome: Any) -> None:
    outcome = make_outcome(100, 3, multi_label=True)
    expected = peer.multilabel_confusion_matrix(outcome.target, outcome.probabilities >= 0.4)
    assert confusion(outcome, 0.4).tolist() == expected.tolist()


def test_net_benefit_by_its_definition(make_outcome: Any) -> None:
    outcome = make_outcome(150, decimals=2)
    curve = decision_curve(outcome)
    for threshold, model, everyone in zip(curve.threshold, curve.model, curve.treat_all, strict=True):
        (_, false), (_, true) = peer.confusion_matrix(outcome.target, outcome.probabilities[:, 1] >= threshold)
        assert model == pytest.approx((true - false * threshold / (1 - threshold)) / 150)
        prevalence = outcome.target.mean()
        assert everyone == pytest.approx(prevalence - (1 - prevalence) * threshold / (1 - threshold))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_below_every_score_the_model_treats_all_and_above_none(make_outcome: Any, seed: int) -> None:
    outcome = make_outcome(40, seed=seed)
    curve = decision_curve(outcome, points=199)
    below = curve.threshold <= outcome.probabilities[:, 1].min()
    assert np.allclose(curve.model[below], curve.treat_all[below])
    assert (curve.model[curve.threshold > outcome.probabilities[:, 1].max()] == 0).all()


def test_a_decision_curve_needs_one_label(make_outcome: Any) -> None:
    with pytest.raises(DataError, match="a decision curve of 3 labels at once"):
        decision_curve(make_outcome(30, 3))
    assert decision_curve(make_outcome(30, 3), column=2).label == "class-2"
