"""A life as its hospital wrote it down: visits and stays, diagnoses when they were found, what was measured and given.

A sheet holds one subject's events as columns. Nothing here changes what is true.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from suwen.data.records.events import BIRTH, DEATH, END, NOWHEN, START
from suwen.simulation.patients import Stream, stream
from suwen.simulation.records.book import BOOK, UNITS
from suwen.simulation.records.diseases import DIAGNOSES, DRUGS, FILM, GENDERS, GIVEN, HABITS, LANGUAGES, REASONS, SMOKED
from suwen.simulation.records.life import Life
from suwen.simulation.records.measures import MEASURES, Measure, Moments, values
from suwen.simulation.records.person import VISIT_DAYS, YEAR, days

MINUTE = 1 / 1440
ENCOUNTERS = 10_000
"""Numbers of encounters of each subject."""

VITALS, SAMPLES, WRITTEN = 5 * MINUTE, 15 * MINUTE, 25 * MINUTE
"""After the beginning of a visit: when vital signs are taken, when blood is drawn, when diagnoses are written."""

BEFORE_REVIEW, BEFORE_FILM = 29 * MINUTE, 10 * MINUTE
"""Before the decision, and the film, their visits begin."""

CREATININE = list(MEASURES).index("creatinine")
"""From which the GFR is computed, whenever it is measured."""

TAKERS, STOPPERS = 0.85, 0.2
"""Of those for whom a drug is meant, how many get it; of these, how many stop it some day."""


Block = tuple[np.ndarray, int, "np.ndarray | None", int, "np.ndarray | None", "np.ndarray | int"]


class Sheet:
    """Events of one subject, block by block: times, code, values, unit, times when known, encounters."""

    def __init__(self) -> None:
        self.blocks: list[Block] = []

    def add(
        self,
        when: np.ndarray,
        code: str,
        *,
        value: np.ndarray | None = None,
        unit: str = "",
        known: np.ndarray | None = None,
        encounter: np.ndarray | int = -1,
    ) -> None:
        """Events of one code at these days; `known` are days too, `encounter` -1 where there is none."""
        if len(when):
            self.blocks.append((when, BOOK[code].number, value, UNITS[unit], known, encounter))

    def static(self, code: str) -> None:
        """An event without a time."""
        self.add(np.array([-np.inf]), code)

    def columns(self, until: float) -> Columns:
        """All events that are not later than a day, by time."""
        counts = [len(block[0]) for block in self.blocks]
        time = _minutes(np.concatenate([block[0] for block in self.blocks]))
        order = np.argsort(time, kind="stable")
        order = order[time[order] <= _minutes(np.array([until]))]
        return Columns(
            time=time[order],
            code=np.repeat([block[1] for block in self.blocks], counts)[order].astype(np.int32),
            value=_filled([block[2] for block in self.blocks], counts, np.nan)[order],
            unit=np.repeat([block[3] for block in self.blocks], counts)[order].astype(np.int8),
            known=_minutes(_filled([block[4] for block in self.blocks], counts, -np.inf)[order]),
            encounter=_filled([block[5] for block in self.blocks], counts, -1)[order].astype(np.int64),
        )


class Columns(NamedTuple):
    """Events of one subject, N of them, by time.

    Attributes:
        time, known: int64 (N,) microseconds since 1970, `NOWHEN` where there is none.
        code, unit: int32 and int8 (N,), numbers of `BOOK` and `UNITS`.
        value: float64 (N,), NaN where there is none.
        encounter: int64 (N,), -1 where there is none.
    """

    time: np.ndarray
    code: np.ndarray
    value: np.ndarray
    unit: np.ndarray
    known: np.ndarray
    encounter: np.ndarray


def _minutes(when: np.ndarray) -> np.ndarray:
    """int64 microseconds since 1970 of days, to the minute."""
    there = when > -np.inf
    minutes = np.rint(np.where(there, when, 0.0) * 1440).astype(np.int64)
    return np.asarray(np.where(there, minutes * 60_000_000, NOWHEN))


def _filled(blocks: Sequence[np.ndarray | int | None], counts: Sequence[int], nothing: float) -> np.ndarray:
    """One column of all blocks."""
    parts = [
        block if isinstance(block, np.ndarray) else np.full(count, nothing if block is None else block)
        for block, count in zip(blocks, counts, strict=True)
    ]
    return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class Encounters:
    """Visits and stays of one subject, in order of their beginnings.

    Attributes:
        start, end: float64 (E,) days since 1970.
        stay: bool (E,).
        ids: int64 (E,) encounter_id.
        visits: float64 (V,) beginnings of visits, those within a stay among them.
        of_visit: int64 (V,) the encounter_id of each.
    """

    start: np.ndarray
    end: np.ndarray
    stay: np.ndarray
    ids: np.ndarray
    visits: np.ndarray
    of_visit: np.ndarray


def write_chart(life: Life, seed: int) -> Columns:
    """All events of one subject."""
    person = life.person
    rng = stream(seed, person.patient.number, Stream.CHART)
    sheet = Sheet()
    sheet.static(GENDERS[person.patient.sex].code)
    sheet.static(LANGUAGES[person.patient.language].code)
    sheet.add(np.array([person.birth]), BIRTH)
    seen = _encounters(life, rng)
    for kind, which in (("AMB", ~seen.stay), ("IMP", seen.stay)):
        sheet.add(seen.start[which], f"VISIT//{kind}{START}", encounter=seen.ids[which])
        sheet.add(seen.end[which], f"VISIT//{kind}{END}", encounter=seen.ids[which])
    found = _found(life, seen, rng)
    _write_diagnoses(sheet, life, seen, found, rng)
    taken = _drugs(life, seen, found, rng)
    _write_drugs(sheet, life, taken, seen)
    _write_measures(sheet, life, seen, found, taken, rng)
    _write_smoking(sheet, life, seen, rng)
    films = person.films[person.films <= life.end]
    sheet.add(films, FILM.code, encounter=_encounter_at(films, seen))
    sheet.add(np.array([life.death]) if life.death <= person.closing else np.zeros(0), DEATH)
    return sheet.columns(life.end)


def _encounters(life: Life, rng: np.random.Generator) -> Encounters:
    person = life.person
    stays = [stay for stay in life.stays if stay.start >= person.registered]
    begun = np.array([stay.start for stay in stays])
    ended = np.array([stay.end for stay in stays])
    fixed = np.array([person.registered, person.review - BEFORE_REVIEW, *(person.films - BEFORE_FILM)])
    fixed = np.sort(fixed[fixed < life.end])
    routine = _routine(life, rng)
    for times, before, after in ((begun, 2.0, 0.0), (ended, 0.0, 2.0), (fixed, 3.0, 3.0)):
        routine = routine[~_within(routine, times - before, times + after)]
    routine = routine[~_within(routine, begun, ended)]
    visits = np.sort(np.concatenate([fixed, routine]))
    outside = ~_within(visits, begun, ended)
    start = np.concatenate([visits[outside], begun])
    end = np.concatenate([visits[outside] + VISIT_DAYS, ended])
    stay = np.arange(len(start)) >= outside.sum()
    order = np.argsort(start, kind="stable")
    start, end, stay = start[order], end[order], stay[order]
    ids = person.patient.number * ENCOUNTERS + 1 + np.arange(len(start))
    seen = Encounters(start, end, stay, ids, visits, np.zeros(0, np.int64))
    return Encounters(start, end, stay, ids, visits, _encounter_at(visits, seen))


def _within(when: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """bool: whether each lies in one of the spans."""
    return np.asarray(((when[:, None] >= low) & (when[:, None] <= high)).any(axis=1))


def _encounter_at(when: np.ndarray, seen: Encounters) -> np.ndarray:
    """encounter_id of the encounter that each time lies in, a stay before a visit; -1 where there is none."""
    inside = (when[:, None] >= seen.start - MINUTE / 2) & (when[:, None] <= seen.end + MINUTE / 2)
    first = np.argmax(inside * (1 + seen.stay), axis=1) if len(seen.start) else np.zeros(len(when), np.int64)
    return np.asarray(np.where(inside.any(axis=1), seen.ids[first] if len(seen.ids) else -1, -1))


def _routine(life: Life, rng: np.random.Generator) -> np.ndarray:
    """Beginnings of the visits nobody is sent to: the more diseases, the more; more even than by chance."""
    person, habits = life.person, HABITS[life.person.patient.site]
    onsets = np.sort(np.array([when for when in life.onsets.values() if person.registered < when < life.end]))
    before = sum(when <= person.registered for when in life.onsets.values())
    cuts = np.concatenate([[person.registered], onsets, [max(life.end, person.registered)]])
    often = habits.visits * (1.0 + 0.4 * (before + np.arange(len(cuts) - 1))) / YEAR
    due = np.concatenate([[0.0], np.cumsum(often * np.diff(cuts))])
    turns = np.cumsum(rng.standard_gamma(3.0, int(due[-1] * 1.5) + 20) / 3.0)
    days_ = np.floor(np.interp(turns[turns < due[-1]], due, cuts))
    hours = (480 + rng.integers(0, 560, len(days_))) * MINUTE
    return np.asarray((days_ + hours)[days_ > person.registered])


def _found(life: Life, seen: Encounters, rng: np.random.Generator) -> dict[str, float]:
    """Disease → when the hospital knew: at a visit after some delay, or at the end of the stay that it brought on."""
    delays = rng.standard_exponential(len(life.onsets)).tolist()
    found = {}
    for (name, onset), delay in zip(life.onsets.items(), delays, strict=True):
        row = DIAGNOSES[name]
        if not row.delay and onset >= life.person.registered:
            found[name] = next(stay.end for stay in life.stays if stay.start <= onset <= stay.end)
            continue
        later = seen.visits[seen.visits >= onset + row.delay * delay * YEAR]
        if len(later):
            found[name] = float(later[0])
    return found


def _write_diagnoses(
    sheet: Sheet, life: Life, seen: Encounters, found: Mapping[str, float], rng: np.random.Generator
) -> None:
    """At the visit at which a disease is found, at others now and then; in hospital what brought him there, which is
    known when he leaves."""
    habits = HABITS[life.person.patient.site]
    again = rng.random((len(DIAGNOSES), len(seen.visits))) < habits.coded
    outside = np.isin(seen.of_visit, seen.ids[~seen.stay])
    for (name, row), repeated in zip(DIAGNOSES.items(), again, strict=True):
        if name in found:
            written = outside & ((seen.visits == found[name]) | (repeated & (seen.visits > found[name])))
            sheet.add(seen.visits[written] + WRITTEN, row.written(habits.system).code, encounter=seen.of_visit[written])
    lots = rng.random(sum(len(stay.reasons) for stay in life.stays)).tolist()
    for stay in life.stays:
        for reason in stay.reasons:
            names = REASONS[reason.name]
            name = names[int(lots.pop() * len(names))]
            if stay.start >= life.person.registered:
                when, known = np.array([reason.when]), np.array([stay.end])
                code = DIAGNOSES[name].written(habits.system).code
                sheet.add(when, code, known=known, encounter=_encounter_at(when, seen))


def _drugs(
    life: Life, seen: Encounters, found: Mapping[str, float], rng: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """Drug → first and last day; infinite where it was not stopped."""
    person = life.person
    taken = {}
    lots, pauses = rng.random((2, len(DRUGS))), rng.standard_exponential(len(DRUGS)) * 4.0 * YEAR
    treated = {GIVEN[each.treatment] for each in life.decisions if each.treated}
    for place, (name, row) in enumerate(DRUGS.items()):
        known = min((found[disease] for disease in row.of if disease in found), default=np.inf)
        known = max(known, days(row.since))
        later = seen.end[seen.end >= known]
        start = float(later[0]) if len(later) and (lots[0, place] < TAKERS or not row.stopped) else np.inf
        if name in treated:
            start = min(start, person.review + MINUTE)
        if start < life.end:
            taken[name] = (start, start + pauses[place] if row.stopped and lots[1, place] < STOPPERS else np.inf)
    return taken


def _write_drugs(sheet: Sheet, life: Life, taken: Mapping[str, tuple[float, float]], seen: Encounters) -> None:
    system = HABITS[life.person.patient.site].drugs
    for name, (start, stop) in taken.items():
        code, when = DRUGS[name].written(system).code, np.array([start])
        sheet.add(when, code, encounter=_encounter_at(when, seen))
        if stop < life.end:
            sheet.add(np.array([stop]), code + END)


def _write_measures(
    sheet: Sheet,
    life: Life,
    seen: Encounters,
    found: Mapping[str, float],
    taken: Mapping[str, tuple[float, float]],
    rng: np.random.Generator,
) -> None:
    person, habits = life.person, HABITS[life.person.patient.site]
    when, encounter, inside = _occasions(seen, life.end)
    if not len(when):
        return
    at = _moments(life, when, taken)
    measured, lots = values(person, at, rng), rng.random((len(MEASURES), len(when)))
    late = np.exp(0.3 * rng.standard_normal(len(when))) / 24
    for (name, row), lot in zip(MEASURES.items(), lots, strict=True):
        done = (lots[CREATININE] if name == "egfr" else lot) < _often(
            MEASURES["creatinine"] if name == "egfr" else row, when, inside, found, habits.measured
        )
        coded = row.molar if habits.molar and row.molar else row.plain
        at_hand = when[done] + (SAMPLES if row.hours else VITALS)
        sheet.add(
            at_hand,
            f"LOINC//{coded.loinc}",
            value=np.round(measured[name][done] * coded.factor, coded.digits),
            unit=coded.unit,
            known=at_hand + row.hours * late[done] if row.hours else None,
            encounter=encounter[done],
        )


def _often(
    row: Measure, when: np.ndarray, inside: np.ndarray, found: Mapping[str, float], measured: float
) -> np.ndarray:
    """float64 (V,): how often something is measured each time."""
    often = np.full(len(when), row.visit)
    for disease, share in row.watched.items():
        if disease in found:
            often = np.where(when >= found[disease], np.maximum(often, share), often)
    return np.where(inside, row.stay, often * measured if row.hours else often)


def _occasions(seen: Encounters, end: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """When somebody is measured, in which encounter, and whether in hospital: visits, and every day of a stay."""
    times, encounters = [seen.visits], [seen.of_visit]
    for start, stop, number in zip(seen.start[seen.stay], seen.end[seen.stay], seen.ids[seen.stay], strict=True):
        each = np.arange(start + 30 * MINUTE, min(stop, end) - 30 * MINUTE, 1.0)
        times.append(each)
        encounters.append(np.full(len(each), number))
    when, encounter = np.concatenate(times), np.concatenate(encounters)
    order = np.argsort(when, kind="stable")
    return when[order], encounter[order], np.isin(encounter[order], seen.ids[seen.stay])


def _moments(life: Life, when: np.ndarray, taken: Mapping[str, tuple[float, float]]) -> Moments:
    """How somebody is then."""
    has = {name: when >= life.onsets.get(name, np.inf) for name in DIAGNOSES}
    spans = {name: taken.get(name, (np.inf, np.inf)) for name in DRUGS}
    takes = {name: (when > start) & (when <= stop) for name, (start, stop) in spans.items()}
    ill, fluid = np.zeros(len(when)), np.zeros(len(when))
    for each in life.happened:
        if each.name in REASONS:
            since = when - each.when
            heart = REASONS[each.name] == ("heart_failure",)
            level = np.where(since >= 0, np.exp(-np.maximum(since, 0.0) / (6.0 if heart else 4.0)), 0.0)
            if heart:
                fluid = np.maximum(fluid, level)
            else:
                ill = np.maximum(ill, level if each.name not in ("infarction", "stroke") else 0.3 * level)
    smoked = life.person.patient.smoking
    smokes = np.full(len(when), smoked == "current") | ((smoked == "former") & (when < life.person.quit))
    return Moments(when, has, takes, ill, fluid, smokes)


def _write_smoking(sheet: Sheet, life: Life, seen: Encounters, rng: np.random.Generator) -> None:
    """At the first visit, and at every fifth or so."""
    person = life.person
    asked = rng.random(len(seen.visits)) < 0.2
    asked[:1] = True
    told = np.array([person.smoking(when) for when in seen.visits.tolist()], object)
    for status, coded in SMOKED.items():
        here = asked & (told == status)
        sheet.add(seen.visits[here] + VITALS, coded.code, encounter=seen.of_visit[here])
