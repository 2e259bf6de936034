from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, softmax
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from suwen.core.errors import DataError
from suwen.evaluation.calibration import TEMPERATURES, fit_temperature, reliability
from suwen.evaluation.metrics import METRICS
from suwen.evaluation.outcome import Outcome


def _error_the_long_way(confidence: Any, hit: Any, bins: int = 15) -> float:
    total = 0.0
    for number in range(bins):
        low, high = number / bins, (number + 1) / bins
        inside = [i for i, value in enumerate(confidence) if low < value <= high or (number == 0 and value == 0)]
        if inside:
            said = sum(confidence[i] for i in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(said - sum(hit[i] for i in inside) / len(inside))
    return total


def _overconfident(times: float, n: int = 20_000, classes: int = 3) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 1.5, (n, classes))
    target = (softmax(logits, axis=1).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return logits * times, target


@pytest.mark.parametrize("times", [0.5, 1.0, 3.0])
def test_a_known_overconfidence_is_found(times: float) -> None:
    logits, target = _overconfident(times)
    assert fit_temperature(logits, target) == pytest.approx(times, rel=0.05)


def test_the_temperature_is_the_most_likely_one() -> None:
    logits, target = _overconfident(2.0, n=500)
    peer = minimize(lambda t: log_loss(target, softmax(logits / t[0], axis=1)), [1.0], method="Nelder-Mead")
    assert fit_temperature(logits, target) == pytest.approx(peer.x[0], rel=1e-3)


def test_labels_that_can_meet_share_one_temperature() -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 1.5, (20_000, 2))
    target = (rng.random(logits.shape) < expit(logits)).astype(np.uint8)
    assert fit_temperature(logits * 2.5, target) == pytest.approx(2.5, rel=0.05)


def test_perfect_validation_answers_do_not_sharpen_without_end() -> None:
    found = fit_temperature(np.array([[5.0, -5.0], [-5.0, 5.0]] * 10), np.array([0, 1] * 10))
    assert TEMPERATURES[0] <= found <= TEMPERATURES[1]


@pytest.mark.parametrize(
    ("logits", "target"), [([[0.0, np.nan]], [1]), ([[0.0, 1.0]], [0, 1]), (np.zeros((0, 2)), np.zeros(0))]
)
def test_logits_it_cannot_use_are_refused(logits: Any, target: Any) -> None:
    with pytest.raises(DataError, match="temperature scaling needs finite logits"):
        fit_temperature(logits, np.asarray(target))


def test_calibration_error_by_hand(make_outcome: Any) -> None:
    ece = METRICS["ece"].function
    binary: Outcome = make_outcome(300)
    assert ece(binary) == pytest.approx(_error_the_long_way(binary.probabilities[:, 1], binary.target))
    many: Outcome = make_outcome(300, 4)
    top = many.probabilities.argmax(axis=1)
    assert ece(many) == pytest.approx(_error_the_long_way(many.probabilities.max(axis=1), top == many.target))
    several: Outcome = make_outcome(300, 3, multi_label=True)
    each = [_error_the_long_way(several.probabilities[:, k], several.target[:, k]) for k in range(3)]
    assert ece(several) == pytest.approx(np.mean(each))


def test_reliability_bins_agree_with_scikit_learn_and_with_the_error(make_outcome: Any) -> None:
    outcome = make_outcome(500)
    (found,) = reliability(outcome, bins=10)
    came_true, said = calibration_curve(outcome.target, outcome.probabilities[:, 1], n_bins=10)
    filled = found.count > 0
    assert found.came_true[filled] == pytest.approx(came_true)
    assert found.said[filled] == pytest.approx(said)
    assert reliability(outcome)[0].error == pytest.approx(METRICS["ece"].function(outcome))


def test_certainty_and_impossibility_have_a_bin() -> None:
    outcome = Outcome(
        ids=np.array(["a", "b"]),
        subjects=np.array(["a", "b"]),
        target=np.array([0, 1]),
        probabilities=np.array([[1.0, 0.0], [0.0, 1.0]]),
        labels=("healthy", "ill"),
    )
    (found,) = reliability(outcome)
    assert found.count[[0, -1]].tolist() == [1, 1] and found.error == 0
