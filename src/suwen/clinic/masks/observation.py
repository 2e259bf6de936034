"""Sizes of what was drawn as FHIR R4 Observations."""

from __future__ import annotations

from typing import Any

from suwen.clinic.masks.codes import Code, code_of
from suwen.clinic.masks.finding import Finding

SYSTEMS = {"SCT": "http://snomed.info/sct"}
UCUM = "http://unitsofmeasure.org"
UNITS = {"mL": "mL", "px": "{pixels}"}
"""Unit → UCUM code; pixels are no unit, and stand in braces as UCUM's annotations do (section 6)."""


def observations(finding: Finding) -> dict[str, Any]:
    """A Bundle (collection) with one Observation a label (https://hl7.org/fhir/R4/observation.html).

    Status is ``preliminary``: nobody has looked at it yet. The interval, where there is one, is two components.
    """
    sizes: dict[str, dict[str, Any]] = finding.answer.answer or {}
    entries = [{"resource": _observation(finding, label, size)} for label, size in sizes.items()]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def _observation(finding: Finding, label: str, size: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "resourceType": "Observation",
        "status": "preliminary",
        "code": {"text": f"Size of {label}, drawn by a model"},
        "subject": {"identifier": {"value": finding.sample.subject}},
        "valueQuantity": _quantity(size["size"], size["unit"]),
        "device": {"display": finding.answer.model},
        "bodySite": _concept(code_of(label)),
        "derivedFrom": _derived(finding),
        "note": [{"text": "Not a medical device. For research; not for diagnosis or treatment."}],
    }
    if size.get("low") is not None:
        found["component"] = [
            {"code": {"text": f"{side} end of the interval"}, "valueQuantity": _quantity(size[name], size["unit"])}
            for side, name in (("lower", "low"), ("upper", "high"))
        ]
    if date := _date(finding):
        found["effectiveDateTime"] = date
    return {name: value for name, value in found.items() if value}


def _quantity(value: float, unit: str) -> dict[str, Any]:
    return {"value": value, "unit": unit, "system": UCUM, "code": UNITS[unit]}


def _concept(code: Code) -> dict[str, Any]:
    if code.scheme not in SYSTEMS:
        return {"text": code.meaning}
    coding = {"system": SYSTEMS[code.scheme], "code": code.value, "display": code.meaning}
    return {"coding": [coding], "text": code.meaning}


def _derived(finding: Finding) -> list[dict[str, Any]]:
    """The study that it was drawn on, by its UID (FHIR R4, ImagingStudy, identifiers)."""
    uid = next((str(header.StudyInstanceUID) for header in finding.headers if "StudyInstanceUID" in header), None)
    if uid is None:
        return [{"display": finding.answer.input}]
    return [{"identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}}]


def _date(finding: Finding) -> str | None:
    """Of the study, as FHIR writes it."""
    text = next((str(header.get("StudyDate") or "") for header in finding.headers), "")
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) == 8 and text.isdecimal() else None
