from __future__ import annotations

from typing import Any

import pytest

from suwen.data.records.events import number_of
from suwen.data.records.fhir.references import BrokenReference, OtherSubject, Scope, server_of, typed_id

MRN = {"system": "http://hospital.org/mrn", "value": "77"}
PATIENT = {"resourceType": "Patient", "id": "p1", "identifier": [MRN]}
NEWBORN = {"resourceType": "Patient", "id": "n"}


@pytest.mark.parametrize(
    ("reference", "server"),
    [
        ("https://a.org/fhir/Patient/1", "a.org/fhir"),
        ("http://A.org/fhir//Patient/1/_history/3", "a.org/fhir"),
        ("https://a.org/fhir/Encounter/1", ""),
        ("Patient/1", ""),
        ("urn:uuid:1", ""),
    ],
)
def test_the_server_of_a_patient(reference: str, server: str) -> None:
    assert server_of(reference) == server


def scope() -> Scope:
    return Scope(
        [
            ("urn:uuid:1b9d", PATIENT),
            ("urn:uuid:2c3e", {"resourceType": "Patient"}),
            ("http://x.org/fhir/Patient/p3", {"resourceType": "Patient", "id": "p3"}),
            ("urn:uuid:9", {"resourceType": "Encounter", "id": "e1"}),
            ("urn:uuid:g", {"resourceType": "Group", "id": "g"}),
        ]
    )


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ({"reference": "urn:uuid:1b9d"}, "p1"),
        ({"reference": "urn:uuid:2c3e"}, "2c3e"),
        ({"reference": "Patient/p1"}, "p1"),
        ({"reference": "Patient/elsewhere"}, "elsewhere"),
        ({"reference": "Patient/p1/_history/3"}, "p1"),
        ({"reference": "http://x.org/fhir/Patient/p3"}, "p3"),
        ({"reference": "https://other.org/r4/Patient/12"}, "12"),
        ({"identifier": MRN}, "p1"),
        ({"type": "Patient", "identifier": MRN}, "p1"),
        ({"reference": "Patient?identifier=http://hospital.org/mrn|77"}, "p1"),
        ({"reference": "Patient?identifier=http%3A%2F%2Fhospital.org%2Fmrn%7C77"}, "p1"),
    ],
)
def test_a_patient_is_found_however_it_is_named(reference: dict[str, Any], name: str) -> None:
    assert scope().patient(reference, {}) == number_of(name)


@pytest.mark.parametrize(
    "reference",
    [
        {"reference": "urn:uuid:unknown"},
        {"reference": "#gone"},
        {"reference": "nonsense"},
        {"identifier": {"system": "http://hospital.org/mrn", "value": "78"}},
        {"display": "Jane"},
    ],
)
def test_what_leads_nowhere_is_said(reference: dict[str, Any]) -> None:
    with pytest.raises(BrokenReference):
        scope().patient(reference, {})


@pytest.mark.parametrize("text", ["urn:uuid:g", "Group/g", "Device/1", "http://x.org/Location/1"])
def test_other_subjects_are_told_from_patients(text: str) -> None:
    with pytest.raises(OtherSubject):
        scope().patient({"reference": text}, {})


def test_a_contained_patient_is_whom_the_identifier_names() -> None:
    inside = {**NEWBORN, "identifier": [MRN]}
    apgar = {"resourceType": "Observation", "id": "a", "contained": [inside]}
    assert scope().patient({"reference": "#n"}, apgar) == number_of("p1")
    assert Scope().patient({"reference": "#n"}, apgar) == number_of("http://hospital.org/mrn|77")


def test_a_contained_patient_without_identifier_is_of_that_resource_alone() -> None:
    found = {
        Scope().patient({"reference": "#n"}, {"resourceType": "Observation", "id": name, "contained": [NEWBORN]})
        for name in "ab"
    }
    assert len(found) == 2


def test_encounters_are_found_alike() -> None:
    assert scope().encounter({"reference": "urn:uuid:9"}) == number_of("e1")
    assert scope().encounter({"reference": "Encounter/e7"}) == number_of("e7")
    assert scope().encounter({"reference": "EpisodeOfCare/1"}) is None
    assert scope().encounter({"display": "visit"}) is None
    assert scope().encounter(None) is None
    with pytest.raises(BrokenReference):
        scope().encounter({"reference": "urn:uuid:none"})


def test_of_two_entries_with_one_address_the_first_is_meant() -> None:
    two = Scope([("urn:uuid:a", {"resourceType": "Patient", "id": "1"}), ("urn:uuid:a", {"resourceType": "Group"})])
    assert two.patient({"reference": "urn:uuid:a"}, {}) == 1


def test_type_and_id() -> None:
    assert typed_id("Medication/med1") == ("Medication", "med1")
    assert typed_id("urn:uuid:1") is None
