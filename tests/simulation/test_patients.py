"""The people: independent of the cohort, plausible, and with the risks that the cited sources give."""

from __future__ import annotations

import math
from dataclasses import astuple, replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.simulation.patients import (
    LATENT,
    OBSERVED,
    OPENING,
    SITES,
    Patient,
    Stream,
    _opacity_log_odds,
    age_on,
    draw_patient,
    draw_patients,
    stream,
)


@pytest.fixture(scope="module")
def cohort() -> tuple[Patient, ...]:
    return draw_patients(1500, seed=11)


@given(number=st.integers(0, 10**6), seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_a_patient_is_the_same_every_time_and_within_bounds(number: int, seed: int) -> None:
    patient = draw_patient(number, seed=seed)
    assert astuple(patient) == astuple(draw_patient(number, seed=seed))
    assert patient.subject_id == f"S{number:06d}"
    assert 17 <= age_on(patient.birth, OPENING) <= 98
    assert 0 < patient.nodule_risk < 1 and 0 < patient.opacity_risk < 1
    assert 0 < patient.frailty <= 0.7 and 0 <= patient.lung_disease <= 1
    assert (patient.pack_years == 0) or patient.smoking != "never"


def test_a_larger_cohort_begins_with_the_smaller_one() -> None:
    assert draw_patients(30, seed=5)[:12] == draw_patients(12, seed=5)


def test_other_seeds_are_other_people() -> None:
    assert draw_patient(0, seed=1) != draw_patient(0, seed=2)


def test_streams_are_independent() -> None:
    keys = [(1, 2, Stream.FILM, 0), (1, 2, Stream.FILM, 1), (1, 2, Stream.ANATOMY), (1, 3, Stream.ANATOMY)]
    draws = [stream(*key).standard_normal(2000) for key in keys]
    correlations = np.asarray(np.corrcoef(draws))[np.triu_indices(len(draws), 1)]
    assert np.abs(correlations).max() < 0.1


@pytest.mark.parametrize(
    ("day", "age"), [(date(2023, 2, 27), 22), (date(2023, 2, 28), 22), (date(2023, 3, 1), 23), (date(2024, 2, 29), 24)]
)
def test_age_is_in_completed_years(day: date, age: int) -> None:
    assert age_on(date(2000, 2, 29), day) == age


def test_site_shares_add_up_and_are_met(cohort: tuple[Patient, ...]) -> None:
    assert sum(site.share for site in SITES.values()) == pytest.approx(1.0)
    for name, site in SITES.items():
        found = np.mean([patient.site == name for patient in cohort])
        assert found == pytest.approx(site.share, abs=3 * math.sqrt(site.share / len(cohort)))


def test_sites_differ_in_prevalence_and_language(cohort: tuple[Patient, ...]) -> None:
    risk = {name: np.mean([p.opacity_risk for p in cohort if p.site == name]) for name in SITES}
    assert max(risk.values()) > 1.5 * min(risk.values())
    assert {site.language for site in SITES.values()} == {"en", "zh"}
    assert all(patient.language == SITES[patient.site].language for patient in cohort)


def test_nodules_are_carried_as_often_as_the_risks_say(cohort: tuple[Patient, ...]) -> None:
    risks = np.array([patient.nodule_risk for patient in cohort])
    deviation = math.sqrt((risks * (1 - risks)).sum())
    assert sum(patient.nodule for patient in cohort) == pytest.approx(risks.sum(), abs=3 * deviation)


def test_opacity_odds_are_those_of_the_sources() -> None:
    never = _opacity_log_odds(65.0, "never", 0.2)
    assert never == pytest.approx(0.0)
    assert math.exp(_opacity_log_odds(65.0, "former", 0.2)) == pytest.approx(1.49)
    assert math.exp(_opacity_log_odds(65.0, "current", 0.2)) == pytest.approx(2.17)
    rise = _opacity_log_odds(88.0, "never", 0.2) - _opacity_log_odds(67.0, "never", 0.2)
    assert math.exp(rise) == pytest.approx(52.3 / 18.2)


def test_frailty_rises_three_percent_a_year(cohort: tuple[Patient, ...]) -> None:
    older = [p for p in cohort if p.frailty < 0.7]
    ages = [age_on(p.birth, OPENING) for p in older]
    slope = np.polyfit(ages, np.log([p.frailty for p in older]), 1)[0]
    assert slope == pytest.approx(math.log(1.03), abs=0.003)


def test_the_hospital_is_not_told_the_latent_state() -> None:
    fields = set(Patient.__slots__) - {"number"}
    assert set(OBSERVED) & set(LATENT) == {"subject_id"}
    assert set(OBSERVED) | set(LATENT) == fields


def test_patients_cannot_be_changed() -> None:
    patient = draw_patient(0, seed=1)
    with pytest.raises(AttributeError):
        patient.bmi = 20.0  # type: ignore[misc]
    assert replace(patient, bmi=20.0).subject_id == patient.subject_id
