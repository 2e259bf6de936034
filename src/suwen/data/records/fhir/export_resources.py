"""FHIR R4 resources of events, as lines of JSON, with the fields that `suwen.data.records.fhir.resources` reads.

Required elements are those of http://hl7.org/fhir/R4/resourcelist.html. Statuses say no more than is known: what a
store holds has happened, what has an end is over.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from suwen.data.records.events import START
from suwen.data.records.fhir.export_codes import Concepts, quantities
from suwen.data.records.fhir.export_places import ALLERGY, KINDS, PLACES, FhirChunk, Placed
from suwen.data.records.fhir.names import BEGINS, CODES, VISIT_CODE, encode_code, id_of
from suwen.data.records.fhir.resources import ROWS
from suwen.data.records.fhir.told import tell
from suwen.data.records.fhir.values import Json

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
ACTS = frozenset({"AMB", "EMER", "FLD", "HH", "IMP", "ACUTE", "NONAC", "OBSENC", "PRENC", "SS", "VR"})
"""Codes of Encounter.class (http://hl7.org/fhir/R4/v3/ActEncounterCode/vs.html)."""

VISITS = {
    **dict.fromkeys(("ip", "erip", "9201", "262", "i", "inpatient", "icu_stay"), "IMP"),
    **dict.fromkeys(("op", "9202", "o", "outpatient"), "AMB"),
    **dict.fromkeys(("er", "9203", "e", "emergency", "ed_stay"), "EMER"),
}
"""Last part of the codes of visits, in small letters → class: the OMOP vocabulary Visit, HL7 v2 table 0004, words."""

UNKNOWN_CLASS = {
    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]
}
"""Encounter.class where nothing is known of it (http://hl7.org/fhir/R4/extension-data-absent-reason.html)."""

NONE: Iterable[Any] = repeat(None)
STARTED = [{"url": BEGINS, "valueBoolean": True}]

Column = Iterable[Any]
Columns = dict[str, Column]
"""Field → its values, resource by resource; None where a resource does not have it."""


def _same(quantity: Json) -> Json:
    return quantity


def _condition(code: str) -> Json:
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    return {"coding": [{"system": system, "code": code}]}


@dataclass(frozen=True)
class Shape:
    """What resources of a type have besides what `ROWS` says.

    Attributes:
        always: fields of all.
        over, going: further ones of those that have an end, and of those that have none.
        amount: field of a quantity, and what to make of it there.
    """

    always: Json = field(default_factory=dict)
    over: Json = field(default_factory=dict)
    going: Json = field(default_factory=dict)
    amount: tuple[str, Callable[[Json], Any]] = ("", _same)


SHAPES: dict[str, Shape] = {
    "Condition": Shape(over={"clinicalStatus": _condition("resolved")}),  # constraint con-4
    "MedicationStatement": Shape(
        over={"status": "completed"},
        going={"status": "unknown"},
        amount=("dosage", lambda quantity: [{"doseAndRate": [{"doseQuantity": quantity}]}]),
    ),
    "MedicationAdministration": Shape(
        over={"status": "completed"},
        going={"status": "unknown"},
        amount=("dosage", lambda quantity: {"dose": quantity}),
    ),
    "Procedure": Shape(always={"status": "completed"}),
    "Immunization": Shape(always={"status": "completed"}, amount=("doseQuantity", _same)),
    "AllergyIntolerance": Shape(
        always={  # constraint ait-1
            "clinicalStatus": {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
                        "code": "active",
                    }
                ]
            }
        }
    ),
}
"""Types whose resources have one concept and one time, or a period."""


class Said:
    """What the events of a chunk say, as values of JSON.

    Attributes:
        time, available: instants.
        subject, encounter: references.
        text, unit: as they are.
        step: `START`, `END` or empty.
    """

    def __init__(self, chunk: FhirChunk, concepts: Concepts) -> None:
        self.chunk, self.concepts = chunk, concepts
        self.time, self.available = (instants(chunk.events[name]) for name in ("time", "available_time"))
        self.subject = _references("Patient", chunk.subject, np.ones(len(chunk.code), bool))
        self.encounter = _references("Encounter", chunk.encounter, chunk.visit)
        self.text = _objects(chunk.events["text_value"])
        self.unit = _objects(chunk.events["unit"])
        self.step = chunk.of_code("step")

    def quantity(self, events: np.ndarray) -> np.ndarray:
        """Quantities of events that have a number which JSON can write; None of others."""
        found: np.ndarray = np.full(len(events), None, object)
        rows = np.flatnonzero(np.isfinite(self.chunk.value[events]))
        numbered = events[rows]
        columns = (self.chunk.value, self.unit, self.chunk.sign)
        for row, quantity in zip(
            rows.tolist(), quantities(*(each[numbered].tolist() for each in columns)), strict=True
        ):
            found[row] = quantity
        return found

    def in_full(self, placed: Placed, rows: np.ndarray) -> list[Any]:
        """Extensions of resources: None for those whose fields tell all."""
        lacking = rows[~placed.exact[rows]]
        first, last = placed.event[lacking], placed.end[lacking]
        told = iter(self.events(first))
        ends = iter(self.events(last[last >= 0]))
        over = iter((last >= 0).tolist())
        return [
            None if exact else [next(told), next(ends)] if next(over) else [next(told)]
            for exact in placed.exact[rows].tolist()
        ]

    def events(self, events: np.ndarray) -> list[Json]:
        """Events in full."""
        chunk = self.chunk
        numbers = _where(chunk.number[events], chunk.value[events].tolist())
        visits = _where(chunk.visit[events], chunk.encounter[events].tolist())
        codes = [chunk.codes[code] for code in chunk.code[events].tolist()]
        said = ([*each[events]] for each in (self.time, self.text, self.available, self.unit))
        time, text, available, unit = said
        return [*map(tell, codes, time, numbers, text, available, unit, visits)]

    def concept(self, placed: Placed, rows: np.ndarray, kind: str) -> list[Any]:
        """The CodeableConcepts of resources."""
        codes = self.chunk.code[placed.event[rows]].astype(np.int64) * 2 + placed.base[rows]
        kinds, places = np.unique(codes, return_inverse=True)
        made: np.ndarray = np.empty(len(kinds), object)
        for number, key in enumerate(kinds.tolist()):
            code = self.chunk.known[key // 2].base if key % 2 else self.chunk.codes[key // 2]
            code = code.removeprefix(ALLERGY) if kind == "AllergyIntolerance" else code
            made[number] = self.concepts.concept(code, within=kind in SHAPES)
        return list(made[places].tolist())


def resources(kind: str, ids: list[str], placed: Placed, rows: np.ndarray, said: Said) -> list[bytes]:
    """Lines of resources of one type.

    Args:
        kind: of `KINDS`.
        ids: of them.
        placed: of the chunk.
        rows: which of `placed`.
        said: what its events say.
    """
    told = said.in_full(placed, rows)
    if PLACES[kind].span and kind in SHAPES:
        started = placed.exact[rows] & (said.step[placed.event[rows]] == START)
        told = _where(started, repeat(STARTED), told)
    columns: Columns = {"resourceType": repeat(kind), "id": ids, "extension": told}
    return encoded(_filled(columns | WRITERS.get(kind, _occurrences)(kind, placed, rows, said)))


def _filled(columns: Columns) -> Iterator[Json]:
    filled = {name: column for name, column in columns.items() if _any(column)}
    names = list(filled)
    for values in zip(*filled.values(), strict=False):  # constants do not end
        yield {name: value for name, value in zip(names, values, strict=True) if value is not None}


def encoded(made: Iterable[Json]) -> list[bytes]:
    """Each resource as a line of JSON.

    All at once, which takes a third of the time: resources begin with resourceType, nothing inside them does, and in
    texts quotation marks are escaped, so they can be told apart afterwards.
    """
    text = orjson.dumps(list(made))[1:-1]
    return text.replace(b'},{"resourceType":', b'}\n{"resourceType":').split(b"\n") if text else []


def _occurrences(kind: str, placed: Placed, rows: np.ndarray, said: Said) -> Columns:
    row, shape = ROWS[kind], SHAPES[kind]
    event, end = placed.event[rows], placed.end[rows]
    over = end >= 0
    code = "medicationCodeableConcept" if row.code == "medication" else row.code
    columns: Columns = {name: repeat(value) for name, value in shape.always.items()}
    columns |= {name: _where(over, repeat(value), repeat(shape.going.get(name))) for name, value in shape.over.items()}
    columns |= {
        code: said.concept(placed, rows, kind),
        row.patient: said.subject[event].tolist(),
        row.encounter: said.encounter[event].tolist(),
        **_times(row.when, row.until, said.time[event].tolist(), _where(over, said.time[end])),
    }
    if row.known:
        columns[row.known[0]] = said.available[event].tolist()
    name, made = shape.amount
    if name:
        columns[name] = [None if each is None else made(each) for each in said.quantity(event).tolist()]
    columns["note"] = _notes(said.text[event].tolist())
    return columns


def _times(when: tuple[str, ...], until: tuple[str, ...], start: list[Any], end: list[Any]) -> Columns:
    """A time of the start and one of the end, or, where the type has none of that, a period."""
    if until or len(when) == 1:
        return {when[0]: start, **dict.fromkeys(until[:1], end)}
    pairs = list(zip(start, end, strict=True))
    periods = [None if last is None else {"start": first, "end": last} for first, last in pairs]
    return {when[0]: [first if last is None else None for first, last in pairs], when[1]: periods}


def _observations(kind: str, placed: Placed, rows: np.ndarray, said: Said) -> Columns:
    event, exact = placed.event[rows], placed.exact[rows]
    texts = said.text[event]
    quantity = said.quantity(event)
    valued, compared = _some(quantity), _some(said.chunk.sign[event])
    stated = np.array([bool(text) for text in texts], bool)
    columns: Columns = {
        "status": repeat("final"),
        "code": said.concept(placed, rows, kind),
        "subject": said.subject[event].tolist(),
        "encounter": said.encounter[event].tolist(),
        "effectiveDateTime": said.time[event].tolist(),
        "issued": said.available[event].tolist(),
        "valueQuantity": quantity.tolist(),
        "valueString": _where(stated & ~valued, texts),
        "note": _notes(_where(stated & valued & ~compared, texts)),
    }
    bare = exact & ~valued & ~stated
    return columns | _answers(columns["code"], event, bare, said)


def _answers(codes: Column, event: np.ndarray, bare: np.ndarray, said: Said) -> Columns:
    """Coded answers, with the codes of their questions."""
    places = said.chunk.code[event]
    asked: list[Any] = list(codes)
    answers: list[Any] = [None] * len(event)
    for row in np.flatnonzero(bare).tolist():
        if halves := said.concepts.answer(said.chunk.codes[places[row]]):
            asked[row], answers[row] = halves
    return {"code": asked, "valueCodeableConcept": answers}


def _documents(kind: str, placed: Placed, rows: np.ndarray, said: Said) -> Columns:
    event = placed.event[rows]
    places = said.encounter[event].tolist()
    return {
        "status": repeat("current"),
        "type": said.concept(placed, rows, kind),
        "subject": said.subject[event].tolist(),
        "date": said.time[event].tolist(),
        "content": [[{"attachment": _attachment(text)}] for text in said.text[event].tolist()],
        "context": [None if each is None else {"encounter": [each]} for each in places],
    }


def _reports(kind: str, placed: Placed, rows: np.ndarray, said: Said) -> Columns:
    event = placed.event[rows]
    return {
        "status": repeat("final"),
        "code": said.concept(placed, rows, kind),
        "subject": said.subject[event].tolist(),
        "encounter": said.encounter[event].tolist(),
        "effectiveDateTime": said.time[event].tolist(),
        "issued": said.available[event].tolist(),
        "presentedForm": [[_attachment(text)] for text in said.text[event].tolist()],
    }


def _attachment(text: str) -> Json:
    data = base64.b64encode(text.encode()).decode()
    return {"contentType": "text/plain; charset=utf-8", "data": data}


def _visits(kind: str, placed: Placed, rows: np.ndarray, said: Said) -> Columns:
    event, end = placed.event[rows], placed.end[rows]
    over = end >= 0
    bases = [said.chunk.known[code].base for code in said.chunk.code[event].tolist()]
    first, last = said.time[event].tolist(), _where(over, said.time[end])
    return {
        "status": _where(over, repeat("finished"), repeat("unknown")),
        "class": [visit_class(base, said.concepts.descriptions.get(base + START)) for base in bases],
        "subject": said.subject[event].tolist(),
        "period": [
            {"start": start} if stop is None else {"start": start, "end": stop}
            for start, stop in zip(first, last, strict=True)
        ],
        "partOf": _where(~placed.own[rows], said.encounter[event]),
    }


def visit_class(base: str, said: str | None) -> Json:
    """Encounter.class of a code of visits without ``//START``; it is read as this code."""
    if base == "VISIT":
        return UNKNOWN_CLASS
    display = {"display": said} if said else {}
    act = base.rpartition("//")[2]
    if base == f"VISIT//{act}" and act in ACTS:
        return {"system": ACT, "code": act, **display}
    act = VISITS.get(act.lower(), "")
    coding = {"system": ACT, "code": act} if act else {"system": CODES, "code": encode_code(base)}
    return {**coding, **display, "extension": [{"url": VISIT_CODE, "valueCode": encode_code(base)}]}


WRITERS: dict[str, Callable[[str, Placed, np.ndarray, Said], Columns]] = {
    "Encounter": _visits,
    "Observation": _observations,
    "DocumentReference": _documents,
    "DiagnosticReport": _reports,
}
"""Types that are not `SHAPES`."""
assert {*WRITERS, *SHAPES} == {*KINDS}


def instants(column: pa.ChunkedArray) -> np.ndarray:
    """Times as FHIR writes them, in UTC; None where null."""
    times = column.combine_chunks()
    text = pc.replace_substring(times.cast(pa.string()), " ", "T")
    whole = pc.equal(pc.microsecond(times), 0)
    whole = pc.and_(whole, pc.equal(pc.millisecond(times), 0))
    text = pc.if_else(whole, pc.utf8_slice_codeunits(text, 0, 19), text)
    return _objects(pc.binary_join_element_wise(text, "Z", ""))


def _references(kind: str, numbers: np.ndarray, where: np.ndarray) -> np.ndarray:
    """References to the resources of numbers; None elsewhere."""
    distinct, places = np.unique(numbers[where], return_inverse=True)
    made: np.ndarray = np.empty(len(distinct), object)
    for row, number in enumerate(distinct.tolist()):
        made[row] = orjson.Fragment(b'{"reference":"%s/%s"}' % (kind.encode(), id_of(number).encode()))
    found: np.ndarray = np.full(len(numbers), None, object)
    found[where] = made[places]
    return found


def _notes(texts: list[Any]) -> list[Any]:
    return [[{"text": text}] if text else None for text in texts]


def _any(column: Column) -> bool:
    return type(column) is repeat or any(value is not None for value in column)


def _where(mask: np.ndarray, values: Column, others: Column = NONE) -> list[Any]:
    return [value if each else other for each, value, other in zip(mask.tolist(), values, others, strict=False)]


def _some(values: np.ndarray) -> np.ndarray:
    return np.array([value is not None for value in values], bool)


def _objects(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Values of Python, None where null."""
    found: np.ndarray = np.empty(len(column), object)
    found[:] = column.to_pylist()
    return found
