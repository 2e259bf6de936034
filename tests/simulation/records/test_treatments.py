"""Treatments: each helps everybody, the sicker are given them, and only who knows why can tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from suwen.simulation.patients import draw_patients
from suwen.simulation.records.chain import risk
from suwen.simulation.records.life import Life, live
from suwen.simulation.records.treatments import LEAST, TREATMENTS
from suwen.simulation.records.truth import treatments
from suwen.simulation.world import World


def _columns(lives: list[Life], name: str) -> dict[str, np.ndarray]:
    rows = [row for life in lives for row in treatments(life) if row["treatment"] == name]
    return {key: np.array([row[key] for row in rows]) for key in rows[0]}


@pytest.mark.parametrize("name", TREATMENTS)
def test_it_helps_everybody_and_never_beyond_its_ratio(lives: list[Life], name: str) -> None:
    found = _columns(lives, name)
    assert (found["p1"] < found["p0"]).all() and (found["p1"] > 0.4 * found["p0"]).all()
    # the same luck: whom it does not help, to him it makes no difference; it harms nobody
    assert not (found["y1"] & ~found["y0"]).any()
    assert np.allclose(found["effect"], found["p1"] - found["p0"])


@pytest.mark.parametrize("name", TREATMENTS)
def test_what_happened_is_the_outcome_of_what_was_given(lives: list[Life], name: str) -> None:
    row, seen = TREATMENTS[name], 0
    for life in lives:
        for each in life.decisions:
            if each.treatment == name:
                seen += 1
                happened = life.happens(row.outcome, each.when, each.when + row.days)
                assert happened == each.outcomes[each.treated]
                said = risk(life.rates, each.when, each.when + row.days, life.state(each.when), row.outcome)
                assert said == pytest.approx(each.risks[each.treated], rel=1e-12)
    assert seen > 50


@pytest.mark.parametrize("name", TREATMENTS)
def test_the_treated_fare_worse_although_it_helps(lives: list[Life], name: str) -> None:
    """In expectation, over what happens after the decision."""
    found = _columns(lives, name)
    treated = found["treated"].astype(bool)
    naive = found["p1"][treated].mean() - found["p0"][~treated].mean()
    assert naive > 0 > found["effect"].mean()
    assert found["propensity"].min() >= LEAST and found["propensity"].max() <= 1 - LEAST


def _weighted(found: dict[str, np.ndarray]) -> tuple[float, float]:
    """Horvitz & Thompson's estimate of the average effect with the true propensity, and its standard error."""
    treated, e = found["treated"].astype(bool), found["propensity"]
    y0, y1 = found["y0"].astype(float), found["y1"].astype(float)
    each: Any = np.where(treated, y1 / e, -y0 / (1 - e))
    return float(each.mean()), float(each.std() / np.sqrt(len(each)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_weighting_by_the_true_propensity_finds_the_true_effect(seed: int) -> None:
    world = World(seed=seed, patients=draw_patients(4000, seed=seed))
    lives = [live(patient, world) for patient in world.patients]
    for name in TREATMENTS:
        found = _columns(lives, name)
        estimate, error = _weighted(found)
        treated = found["treated"].astype(bool)
        arms = found["y1"][treated].astype(float), found["y0"][~treated].astype(float)
        naive = arms[0].mean() - arms[1].mean()
        spread = np.sqrt(sum(arm.var() / len(arm) for arm in arms))
        assert abs(estimate - found["effect"].mean()) < 4 * error
        assert naive - found["effect"].mean() > 3 * spread
