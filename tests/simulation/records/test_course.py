"""Courses: nothing impossible happens, and what happens is as often as the exact risks say."""

from __future__ import annotations

import numpy as np
import pytest

from suwen.simulation.patients import draw_patients
from suwen.simulation.records.course import begin, draw_luck, walk
from suwen.simulation.records.life import Life, live
from suwen.simulation.records.person import draw_person
from suwen.simulation.records.truth import OUTCOMES, risks
from suwen.simulation.world import World


def test_going_on_from_halfway_leads_to_the_same_place(records_world: World) -> None:
    for patient in records_world.patients[:30]:
        person = draw_person(patient, records_world)
        luck = draw_luck(person, records_world.seed)
        once = walk(begin(person, luck), person.rates, luck, person.closing)
        halfway = walk(begin(person, luck), person.rates, luck, (person.adult + person.closing) / 2)
        fork = halfway.fork()
        before = len(halfway.happened)
        for walker in (halfway, fork):
            walk(walker, person.rates, luck, person.closing)
        for walker, told in ((halfway, once.happened), (fork, once.happened[before:])):
            assert [each.name for each in walker.happened] == [each.name for each in told]
            assert np.allclose([each.when for each in walker.happened], [each.when for each in told], atol=1e-6)


def test_nothing_impossible_happens(lives: list[Life]) -> None:
    for life in lives:
        names = [each.name for each in life.happened]
        times = [each.when for each in life.happened]
        assert times == sorted(times) and all(life.person.adult < time <= life.person.closing for time in times)
        onsets = [name for name in names if name in life.onsets]
        assert len(onsets) == len(set(onsets))
        for again, first in (("heart_failure_again", "heart_failure"), ("copd_again", "copd")):
            assert again not in names or names.index(first) < names.index(again)
        assert "death" not in names or names.index("death") == len(names) - 1
        assert life.death > life.person.alive
        for stay, following in zip(life.stays, life.stays[1:], strict=False):
            assert stay.start < stay.end <= following.start
        for stay in life.stays:
            assert stay.reasons and all(stay.start <= each.when <= stay.end for each in stay.reasons)


def test_relapses_come_within_thirty_days_of_a_discharge(lives: list[Life]) -> None:
    found = 0
    for life in lives:
        for each in life.happened:
            if each.name == "relapse":
                found += 1
                assert any(0 <= each.when - stay.end <= 30 for stay in life.stays)
    assert found > 20


def test_a_life_depends_on_the_seed_and_the_patient_alone(records_world: World, lives: list[Life]) -> None:
    small = World(seed=records_world.seed, patients=draw_patients(3, seed=records_world.seed))
    for patient, life in zip(small.patients, lives, strict=False):
        assert live(patient, small).happened == life.happened
    other = World(seed=4, patients=draw_patients(3, seed=4))
    assert live(other.patients[0], other).happened != lives[0].happened


def _surplus(lives: list[Life]) -> dict[str, float]:
    """Outcome → how many more happened than the true risks say, in standard deviations."""
    rows = [row for life in lives for row in risks(life)]
    found = {}
    for name in OUTCOMES:
        said = np.array([row["risk"] for row in rows if row["outcome"] == name])
        happened = np.array([row["happened"] for row in rows if row["outcome"] == name])
        found[name] = float((happened - said).sum() / np.sqrt((said * (1 - said)).sum()))
    return found


def test_outcomes_are_as_frequent_as_the_true_risks_say(lives: list[Life]) -> None:
    assert max(map(abs, _surplus(lives).values())) < 4


@pytest.mark.slow
def test_so_they_are_in_a_large_hospital_and_in_every_band_of_risk() -> None:
    world = World(seed=11, patients=draw_patients(2500, seed=11))
    lives = [live(patient, world) for patient in world.patients]
    assert max(map(abs, _surplus(lives).values())) < 4
    rows = [row for life in lives for row in risks(life)]
    for name in OUTCOMES:
        said = np.array([row["risk"] for row in rows if row["outcome"] == name])
        happened = np.array([row["happened"] for row in rows if row["outcome"] == name], float)
        for band in np.array_split(np.argsort(said), 5):
            spread = np.sqrt((said[band] * (1 - said[band])).sum())
            assert abs((happened[band] - said[band]).sum()) < 4 * spread + 1e-9
