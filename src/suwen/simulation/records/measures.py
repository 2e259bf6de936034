"""What is measured, how often, and what it shows of the truth.

The estimated GFR is computed from creatinine as laboratories do, by the CKD-EPI equation of 2021 without race (Inker et
al., N Engl J Med 2021;385:1737). All other means, effects, spreads and frequencies are invented.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from suwen.simulation.patients import OPENING
from suwen.simulation.records.person import YEAR, Person, days
from suwen.simulation.records.treatments import LDL_REDUCTION


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One row.

    Attributes:
        loinc, text: what is measured.
        unit: UCUM.
        digits: after the point.
        visit: how often at a visit.
        watched: how often at a visit of somebody known to have a disease.
        stay: how often on a day in hospital.
        hours: until the result is there; 0: at once, at the bedside.
        molar: how sites write it that count in moles; under the same LOINC where hospitals keep it.
    """

    loinc: str
    text: str
    unit: str
    digits: int = 0
    visit: float = 0.0
    watched: Mapping[str, float] = field(default_factory=dict)
    stay: float = 0.0
    hours: float = 0.0
    molar: Written | None = None

    @property
    def plain(self) -> Written:
        """How other sites write it."""
        return Written(self.loinc, self.unit, 1.0, self.digits)


class Written(NamedTuple):
    """LOINC, unit, factor from the unit of the row, digits after the point."""

    loinc: str
    unit: str
    factor: float
    digits: int


MEASURES: Mapping[str, Measure] = {
    "systolic": Measure(loinc="8480-6", text="Systolic blood pressure", unit="mm[Hg]", visit=0.9, stay=1.0),
    "diastolic": Measure(loinc="8462-4", text="Diastolic blood pressure", unit="mm[Hg]", visit=0.9, stay=1.0),
    "pulse": Measure(loinc="8867-4", text="Heart rate", unit="/min", visit=0.6, stay=1.0),
    "oxygen": Measure(
        loinc="59408-5", text="Oxygen saturation in arterial blood by pulse oximetry", unit="%", visit=0.15,
        watched={"copd": 0.7, "heart_failure": 0.5}, stay=1.0,
    ),
    "temperature": Measure(loinc="8310-5", text="Body temperature", unit="Cel", digits=1, visit=0.2, stay=1.0),
    "weight": Measure(loinc="29463-7", text="Body weight", unit="kg", digits=1, visit=0.5, stay=0.3),
    "bmi": Measure(loinc="39156-5", text="Body mass index", unit="kg/m2", digits=1, visit=0.5),
    "glucose": Measure(
        loinc="2345-7", text="Glucose in serum or plasma", unit="mg/dL", visit=0.35, watched={"diabetes": 0.8},
        stay=0.6, hours=3.0, molar=Written("2345-7", "mmol/L", 1 / 18.016, 1),
    ),
    "hba1c": Measure(
        loinc="4548-4", text="Hemoglobin A1c/Hemoglobin.total in blood", unit="%", digits=1, visit=0.12,
        watched={"diabetes": 0.7}, hours=20.0,
    ),
    "creatinine": Measure(
        loinc="2160-0", text="Creatinine in serum or plasma", unit="mg/dL", digits=2, visit=0.35,
        watched={"kidney": 0.8, "heart_failure": 0.7}, stay=0.7, hours=3.0, molar=Written("2160-0", "umol/L", 88.42, 0),
    ),
    "egfr": Measure(
        loinc="98979-8", text="Glomerular filtration rate by creatinine-based formula (CKD-EPI 2021)/1.73 sq M",
        unit="mL/min/{1.73_m2}", hours=3.0,
    ),
    "potassium": Measure(
        loinc="2823-3", text="Potassium in serum or plasma", unit="mmol/L", digits=1, visit=0.2,
        watched={"kidney": 0.7, "heart_failure": 0.7}, stay=0.7, hours=3.0,
    ),
    "sodium": Measure(
        loinc="2951-2", text="Sodium in serum or plasma", unit="mmol/L", visit=0.2, watched={"heart_failure": 0.7},
        stay=0.7, hours=3.0,
    ),
    "ldl": Measure(
        loinc="13457-7", text="Cholesterol in LDL, calculated", unit="mg/dL", visit=0.25,
        watched={"infarction": 0.5, "diabetes": 0.4}, hours=20.0, molar=Written("18262-6", "mmol/L", 1 / 38.67, 2),
    ),
    "hemoglobin": Measure(
        loinc="718-7", text="Hemoglobin in blood", unit="g/dL", digits=1, visit=0.3, watched={"kidney": 0.6}, stay=0.6,
        hours=3.0,
    ),
    "leukocytes": Measure(
        loinc="6690-2", text="Leukocytes in blood by automated count", unit="10*3/uL", digits=1, visit=0.3, stay=0.6,
        hours=3.0,
    ),
    "crp": Measure(
        loinc="1988-5", text="C reactive protein in serum or plasma", unit="mg/L", digits=1, visit=0.1, stay=0.6,
        hours=3.0,
    ),
    "ntprobnp": Measure(
        loinc="33762-6", text="Natriuretic peptide.B prohormone N-Terminal in serum or plasma", unit="pg/mL",
        visit=0.02, watched={"heart_failure": 0.5, "fibrillation": 0.15}, stay=0.15, hours=3.0,
    ),
    "drinks": Measure(loinc="74013-4", text="Alcoholic drinks per day", unit="{#}/d", visit=0.1),
    "exercise": Measure(
        loinc="89555-7", text="Days per week of moderate to strenuous physical activity", unit="d/wk", visit=0.1
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Moments:
    """When somebody is measured, V times, and how he is then.

    Attributes:
        when: float64 (V,) days since 1970, ascending.
        has: disease → bool (V,), in truth.
        takes: drug → bool (V,).
        ill: float64 (V,) 0 to 1: how acutely, of an infection.
        decompensated: float64 (V,) 0 to 1: the heart.
        smokes: bool (V,).
    """

    when: np.ndarray
    has: Mapping[str, np.ndarray]
    takes: Mapping[str, np.ndarray]
    ill: np.ndarray
    decompensated: np.ndarray
    smokes: np.ndarray


def creatinine_of(gfr: np.ndarray, age: np.ndarray, *, female: bool) -> np.ndarray:
    """mg/dL from mL/min/1.73 m²: `egfr` the other way round."""
    kappa, alpha, factor = _ckd_epi(female)
    relative = gfr / (142.0 * factor * 0.9938**age)
    return np.asarray(kappa * np.where(relative > 1.0, relative ** (1 / alpha), relative ** (1 / -1.2)))


def egfr(creatinine: np.ndarray, age: np.ndarray, *, female: bool) -> np.ndarray:
    """mL/min/1.73 m² from mg/dL: 142 min(c/κ, 1)^α max(c/κ, 1)^-1.2 0.9938^age, 1.012 times that for women.

    Source: CKD-EPI 2021 (Inker et al., N Engl J Med 2021;385:1737).
    """
    kappa, alpha, factor = _ckd_epi(female)
    relative = creatinine / kappa
    low, high = np.minimum(relative, 1.0) ** alpha, np.maximum(relative, 1.0) ** -1.2
    return np.asarray(142.0 * low * high * 0.9938**age * factor)


def _ckd_epi(female: bool) -> tuple[float, float, float]:
    return (0.7, -0.241, 1.012) if female else (0.9, -0.302, 1.0)


def values(person: Person, at: Moments, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """float64 (V,) of every measure, in the unit of its row, whether it is taken then or not."""
    patient, traits = person.patient, person.traits
    female = patient.sex == "F"
    age = np.asarray(person.age(at.when))
    noise = dict(zip(MEASURES, rng.standard_normal((len(MEASURES), len(at.when))), strict=True))
    has, takes, ill, fluid = at.has, at.takes, at.ill, at.decompensated
    bmi = patient.bmi - 0.06 * (days(OPENING) - at.when) / YEAR + 0.4 * noise["bmi"]
    sugar = 0.35 * traits["sugar"] + 0.03 * (patient.bmi - 25.0)
    glucose = 5.2 + sugar + has["diabetes"] * (3.0 - 1.2 * takes["metformin"]) + ill
    gfr = 104.0 - 0.75 * np.maximum(age - 35.0, 0.0) - 7.0 * traits["renal"] - 28.0 * has["kidney"] - 8.0 * fluid
    creatinine = creatinine_of(np.clip(gfr, 8.0, 150.0), age, female=female) * np.exp(0.07 * noise["creatinine"])
    creatinine = np.round(creatinine, MEASURES["creatinine"].digits)
    systolic = (
        116.0 + 0.4 * (age - 45.0) + 7.0 * traits["pressure"] + has["hypertension"] * (16.0 - 9.0 * takes["lisinopril"])
    )
    systolic = systolic - 8.0 * ill + 9.0 * noise["systolic"]
    return {
        "systolic": systolic,
        "diastolic": 74.0 + 0.45 * (systolic - 120.0) - 0.1 * (age - 50.0) + 6.0 * noise["diastolic"],
        "pulse": 71.0 + 8.0 * has["fibrillation"] + 4.0 * has["heart_failure"] + 14.0 * ill + 8.0 * noise["pulse"],
        "oxygen": np.minimum(
            97.6 - 3.0 * patient.lung_disease - 1.5 * has["copd"] - 3.0 * ill - 3.0 * fluid + 0.8 * noise["oxygen"],
            100.0,
        ),
        "temperature": 36.7 + 1.2 * ill + 0.25 * noise["temperature"],
        "weight": np.maximum(bmi, 13.0) * person.height**2 + 2.0 * fluid + 0.5 * noise["weight"],
        "bmi": np.maximum(bmi, 13.0),
        "glucose": 18.016 * np.maximum(glucose * np.exp(0.09 * noise["glucose"]), 2.5),
        "hba1c": 5.2 + 0.7 * sugar + has["diabetes"] * (1.7 - 0.8 * takes["metformin"]) + 0.2 * noise["hba1c"],
        "creatinine": creatinine,
        "egfr": egfr(creatinine, age, female=female),
        "potassium": 4.2 + 0.3 * has["kidney"] - 0.2 * takes["furosemide"] + 0.3 * noise["potassium"],
        "sodium": 140.0 - 1.5 * has["heart_failure"] - 2.0 * fluid + 2.0 * noise["sodium"],
        "ldl": 38.67 * np.maximum(
            person.ldl * (1.0 - LDL_REDUCTION * takes["atorvastatin"]) + 0.25 * noise["ldl"], 0.4
        ),
        "hemoglobin": (13.4 if female else 14.9) - 0.012 * (age - 50.0) - 1.3 * has["kidney"] - 1.0 * has["cancer"]
        + 0.7 * noise["hemoglobin"],
        "leukocytes": np.maximum(6.4 + 0.9 * at.smokes + 5.0 * ill + 1.4 * noise["leukocytes"], 1.0),
        "crp": np.exp(math.log(1.4) + 0.4 * at.smokes + 0.03 * (patient.bmi - 25.0) + 3.6 * ill + 0.7 * noise["crp"]),
        "ntprobnp": np.exp(
            math.log(70.0) + 0.03 * (age - 60.0) + 1.9 * has["heart_failure"] + 0.7 * has["fibrillation"]
            + 0.5 * has["kidney"] + 1.3 * fluid + 0.45 * noise["ntprobnp"]
        ),
        "drinks": np.maximum(np.round(1.2 + 0.5 * traits["mood"] + 0.8 * noise["drinks"]), 0.0),
        "exercise": np.clip(np.round(2.6 - 5.0 * (patient.frailty - 0.2) + 1.5 * noise["exercise"]), 0.0, 7.0),
    }  # fmt: skip
