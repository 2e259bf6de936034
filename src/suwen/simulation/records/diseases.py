"""What a hospital writes down of diseases, drugs and people: each with its codes, in English and Chinese.

Codes are those of SNOMED CT, ICD-10-CM (United States), ICD-10 (WHO), RxNorm, ATC and LOINC. Sites write in different
systems, as hospitals do; at one of them doctors write words. All codes are spelled as the importers of
`suwen.data.records` spell them, so that the same hospital has the same codes in every format.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from suwen.simulation.patients import SITES

System = Literal["ICD10CM", "ICD10", "SNOMED", "TEXT"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Habits:
    """How a site keeps its records. All numbers are invented.

    Attributes:
        system: of diagnoses.
        drugs: system of drugs.
        visits: a year, of somebody without any disease.
        coded: how often a known disease is written down again at a visit.
        measured: on the odds of any laboratory test at a visit.
        molar: whether glucose is in mmol/L and creatinine in umol/L; else both in mg/dL.
    """

    system: System
    drugs: Literal["RXNORM", "ATC"]
    visits: float
    coded: float
    measured: float
    molar: bool


HABITS: Mapping[str, Habits] = {
    "riverside": Habits(system="ICD10CM", drugs="RXNORM", visits=1.0, coded=0.5, measured=1.0, molar=False),
    "lakeview": Habits(system="SNOMED", drugs="RXNORM", visits=1.3, coded=0.3, measured=0.7, molar=False),
    "qingshan": Habits(system="ICD10", drugs="ATC", visits=0.8, coded=0.6, measured=1.4, molar=True),
    "donghu": Habits(system="TEXT", drugs="ATC", visits=1.0, coded=0.4, measured=1.0, molar=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A code, what it means, and the codes above it."""

    code: str
    text: str
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One row.

    Attributes:
        delay: years, on average, until it is found; 0: at once, in hospital.
    """

    snomed: str
    icd10cm: str
    icd10: str
    en: str
    zh: str
    delay: float = 0.0

    def written(self, system: System) -> Coded:
        """As a site with that system writes it."""
        if system == "TEXT":
            return Coded(code=f"TEXT//{self.zh}", text=self.zh)
        if system == "SNOMED":
            return Coded(code=f"SNOMED//{self.snomed}", text=self.en)
        code = self.icd10cm if system == "ICD10CM" else self.icd10
        above = (f"{system}//{code[:3]}",) if len(code) > 3 else ()
        return Coded(code=f"{system}//{code}", text=self.en if system == "ICD10CM" else self.zh, parents=above)


DIAGNOSES: Mapping[str, Diagnosis] = {
    "hypertension": Diagnosis(
        snomed="38341003", icd10cm="I10", icd10="I10", en="Hypertension", zh="高血压", delay=1.5
    ),
    "diabetes": Diagnosis(
        snomed="44054006", icd10cm="E11.9", icd10="E11.9", en="Type 2 diabetes mellitus", zh="2型糖尿病", delay=0.7
    ),
    "kidney": Diagnosis(
        snomed="709044004", icd10cm="N18.9", icd10="N18.9", en="Chronic kidney disease", zh="慢性肾脏病", delay=1.0
    ),
    "copd": Diagnosis(
        snomed="13645005", icd10cm="J44.9", icd10="J44.9", en="Chronic obstructive pulmonary disease",
        zh="慢性阻塞性肺疾病", delay=1.5,
    ),
    "heart_failure": Diagnosis(
        snomed="84114007", icd10cm="I50.9", icd10="I50.9", en="Heart failure", zh="心力衰竭"
    ),
    "infarction": Diagnosis(
        snomed="22298006", icd10cm="I21.9", icd10="I21.9", en="Myocardial infarction", zh="心肌梗死"
    ),
    "fibrillation": Diagnosis(
        snomed="49436004", icd10cm="I48.91", icd10="I48.9", en="Atrial fibrillation", zh="心房颤动", delay=0.5
    ),
    "stroke": Diagnosis(
        snomed="422504002", icd10cm="I63.9", icd10="I63.9", en="Ischemic stroke", zh="缺血性脑卒中"
    ),
    "cancer": Diagnosis(
        snomed="363358000", icd10cm="C34.90", icd10="C34.9", en="Malignant tumor of lung", zh="肺恶性肿瘤", delay=0.4
    ),
    "depression": Diagnosis(
        snomed="35489007", icd10cm="F32.9", icd10="F32.9", en="Depression", zh="抑郁症", delay=0.8
    ),
    "exacerbation": Diagnosis(
        snomed="195951007", icd10cm="J44.1", icd10="J44.1",
        en="Acute exacerbation of chronic obstructive airways disease", zh="慢性阻塞性肺疾病急性加重",
    ),
    "pneumonia": Diagnosis(
        snomed="233604007", icd10cm="J18.9", icd10="J18.9", en="Pneumonia", zh="肺炎"
    ),
    "urinary": Diagnosis(
        snomed="68566005", icd10cm="N39.0", icd10="N39.0", en="Urinary tract infection", zh="尿路感染"
    ),
}  # fmt: skip

REASONS: Mapping[str, tuple[str, ...]] = {
    "heart_failure": ("heart_failure",),
    "heart_failure_again": ("heart_failure",),
    "infarction": ("infarction",),
    "stroke": ("stroke",),
    "copd_again": ("exacerbation",),
    "infection": ("pneumonia", "urinary"),
    "relapse": ("pneumonia", "urinary"),
}
"""Process that admits → the diagnoses it may be written down as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drug:
    """One row.

    Attributes:
        of: diseases it is given for; none for those of `treatments`.
        since: not before.
        stopped: whether some stop it, after years.
    """

    rxnorm: str
    atc: str
    en: str
    zh: str
    of: tuple[str, ...] = ()
    since: date = date(1900, 1, 1)
    stopped: bool = True

    def written(self, system: str) -> Coded:
        """As a site with that system writes it; the substance stands below its group in the ATC."""
        if system == "RXNORM":
            return Coded(code=f"RXNORM//{self.rxnorm}", text=self.en, parents=(f"ATC//{self.atc}",))
        return Coded(code=f"ATC//{self.atc}", text=self.zh, parents=(f"ATC//{self.atc[:5]}",))


DRUGS: Mapping[str, Drug] = {
    "metformin": Drug(rxnorm="6809", atc="A10BA02", en="metformin", zh="二甲双胍", of=("diabetes",)),
    "lisinopril": Drug(
        rxnorm="29046", atc="C09AA03", en="lisinopril", zh="赖诺普利", of=("hypertension", "heart_failure")
    ),
    "atorvastatin": Drug(
        rxnorm="83367", atc="C10AA05", en="atorvastatin", zh="阿托伐他汀", of=("infarction",), stopped=False
    ),
    "empagliflozin": Drug(rxnorm="1545653", atc="A10BK03", en="empagliflozin", zh="恩格列净", stopped=False),
    "salbutamol": Drug(rxnorm="435", atc="R03AC02", en="albuterol", zh="沙丁胺醇", of=("copd",)),
    "furosemide": Drug(rxnorm="4603", atc="C03CA01", en="furosemide", zh="呋塞米", of=("heart_failure",)),
    # approved by the FDA on 28 December 2012 for atrial fibrillation
    "apixaban": Drug(
        rxnorm="1364430", atc="B01AF02", en="apixaban", zh="阿哌沙班", of=("fibrillation",), since=date(2013, 1, 1)
    ),
    "sertraline": Drug(rxnorm="36437", atc="N06AB06", en="sertraline", zh="舍曲林", of=("depression",)),
}

GIVEN: Mapping[str, str] = {"statin": "atorvastatin", "sglt2_inhibitor": "empagliflozin"}
"""Treatment of `treatments.TREATMENTS` → drug."""

SMOKED: Mapping[str, Coded] = {
    status: Coded(
        code=f"LOINC//72166-2//SNOMED//{snomed}", text=f"Tobacco smoking status: {text}", parents=("LOINC//72166-2",)
    )
    for status, snomed, text in (
        ("never", "266919005", "Never smoked tobacco"),
        ("former", "8517006", "Ex-smoker"),
        ("current", "77176002", "Smoker"),
    )
}
"""Smoking status → question and answer."""

FILM = Coded(code="LOINC//30745-4", text="Chest X-ray")
GENDERS: Mapping[str, Coded] = {
    "F": Coded(code="GENDER//female", text="Female"),
    "M": Coded(code="GENDER//male", text="Male"),
}
LANGUAGES: Mapping[str, Coded] = {
    "en": Coded(code="LANGUAGE//en", text="English"),
    "zh": Coded(code="LANGUAGE//zh", text="Chinese"),
}
VISITS: Mapping[str, str] = {"AMB": "ambulatory", "IMP": "inpatient encounter"}
"""Classes of visits (HL7 ActCode, https://terminology.hl7.org/CodeSystem-v3-ActCode.html)."""

OTHERS = (
    Coded(code="LOINC//72166-2", text="Tobacco smoking status"),
    *(
        Coded(code=f"VISIT//{kind}//{end}", text=text, parents=(f"VISIT//{kind}",))
        for kind, text in VISITS.items()
        for end in ("START", "END")
    ),
)

assert set(HABITS) == set(SITES)
