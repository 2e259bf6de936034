from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from suwen.core.errors import DataError
from suwen.evaluation.metrics import names_for
from suwen.evaluation.survival_metrics import SURVIVAL_METRICS
from suwen.evaluation.survival_outcome import SurvivalOutcome

MakeSurvival = Callable[..., SurvivalOutcome]


def test_curves_are_straight_between_the_times_of_the_grid(make_survival: MakeSurvival) -> None:
    outcome = make_survival(5)
    said = outcome.said(1, [0.0, 0.125, 0.25, 0.375, 99.0])
    assert np.allclose(said[:, 0], 0) and np.allclose(said[:, 1], outcome.incidence[:, 0, 0] / 2)
    assert np.allclose(said[:, 2], outcome.incidence[:, 0, 0]) and np.allclose(said[:, 4], outcome.incidence[:, 0, -1])
    assert np.allclose(said[:, 3], outcome.incidence[:, 0, :2].mean(axis=1))


def test_time_lost_is_the_area_under_the_curve(make_survival: MakeSurvival) -> None:
    outcome = make_survival(20)
    times = np.linspace(0, 9, 9001)
    assert np.allclose(outcome.time_lost(1), outcome.said(1, times).mean(axis=1) * 9, rtol=1e-3)


def test_some_people_keep_what_is_theirs(make_survival: MakeSurvival) -> None:
    outcome = make_survival(30, 2)
    some = outcome.take([4, 2])
    assert some.ids.tolist() == ["4", "2"] and np.array_equal(some.incidence, outcome.incidence[[4, 2]])
    assert some.metadata["site"].tolist() == outcome.metadata["site"].iloc[[4, 2]].tolist()


def test_its_metrics_are_those_of_survival(make_survival: MakeSurvival) -> None:
    assert names_for(make_survival(10)) == tuple(SURVIVAL_METRICS)


@pytest.mark.parametrize(
    ("changed", "match"),
    [
        ({"time": np.full(10, -1.0)}, "times below 0"),
        ({"event": np.full(10, 3)}, "event codes run from 3 to 3"),
        ({"horizons": np.array([50.0])}, "the horizons"),
        ({"event": np.zeros(9)}, "event has shape"),
        ({"incidence": np.linspace(1, 0, 480).reshape(10, 1, 48)}, "fall with time"),
        ({"incidence": np.full((10, 1, 48), np.nan)}, "fall with time"),
    ],
)
def test_what_cannot_be_is_refused(make_survival: MakeSurvival, changed: dict[str, np.ndarray], match: str) -> None:
    with pytest.raises(DataError, match=match):
        replace(make_survival(10), **changed)
