from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.core.errors import DataError
from suwen.evaluation.survival_curves import aalen_johansen, kaplan_meier, log_rank

lifelines = pytest.importorskip("lifelines", reason="the oracle of these estimators is lifelines (dev dependency)")


def people(count: int = 400, *, causes: int = 1, ties: bool = True, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    time = rng.exponential(10, count)
    event = np.where(rng.random(count) < 0.6, rng.integers(1, causes + 1, count), 0)
    return (np.ceil(time) if ties else time), event


@pytest.mark.parametrize("ties", [True, False])
def test_kaplan_meier_and_its_interval_are_those_of_lifelines(ties: bool) -> None:
    time, event = people(ties=ties)
    found, fitter = kaplan_meier(time, event), lifelines.KaplanMeierFitter().fit(time, event)
    expected = fitter.survival_function_.iloc[1:, 0].to_numpy()
    assert np.allclose(found.value, expected, rtol=1e-12)
    ends = fitter.confidence_interval_.iloc[1:].to_numpy()
    known = np.isfinite(ends[:, 0]) & (found.value < 1) & (found.value > 0)
    assert known.sum() > 10
    assert np.allclose(found.low[known], ends[known, 0], rtol=1e-6)
    assert np.allclose(found.high[known], ends[known, 1], rtol=1e-6)
    assert np.isclose(found.at(7.0), fitter.predict(7.0)) and found.at(-1.0) == 1.0


def test_aalen_johansen_and_its_interval_are_those_of_lifelines() -> None:
    time, event = people(causes=2, ties=False)
    fitter = lifelines.AalenJohansenFitter(calculate_variance=True).fit(time, event, 2)
    found = aalen_johansen(time, event, 2)
    assert np.allclose(found.value, fitter.cumulative_density_.iloc[1:, 0].to_numpy(), rtol=1e-10)
    ends = fitter.confidence_interval_.iloc[1:]
    known = np.isfinite(ends.iloc[:, 0].to_numpy()) & (found.value > 0)
    assert known.sum() > 100
    low, high = (np.sort(ends.to_numpy(), axis=1)[known, side] for side in (0, 1))
    assert np.allclose(found.low[known], low, rtol=1e-6) and np.allclose(found.high[known], high, rtol=1e-6)


@given(st.integers(0, 10_000), st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_incidences_of_all_causes_and_survival_are_one(seed: int, causes: int) -> None:
    time, event = people(60, causes=causes, seed=seed)
    total = sum(aalen_johansen(time, event, cause).value for cause in range(1, causes + 1))
    assert np.allclose(total, 1 - kaplan_meier(time, event).value, atol=1e-12)


def test_greenwood_holds_the_truth_about_95_times_in_100() -> None:
    held = 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        event, censored = rng.exponential(1.0, 120), rng.exponential(2.0, 120)
        low, high = kaplan_meier(np.minimum(event, censored), event <= censored).interval(0.7)
        held += bool(low <= np.exp(-0.7) <= high)
    assert 0.91 <= held / 300 <= 0.985


@pytest.mark.parametrize("groups", [2, 4])
def test_log_rank_is_that_of_lifelines(groups: int) -> None:
    time, event = people(300)
    group = np.random.default_rng(3).integers(0, groups, 300)
    time = time + group
    found = log_rank(time, event, group)
    expected = lifelines.statistics.multivariate_logrank_test(time, group, event)
    assert np.isclose(found.statistic, expected.test_statistic, rtol=1e-8)
    assert np.isclose(found.p, expected.p_value, rtol=1e-6) and found.freedom == groups - 1


def test_no_one_has_no_curve() -> None:
    with pytest.raises(DataError, match="0 times"):
        kaplan_meier(np.empty(0), np.empty(0))
