"""Each figure against its definition, pair by pair; Harrell's also against lifelines."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from suwen.evaluation.intervals import bootstrap, subject_weights
from suwen.evaluation.survival_metrics import SURVIVAL_METRICS
from suwen.evaluation.survival_outcome import SurvivalOutcome
from suwen.evaluation.survival_ranking import antolini, dynamic_auroc, harrell, uno

MakeSurvival = Callable[..., SurvivalOutcome]


def once(outcome: SurvivalOutcome, statistic: Callable[..., Any], cause: int = 1) -> float:
    return float(statistic(outcome, cause)(np.ones((1, len(outcome))))[0])


def not_censored(outcome: SurvivalOutcome, moment: float, *, before: bool) -> float:
    """G just before, or at, a moment, by its definition: events at a time leave before censorings at it."""
    value = 1.0
    for now in np.unique(outcome.time[outcome.event == 0]):
        if now < moment or (now == moment and not before):
            here = outcome.time == now
            risk = (outcome.time >= now).sum() - (here & (outcome.event != 0)).sum()
            value *= 1 - (here & (outcome.event == 0)).sum() / risk
    return value


def pair_by_pair(
    outcome: SurvivalOutcome, cause: int, weigh: Callable[[int, int], float], said: Callable[[int, int, float], float]
) -> float:
    won = total = 0.0
    for i in np.flatnonzero(outcome.event == cause):
        for j in range(len(outcome)):
            later = outcome.time[j] > outcome.time[i]
            censored_then = outcome.time[j] == outcome.time[i] and outcome.event[j] == 0
            another = outcome.event[j] not in (0, cause)
            if i != j and (later or censored_then or another):
                difference = said(i, j, outcome.time[i])
                won += weigh(i, j) * (0.5 if difference == 0 else float(difference > 0))
                total += weigh(i, j)
    return won / total


@pytest.mark.parametrize("ties", [True, False])
def test_harrell_is_that_of_lifelines(make_survival: MakeSurvival, ties: bool) -> None:
    utils = pytest.importorskip("lifelines.utils")
    outcome = make_survival(300, ties=ties)
    expected = utils.concordance_index(outcome.time, -outcome.time_lost(1), outcome.event)
    assert once(outcome, harrell) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("causes", [1, 2])
def test_harrell_pair_by_pair(make_survival: MakeSurvival, causes: int) -> None:
    outcome = make_survival(120, causes)
    for cause in range(1, causes + 1):
        risk = outcome.time_lost(cause)
        expected = pair_by_pair(outcome, cause, lambda i, j: 1.0, lambda i, j, _, risk=risk: risk[i] - risk[j])
        assert once(outcome, harrell, cause) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("causes", [1, 2])
def test_uno_pair_by_pair(make_survival: MakeSurvival, causes: int) -> None:
    outcome = make_survival(120, causes)
    last = outcome.horizons.max()
    before = [not_censored(outcome, moment, before=True) for moment in outcome.time]
    for cause in range(1, causes + 1):
        risk = outcome.time_lost(cause)

        def weigh(i: int, j: int) -> float:
            if outcome.time[i] >= last:
                return 0.0
            longer = outcome.time[j] > outcome.time[i] or outcome.event[j] == 0
            return 1 / (before[i] * (before[i] if longer else before[j]))

        expected = pair_by_pair(outcome, cause, weigh, lambda i, j, _, risk=risk: risk[i] - risk[j])
        assert once(outcome, uno, cause) == pytest.approx(expected, abs=1e-12)


def test_uno_does_not_depend_on_who_is_censored_and_harrell_does() -> None:
    """Curves that cross: risks that matter late are seen by Harrell's C only as far as follow-up goes."""
    rng = np.random.default_rng(0)
    n, score = 6000, rng.normal(size=6000)
    event_time = np.where(rng.random(n) < 0.5, rng.uniform(0, 3, n), 3 + rng.exponential(np.exp(-score)))
    found: dict[str, list[float]] = {"harrell": [], "uno": []}
    for censoring in (rng.uniform(0, 60, n), rng.exponential(3.0, n)):
        time = np.minimum(np.minimum(event_time, censoring), 8.0)
        outcome = SurvivalOutcome(
            ids=np.arange(n).astype(str),
            subjects=np.arange(n).astype(str),
            time=time,
            event=(event_time <= np.minimum(censoring, 8.0)).astype(int),
            incidence=-np.expm1(-0.1 * np.exp(score)[:, None, None] * np.arange(1, 9)),
            grid=np.arange(1.0, 9.0),
            horizons=np.array([6.0]),
        )
        found["harrell"].append(once(outcome, harrell))
        found["uno"].append(once(outcome, uno))
    assert abs(np.diff(found["uno"])[0]) < 0.02 < abs(np.diff(found["harrell"])[0])


@pytest.mark.parametrize("causes", [1, 2])
def test_antolini_pair_by_pair(make_survival: MakeSurvival, causes: int) -> None:
    outcome = make_survival(100, causes)
    rng = np.random.default_rng(1)
    crossing = np.cumsum(rng.random(outcome.incidence.shape), axis=2)
    outcome = SurvivalOutcome(**{**vars(outcome), "incidence": crossing / crossing.max() / (causes + 1)})
    for cause in range(1, causes + 1):

        def said(i: int, j: int, now: float, cause: int = cause) -> float:
            at = outcome.said(cause, now)[:, 0]
            return float(at[i] - at[j])

        expected = pair_by_pair(outcome, cause, lambda i, j: 1.0, said)
        assert once(outcome, antolini, cause) == pytest.approx(expected, abs=1e-12)


def test_proportional_curves_give_antolini_and_harrell_alike(make_survival: MakeSurvival) -> None:
    outcome = make_survival(300, ties=False)
    assert once(outcome, antolini) == pytest.approx(once(outcome, harrell), abs=1e-12)


@pytest.mark.parametrize("causes", [1, 2])
def test_dynamic_auroc_pair_by_pair(make_survival: MakeSurvival, causes: int) -> None:
    outcome = make_survival(120, causes)
    horizon, cause = 6.0, causes
    risk, won, total = outcome.said(cause, horizon)[:, 0], 0.0, 0.0
    for i in np.flatnonzero((outcome.event == cause) & (outcome.time <= horizon)):
        for j in range(len(outcome)):
            beyond, another = outcome.time[j] > horizon, outcome.event[j] not in (0, cause)
            if beyond or another:
                of_j = (horizon, False) if beyond else (outcome.time[j], True)
                weight = 1 / not_censored(outcome, outcome.time[i], before=True)
                weight /= not_censored(outcome, of_j[0], before=of_j[1])
                won += weight * (0.5 if risk[i] == risk[j] else float(risk[i] > risk[j]))
                total += weight
    assert once(outcome.at(horizon), dynamic_auroc, cause) == pytest.approx(won / total, abs=1e-12)


def test_dynamic_auroc_without_censoring_is_the_ordinary_one(make_survival: MakeSurvival) -> None:
    outcome = make_survival(200)
    outcome = outcome.take(outcome.event != 0)
    expected = roc_auc_score(outcome.time <= 6, outcome.said(1, 6.0)[:, 0])
    assert once(outcome.at(6.0), dynamic_auroc) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", list(SURVIVAL_METRICS))
@pytest.mark.parametrize("causes", [1, 2])
def test_weights_mean_copies(make_survival: MakeSurvival, name: str, causes: int) -> None:
    """A resample by weights has the figure of the people it drew, written out."""
    if name in ("ece_horizon", "ici_horizon"):
        pytest.skip("the groups and neighbours of these are those of the whole split")
    outcome = make_survival(90, causes)
    weights = next(subject_weights(outcome, 3, seed=4))
    found = SURVIVAL_METRICS[name].prepare(outcome, None)(weights)
    for row, drawn in enumerate(weights):
        copies = outcome.take(np.repeat(np.arange(len(outcome)), drawn.astype(int)))
        assert found[row] == pytest.approx(SURVIVAL_METRICS[name].function(copies), abs=1e-10)


def test_nothing_is_said_where_nobody_had_an_event(make_survival: MakeSurvival) -> None:
    outcome = make_survival(60)
    outcome = outcome.take(outcome.event == 0)
    assert all(np.isnan(metric.function(outcome)) for metric in SURVIVAL_METRICS.values())


@pytest.mark.slow
def test_ten_thousand_people_are_resampled_two_hundred_times_within_two_minutes(make_survival: MakeSurvival) -> None:
    outcome = make_survival(10_000, ties=False)
    bootstrap(make_survival(50), SURVIVAL_METRICS, resamples=2)  # compiles
    for name in SURVIVAL_METRICS:
        began = time.monotonic()
        found = bootstrap(outcome, [name], resamples=200)[name]
        assert found["low"] < found["high"] and time.monotonic() - began < 60, name
