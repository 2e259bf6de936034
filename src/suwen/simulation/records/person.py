"""Who somebody is, when the hospital sees him, and the rate of everything that can befall him at every age."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property

import numpy as np

from suwen.simulation.films import PERIOD_DAYS, film_times
from suwen.simulation.patients import OPENING, Patient, Smoking, Stream, stream
from suwen.simulation.records.processes import DEATH, TRAITS, logarithms, trait_logarithms
from suwen.simulation.world import World

YEAR = 365.25
EPOCH = date(1970, 1, 1)

VISIT_DAYS = 0.5 / 24
"""A visit takes half an hour."""

REVIEW_DAYS = (1840.0, 2300.0)
"""The review visit lies so long before the end of the data: five years after it are seen of everybody."""

_RATE, _DECADE, _MALE, _NODULE = (logarithms(name) for name in ("rate", "decade", "male", "nodule"))
_BMI, _PACK_YEARS = logarithms("bmi", scale=5.0), logarithms("pack_years", scale=10.0)
_FRAILTY, _LUNG, _LDL = logarithms("frailty", scale=0.1), logarithms("lung", scale=0.1), logarithms("ldl")
_SMOKING: dict[Smoking, np.ndarray] = {
    "never": np.zeros(len(_RATE)),
    "former": logarithms("former"),
    "current": logarithms("current"),
}
_TRAITS = trait_logarithms()


def days(when: date | datetime) -> float:
    """Days since 1970, with their fraction."""
    if isinstance(when, datetime):
        return (when - datetime(1970, 1, 1)).total_seconds() / 86_400
    return float((when - EPOCH).days)


def closing(world: World) -> float:
    """The end of the data, in days since 1970: a year and a little after the last day on which anybody has a film."""
    return days(OPENING) + world.films_per_patient[1] * PERIOD_DAYS + 370.0


@dataclass(frozen=True, kw_only=True)
class Person:
    """A patient with what only the truth knows of him. Times are days since 1970.

    Attributes:
        patient: as every ward knows him.
        traits: of `TRAITS`, standard normal.
        ldl: mmol/L without treatment.
        height: metres.
        adult: 18th birthday, from which on things happen.
        registered: first contact with the hospital.
        review: the visit at which treatments are decided; infinite where there is none.
        films: times of the chest films.
        alive: the end of the visit of the last film: nobody dies before it, since he came.
        quit: when a former smoker stopped; infinite for others.
        closing: end of the data.
    """

    patient: Patient
    traits: dict[str, float]
    ldl: float
    height: float
    adult: float
    registered: float
    review: float
    films: np.ndarray
    alive: float
    quit: float
    closing: float

    @property
    def birth(self) -> float:
        """Midnight."""
        return days(self.patient.birth)

    def age(self, when: np.ndarray | float) -> np.ndarray | float:
        """Years."""
        return (when - self.birth) / YEAR

    def smoking(self, when: float) -> Smoking:
        """A former smoker smoked until he stopped."""
        if self.patient.smoking == "former" and when < self.quit:
            return "current"
        return self.patient.smoking

    @cached_property
    def fixed(self) -> np.ndarray:
        """float64 (K,): the logarithm of all that does not change with time."""
        patient = self.patient
        return np.asarray(
            _RATE
            + (patient.sex == "M") * _MALE
            + patient.nodule * _NODULE
            + (patient.bmi - 25.0) * _BMI
            + patient.pack_years * _PACK_YEARS
            + (patient.lung_disease - 0.1) * _LUNG
            + (self.ldl - 3.3) * _LDL
            + np.array([self.traits[name] for name in TRAITS]) @ _TRAITS
        )

    @cached_property
    def rates(self) -> Rates:
        """Of somebody who is not treated."""
        birthdays = np.arange(self.adult, self.closing, YEAR)
        others = [each for each in (self.review, self.alive, self.quit, self.closing) if each <= self.closing]
        edges = np.unique(np.concatenate([birthdays, others]))
        edges = edges[edges >= self.adult]
        middle = (edges[1:] + edges[:-1]) / 2
        # 3 % more a year, as in `suwen.simulation.patients`
        frailty = np.minimum(self.patient.frailty * 1.03 ** ((middle - days(OPENING)) / YEAR), 0.7)
        smoking = np.array([_SMOKING[self.smoking(when)] for when in middle.tolist()])
        logs = self.fixed + smoking + np.outer(frailty - 0.2, _FRAILTY)
        logs = logs + np.outer((self.age(middle) - 60.0) / 10.0, _DECADE)
        base = np.exp(logs)
        base[edges[:-1] < self.alive, DEATH] = 0.0
        return Rates(edges=edges, base=base)


@dataclass(frozen=True, kw_only=True, eq=False)
class Rates:
    """Rates a year of somebody without any disease, constant between edges.

    Attributes:
        edges: float64 (M + 1,) days since 1970, ascending.
        base: float64 (M, K).
    """

    edges: np.ndarray
    base: np.ndarray

    def changed(self, since: float, factors: np.ndarray) -> Rates:
        """The same, multiplied by `factors` (K,) from an edge on."""
        base = self.base.copy()
        base[self.edges[:-1] >= since] *= factors
        return Rates(edges=self.edges, base=base)


def draw_person(patient: Patient, world: World) -> Person:
    """All of somebody that is drawn before anything happens to him."""
    rng = stream(world.seed, patient.number, Stream.HEALTH)
    values = rng.standard_normal(len(TRAITS))
    ldl = float(np.clip(rng.normal(3.3, 0.9), 1.2, 7.0))
    height = float(rng.normal(1.76 if patient.sex == "M" else 1.63, 0.07))
    before, pause, stopped = rng.uniform(8.0, 20.0), rng.uniform(*REVIEW_DAYS), rng.uniform(0.2, 0.8)
    end, opening, birth = closing(world), days(OPENING), days(patient.birth)
    adult = min(birth + 18 * YEAR, opening - 60.0)
    registered = min(max(opening - before * YEAR, adult + 30.0), opening - 30.0)
    review = _in_hours(end - pause)
    films = np.array([days(when) for when in film_times(patient, world)])
    years = (opening - birth) / YEAR
    return Person(
        patient=patient,
        traits=dict(zip(TRAITS, values.tolist(), strict=True)),
        ldl=ldl,
        height=height,
        adult=adult,
        registered=_in_hours(registered),
        review=review if registered + 180.0 < review else math.inf,
        films=films,
        alive=float(films[-1]) + VISIT_DAYS,
        quit=birth + (20.0 + stopped * max(years - 20.0, 0.0)) * YEAR if patient.smoking == "former" else math.inf,
        closing=end,
    )


def _in_hours(when: float) -> float:
    """The same day, between 8 and 18 o'clock, at a whole minute."""
    day = math.floor(when)
    return day + (480 + math.floor((when - day) * 600)) / 1440
