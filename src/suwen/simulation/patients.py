"""The people of the virtual hospital: one latent health state each, from which every ward draws.

Patient `i` depends on the seed and on `i` alone, so it is the same person whatever the size of the cohort and
whichever wards are drawn. What a hospital would know is in `OBSERVED`; the truth behind it is in `LATENT`.

Relations that come from the literature are cited where they stand. Everything else (site names, age and BMI
distributions, the coefficients without a source, the prevalences, far above those of any real hospital) is invented.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, timedelta
from enum import IntEnum
from typing import Literal

import numpy as np

Sex = Literal["F", "M"]
Smoking = Literal["never", "former", "current"]
Language = Literal["en", "zh"]

OPENING = date(2023, 1, 1)
"""The first day the wards may date anything; ages in the risks below are those of this day."""

OBSERVED = ("subject_id", "birth", "sex", "site", "language", "smoking", "pack_years", "bmi")
LATENT = ("subject_id", "frailty", "lung_disease", "nodule_risk", "opacity_risk", "nodule")


class Stream(IntEnum):
    """The independent sources of randomness of one subject. Wards that come later take the next free numbers."""

    PERSON = 0
    ANATOMY = 1
    NODULE = 2
    VISITS = 3
    FILM = 4
    SCAN = 5
    HEALTH = 6
    COURSE = 7
    DECISIONS = 8
    CHART = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One hospital site. All numbers are invented, except the smoking of the two Chinese-speaking sites.

    Attributes:
        share: how many of all patients come here (the shares add up to 1).
        smokers: per sex, the fractions of former and of current smokers.
        nodule_shift, opacity_shift: added to the log-odds of each finding, so that prevalences differ by site.
    """

    language: Language
    share: float
    mean_age: float
    mean_bmi: float
    smokers: dict[Sex, tuple[float, float]]
    nodule_shift: float
    opacity_shift: float


# Chinese men: 8.4 % former, 54.0 % current smokers in 2010 (Liu et al., J Epidemiol Community Health 2017;71:154).
# Chinese women: 2.07 % current in 2018 (Global Adult Tobacco Survey, China 2018); their former smokers are invented.
_CHINA: dict[Sex, tuple[float, float]] = {"F": (0.01, 0.021), "M": (0.084, 0.540)}
_ELSEWHERE: dict[Sex, tuple[float, float]] = {"F": (0.22, 0.13), "M": (0.30, 0.17)}

SITES: dict[str, Site] = {
    "riverside": Site(language="en", share=0.32, mean_age=62, mean_bmi=27.5, smokers=_ELSEWHERE,
                      nodule_shift=0.0, opacity_shift=0.0),
    "lakeview": Site(language="en", share=0.18, mean_age=70, mean_bmi=28.5, smokers=_ELSEWHERE,
                     nodule_shift=-0.4, opacity_shift=0.5),
    "qingshan": Site(language="zh", share=0.30, mean_age=56, mean_bmi=24.0, smokers=_CHINA,
                     nodule_shift=0.5, opacity_shift=-0.3),
    "donghu": Site(language="zh", share=0.20, mean_age=64, mean_bmi=24.5, smokers=_CHINA,
                   nodule_shift=-0.2, opacity_shift=0.2),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """One subject: what the hospital knows, then the latent truth.

    Attributes:
        number: position in the cohort, from 0; with the seed it names the subject's random streams.
        pack_years: packs of 20 cigarettes a day times years smoked.
        bmi: kg/m².
        frailty: deficit-accumulation frailty index, 0 to 0.7.
        lung_disease: severity of chronic obstructive lung disease, 0 (none) to 1.
        nodule_risk: probability that the subject carries a lung nodule.
        opacity_risk: probability that a film of a subject without a nodule shows an opacity.
        nodule: whether the subject carries one (it is then on every film).
    """

    number: int
    subject_id: str
    birth: date
    sex: Sex
    site: str
    language: Language
    smoking: Smoking
    pack_years: float
    bmi: float
    frailty: float
    lung_disease: float
    nodule_risk: float
    opacity_risk: float
    nodule: bool


def stream(seed: int, number: int, *key: int) -> np.random.Generator:
    """The random stream `key` of subject `number`, independent of every other subject and every other stream."""
    return np.random.default_rng([seed, number, *key])


def age_on(birth: date, day: date) -> int:
    """Completed years of age on `day`."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))


def draw_patients(count: int, *, seed: int) -> tuple[Patient, ...]:
    """The first `count` subjects of the world `seed`."""
    return tuple(draw_patient(number, seed=seed) for number in range(count))


def draw_patient(number: int, *, seed: int) -> Patient:
    """Subject `number` of the world `seed`."""
    rng = stream(seed, number, Stream.PERSON)
    name = str(rng.choice(list(SITES), p=[site.share for site in SITES.values()]))
    site = SITES[name]
    sex: Sex = "F" if rng.random() < 0.5 else "M"
    years = float(np.clip(rng.normal(site.mean_age, 15.0), 18.0, 98.0))
    bmi = float(np.clip(rng.normal(site.mean_bmi, 4.0), 15.0, 48.0))
    smoking, pack_years = _draw_smoking(rng, site.smokers[sex], years)
    frailty = _draw_frailty(rng, years)
    lung_disease = _draw_lung_disease(rng, years, pack_years)
    nodule_risk = _logistic(-1.75 + site.nodule_shift + 0.02 * (years - 60) + 0.012 * pack_years + 0.8 * lung_disease)
    opacity_risk = _logistic(-1.35 + site.opacity_shift + _opacity_log_odds(years, smoking, frailty))
    return Patient(
        number=number,
        subject_id=f"S{number:06d}",
        birth=OPENING - timedelta(days=round(years * 365.25)),
        sex=sex,
        site=name,
        language=site.language,
        smoking=smoking,
        pack_years=round(pack_years, 1),
        bmi=round(bmi, 1),
        frailty=frailty,
        lung_disease=lung_disease,
        nodule_risk=nodule_risk,
        opacity_risk=opacity_risk,
        nodule=bool(rng.random() < nodule_risk),
    )


def _logistic(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_odds))


def _draw_smoking(rng: np.random.Generator, shares: tuple[float, float], years: float) -> tuple[Smoking, float]:
    """Status and pack-years; the start at 20, the packs a day and the year of stopping are invented."""
    former, current = shares
    lot, packs, smoked = rng.random(), rng.gamma(3.0, 0.3), rng.uniform(0.2, 0.8)
    exposed = max(years - 20.0, 0.0)
    if lot < current:
        return "current", packs * exposed
    if lot < current + former:
        return "former", packs * exposed * smoked
    return "never", 0.0


def _draw_frailty(rng: np.random.Generator, years: float) -> float:
    """Frailty index: 3 % more a year (Mitnitski et al., BMC Geriatr 2002;2:1), mean 0.20 at age 70 (Bäckman et al.,
    J Gerontol A 2017;72:945), at most 0.7 (Mitnitski et al., Biogerontology 2013;14:709). The spread is invented.
    """
    return min(0.20 * math.exp(math.log(1.03) * (years - 70.0)) * float(rng.lognormal(0.0, 0.4)), 0.7)


def _draw_lung_disease(rng: np.random.Generator, years: float, pack_years: float) -> float:
    """Severity 0 to 1, higher with age and pack-years; coefficients invented."""
    return _logistic(-3.5 + 0.02 * (years - 60.0) + 0.05 * pack_years + float(rng.normal(0.0, 0.8)))


def _opacity_log_odds(years: float, smoking: Smoking, frailty: float) -> float:
    """Log-odds of an opacity beside those of a never-smoker of 65. Odds ratios outlive the enrichment of cases, as
    they do in a case-control study, so published ones can be used although the prevalence is not that of any clinic.

    Age from 65: community-acquired pneumonia rises from 18.2 to 52.3 per 1000 person-years between 65-69 and 85+
    years (Jackson et al., Clin Infect Dis 2004;39:1642), ln(52.3/18.2) over about 21 years. Smoking: odds ratios
    1.49 (former) and 2.17 (current; Baskaran et al., PLoS ONE 2019;14:e0220204). Under 65, and frailty: invented.
    """
    by_age = math.log(52.3 / 18.2) / 21.0 if years > 65.0 else 0.015
    odds_ratio = {"never": 1.0, "former": 1.49, "current": 2.17}[smoking]
    return by_age * (years - 65.0) + math.log(odds_ratio) + 1.5 * (frailty - 0.2)
