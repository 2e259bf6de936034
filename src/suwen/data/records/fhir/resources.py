"""FHIR R4 resources as events: a row a resource type says which of its fields is what.

Codes are ``SYSTEM//CODE``. What a patient has, gets or is measured carries its code alone, and what ends, ends with
``CODE//END``; in other roles codes have a prefix (``ALLERGY//``, ``FAMILY//FTH//``, ``REASON//`` …), so that a father's
stroke is never the patient's. Results count when they are final, amended or corrected, or do not say: what is
preliminary may still change, and HL7 v2 messages (`suwen.data.records.hl7.results`) are read alike. Fields and statuses
are those of FHIR R4 (http://hl7.org/fhir/R4/resourcelist.html).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suwen.data.records.events import START
from suwen.data.records.fhir.documents import document, report
from suwen.data.records.fhir.draft import NOTHING, Draft, Row, at
from suwen.data.records.fhir.names import BEGINS, CODES, EVENT, decode_code, extensions, is_told
from suwen.data.records.fhir.observations import observation
from suwen.data.records.fhir.people import encounter, family, patient
from suwen.data.records.fhir.values import Json, words


def refuse(value: Any, field: str, values: frozenset[Any], draft: Draft) -> None:
    """Turn away what has not happened: a field, a code or a CodeableConcept as verificationStatus, says so.

    Raises:
        NotAnEvent: it does.
    """
    if type(value) is dict:
        codes = [coding.get("code") for coding in value.get("coding") or ()]
        value = next((code for code in codes if code in values), None)
    if value in values:
        raise draft.refusal(f"{field} {str(value).lower()}")


def occurrence(resource: Json, row: Row, draft: Draft) -> None:
    """What has one concept and one time, or a period: conditions, medications, procedures, allergies …"""
    subject = draft.patient(resource, row.patient)
    codes = _codes(resource, row.code, draft)
    if not codes:
        raise draft.refusal("no code")
    begin = draft.first_time(resource, row.when)
    end = draft.ending(resource, row.when, row.until)
    if begin is None:
        raise draft.refusal("no time")
    encounter = draft.encounter(resource.get(row.encounter))
    known = draft.first_time(resource, row.known)
    # an amount of a mixture is of none of its ingredients
    valued = draft.quantity(at(resource, row.amount)) if row.amount and len(codes) == 1 else NOTHING
    start = START if extensions(resource, BEGINS) else ""
    for code in codes:
        draft.span(subject, draft.prefixed(row.prefix, code), begin, end, valued, known, encounter, start)


def _codes(resource: Json, field: str, draft: Draft) -> list[str]:
    if field != "medication":
        code = draft.code(resource.get(field))
        return [code] if code else []
    concept = resource.get("medicationCodeableConcept")
    if concept:
        code = draft.code(concept)
        return [code] if code else []
    reference = resource.get("medicationReference") or {}
    return _medication(reference, resource, draft)


def _medication(reference: Json, resource: Json, draft: Draft) -> list[str]:
    """Codes of a Medication: its own, else those of its ingredients, else the words of the reference."""
    found = draft.scope.resource(reference.get("reference") or "", resource)
    if found is not None:
        if code := draft.code(found.get("code")):
            return [code]
        items = [draft.code(each.get("itemCodeableConcept")) for each in found.get("ingredient") or ()]
        if codes := [code for code in items if code]:
            return codes
    elif reference.get("reference"):
        draft.issue("broken reference to the medication")
    said = draft.code({"text": reference.get("display")})
    return [said] if said else []


def described(resource: Json, row: Row, draft: Draft) -> None:
    """Descriptions and parents of codes, of the CodeSystem that an export writes; no other is looked at."""
    if resource.get("url") != CODES:
        raise draft.refusal("resource type not mapped")
    for concept in resource.get("concept") or ():
        code = decode_code(words(concept["code"]))
        draft.describe(code, words(concept.get("display") or ""))
        above = [each["valueCode"] for each in concept.get("property") or () if each.get("code") == "parent"]
        if above:
            draft.place_below(code, [decode_code(words(each)) for each in above])


def statuses(*values: Any, **fields: frozenset[Any]) -> tuple[tuple[str, frozenset[Any]], ...]:
    """What `Row.refused` is: values of ``status``, and of other fields."""
    own = [("status", frozenset(values))] if values else []
    return (*own, *fields.items())


WRONG = "entered-in-error"
DOUBTED = frozenset({"refuted", WRONG})

ROWS: Mapping[str, Row] = {
    "Patient": Row(patient),
    "Encounter": Row(encounter, statuses("planned", "cancelled", WRONG)),
    "Condition": Row(
        occurrence,
        statuses(verificationStatus=DOUBTED),
        when=("onsetDateTime", "onsetPeriod", "recordedDate"),
        until=("abatementDateTime", "abatementPeriod"),
        known=("recordedDate",),
    ),
    "Observation": Row(
        observation,
        statuses("registered", "preliminary", "cancelled", WRONG),
        when=("effectiveDateTime", "effectivePeriod", "effectiveInstant", "issued"),
        known=("issued",),
    ),
    "MedicationRequest": Row(
        occurrence,
        statuses("draft", "cancelled", WRONG, intent=frozenset({"proposal", "plan"}), doNotPerform=frozenset({True})),
        code="medication",
        when=("authoredOn",),
        amount=("dosageInstruction", "doseAndRate", "doseQuantity"),
    ),
    "MedicationAdministration": Row(
        occurrence,
        statuses("not-done", WRONG),
        code="medication",
        encounter="context",
        when=("effectiveDateTime", "effectivePeriod"),
        amount=("dosage", "dose"),
    ),
    "MedicationStatement": Row(
        occurrence,
        statuses("not-taken", "intended", WRONG),
        code="medication",
        encounter="context",
        when=("effectiveDateTime", "effectivePeriod", "dateAsserted"),
        known=("dateAsserted",),
        amount=("dosage", "doseAndRate", "doseQuantity"),
    ),
    "MedicationDispense": Row(
        occurrence,
        statuses("preparation", "cancelled", "on-hold", "declined", WRONG),
        code="medication",
        encounter="context",
        when=("whenHandedOver", "whenPrepared"),
        amount=("quantity",),
    ),
    "Procedure": Row(
        occurrence, statuses("preparation", "not-done", WRONG), when=("performedDateTime", "performedPeriod")
    ),
    "Immunization": Row(
        occurrence,
        statuses("not-done", WRONG),
        patient="patient",
        code="vaccineCode",
        when=("occurrenceDateTime",),
        known=("recorded",),
        amount=("doseQuantity",),
    ),
    "AllergyIntolerance": Row(
        occurrence,
        statuses(verificationStatus=DOUBTED),
        patient="patient",
        when=("onsetDateTime", "onsetPeriod", "recordedDate"),
        known=("recordedDate",),
        prefix="ALLERGY//",
    ),
    "FamilyMemberHistory": Row(family, statuses("health-unknown", WRONG), patient="patient", when=("date",)),
    "DiagnosticReport": Row(
        report,
        statuses("registered", "partial", "preliminary", "cancelled", WRONG),
        when=("effectiveDateTime", "effectivePeriod", "issued"),
        known=("issued",),
    ),
    "DocumentReference": Row(
        document, statuses("superseded", WRONG, docStatus=frozenset({WRONG})), code="type", when=("date",)
    ),
}
"""Resource types that become events."""

READ: Mapping[str, Row] = {**ROWS, "CodeSystem": Row(described, events=False)}
"""Resource types that are read; all others are counted."""


def map_resource(resource: Json, row: Row, draft: Draft) -> None:
    """The events of one resource, into the draft; what only repeats others is passed over (`is_told`).

    Raises:
        NotAnEvent: it gives none, or cannot.
    """
    if "meta" in resource and is_told(resource):
        return
    for field, values in row.refused:
        value = resource.get(field)
        if value is not None and (type(value) is dict or value in values):
            refuse(value, field, values, draft)
    if "extension" in resource and extensions(resource, EVENT):
        draft.told(resource, draft.patient(resource, row.patient))
        return
    before = len(draft.rows)
    row.read(resource, row, draft)
    if row.events and len(draft.rows) == before:
        raise draft.refusal("nothing to map")
