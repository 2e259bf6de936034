from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suwen.data.records.codes.parents import SCHEMES, built_in_parents, key_of, spelled
from suwen.data.records.fhir.values import SYSTEMS as FHIR
from suwen.data.records.hl7.codes import SYSTEMS as HL7


def chain(code: str) -> list[str]:
    found = [code]
    while above := built_in_parents(found[-1]):
        found += above
    return found


@pytest.mark.parametrize(
    "codes",
    [
        ["ICD10CM//E11.65", "ICD10CM//E11.6", "ICD10CM//E11"],
        ["ICD10CM//S72.001A", "ICD10CM//S72.001", "ICD10CM//S72.00", "ICD10CM//S72.0", "ICD10CM//S72"],
        ["ICD10CM//C7A.8", "ICD10CM//C7A"],
        ["DIAGNOSIS//ICD10CM//E1165", "DIAGNOSIS//ICD10CM//E116", "DIAGNOSIS//ICD10CM//E11"],
        ["DIAGNOSIS//ICD//10//E1165", "DIAGNOSIS//ICD//10//E116", "DIAGNOSIS//ICD//10//E11"],
        ["ICD10//E11.9", "ICD10//E11"],
        ["ICD9CM//250.01", "ICD9CM//250.0", "ICD9CM//250"],
        ["DIAGNOSIS//ICD9CM//25001", "DIAGNOSIS//ICD9CM//2500", "DIAGNOSIS//ICD9CM//250"],
        ["ICD9CM//V10.11", "ICD9CM//V10.1", "ICD9CM//V10"],
        ["DIAGNOSIS//ICD9CM//E8120", "DIAGNOSIS//ICD9CM//E812"],
        ["PROCEDURE//ICD9PCS//3722", "PROCEDURE//ICD9PCS//372", "PROCEDURE//ICD9PCS//37"],
        ["ICD9Proc//37.22", "ICD9Proc//37.2", "ICD9Proc//37"],
        ["ICD10PCS//02703ZZ", "ICD10PCS//027", "ICD10PCS//02", "ICD10PCS//0"],
        ["ATC//A10BA02", "ATC//A10BA", "ATC//A10B", "ATC//A10", "ATC//A"],
        ["CONDITION//SNOMED//44054006//START", "CONDITION//SNOMED//44054006"],
        ["ICD10CM//E11.9//END", "ICD10CM//E11.9", "ICD10CM//E11"],
        ["SNOMED//44054006"],
        ["LOINC//2345-7"],
        ["FAMILY//FTH//ICD10CM//E11.9"],  # a father's diabetes is not the patient's
        ["ALLERGY//ATC//J01CA04"],
        ["ICD10CM//E1.165"],  # a dot where none belongs: no code
        ["ICD10CM//E11-E14"],
        ["TEXT//a cough"],
        ["MEDS_BIRTH"],
    ],
)
def test_codes_become_shorter_level_by_level_in_their_own_spelling(codes: list[str]) -> None:
    assert chain(codes[0]) == codes


@given(st.sampled_from(sorted({*FHIR.values(), *HL7.values()})), st.text(max_size=10), st.booleans())
def test_every_chain_ends_and_each_step_is_shorter(system: str, code: str, role: bool) -> None:
    found = chain(f"{'DIAGNOSIS//' if role else ''}{system}//{code}")
    assert all(len(above) < len(below) for below, above in pairwise(found))


@given(st.sampled_from(SCHEMES), st.data())
def test_with_and_without_the_dot_the_parent_is_the_same(scheme: object, data: st.DataObject) -> None:
    each = next(found for found in SCHEMES if found is scheme)
    bare = data.draw(st.from_regex(each.shape, fullmatch=True))
    system = sorted(each.systems)[0]
    dotted = bare if each.dot is None or len(bare) <= each.dot else f"{bare[: each.dot]}.{bare[each.dot :]}"
    plain, marked = (built_in_parents(f"{system}//{code}") for code in (bare, dotted))
    assert [key_of(code) for code in plain] == [key_of(code) for code in marked]


def test_a_code_is_the_same_in_every_spelling() -> None:
    spellings = [
        "ICD9CM//250.00",
        "DIAGNOSIS//ICD9CM//25000",
        "DIAGNOSIS//ICD//9//25000",
        "ICD9//250.00",
        "ICD9CM/250.00",
    ]
    assert {key_of(code) for code in spellings} == {("ICD9CM", "25000")}
    assert key_of("CONDITION//SNOMED//1") == key_of("SNOMEDCT_US_2016_03_01//1") == ("SNOMED", "1")
    assert spelled("GENDER//F") is not None and key_of("MEDS_DEATH") is None
    assert key_of("FAMILY//FTH//ICD10CM//E11") is None and key_of("LOINC//1//SNOMED//2") is None
