from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from suwen.evaluation.survival_curves import aalen_johansen
from suwen.evaluation.survival_metrics import SURVIVAL_METRICS
from suwen.evaluation.survival_outcome import SurvivalOutcome
from suwen.evaluation.survival_scores import agreement, brier_curve, risk_groups

MakeSurvival = Callable[..., SurvivalOutcome]


def not_censored(outcome: SurvivalOutcome, moment: float, *, before: bool) -> float:
    value = 1.0
    for now in np.unique(outcome.time[outcome.event == 0]):
        if now < moment or (now == moment and not before):
            here = outcome.time == now
            risk = (outcome.time >= now).sum() - (here & (outcome.event != 0)).sum()
            value *= 1 - (here & (outcome.event == 0)).sum() / risk
    return value


@pytest.mark.parametrize("causes", [1, 2])
def test_brier_person_by_person(make_survival: MakeSurvival, causes: int) -> None:
    outcome = make_survival(120, causes)
    for cause in range(1, causes + 1):
        scores = brier_curve(outcome, cause, np.array([2.0, 6.0]))(np.ones((1, 120)))[0]
        for moment, found in zip((2.0, 6.0), scores, strict=True):
            said, total = outcome.said(cause, moment)[:, 0], 0.0
            for i in range(120):
                if outcome.time[i] > moment:
                    total += said[i] ** 2 / not_censored(outcome, moment, before=False)
                elif outcome.event[i]:
                    came = float(outcome.event[i] == cause)
                    total += (came - said[i]) ** 2 / not_censored(outcome, outcome.time[i], before=True)
            assert found == pytest.approx(total / 120, abs=1e-12)


def test_brier_without_censoring_is_the_ordinary_one(make_survival: MakeSurvival) -> None:
    outcome = make_survival(200)
    outcome = outcome.take(outcome.event != 0)
    found = brier_curve(outcome, 1, np.array([6.0]))(np.ones((1, len(outcome))))[0, 0]
    assert found == pytest.approx(np.mean(((outcome.time <= 6) - outcome.said(1, 6.0)[:, 0]) ** 2), abs=1e-12)


def test_the_true_curves_have_the_least_integrated_brier_score(make_survival: MakeSurvival) -> None:
    ibs = {signal: SURVIVAL_METRICS["ibs"].function(make_survival(4000, signal=signal)) for signal in (0.3, 1.0, 1.8)}
    assert ibs[1.0] < min(ibs[0.3], ibs[1.8])


def test_the_integral_is_that_of_a_fine_sum(make_survival: MakeSurvival) -> None:
    outcome = make_survival(300)
    times = np.linspace(0, 9, 20_001)[1:]
    fine = brier_curve(outcome, 1, times)(np.ones((1, 300)))[0].mean()
    assert SURVIVAL_METRICS["ibs"].function(outcome) == pytest.approx(fine, rel=0.02)


@pytest.mark.parametrize("causes", [1, 2])
def test_the_observed_risk_of_a_group_is_aalen_johansens(make_survival: MakeSurvival, causes: int) -> None:
    outcome = make_survival(400, causes)
    found = agreement(outcome, causes, 6.0)
    group = risk_groups(outcome.said(causes, 6.0)[:, 0])
    expected = [
        aalen_johansen(outcome.time[group == each], outcome.event[group == each], causes).at(6.0) for each in range(10)
    ]
    assert np.allclose(found.observed, expected, atol=1e-12) and found.count.sum() == 400
    one = outcome.at(6.0)
    if causes == 1:
        assert SURVIVAL_METRICS["ece_horizon"].function(one) == pytest.approx(found.error, abs=1e-12)


@pytest.mark.parametrize("name", ["ece_horizon", "ici_horizon"])
def test_calibration_is_near_nothing_for_true_risks_and_large_for_wrong_ones(
    make_survival: MakeSurvival, name: str
) -> None:
    metric = SURVIVAL_METRICS[name]
    true, sharp = (metric.function(make_survival(8000, signal=signal)) for signal in (1.0, 2.0))
    assert true < 0.02 < 0.05 < sharp


def test_equal_risks_share_a_group() -> None:
    assert set(risk_groups(np.zeros(50))) == {0}
    risk = np.repeat([0.1, 0.2, 0.3], 20)
    group = risk_groups(risk)
    assert all(len(np.unique(group[risk == each])) == 1 for each in (0.1, 0.2, 0.3))
    assert np.array_equal(np.unique(group), np.arange(group.max() + 1))
