"""What a code begins with, and what that says: a vocabulary, a visit, a trait of the person."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from suwen.data.records.events import BIRTH, DEATH, END, START

PLAIN = "plain codes"
"""Kind of codes that begin with no vocabulary, as ``HR``."""


class Kind(NamedTuple):
    """One row.

    Attributes:
        name: in plain words.
        role: ``person`` for who a person is, ``stay`` for encounters, ``watch`` for times under observation, ``answer``
            for labels; else empty.
    """

    name: str
    role: str = ""


KINDS: Mapping[str, Kind] = {
    # vocabularies, as `fhir_values`, `hl7v2_codes` and OMOP's vocabulary_id name them (https://athena.ohdsi.org)
    "loinc": Kind("Laboratory tests and observations (LOINC)"),
    "snomed": Kind("Conditions, procedures and findings (SNOMED CT)"),
    "rxnorm": Kind("Medicines (RxNorm)"),
    "rxnorm extension": Kind("Medicines (RxNorm Extension)"),
    "ndc": Kind("Packages of medicines (NDC)"),
    "atc": Kind("Classes of medicines (ATC)"),
    "unii": Kind("Substances (UNII)"),
    "cvx": Kind("Vaccines (CVX)"),
    "icd10cm": Kind("Diagnoses (ICD-10-CM)"),
    "icd10": Kind("Diagnoses (ICD-10)"),
    "icd11": Kind("Diagnoses (ICD-11)"),
    "icd9cm": Kind("Diagnoses (ICD-9-CM)"),
    "icdo3": Kind("Tumours (ICD-O-3)"),
    "icd10pcs": Kind("Procedures (ICD-10-PCS)"),
    "icd9pcs": Kind("Procedures (ICD-9)"),
    "icd9proc": Kind("Procedures (ICD-9)"),
    "cpt": Kind("Services (CPT)"),
    "cpt4": Kind("Services (CPT)"),
    "hcpcs": Kind("Services (HCPCS)"),
    "cdt": Kind("Dental services (CDT)"),
    "hgnc": Kind("Genes (HGNC)"),
    # roles, as the importers write them
    "visit": Kind("Encounters", "stay"),
    "cms place of service": Kind("Encounters (CMS place of service)", "stay"),
    "hospital_admission": Kind("Admissions to hospital", "stay"),
    "hospital_discharge": Kind("Discharges from hospital", "stay"),
    "icu_stay": Kind("Stays in intensive care", "stay"),
    "icu_admission": Kind("Admissions to intensive care", "stay"),
    "icu_discharge": Kind("Discharges from intensive care", "stay"),
    "ed_stay": Kind("Stays in an emergency department", "stay"),
    "ed_registration": Kind("Registrations in an emergency department", "stay"),
    "ed_out": Kind("Departures from an emergency department", "stay"),
    "observation_period": Kind("Times under observation", "watch"),
    "end_of_observation": Kind("Ends of observation", "watch"),
    "admission": Kind("Sources of admission"),
    "discharge": Kind("Destinations of discharge"),
    "transfer": Kind("Moves between wards"),
    "service": Kind("Moves between services"),
    "callout": Kind("Discharges planned"),
    "reason": Kind("Reasons for encounters"),
    "diagnosis": Kind("Diagnoses"),
    "condition": Kind("Conditions"),
    "procedure": Kind("Procedures"),
    "procedure_icu": Kind("Procedures in intensive care"),
    "observation": Kind("Observations"),
    "omr": Kind("Observations in outpatients"),
    "lab": Kind("Laboratory tests"),
    "chart": Kind("Charted observations"),
    "datetime": Kind("Charted dates"),
    "microbiology": Kind("Microbiology"),
    "input": Kind("Infusions and other intake"),
    "input_rate": Kind("Rates of infusions"),
    "output": Kind("Output"),
    "prescription": Kind("Prescriptions"),
    "medication": Kind("Medicines"),
    "immunization": Kind("Vaccinations"),
    "allergy": Kind("Allergies"),
    "family": Kind("Conditions of relatives"),
    "device": Kind("Devices"),
    "supply": Kind("Supplies"),
    "careplan": Kind("Care plans"),
    "imaging": Kind("Imaging"),
    "conclusion": Kind("Conclusions of reports"),
    "order": Kind("Orders"),
    "charge": Kind("Charges"),
    "drg": Kind("Groups for billing (DRG)"),
    "note": Kind("Notes"),
    "text": Kind("Written in words, without a code"),
    "omop": Kind("Concepts of OMOP's own"),
    "omop_source": Kind("Codes of the source, without a concept"),
    "hl7": Kind("Codes of the sender's own (HL7)"),
    "death_in_hospital": Kind("Deaths in hospital"),
    "in_hospital_death": Kind("Deaths in hospital", "answer"),
    "label": Kind("Labels", "answer"),
    "sepsis_label": Kind("Labels", "answer"),
    BIRTH.lower(): Kind("Births", "person"),
    DEATH.lower(): Kind("Deaths", "person"),
    "gender": Kind("Sex", "person"),
    "sex": Kind("Sex", "person"),
    "race": Kind("Race", "person"),
    "ethnicity": Kind("Ethnicity", "person"),
    "language": Kind("Language", "person"),
    "religion": Kind("Religion", "person"),
    "marital_status": Kind("Marital status", "person"),
    "insurance": Kind("Insurance", "person"),
    "hospital": Kind("Hospital", "person"),
    "icu_type": Kind("Kind of intensive care", "person"),
    PLAIN: Kind("Codes without a vocabulary"),
}
"""What a code begins with, in small letters → what it is."""

WRITTEN = frozenset({"text", "omop_source", "hl7", "note"})
"""Kinds whose codes may be words that somebody wrote, and so may name someone."""

STAYS: Mapping[str, tuple[str, str]] = {
    "hospital_admission": ("HOSPITAL_STAY", START),
    "hospital_discharge": ("HOSPITAL_STAY", END),
    "icu_admission": ("ICU_STAY", START),
    "icu_discharge": ("ICU_STAY", END),
    "ed_registration": ("ED_STAY", START),
    "ed_out": ("ED_STAY", END),
}
"""Kinds that begin or end a stay without saying START or END, as MEDS extracts of MIMIC name them."""

FEMALE, MALE, OTHER, UNKNOWN = "female", "male", "other", "unknown"
SEXES: Mapping[str, str] = {
    "f": FEMALE,
    "female": FEMALE,
    "woman": FEMALE,
    "m": MALE,
    "male": MALE,
    "man": MALE,
    "u": UNKNOWN,
    "unk": UNKNOWN,
    "unknown": UNKNOWN,
    "not stated": UNKNOWN,
    "": UNKNOWN,
}
"""What stands behind ``GENDER//`` or ``SEX//``, in small letters; anything else is `OTHER`."""


def whole_of(code: str) -> tuple[str, str]:
    """The code without ``//START`` or ``//END``, and which of them it ended with."""
    for ending in (START, END):
        if code.endswith(ending):
            return code.removesuffix(ending), ending
    return code, ""


def kind_of(code: str) -> str:
    """What a code begins with, as it is written: before ``//``, or before ``/`` where that is a known kind."""
    first, parted, _ = code.partition("//")
    if parted or first.lower() in KINDS:
        return first or PLAIN
    first, parted, _ = code.partition("/")
    return first if parted and first.lower() in KINDS else PLAIN


def about(kind: str) -> Kind:
    """What is known of a kind; an unknown one is its own name."""
    return KINDS.get(kind.lower(), Kind(kind))


def sex_of(code: str) -> str | None:
    """The sex that a code says, None where it says none: ``GENDER//F``, ``Gender//MALE``, ``SEX//m``, ``Gender/F``;
    also ``OMOP_SOURCE//PERSON_GENDER//F``, which is what OMOP has where it has no concept."""
    plain = code.lower().removeprefix("omop_source//person_")
    for name in ("gender", "sex"):
        rest = plain.removeprefix(name)
        if rest != plain and rest.startswith("/"):
            return SEXES.get(rest.strip("/").strip(), OTHER)
    return None


def stay_of(code: str) -> tuple[str, str] | None:
    """The kind of stay that a code begins or ends, and which (START, END); None for any other code.

    Of codes with START and END the stay is what stands in front, of its parts the first two: ``VISIT//IMP``.
    """
    kind = kind_of(code)
    if kind.lower() in STAYS:
        return STAYS[kind.lower()]
    whole, ending = whole_of(code)
    if not ending or about(kind).role != "stay":
        return None
    return "//".join(whole.split("//")[:2]), ending
