from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from suwen.core.errors import NameUnknown
from suwen.evaluation.boosted_cox import BoostedCox
from suwen.evaluation.survival_baselines import Filled, TimedRows, answering, compose, survival_baseline
from suwen.evaluation.survival_curves import aalen_johansen
from suwen.evaluation.survival_metrics import SURVIVAL_METRICS
from suwen.evaluation.survival_outcome import SurvivalOutcome
from suwen.heads.hazards import incidence


def rows(count: int, causes: int = 1, *, seed: int = 0, missing: float = 0.0) -> TimedRows:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, 3))
    times = rng.exponential(1 / (0.08 * np.exp(inputs[:, :causes] * 1.2)))
    censored = rng.uniform(3, 12, count)
    event = np.where(times.min(1) <= censored, times.argmin(1) + 1, 0)
    inputs[rng.random(inputs.shape) < missing] = np.nan
    return TimedRows(inputs, np.minimum(times.min(1), censored), event)


def asked(people: TimedRows, causes: int) -> SurvivalOutcome:
    grid = np.linspace(0.5, 10, 20)
    return SurvivalOutcome(
        ids=np.arange(len(people.time)).astype(str),
        subjects=np.arange(len(people.time)).astype(str),
        time=people.time,
        event=people.event,
        incidence=np.zeros((len(people.time), causes, 20)),
        grid=grid,
        horizons=np.array([3.0, 6.0]),
        labels=tuple(f"cause {number}" for number in range(causes)),
    )


def figures(name: str, causes: int, *, missing: float = 0.0) -> tuple[SurvivalOutcome, dict[str, float]]:
    train, val, test = (rows(n, causes, seed=seed, missing=missing) for seed, n in enumerate((900, 400, 600)))
    outcome = asked(test, causes)
    found = answering(outcome, survival_baseline(name, train, val, outcome), test.inputs)
    return found, {each: SURVIVAL_METRICS[each].function(found) for each in ("c_index", "ibs", "ece_horizon")}


@pytest.mark.parametrize("causes", [1, 2])
def test_kaplan_meier_says_of_everyone_what_came_true_in_training(causes: int) -> None:
    found, said = figures("kaplan-meier", causes)
    train = rows(900, causes)
    expected = aalen_johansen(train.time, train.event, causes).at(found.grid)
    assert np.allclose(found.incidence[:, causes - 1], expected) and said["c_index"] == 0.5
    assert said["ece_horizon"] < 0.06


@pytest.mark.parametrize("causes", [1, 2])
@pytest.mark.parametrize("name", ["cox", "boosted-cox"])
def test_what_knows_the_person_says_more(name: str, causes: int) -> None:
    _, plain = figures("kaplan-meier", causes)
    _, said = figures(name, causes)
    assert said["c_index"] > 0.68 and said["ibs"] < plain["ibs"] - 0.01 and said["ece_horizon"] < 0.06


@pytest.mark.parametrize("name", ["cox", "boosted-cox"])
def test_missing_numbers_are_borne(name: str) -> None:
    assert figures(name, 1, missing=0.2)[1]["c_index"] > 0.65


def test_what_is_missing_is_the_training_mean_and_said_so() -> None:
    filled = Filled(np.array([[1.0, np.nan], [3.0, 4.0]]))
    assert filled(np.array([[np.nan, np.nan]])).tolist() == [[2.0, 4.0, 1.0]]


def test_composition_is_that_of_the_head() -> None:
    gained = np.random.default_rng(0).random((5, 2, 4))
    edges = torch.tensor([0.0, 1.0, 2.0, 4.0, 7.0], dtype=torch.float64)
    assert np.allclose(compose(gained), incidence(torch.from_numpy(gained), edges, edges[1:]).numpy())
    assert (compose(gained * 0) == 0).all()


def test_boosting_stops_where_validation_no_longer_gains() -> None:
    train, val = rows(600), rows(300, seed=1)
    trees = BoostedCox(train.inputs, train.time, train.event > 0, (val.inputs, val.time, val.event > 0))
    again = BoostedCox(train.inputs, train.time, train.event > 0, (val.inputs, val.time, val.event > 0))
    assert 10 < trees.rounds < 1000 and np.array_equal(trees.risk(val.inputs), again.risk(val.inputs))


def test_a_cause_that_never_came_in_training_is_said_never_to_come() -> None:
    train, val = rows(300, 2), rows(200, 2, seed=1)
    train = replace(train, event=np.where(train.event == 2, 0, train.event))
    outcome = asked(val, 2)
    said = survival_baseline("cox", train, val, outcome)(val.inputs)
    assert (said[:, 1] == 0).all() and (said[:, 0, -1] > 0).all()


def test_a_baseline_that_is_none() -> None:
    train = rows(50)
    with pytest.raises(NameUnknown, match="forest"):
        survival_baseline("forest", train, train, asked(train, 1))
