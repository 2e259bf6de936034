"""FHIR R4 Patient of each subject, and Encounters that no event tells of but others belong to."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from suwen.data.records.fhir.export_codes import Concepts, described
from suwen.data.records.fhir.export_places import GENDERS, MANY, TRAITS, FhirChunk, Placed
from suwen.data.records.fhir.export_resources import UNKNOWN_CLASS, Said, encoded, instants
from suwen.data.records.fhir.names import TOLD, id_of, is_code
from suwen.data.records.fhir.people import BIRTH_TIME, RACE
from suwen.data.records.fhir.values import Json

Made = tuple[list[str], np.ndarray, list[bytes]]
"""Ids, subjects and lines of resources."""

CDC = "urn:oid:2.16.840.1.113883.6.238"
_CDC_CODE = re.compile(r"\d{4}-\d")
"""Codes of race and ethnicity of the CDC, which US Core asks for (http://hl7.org/fhir/us/core)."""

ELEMENTS = ("birth", "death", "gender")
MARITAL = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"
LANGUAGES = "urn:ietf:bcp:47"


def patients(chunk: FhirChunk, placed: Placed, said: Said, subjects: np.ndarray) -> Made:
    """A Patient of each subject."""
    of_kind = {kind: _by_subject(chunk, events) for kind, events in placed.personal.items()}
    elements = np.concatenate([placed.personal[kind] for kind in ELEMENTS])
    full = dict(zip(elements.tolist(), said.events(elements), strict=True))
    ids, made = [id_of(number) for number in subjects.tolist()], []
    for name, number in zip(ids, subjects.tolist(), strict=True):
        told = {kind: events[number] for kind, events in of_kind.items() if number in events}
        resource: Json = {"resourceType": "Patient", "id": name}
        if not told:
            resource["meta"] = {"tag": [TOLD]}
        for kind in ELEMENTS:
            if kind in told:
                resource |= _element(kind, told[kind][0], chunk, said, full)
        resource |= _traits({kind: told[kind] for kind in TRAITS.values() if kind in told}, chunk, said.concepts)
        made.append(resource)
    return ids, subjects, encoded(made)


def _by_subject(chunk: FhirChunk, events: np.ndarray) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for subject, event in zip(chunk.subject[events].tolist(), events.tolist(), strict=True):
        found.setdefault(subject, []).append(event)
    return found


def _element(kind: str, event: int, chunk: FhirChunk, said: Said, full: dict[int, Json]) -> Json:
    """birthDate, deceasedDateTime or gender, with the event in full where that does not tell all of it."""
    code, exact = chunk.codes[chunk.code[event]], bool(chunk.bare[event])
    extension: list[Json] = []
    name, value = "deceasedDateTime", said.time[event]
    if kind == "gender":
        name, value = "gender", GENDERS.get(code.rpartition("//")[2].lower())
        exact &= code == f"GENDER//{value}"
    elif kind == "birth":
        name, (value, _, hour) = "birthDate", said.time[event].partition("T")
        if hour != "00:00:00Z":
            extension.append({"url": BIRTH_TIME, "valueDateTime": said.time[event]})
    if not exact:
        extension.append(full[event])
    found: Json = {name: value} if value else {}
    return found | ({f"_{name}": {"extension": extension}} if extension else {})


def _traits(told: dict[str, list[int]], chunk: FhirChunk, concepts: Concepts) -> Json:
    """What else Patient tells, field by field."""
    found: Json = {}
    for prefix, kind in TRAITS.items():
        codes = [chunk.codes[chunk.code[event]] for event in told.get(kind, ())]
        pairs = [(code.removeprefix(prefix), concepts.descriptions.get(code)) for code in codes]
        if not pairs:
            continue
        if kind in MANY:
            found["communication"] = [{"language": _concept(LANGUAGES, *pair)} for pair in pairs]
        elif kind == "marital":
            found["maritalStatus"] = _concept(MARITAL, *pairs[0])
        else:
            found.setdefault("extension", []).append(_us_core(RACE + kind, *pairs[0]))
    return found


def _concept(system: str, word: str, said: str | None) -> Json:
    """The importer takes the code whatever its system, and else the words."""
    if not is_code(word) or " " in word:
        return {"text": word}
    return {"coding": [described({"system": system, "code": word}, said)]}


def _us_core(url: str, word: str, said: str | None) -> Json:
    inner: list[Any] = [{"url": "text", "valueString": said or word}]
    if _CDC_CODE.fullmatch(word):
        coding = described({"system": CDC, "code": word}, said)
        inner.insert(0, {"url": "ombCategory", "valueCoding": coding})
    else:
        inner[0]["valueString"] = word
    return {"url": url, "extension": inner}


def encounters(chunk: FhirChunk, placed: Placed, said: Said) -> Made:
    """An Encounter for every number that has none, from its first event to its last."""
    own = placed.event[placed.own]
    keys = ["subject", "encounter"]
    rows = np.flatnonzero(chunk.visit)
    times = pd.Series(chunk.time[rows]).where(chunk.timed[rows]).astype("Int64")
    frame = pd.DataFrame({keys[0]: chunk.subject[rows], keys[1]: chunk.encounter[rows], "time": times})
    spans = frame.groupby(keys, sort=False)["time"].agg(["min", "max"]).reset_index()
    there = pd.MultiIndex.from_arrays([chunk.subject[own], chunk.encounter[own]])
    spans = spans[~pd.MultiIndex.from_frame(spans[keys]).isin(there)]
    first, last = (
        instants(pa.chunked_array([pa.array(spans[name]).cast(pa.timestamp("us"))])) for name in ("min", "max")
    )
    subjects = spans["subject"].to_numpy(np.int64)
    ids = [id_of(number) for number in spans["encounter"].tolist()]
    made = []
    for name, subject, start, end in zip(ids, subjects.tolist(), first.tolist(), last.tolist(), strict=True):
        resource: Json = {
            "resourceType": "Encounter",
            "id": name,
            "meta": {"tag": [TOLD]},
            "status": "unknown",
            "class": UNKNOWN_CLASS,
            "subject": {"reference": f"Patient/{id_of(subject)}"},
        }
        if start is not None:
            resource["period"] = {"start": start, "end": end}
        made.append(resource)
    return ids, subjects, encoded(made)
