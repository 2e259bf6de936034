"""The table of processes says what it is meant to say."""

from __future__ import annotations

import numpy as np
import pytest

from suwen.simulation.records.processes import BIT, MULTIPLIERS, NUMBER, PROCESSES, SETS, STATES


def test_a_disease_begins_once_and_what_needs_one_waits_for_it() -> None:
    bits = np.arange(MULTIPLIERS.shape[1])
    for name in STATES:
        assert ((MULTIPLIERS[NUMBER[name]] == 0) == ((bits & BIT[name]) > 0)).all()
        assert SETS[NUMBER[name]] == BIT[name]
    assert ((MULTIPLIERS[NUMBER["copd_again"]] > 0) == ((bits & BIT["copd"]) > 0)).all()
    assert (MULTIPLIERS[NUMBER["death"]] > 0).all()


@pytest.mark.parametrize(
    ("name", "states", "ratio"),
    [
        ("infarction", ("hypertension",), 1.91),
        ("infarction", ("hypertension", "diabetes", "kidney"), 1.91 * 2.37 * 1.4),
        ("stroke", ("fibrillation", "cancer"), 4.8),
        ("diabetes", ("hypertension", "kidney"), 1.0),
    ],
)
def test_ratios_of_diseases_multiply(name: str, states: tuple[str, ...], ratio: float) -> None:
    assert MULTIPLIERS[NUMBER[name], sum(BIT[state] for state in states)] == pytest.approx(ratio)


def test_what_admits_has_a_diagnosis_to_be_written_down() -> None:
    from suwen.simulation.records.diseases import DIAGNOSES, REASONS

    assert set(REASONS) == {name for name, row in PROCESSES.items() if row.admits}
    assert {each for names in REASONS.values() for each in names} <= set(DIAGNOSES)
