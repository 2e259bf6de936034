from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import pytest

from suwen.data.records.events import number_of
from suwen.data.records.fhir.draft import Draft, NotAnEvent
from suwen.data.records.fhir.references import Scope
from suwen.data.records.fhir.resources import ROWS, map_resource
from suwen.data.records.source import Described

SUBJECT: dict[str, Any] = {"subject": {"reference": "Patient/7"}}
STROKE = {"coding": [{"system": "http://snomed.info/sct", "code": "230690007", "display": "Stroke"}]}
ASPIRIN = {"coding": [{"system": "http://www.nlm.nih.gov/research/umls/rxnorm", "code": "1191", "display": "Aspirin"}]}
SODIUM = {"coding": [{"system": "http://loinc.org", "code": "2951-2", "display": "Sodium"}]}
# with a time of day: dates alone are known at their end only, which is a matter of its own (`TestDates`)
DAY, NEXT, LATER = "2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z", "2020-01-03T00:00:00Z"


class Mapped:
    """What one resource becomes."""

    def __init__(self, kind: str, entries: list[tuple[str, dict[str, Any]]] | None = None, **fields: Any) -> None:
        self.described = Described()
        draft = Draft(self.described)
        draft.scope, draft.kind = Scope(entries or []), kind
        map_resource({"resourceType": kind, "id": "r", **fields}, ROWS[kind], draft)
        self.issues = draft.issues
        self.events = draft.taken().to_pylist()

    @property
    def codes(self) -> list[str]:
        return [each["code"] for each in self.events]

    def only(self) -> dict[str, Any]:
        (event,) = self.events
        return {name: value for name, value in event.items() if value is not None}


def day(number: int) -> datetime:
    return datetime(2020, 1, number)


def reason(kind: str, **fields: Any) -> str:
    with pytest.raises(NotAnEvent) as refused:
        Mapped(kind, **fields)
    return str(refused.value)


def observed(**fields: Any) -> Mapped:
    return Mapped("Observation", status="final", code=SODIUM, effectiveDateTime=DAY, **SUBJECT, **fields)


class TestPatient:
    def test_birth_has_a_time_and_traits_have_none(self) -> None:
        race = {
            "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race",
            "extension": [
                {"url": "ombCategory", "valueCoding": {"system": "x", "code": "2106-3", "display": "White"}},
                {"url": "ombCategory", "valueCoding": {"system": "x", "code": "2028-9", "display": "Asian"}},
                {"url": "text", "valueString": "Mixed"},
            ],
        }
        ethnicity = {
            "url": "http://hl7.org/fhir/us/core/StructureDefinition/us-core-ethnicity",
            "extension": [{"url": "text", "valueString": "Not  asked"}],
        }
        found = Mapped(
            "Patient",
            birthDate="1900-01-01",
            gender="female",
            maritalStatus={"coding": [{"code": "M", "display": "Married"}]},
            communication=[{"language": {"coding": [{"code": "zh", "display": "Chinese"}]}}],
            extension=[race, ethnicity, {"url": "other", "valueString": "x"}],
        )
        assert [(each["time"], each["code"]) for each in found.events] == [
            (datetime(1900, 1, 1), "MEDS_BIRTH"),
            (None, "GENDER//female"),
            (None, "MARITAL_STATUS//M"),
            (None, "LANGUAGE//zh"),
            (None, "RACE//2106-3"),
            (None, "RACE//2028-9"),
            (None, "ETHNICITY//Not asked"),
        ]
        assert {each["subject_id"] for each in found.events} == {number_of("r")}
        assert found.described.descriptions["RACE//2028-9"] == "Asian"

    def test_the_time_of_birth_is_taken_where_it_is_known(self) -> None:
        exact = {"url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
                 "valueDateTime": "2016-05-18T10:28:45+01:00"}  # fmt: skip
        found = Mapped("Patient", birthDate="2016-05-18", _birthDate={"extension": [exact]})
        assert found.only()["time"] == datetime(2016, 5, 18, 9, 28, 45)

    def test_death_with_and_without_a_date(self) -> None:
        assert Mapped("Patient", deceasedDateTime="2020-01-02T03:04:05Z").only()["time"] == datetime(
            2020, 1, 2, 3, 4, 5
        )
        unknown = Mapped("Patient", gender="male", deceasedBoolean=True)
        assert unknown.codes == ["GENDER//male"]  # without a time it would be known before it happened
        assert unknown.issues == ["death without a date: Patient"]
        assert reason("Patient", deceasedBoolean=False) == "nothing to map: Patient"

    def test_a_patient_without_an_id_cannot_be_referred_to(self) -> None:
        assert reason("Patient", id=None, gender="male") == "no id: Patient"


class TestEncounter:
    FIELDS: dict[str, Any] = {  # noqa: RUF012
        "status": "finished",
        "class": {"code": "IMP", "display": "inpatient encounter"},
        "type": [STROKE],
        "reasonCode": [STROKE],
        "hospitalization": {
            "admitSource": {"coding": [{"system": "http://x.org/admit-source", "code": "emd"}]},
            "dischargeDisposition": {"coding": [{"system": "http://x.org/discharge-disposition", "code": "home"}]},
        },
        **SUBJECT,
    }

    def test_it_starts_and_ends(self) -> None:
        found = Mapped("Encounter", period={"start": DAY, "end": LATER}, **self.FIELDS)
        assert [(each["time"].day, each["code"]) for each in found.events] == [
            (1, "VISIT//IMP//START"),
            (1, "SNOMED//230690007"),
            (1, "REASON//SNOMED//230690007"),
            (1, "ADMISSION//x.org/admit-source//emd"),
            (3, "VISIT//IMP//END"),
            (3, "DISCHARGE//x.org/discharge-disposition//home"),
        ]
        assert {each["encounter_id"] for each in found.events} == {number_of("r")}

    def test_it_may_still_go_on(self) -> None:
        found = Mapped("Encounter", period={"start": DAY}, **self.FIELDS)
        assert "VISIT//IMP//END" not in found.codes
        assert not any(code.startswith("DISCHARGE") for code in found.codes)

    def test_planned_ones_have_not_happened(self) -> None:
        assert reason("Encounter", **{**self.FIELDS, "status": "planned"}) == "status planned: Encounter"
        assert reason("Encounter", **self.FIELDS) == "no time: Encounter"


class TestCondition:
    def test_onset_abatement_and_when_it_was_written_down(self) -> None:
        found = Mapped(
            "Condition", code=STROKE, onsetDateTime=DAY, abatementDateTime=LATER, recordedDate=NEXT,
            encounter={"reference": "Encounter/3"}, **SUBJECT,
        )  # fmt: skip
        assert [(each["code"], each["time"], each["available_time"]) for each in found.events] == [
            ("SNOMED//230690007", day(1), day(2)),
            ("SNOMED//230690007//END", day(3), day(3)),
        ]
        assert {each["encounter_id"] for each in found.events} == {3}

    def test_without_onset_it_is_of_when_it_was_written_down(self) -> None:
        assert Mapped("Condition", code=STROKE, recordedDate=NEXT, **SUBJECT).only()["time"] == day(2)
        age = Mapped("Condition", code=STROKE, onsetAge={"value": 3}, recordedDate=NEXT, **SUBJECT)
        assert age.only()["time"] == day(2)
        assert reason("Condition", code=STROKE, **SUBJECT) == "no time: Condition"

    @pytest.mark.parametrize("status", ["refuted", "entered-in-error"])
    def test_what_was_refuted_is_no_event(self, status: str) -> None:
        said = {"coding": [{"code": status}]}
        refused = reason("Condition", code=STROKE, onsetDateTime=DAY, verificationStatus=said, **SUBJECT)
        assert refused == f"verificationStatus {status}: Condition"

    def test_what_is_provisional_is_one(self) -> None:
        said = {"coding": [{"code": "provisional"}]}
        assert Mapped("Condition", code=STROKE, onsetDateTime=DAY, verificationStatus=said, **SUBJECT).only()


class TestObservation:
    def test_a_quantity(self) -> None:
        found = observed(valueQuantity={"value": 140, "unit": "mmol/L"}, issued=NEXT).only()
        assert found == {
            "subject_id": 7, "time": day(1), "code": "LOINC//2951-2", "numeric_value": 140.0, "unit": "mmol/L",
            "available_time": day(2),
        }  # fmt: skip

    def test_nobody_knows_of_it_before_it_is(self) -> None:
        assert observed(valueInteger=1, issued="2019").only()["available_time"] == day(1)

    @pytest.mark.parametrize(
        ("field", "value", "expected"),
        [
            ("valueQuantity", {"value": 0.5, "comparator": "<"}, {"numeric_value": 0.5, "text_value": "<0.5"}),
            ("valueString", "clotted", {"text_value": "clotted"}),
            ("valueBoolean", False, {"numeric_value": 0.0}),
            ("valueBoolean", True, {"numeric_value": 1.0}),
            ("valueInteger", 3, {"numeric_value": 3.0}),
            ("valueDateTime", "2020-02", {"text_value": "2020-02"}),
            ("valueTime", "10:30:00", {"text_value": "10:30:00"}),
            ("valuePeriod", {"start": DAY}, {"text_value": "2020-01-01T00:00:00Z/.."}),
            ("valueCodeableConcept", {"text": "yellow"}, {"text_value": "yellow"}),
            ("valueCodeableConcept", STROKE, {"code": "LOINC//2951-2//SNOMED//230690007"}),
            ("valueRatio", {"numerator": {"value": 1}, "denominator": {"value": 128}},
             {"numeric_value": 1 / 128, "text_value": "1:128"}),
            ("valueRatio", {"numerator": {"value": 3, "unit": "mg"}, "denominator": {"value": 2, "unit": "L"}},
             {"numeric_value": 1.5, "text_value": "3:2", "unit": "mg/L"}),
            ("valueRatio", {"numerator": {"value": 3}, "denominator": {"value": 0}}, {"text_value": "3:0"}),
        ],
    )  # fmt: skip
    def test_each_kind_of_value(self, field: str, value: Any, expected: dict[str, Any]) -> None:
        found = observed(**{field: value}).only()
        assert found == {"subject_id": 7, "time": day(1), "code": "LOINC//2951-2", **expected}

    def test_a_range_is_its_two_ends(self) -> None:
        found = observed(valueRange={"low": {"value": 1, "unit": "a"}, "high": {"value": 2, "unit": "a"}})
        assert [(each["code"], each["numeric_value"], each["unit"]) for each in found.events] == [
            ("LOINC//2951-2//LOW", 1.0, "a"),
            ("LOINC//2951-2//HIGH", 2.0, "a"),
        ]
        assert observed(valueRange={"low": {"value": 1}}).codes == ["LOINC//2951-2//LOW"]

    def test_an_answer_is_below_its_question(self) -> None:
        found = observed(valueCodeableConcept=STROKE).described
        assert found.parents == {"LOINC//2951-2//SNOMED//230690007": ["LOINC//2951-2"]}
        assert found.descriptions["LOINC//2951-2//SNOMED//230690007"] == "Sodium: Stroke"

    def test_components_are_events_and_their_panel_is_none(self) -> None:
        parts = [
            {"code": STROKE, "valueQuantity": {"value": 120, "unit": "mmHg"}},
            {"code": ASPIRIN, "dataAbsentReason": {"text": "not done"}},
            {"valueQuantity": {"value": 1}},
        ]
        found = observed(component=parts)
        assert found.codes == ["SNOMED//230690007"]
        assert found.issues == ["value absent: Observation", "no code: Observation"]

    def test_with_a_value_of_its_own_a_panel_is_an_event_too(self) -> None:
        found = observed(valueInteger=10, component=[{"code": STROKE, "valueInteger": 2}])
        assert found.codes == ["LOINC//2951-2", "SNOMED//230690007"]

    def test_without_a_value_it_was_made(self) -> None:
        assert observed().only()["code"] == "LOINC//2951-2"
        assert observed(valueQuantity={"unit": "mg"}).only()["code"] == "LOINC//2951-2"
        odd = observed(valueQuantity={"value": "7.2", "unit": "mg"})
        assert odd.only() == {"subject_id": 7, "time": day(1), "code": "LOINC//2951-2"}
        assert odd.issues == ["value that is no number: Observation"]

    @pytest.mark.parametrize("status", ["cancelled", "entered-in-error", "registered", "preliminary"])
    def test_what_was_not_observed_is_counted(self, status: str) -> None:
        refused = reason("Observation", status=status, code=SODIUM, effectiveDateTime=DAY, valueInteger=1, **SUBJECT)
        assert refused == f"status {status}: Observation"

    @pytest.mark.parametrize(
        ("fields", "number"),
        [
            ({"effectivePeriod": {"start": DAY, "end": NEXT}}, 2),  # a urine of 24 hours is complete at its end
            ({"effectivePeriod": {"start": DAY}}, 1),
            ({"effectiveInstant": "2020-01-03T00:00:00Z"}, 3),
            ({"issued": NEXT}, 2),
            ({"effectiveDateTime": "sometime", "issued": LATER}, 3),
        ],
    )
    def test_its_time(self, fields: dict[str, Any], number: int) -> None:
        found = Mapped("Observation", status="final", code=SODIUM, valueInteger=1, **SUBJECT, **fields)
        assert found.only()["time"] == day(number)

    def test_of_several_codings_the_known_system_is_the_code_and_all_are_described(self) -> None:
        own = {"system": "http://acme.org/labs", "code": "104177", "display": "Own"}
        code = {"coding": [own, STROKE["coding"][0], SODIUM["coding"][0]]}
        found = Mapped("Observation", code=code, effectiveDateTime=DAY, valueInteger=1, **SUBJECT)
        assert found.codes == ["LOINC//2951-2"]
        assert found.described.descriptions == {
            "acme.org/labs//104177": "Own", "SNOMED//230690007": "Stroke", "LOINC//2951-2": "Sodium",
        }  # fmt: skip


def end_of(year: int, month: int, number: int) -> datetime:
    return datetime(year, month, number, 23, 59, 59, 999999)


class TestDates:
    """What has no time of day lies at the first instant of its date and is known at the last."""

    @pytest.mark.parametrize(
        ("written", "first", "last"),
        [
            ("2019", datetime(2019, 1, 1), end_of(2019, 12, 31)),
            ("2020-02", datetime(2020, 2, 1), end_of(2020, 2, 29)),
            ("2020-05-03", datetime(2020, 5, 3), end_of(2020, 5, 3)),
        ],
    )
    def test_an_event(self, written: str, first: datetime, last: datetime) -> None:
        found = Mapped("Condition", code=STROKE, onsetDateTime=written, **SUBJECT).only()
        assert (found["time"], found["available_time"]) == (first, last)
        measured = {"status": "final", "code": SODIUM, "effectiveDateTime": written, **SUBJECT}
        quick = Mapped("Observation", valueQuantity={"value": 140}, **measured).only()
        assert (quick["time"], quick["available_time"]) == (first, last)
        slow = Mapped("Observation", valueString="high", issued=written, **measured).only()
        assert (slow["time"], slow["available_time"]) == (first, last)

    def test_when_it_was_written_down(self) -> None:
        found = Mapped("Condition", code=STROKE, onsetDateTime="2018", recordedDate="2019-03", **SUBJECT).only()
        assert (found["time"], found["available_time"]) == (datetime(2018, 1, 1), end_of(2019, 3, 31))
        found = Mapped("Condition", code=STROKE, recordedDate="2019", **SUBJECT).only()
        assert found["available_time"] == end_of(2019, 12, 31)
        exact = Mapped("Condition", code=STROKE, onsetDateTime="2019", recordedDate=DAY, **SUBJECT).only()
        assert exact["available_time"] == day(1)

    def test_a_death_comes_last_and_a_birth_is_no_news(self) -> None:
        assert Mapped("Patient", deceasedDateTime="2020").only() == {
            "subject_id": number_of("r"), "time": end_of(2020, 12, 31), "code": "MEDS_DEATH",
        }  # fmt: skip
        born = Mapped("Patient", birthDate="1950-03").only()
        assert born["time"] == datetime(1950, 3, 1) and "available_time" not in born

    def test_a_stay(self) -> None:
        stay: dict[str, Any] = {"class": {"code": "IMP"}, **SUBJECT}
        found = Mapped("Encounter", period={"start": "2020-01-02T10:00:00Z", "end": "2020-01-02"}, **stay)
        assert [(each["code"], each["time"]) for each in found.events] == [
            ("VISIT//IMP//START", datetime(2020, 1, 2, 10)),
            ("VISIT//IMP//END", end_of(2020, 1, 2)),  # not at midnight, before it began
        ]
        assert not found.issues

    def test_an_onset_within_a_period_is_known_when_that_is_over_and_does_not_end_the_disease(self) -> None:
        for kind, field in (("Condition", "subject"), ("AllergyIntolerance", "patient")):
            who = {field: {"reference": "Patient/7"}}
            found = Mapped(kind, code=STROKE, onsetPeriod={"start": DAY, "end": LATER}, **who).only()
            assert (found["time"], found["available_time"]) == (day(1), day(3))

    @pytest.mark.parametrize(
        ("kind", "fields"),
        [
            ("Condition", {"onsetDateTime": NEXT, "abatementDateTime": DAY}),
            ("MedicationStatement", {"effectivePeriod": {"start": NEXT, "end": DAY}}),
            ("Encounter", {"class": {"code": "IMP"}, "period": {"start": NEXT, "end": DAY}}),
        ],
    )
    def test_an_end_before_the_beginning_is_counted_and_none(self, kind: str, fields: dict[str, Any]) -> None:
        what = "medicationCodeableConcept" if kind == "MedicationStatement" else "code"
        found = Mapped(kind, **{what: STROKE}, **fields, **SUBJECT)
        assert [each["time"] for each in found.events] == [day(2)]
        assert found.issues == [f"ends before it begins: {kind}"]


class TestMedications:
    @pytest.mark.parametrize(
        ("kind", "fields"),
        [
            ("MedicationRequest", {"authoredOn": DAY, "intent": "order"}),
            ("MedicationAdministration", {"effectiveDateTime": DAY}),
            ("MedicationStatement", {"dateAsserted": DAY}),
            ("MedicationDispense", {"whenHandedOver": DAY}),
        ],
    )
    def test_drugs_are_named_by_concept_by_reference_or_within(self, kind: str, fields: dict[str, Any]) -> None:
        drug = {"resourceType": "Medication", "id": "m", "code": ASPIRIN}
        near = Mapped(kind, **fields, **SUBJECT, medicationCodeableConcept=ASPIRIN)
        far = Mapped(kind, [("urn:uuid:5", drug)], **fields, **SUBJECT, medicationReference={"reference": "urn:uuid:5"})
        by_id = Mapped(
            kind, [("urn:uuid:5", drug)], **fields, **SUBJECT, medicationReference={"reference": "Medication/m"}
        )
        inside = Mapped(kind, **fields, **SUBJECT, medicationReference={"reference": "#m"}, contained=[drug])
        for found in (near, far, by_id, inside):
            assert found.only()["code"] == "RXNORM//1191"
            assert found.only()["time"] == day(1)

    def test_a_drug_out_of_reach_is_said(self) -> None:
        named = {"reference": "Medication/x", "display": "Aspirin 100"}
        found = Mapped("MedicationRequest", authoredOn=DAY, medicationReference=named, **SUBJECT)
        assert found.codes == ["TEXT//Aspirin 100"]
        assert found.issues == ["broken reference to the medication: MedicationRequest"]

    def test_a_mixture_without_a_code_is_its_ingredients_without_amount(self) -> None:
        drug = {
            "resourceType": "Medication",
            "id": "m",
            "ingredient": [{"itemCodeableConcept": ASPIRIN}, {"itemCodeableConcept": STROKE}],
        }
        found = Mapped(
            "MedicationAdministration", medicationReference={"reference": "#m"}, contained=[drug],
            effectiveDateTime=DAY, dosage={"dose": {"value": 5, "unit": "mg"}}, **SUBJECT,
        )  # fmt: skip
        assert found.codes == ["RXNORM//1191", "SNOMED//230690007"]
        assert [each["numeric_value"] for each in found.events] == [None, None]

    def test_a_dose_and_a_period(self) -> None:
        found = Mapped(
            "MedicationAdministration", medicationCodeableConcept=ASPIRIN, context={"reference": "Encounter/4"},
            effectivePeriod={"start": DAY, "end": NEXT}, dosage={"dose": {"value": 5, "unit": "mg"}}, **SUBJECT,
        )  # fmt: skip
        assert [(each["code"], each["time"], each["numeric_value"], each["encounter_id"]) for each in found.events] == [
            ("RXNORM//1191", day(1), 5.0, 4),
            ("RXNORM//1191//END", day(2), None, 4),
        ]

    @pytest.mark.parametrize(
        ("kind", "fields", "why"),
        [
            ("MedicationRequest", {"doNotPerform": True}, "doNotPerform true"),
            ("MedicationRequest", {"intent": "proposal"}, "intent proposal"),
            ("MedicationRequest", {"status": "cancelled"}, "status cancelled"),
            ("MedicationAdministration", {"status": "not-done"}, "status not-done"),
            ("MedicationStatement", {"status": "not-taken"}, "status not-taken"),
            ("MedicationDispense", {"status": "declined"}, "status declined"),
        ],
    )
    def test_what_was_not_taken_is_counted(self, kind: str, fields: dict[str, Any], why: str) -> None:
        assert reason(kind, **fields, medicationCodeableConcept=ASPIRIN, **SUBJECT) == f"{why}: {kind}"


def test_procedures_have_an_end() -> None:
    found = Mapped("Procedure", status="completed", code=STROKE, performedPeriod={"start": DAY, "end": NEXT}, **SUBJECT)
    assert found.codes == ["SNOMED//230690007", "SNOMED//230690007//END"]
    assert reason("Procedure", status="not-done", code=STROKE, performedDateTime=DAY, **SUBJECT) == (
        "status not-done: Procedure"
    )


def test_immunizations() -> None:
    vaccine = {"coding": [{"system": "http://hl7.org/fhir/sid/cvx", "code": "140"}], "text": "Influenza"}
    who: dict[str, Any] = {"patient": {"reference": "Patient/7"}, "vaccineCode": vaccine}
    found = Mapped(
        "Immunization", **who, occurrenceDateTime=DAY, recorded=NEXT, doseQuantity={"value": 5, "code": "mg"}
    )
    assert found.only() == {
        "subject_id": 7, "time": day(1), "code": "CVX//140", "numeric_value": 5.0, "unit": "mg",
        "available_time": day(2),
    }  # fmt: skip
    assert found.described.descriptions == {"CVX//140": "Influenza"}
    assert reason("Immunization", **who, occurrenceString="as a child") == "no time: Immunization"
    assert reason("Immunization", **who, status="not-done", occurrenceDateTime=DAY) == "status not-done: Immunization"


def test_an_allergy_is_not_the_drug() -> None:
    found = Mapped("AllergyIntolerance", patient={"reference": "Patient/7"}, code=ASPIRIN, recordedDate=DAY)
    assert found.codes == ["ALLERGY//RXNORM//1191"]
    assert found.described.descriptions["ALLERGY//RXNORM//1191"] == "Aspirin"


def test_the_stroke_of_the_father_is_not_the_patients() -> None:
    father = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "FTH"}]}
    fields: dict[str, Any] = {"patient": {"reference": "Patient/7"}, "relationship": father, "status": "completed"}
    condition = [{"code": STROKE, "onsetAge": {"value": 74, "code": "a"}}]
    found = Mapped("FamilyMemberHistory", **fields, date=DAY, condition=condition).only()
    assert found["code"] == "FAMILY//FTH//SNOMED//230690007"
    assert (found["numeric_value"], found["unit"]) == (74.0, "a")
    assert reason("FamilyMemberHistory", **fields, date=DAY) == "nothing to map: FamilyMemberHistory"
    assert reason("FamilyMemberHistory", **fields, condition=condition) == "no time: FamilyMemberHistory"


@pytest.mark.parametrize("status", ["registered", "partial", "preliminary", "cancelled", "entered-in-error"])
def test_a_report_that_is_not_final_is_counted(status: str) -> None:
    refused = reason("DiagnosticReport", status=status, code=SODIUM, effectiveDateTime=DAY, conclusion="x", **SUBJECT)
    assert refused == f"status {status}: DiagnosticReport"


@pytest.mark.parametrize("status", ["final", "amended", "corrected", "unknown"])
def test_a_result_that_is_final_or_does_not_say_is_one(status: str) -> None:
    fields: dict[str, Any] = {"code": SODIUM, "effectiveDateTime": DAY, "valueInteger": 1, **SUBJECT}
    assert Mapped("Observation", status=status, **fields).only()["numeric_value"] == 1.0


def encoded(text: str, kind: str = "text/plain") -> dict[str, str]:
    return {"contentType": kind, "data": base64.b64encode(text.encode()).decode()}


def test_a_report_has_its_texts_and_conclusions() -> None:
    found = Mapped(
        "DiagnosticReport", status="final", code=SODIUM, effectiveDateTime=DAY, issued=NEXT, conclusion="Low.",
        presentedForm=[encoded("Finding: low."), encoded("%PDF", "application/pdf")], conclusionCode=[STROKE],
        **SUBJECT,
    )  # fmt: skip
    assert [(each["code"], each["text_value"], each["available_time"]) for each in found.events] == [
        ("LOINC//2951-2", "Low.", day(2)),
        ("LOINC//2951-2", "Finding: low.", day(2)),
        ("CONCLUSION//SNOMED//230690007", None, day(2)),
    ]
    assert found.issues == ["attachment that is no text: DiagnosticReport"]


def test_a_note_has_its_text_also_from_a_binary_of_the_bundle() -> None:
    binary = {"resourceType": "Binary", "id": "b", **encoded("Seen today.")}
    content = [{"attachment": encoded("A note.")}, {"attachment": {"contentType": "text/plain", "url": "Binary/b"}}]
    found = Mapped(
        "DocumentReference", [("urn:uuid:1", binary)], status="current", type=SODIUM, date=DAY, content=content,
        context={"encounter": [{"reference": "Encounter/9"}]}, **SUBJECT,
    )  # fmt: skip
    assert [(each["text_value"], each["encounter_id"]) for each in found.events] == [("A note.", 9), ("Seen today.", 9)]


def test_a_note_without_a_date_is_of_the_end_of_what_it_tells_of() -> None:
    fields: dict[str, Any] = {"type": SODIUM, "content": [{"attachment": encoded("Discharged home.")}], **SUBJECT}
    found = Mapped("DocumentReference", context={"period": {"start": DAY, "end": LATER}}, **fields)
    assert found.only()["time"] == day(3)
    open_ = reason("DocumentReference", context={"period": {"start": DAY}}, **fields)
    assert open_ == "no time: DocumentReference"


def test_a_note_kept_elsewhere_is_still_an_event() -> None:
    content = [{"attachment": {"contentType": "text/plain", "url": "http://x.org/1"}}]
    found = Mapped("DocumentReference", status="current", type=SODIUM, date=DAY, content=content, **SUBJECT)
    assert found.codes == ["LOINC//2951-2"]
    assert found.issues == ["attachment without data: DocumentReference"]


def test_a_broken_encounter_costs_only_the_encounter() -> None:
    found = observed(valueInteger=1, encounter={"reference": "urn:uuid:none"})
    assert found.only()["numeric_value"] == 1.0
    assert found.issues == ["broken reference to the encounter: Observation"]


@pytest.mark.parametrize("kind", sorted(set(ROWS) - {"Patient"}))
def test_every_mapped_type_needs_a_patient(kind: str) -> None:
    assert reason(kind) == f"no patient: {kind}"
    lost = {"reference": "urn:uuid:none"}
    assert reason(kind, subject=lost, patient=lost) == f"broken reference: {kind}"
    group = {"reference": "Group/1"}
    assert reason(kind, subject=group, patient=group) == f"subject is not a patient: {kind}"
