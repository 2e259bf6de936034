from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

from suwen.core.errors import DataError
from suwen.evaluation.boosted_cox import log_likelihood, slopes
from suwen.evaluation.cox import fit_cox

TIGHT = {"precision": 1e-12, "r_precision": 1e-14}
"""By itself lifelines stops at about 1e-5 of the coefficients."""


def people(count: int = 400, *, ties: bool = True, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, 3)) * [1, 5, 0.2] + [0, 100, 0]
    time = rng.exponential(np.exp(-inputs[:, 0] - inputs[:, 2]))
    return inputs, np.ceil(time * 6) if ties else time, rng.random(count) < 0.7


@pytest.mark.parametrize("ties", [True, False])
def test_coefficients_and_baseline_are_those_of_lifelines(ties: bool) -> None:
    lifelines = pytest.importorskip("lifelines")
    inputs, time, event = people(ties=ties)
    table = pd.DataFrame(inputs, columns=list("abc")).assign(time=time, event=event)
    expected = lifelines.CoxPHFitter().fit(table, "time", "event", fit_options=TIGHT)
    found = fit_cox(inputs, time, event)
    assert np.allclose(found.coefficients, expected.params_, rtol=1e-7)
    assert found.log_likelihood(inputs, time, event) == pytest.approx(expected.log_likelihood_, abs=1e-7)
    hazard = expected.baseline_cumulative_hazard_.iloc[:, 0]
    assert np.allclose(np.cumsum(found.gained), hazard.loc[found.moments], rtol=1e-4)


def test_ridge_is_the_maximum_of_what_it_says() -> None:
    inputs, time, event = people()
    plain, penalised = fit_cox(inputs, time, event), fit_cox(inputs, time, event, penalty=30.0)
    spread = inputs.std(axis=0)

    def objective(beta: np.ndarray) -> float:
        from dataclasses import replace

        likelihood = replace(plain, coefficients=beta / spread).log_likelihood(inputs, time, event)
        return -likelihood + 15.0 * float(beta @ beta)

    expected = minimize(objective, np.zeros(3), tol=1e-10).x
    assert np.allclose(penalised.coefficients * spread, expected, atol=1e-5)
    assert np.linalg.norm(penalised.coefficients * spread) < np.linalg.norm(plain.coefficients * spread)


def test_a_column_that_does_not_vary_or_repeats_another_does_no_harm() -> None:
    inputs, time, event = people()
    more = np.column_stack([inputs, np.ones(len(inputs)), inputs[:, 0]])
    found = fit_cox(more, time, event)
    assert found.coefficients[3] == 0
    assert np.allclose(found.risk(more), fit_cox(inputs, time, event).risk(inputs), atol=1e-6)


def test_a_likelihood_without_a_maximum_is_refused_and_a_penalty_gives_it_one() -> None:
    time = np.arange(1.0, 41.0)
    inputs, event = -time[:, None], np.ones(40, np.bool_)
    with pytest.raises(DataError, match="penalty above 0"):
        fit_cox(inputs, time, event)
    assert fit_cox(inputs, time, event, penalty=1.0).coefficients[0] > 0


def test_nothing_to_learn_from() -> None:
    inputs, time, event = people(20)
    with pytest.raises(DataError, match="0 events"):
        fit_cox(inputs, time, event & False)
    with pytest.raises(DataError, match="not finite"):
        fit_cox(inputs * np.nan, time, event)


def test_slopes_of_the_boosted_likelihood_are_its_derivatives() -> None:
    _, time, event = people(60)
    risk = np.random.default_rng(1).normal(size=60)
    gradient, curvature = slopes(risk, time, event)
    step, events = 1e-4, event.sum()
    for person in range(0, 60, 7):
        moved = [risk.copy() for _ in range(2)]
        moved[0][person] += step
        moved[1][person] -= step
        up, down = (-events * log_likelihood(each, time, event) for each in moved)
        here = -events * log_likelihood(risk, time, event)
        assert gradient[person] == pytest.approx((up - down) / (2 * step), abs=1e-5)
        assert curvature[person] == pytest.approx(max((up + down - 2 * here) / step**2, 1e-6), abs=1e-4)
