"""The exact risk: against matrix exponentials of another library, against a closed form, and against itself."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import expm_multiply

from suwen.simulation.records.chain import risk
from suwen.simulation.records.life import Life
from suwen.simulation.records.person import YEAR
from suwen.simulation.records.processes import (
    AFTER_DISCHARGE,
    BIT,
    DEATH,
    MOST,
    MULTIPLIERS,
    NAMES,
    NUMBER,
    SETS,
)
from suwen.simulation.records.truth import ADMITTING


def _generator(base: np.ndarray, asked: tuple[str, ...], *, discharged: bool) -> sparse.csr_matrix:
    """Rows and columns: the 512 states, then "it happened", then dead; written out entry by entry."""
    size = MULTIPLIERS.shape[1]
    matrix = sparse.lil_matrix((size + 2, size + 2))
    for state in range(size):
        for k, name in enumerate(NAMES):
            rate = min(base[k] * MULTIPLIERS[k, state], MOST)
            if rate == 0 or (AFTER_DISCHARGE[k] and not discharged):
                continue
            if name in asked:
                to = size
            elif k == DEATH:
                to = size + 1
            elif SETS[k]:
                to = state | int(SETS[k])
            else:
                continue
            matrix[state, to] += rate
            matrix[state, state] -= rate
    return matrix.tocsr()


@pytest.mark.parametrize(
    ("asked", "days", "discharged"),
    [(("death",), 365.0, False), (("infarction",), 1825.0, False), (ADMITTING, 30.0, True)],
)
def test_it_is_the_exponential_of_the_generator(
    lives: list[Life], asked: tuple[str, ...], days: float, discharged: bool
) -> None:
    life = max(lives[:40], key=lambda each: each.person.patient.frailty)
    since = life.person.closing - days
    state = BIT["hypertension"] | BIT["diabetes"]
    rates, p = life.rates, np.zeros(MULTIPLIERS.shape[1] + 2)
    p[state] = 1.0
    cuts = [since, *(edge for edge in rates.edges if since < edge < since + days), since + days]
    for start, end in pairwise(cuts):
        base = rates.base[np.flatnonzero(rates.edges <= start)[-1]]
        p = expm_multiply(_generator(base, asked, discharged=discharged).T * ((end - start) / YEAR), p)
    found = risk(rates, since, since + days, state, asked, discharged=since if discharged else None)
    assert 0.001 < found < 1
    assert found == pytest.approx(p[-2], rel=1e-9)


def test_while_nobody_can_die_the_risk_of_diabetes_has_a_closed_form(lives: list[Life]) -> None:
    for life in lives[:20]:
        since = life.person.alive - 900.0
        edges = np.clip(life.rates.edges, since, life.person.alive)
        hazard = float(life.rates.base[:, NUMBER["diabetes"]] @ np.diff(edges)) / YEAR
        found = risk(life.rates, since, life.person.alive, BIT["copd"], ["diabetes"])
        assert found == pytest.approx(1 - np.exp(-hazard), rel=1e-9)


def test_risks_grow_with_the_horizon_and_what_was_asked_for(lives: list[Life]) -> None:
    life = lives[0]
    since = life.person.closing - 1000.0
    found = [risk(life.rates, since, since + days, 0, ["infarction"]) for days in (0.0, 1.0, 100.0, 1000.0)]
    assert found[0] == 0 and found == sorted(found)
    assert risk(life.rates, since, since + 1000.0, 0, ["infarction", "stroke"]) > found[-1]
    assert risk(life.rates, since, since + 1000.0, BIT["infarction"], ["infarction"]) == 0
