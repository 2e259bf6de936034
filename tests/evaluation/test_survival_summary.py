from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np

from suwen.evaluation.survival_curves import log_rank
from suwen.evaluation.survival_metrics import SURVIVAL_METRICS
from suwen.evaluation.survival_outcome import SurvivalOutcome
from suwen.evaluation.survival_summary import AT_HORIZON, at_horizons, separation, thirds

MakeSurvival = Callable[..., SurvivalOutcome]


def test_each_horizon_has_the_figures_of_itself_alone(make_survival: MakeSurvival) -> None:
    outcome = make_survival(200, 2)
    found = at_horizons(outcome, list(SURVIVAL_METRICS), resamples=20, seed=0)
    assert list(found["horizons"]) == ["3", "6", "9"]
    for horizon, each in found["horizons"].items():
        assert set(each["metrics"]) == set(AT_HORIZON) and set(each["agreement"]) == {"cause 1", "cause 2"}
        assert sum(each["agreement"]["cause 2"]["count"]) == 200
        for name, figure in each["metrics"].items():
            assert np.isclose(figure["value"], SURVIVAL_METRICS[name].function(outcome.at(float(horizon))))
    means = {
        name: np.mean([each["metrics"][name]["value"] for each in found["horizons"].values()]) for name in AT_HORIZON
    }
    assert all(np.isclose(means[name], SURVIVAL_METRICS[name].function(outcome)) for name in AT_HORIZON)
    json.dumps(found, allow_nan=False)


def test_thirds_of_risk_are_told_apart_and_equal_risks_are_not(make_survival: MakeSurvival) -> None:
    outcome = make_survival(300)
    assert np.bincount(thirds(outcome, 1)).min() > 80 and separation(outcome, 1).p < 1e-6
    assert separation(outcome, 1) == log_rank(outcome.time, outcome.event == 1, thirds(outcome, 1))
    same = SurvivalOutcome(**{**vars(outcome), "incidence": np.tile(outcome.incidence[:1], (300, 1, 1))})
    assert separation(same, 1).statistic == 0 and separation(same, 1).p == 1


def test_without_events_nothing_is_said(make_survival: MakeSurvival) -> None:
    outcome = make_survival(80)
    found = at_horizons(outcome.take(outcome.event == 0), list(SURVIVAL_METRICS), resamples=5, seed=0)
    assert found["separation"] == {} and found["horizons"]["3"]["metrics"]["auroc_horizon"]["value"] is None
