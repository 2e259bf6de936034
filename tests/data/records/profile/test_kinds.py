from __future__ import annotations

import pytest

from suwen.data.records.profile.kinds import KINDS, PLAIN, about, kind_of, sex_of, stay_of, whole_of


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("LOINC//718-7", "LOINC"),
        ("RxNorm//161//START", "RxNorm"),
        ("LOINC/718-7", "LOINC"),
        ("Neutrophils/100 leukocytes", PLAIN),
        ("MEDS_BIRTH", "MEDS_BIRTH"),
        ("HR", PLAIN),
        ("Mine//1", "Mine"),
    ],
)
def test_a_code_says_its_kind(code: str, kind: str) -> None:
    assert kind_of(code) == kind


def test_spellings_are_one_kind_and_an_unknown_one_is_its_own_name() -> None:
    assert about("RxNorm") == about("RXNORM") and "RxNorm" in about("RxNorm").name
    assert about("Mine").name == "Mine" and all(name == name.lower() for name in KINDS)


@pytest.mark.parametrize(
    ("code", "sex"),
    [
        ("GENDER//F", "female"),
        ("GENDER//male", "male"),
        ("Gender//M", "male"),
        ("SEX//F", "female"),
        ("Gender/F", "female"),
        ("OMOP_SOURCE//PERSON_GENDER//f", "female"),
        ("GENDER//unknown", "unknown"),
        ("GENDER//X", "other"),
        ("GENDER_IDENTITY//F", None),
        ("SEXUALLY_ACTIVE//M", None),
        ("LOINC//F", None),
    ],
)
def test_sex_is_read_as_importers_write_it(code: str, sex: str | None) -> None:
    assert sex_of(code) == sex


@pytest.mark.parametrize(
    ("code", "stay"),
    [
        ("VISIT//IMP//START", ("VISIT//IMP", "//START")),
        ("Visit//IP//END", ("Visit//IP", "//END")),
        ("VISIT//emergency//SNOMED//1//END", ("VISIT//emergency", "//END")),
        ("HOSPITAL_ADMISSION//URGENT//ER", ("HOSPITAL_STAY", "//START")),
        ("HOSPITAL_DISCHARGE//HOME", ("HOSPITAL_STAY", "//END")),
        ("VISIT//IMP", None),
        ("RxNorm//161//START", None),
        ("OBSERVATION_PERIOD//START", None),
    ],
)
def test_stays_are_encounters_with_a_beginning_and_an_end(code: str, stay: tuple[str, str] | None) -> None:
    assert stay_of(code) == stay


def test_a_code_without_its_ending_is_whole() -> None:
    assert whole_of("A//1//START") == ("A//1", "//START") and whole_of("A//1") == ("A//1", "")
