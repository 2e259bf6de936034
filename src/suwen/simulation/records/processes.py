"""What can befall somebody, and how often: a row a process, with the source of each ratio that has one.

The rate of a process is a product, as in proportional hazards (Cox, J R Stat Soc B 1972;34:187): that of a woman
of 60 who never smoked, with a body mass index of 25 kg/m², 3.3 mmol/L of LDL, a frailty index of 0.2 and none of the
diseases, times a ratio for all in which a person differs from her. Ratios with a source are named beside the row; **all
others, and all rates, are invented**, and most rates are above those of any real population, so that a small hospital
has something to learn from.

The diseases of `STATES` never go away. Which of them somebody has is a number: bit i is set for state i.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

STATES = (
    "hypertension",
    "diabetes",
    "kidney",
    "copd",
    "heart_failure",
    "infarction",
    "fibrillation",
    "stroke",
    "cancer",
)
"""Diseases on which rates depend: 512 combinations."""

BIT = {name: 1 << place for place, name in enumerate(STATES)}

TRAITS = ("sugar", "pressure", "renal", "mood")
"""What somebody is born with, standard normal; ``ldl`` (mmol/L) beside."""

MOST = 4.0
"""No process is faster than so many times a year."""

WINDOW_DAYS = 30.0
"""After a discharge, in which `Process.after_discharge` run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One row: a rate, and what it is multiplied by.

    Attributes:
        rate: a year, of the woman above.
        decade: for ten years of age more.
        male, nodule: for being one, having one.
        bmi: for 5 kg/m² more.
        current, former: smokers, against those who never were.
        pack_years: for ten more.
        frailty: for 0.1 of the frailty index more than 0.2.
        lung: for 0.1 of `Patient.lung_disease` more.
        ldl: for 1 mmol/L more than 3.3.
        traits: of `TRAITS`, for one more.
        given: of `STATES`, for having it.
        needs: a state without which it does not happen.
        recurs: whether it can happen again; what does not is an onset.
        after_discharge: whether it runs only in the `WINDOW_DAYS` after a discharge.
        admits: whether it brings to hospital.
    """

    rate: float
    decade: float = 1.0
    male: float = 1.0
    nodule: float = 1.0
    bmi: float = 1.0
    current: float = 1.0
    former: float = 1.0
    pack_years: float = 1.0
    frailty: float = 1.0
    lung: float = 1.0
    ldl: float = 1.0
    traits: Mapping[str, float] = field(default_factory=dict)
    given: Mapping[str, float] = field(default_factory=dict)
    needs: str = ""
    recurs: bool = False
    after_discharge: bool = False
    admits: bool = False


PROCESSES: dict[str, Process] = {
    "hypertension": Process(rate=0.025, decade=1.4, bmi=1.4, traits={"pressure": 2.0}),
    # obese against normal 7.19 (Abdullah et al., Diabetes Res Clin Pract 2010;89:309), taken as 10 kg/m²: 2.68 for 5
    "diabetes": Process(rate=0.007, decade=1.2, male=1.2, bmi=2.68, traits={"sugar": 2.4}),
    "kidney": Process(
        rate=0.0035, decade=1.6, traits={"renal": 1.9},
        given={"hypertension": 1.8, "diabetes": 2.2, "heart_failure": 1.5},
    ),
    "copd": Process(rate=0.003, decade=1.2, current=1.5, lung=1.7),
    # hypertension 2.07 in men, 3.35 in women (Levy et al., JAMA 1996;275:1557): between them
    "heart_failure": Process(
        rate=0.0016,
        decade=1.6,
        frailty=1.2,
        given={"hypertension": 2.5, "infarction": 3.5, "diabetes": 1.8, "fibrillation": 1.8, "kidney": 1.5},
        admits=True,
    ),
    # current smoking 2.87, hypertension 1.91, diabetes 2.37 (INTERHEART: Yusuf et al., Lancet 2004;364:937); kidney 1.4
    # (GFR 45-59: Go et al., N Engl J Med 2004;351:1296); 1 mmol/L LDL 1 / 0.78 (CTT, Lancet 2010;376:1670)
    "infarction": Process(
        rate=0.003,
        decade=1.4,
        male=1.9,
        current=2.87,
        former=1.3,
        ldl=1 / 0.78,
        given={"hypertension": 1.91, "diabetes": 2.37, "kidney": 1.4},
        admits=True,
    ),
    # ten years 2.1, men 1.5, hypertension 1.5, diabetes 1.4, heart failure 4.5, infarction 1.4
    # (Benjamin et al., JAMA 1994;271:840)
    "fibrillation": Process(
        rate=0.0018,
        decade=2.1,
        male=1.5,
        given={"hypertension": 1.5, "diabetes": 1.4, "heart_failure": 4.5, "infarction": 1.4},
    ),
    # hypertension 2.64, smoking 2.09, diabetes 1.36 (INTERSTROKE: O'Donnell et al., Lancet 2010;376:112);
    # fibrillation nearly fivefold (Wolf et al., Stroke 1991;22:983)
    "stroke": Process(
        rate=0.0012,
        decade=1.6,
        current=2.09,
        given={"hypertension": 2.64, "diabetes": 1.36, "fibrillation": 4.8},
        admits=True,
    ),
    "cancer": Process(rate=0.0005, decade=1.4, current=2.5, former=1.5, pack_years=1.15, nodule=5.0),
    "depression": Process(
        rate=0.007, decade=0.85, male=0.55, traits={"mood": 2.2},
        given={"stroke": 2.0, "cancer": 2.0, "heart_failure": 1.5},
    ),
    "heart_failure_again": Process(
        rate=0.16, frailty=1.3, given={"kidney": 1.4, "fibrillation": 1.3, "diabetes": 1.2}, needs="heart_failure",
        recurs=True, admits=True,
    ),
    "copd_again": Process(rate=0.12, current=1.3, lung=1.15, needs="copd", recurs=True, admits=True),
    # current smoking 2.17, former 1.49 (Baskaran et al., PLoS ONE 2019;14:e0220204)
    "infection": Process(
        rate=0.02, decade=1.4, current=2.17, former=1.49, frailty=1.3, recurs=True, admits=True,
        given={"copd": 1.7, "diabetes": 1.3, "cancer": 1.8, "heart_failure": 1.3, "stroke": 1.5},
    ),
    "relapse": Process(
        rate=0.7, frailty=1.45, recurs=True, after_discharge=True, admits=True,
        given={"heart_failure": 1.9, "kidney": 1.5, "copd": 1.5, "cancer": 2.0, "diabetes": 1.2},
    ),
    # frailty 1.28 for 0.1 (Kojima et al., Age Ageing 2018;47:193), diabetes 1.80 (Seshasai et al., N Engl J Med
    # 2011;364:829), kidney 1.2 (GFR 45-59: Go et al.)
    "death": Process(
        rate=0.009, decade=1.45, male=1.3, current=1.5, former=1.2, frailty=1.28,
        given={"diabetes": 1.80, "kidney": 1.2, "heart_failure": 2.2, "infarction": 1.4, "stroke": 1.7, "copd": 1.7,
               "cancer": 5.0, "fibrillation": 1.2},
    ),
}  # fmt: skip

NAMES = tuple(PROCESSES)
NUMBER = {name: place for place, name in enumerate(NAMES)}
DEATH = NUMBER["death"]
SETS = np.array([BIT.get(name, 0) for name in NAMES], np.int64)
"""int64 (K,): the bit that each process sets."""

RECURS = np.array([row.recurs for row in PROCESSES.values()])
ADMITS = np.array([row.admits for row in PROCESSES.values()])
AFTER_DISCHARGE = np.array([row.after_discharge for row in PROCESSES.values()])


def _multipliers() -> np.ndarray:
    """float64 (K, 512): what the diseases somebody has multiply each rate by; 0 where it cannot happen."""
    bits = np.arange(1 << len(STATES))
    found = np.ones((len(NAMES), len(bits)))
    for place, (name, row) in enumerate(PROCESSES.items()):
        for state, ratio in row.given.items():
            found[place] *= np.where(bits & BIT[state], ratio, 1.0)
        if row.needs:
            found[place] *= (bits & BIT[row.needs]) > 0
        if name in BIT:
            found[place] *= (bits & BIT[name]) == 0
    return found


MULTIPLIERS = _multipliers()


def logarithms(name: str, *, scale: float = 1.0) -> np.ndarray:
    """float64 (K,): the logarithm of an attribute of every process, divided by `scale`: for one unit more."""
    return np.asarray(np.log([getattr(row, name) for row in PROCESSES.values()]) / scale)


def trait_logarithms() -> np.ndarray:
    """float64 (4, K): of each of `TRAITS`."""
    return np.log([[row.traits.get(trait, 1.0) for row in PROCESSES.values()] for trait in TRAITS])
