"""Which FHIR resource tells each event of an export, and whether it tells all of it.

The rows of `suwen.data.records.fhir.resources`, read backwards: an event goes to the resource that its code belongs to,
else to an Observation, or, where it is a long text, to a DocumentReference or a DiagnosticReport. A start and its end
are one resource. What a resource tells is exact where the importer reads the equal events from its own fields; the rest
carries its events in full besides (`suwen.data.records.fhir.names.EVENT`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from suwen.data.records.events import BIRTH, DEATH, END, START
from suwen.data.records.exporting import Chunk, marked
from suwen.data.records.fhir.values import is_comparator_of


@dataclass(frozen=True)
class Place:
    """What a type of resource has fields for, as the importer reads them.

    Attributes:
        number, text: of the event with which it begins.
        known: when it was written down.
        span: a start and an end.
    """

    number: bool = False
    text: bool = False
    known: bool = False
    span: bool = False


PLACES: dict[str, Place] = {
    "Encounter": Place(span=True),
    "Condition": Place(known=True, span=True),
    "MedicationStatement": Place(number=True, known=True, span=True),
    "MedicationAdministration": Place(number=True, span=True),
    "Procedure": Place(span=True),
    "Immunization": Place(number=True, known=True),
    "AllergyIntolerance": Place(known=True),
    "Observation": Place(number=True, text=True, known=True),
    "DocumentReference": Place(text=True),
    "DiagnosticReport": Place(text=True, known=True),
}
"""Types of resources of events; `Placed.kind` counts in them."""

KINDS = list(PLACES)
ENCOUNTER, OBSERVATION, DOCUMENT, REPORT = (
    KINDS.index(name) for name in ("Encounter", "Observation", "DocumentReference", "DiagnosticReport")
)
NOWHERE = -1

PREFIXES: dict[str, str] = {
    **dict.fromkeys(("visit", "encounter", "icu_stay", "ed_stay"), "Encounter"),
    **dict.fromkeys(("icd10cm", "icd10", "icd10gm", "icd9cm", "icd11", "icdo3", "diagnosis", "condition"), "Condition"),
    **dict.fromkeys(("rxnorm", "rxnorm extension", "ndc", "atc", "vandf"), "MedicationStatement"),
    **dict.fromkeys(("prescription", "medication"), "MedicationStatement"),
    "input": "MedicationAdministration",
    **dict.fromkeys(("icd10pcs", "icd9pcs", "icd9proc", "cpt4", "cpt", "hcpcs", "cdt"), "Procedure"),
    **dict.fromkeys(("procedure", "procedure_icu"), "Procedure"),
    "cvx": "Immunization",
}
"""First part of a code, in small letters → type."""

LASTING = {"snomed": "Condition"}
"""SNOMED CT has everything in it: what has a start or an end is taken for a condition, the rest was observed."""

PARTS = ("icu_stay", "ed_stay")
"""Encounters within the one whose number they bear."""

ALLERGY = "ALLERGY//"

NOTE = "note"

LONG = 256
"""Characters; longer texts are documents."""

GENDERS = {
    **dict.fromkeys(("m", "male", "8507"), "male"),
    **dict.fromkeys(("f", "female", "8532"), "female"),
    "other": "other",
    "unknown": "unknown",
}
"""Words of gender, in small letters, and OMOP's concepts → Patient.gender
(http://hl7.org/fhir/R4/valueset-administrative-gender.html)."""

TRAITS = {"RACE//": "race", "ETHNICITY//": "ethnicity", "MARITAL_STATUS//": "marital", "LANGUAGE//": "language"}
"""What Patient tells besides, as the importer names it."""

MANY = ("language",)
"""Traits of which Patient has more than one."""


@dataclass(frozen=True)
class Known:
    """What a code says of where it belongs.

    Attributes:
        kind: of `KINDS`, or `NOWHERE`.
        base: the code without ``//START`` and ``//END``, if it has that and its kind has spans.
        step: `START`, `END` or empty.
        lasting: it is of its kind only where it has a start or an end.
        part: it is an encounter within another.
        note: a document, if it has a text.
        personal: ``birth``, ``death``, ``gender`` …, or empty.
    """

    kind: int
    base: str
    step: str = ""
    lasting: bool = False
    part: bool = False
    note: bool = False
    personal: str = ""


@lru_cache(maxsize=1_000_000)
def known(code: str) -> Known:
    """Of a code."""
    step = next((step for step in (START, END) if code.endswith(step) and len(code) > len(step)), "")
    base = code.removesuffix(step) if step else code
    prefix = base.partition("//")[0].lower()
    lasting = prefix in LASTING
    name = LASTING.get(prefix) or PREFIXES.get(prefix, "")
    if name == "Encounter" and not step:
        name = ""
    if name and PLACES[name].span:
        return Known(KINDS.index(name), base, step, lasting, prefix in PARTS)
    if name and not step:
        return Known(KINDS.index(name), code)
    if code.startswith(ALLERGY) and len(code) > len(ALLERGY):
        return Known(KINDS.index("AllergyIntolerance"), code)
    return Known(NOWHERE, code, note=prefix == NOTE, personal=_personal_of(code))


def _personal_of(code: str) -> str:
    if code in (BIRTH, DEATH):
        return "birth" if code == BIRTH else "death"
    first, _, rest = code.partition("//")
    if first.lower() in ("gender", "sex") or code in ("OMOP//8507", "OMOP//8532"):
        return "gender"
    trait = TRAITS.get(f"{first}//", "")
    # the importer reads words with single spaces, and no more than 200 characters of them
    return trait if trait and rest and rest == " ".join(rest.split())[:200] else ""


class FhirChunk(Chunk):
    """All events of some subjects, as columns, with what their codes say.

    Args:
        events: of `SCHEMA`, without NaN.

    Attributes:
        value: float64, the decimal that JSON has of each number, see `decimals`; NaN where there is none.
        sign: of what has a number and a text, the comparator if the text says ``<5`` and the number 5; else None.
    """

    def __init__(self, events: pa.Table) -> None:
        super().__init__(events)
        self.known = [known(code) for code in self.codes]
        self.value = decimals(events["numeric_value"])
        texts = events["text_value"]
        self.long = np.asarray(pc.greater(pc.utf8_length(texts), LONG).combine_chunks().fill_null(False))
        self.sign: np.ndarray = np.full(len(self.code), None, object)
        both = np.flatnonzero(self.number & self.text)
        for row, text in zip(both.tolist(), texts.take(pa.array(both)).to_pylist(), strict=True):
            self.sign[row] = is_comparator_of(text, float(self.value[row]))
        self.available = np.asarray(events["available_time"].cast(pa.int64()).combine_chunks().fill_null(0))

    def of_code(self, name: str) -> np.ndarray:
        """An attribute of `Known`, for each event."""
        return self.per_code(getattr(each, name) for each in self.known)

    def general(self) -> np.ndarray:
        """The kind of what has none of its own."""
        found = np.full(len(self.code), OBSERVATION)
        document = self.text & ~self.number & ~self.unit & ~self.blank & (self.long | self.of_code("note"))
        found[document] = DOCUMENT
        found[document & self.late] = REPORT
        return found

    def exact(self, kind: np.ndarray) -> np.ndarray:
        """bool: whether a resource of this kind tells all of each event."""
        number, text, known_at = (
            np.array([getattr(place, name) for place in PLACES.values()])[kind] for name in ("number", "text", "known")
        )
        found = self.timed & ~self.blank & ~np.isinf(self.value)
        found &= ~self.late | known_at & (self.available >= self.time)
        found &= ~self.number | number
        found &= ~self.unit | self.number
        compared = np.array([sign is not None for sign in self.sign], bool)
        return np.asarray(found & (~self.text | text & (~self.number | compared)))

    def ends_exactly(self, begin: np.ndarray, end: np.ndarray) -> np.ndarray:
        """bool: whether events `end` are those that the importer reads as ends of `begin`."""
        begun = self.of_code("step")[begin] == START
        late = self.late[begin] & ~begun
        told = ~(self.number | self.text | self.unit | self.blank)[end] & (self.late[end] == late)
        later = np.maximum(self.available[begin], self.time[end])
        return np.asarray(told & (~late | (self.available[end] == later)))


@dataclass(frozen=True)
class Placed:
    """Resources of a chunk of events.

    Attributes:
        event: (n,) the event with which each begins.
        kind: (n,) of `KINDS`.
        end: (n,) the event that ends it, or -1.
        exact: (n,) bool: its fields tell all.
        base: (n,) bool: its code is that of the event without ``//START``.
        own: (n,) bool: it is the encounter whose number it bears.
        personal: ``birth``, ``death``, ``gender`` … → events that Patient tells.
    """

    event: np.ndarray
    kind: np.ndarray
    end: np.ndarray
    exact: np.ndarray
    base: np.ndarray
    own: np.ndarray
    personal: dict[str, np.ndarray]


def place(chunk: FhirChunk) -> Placed:
    """Resources for all events of a chunk."""
    personal = _personal(chunk)
    done = marked(len(chunk.code), np.concatenate(list(personal.values())))
    kind, step = chunk.of_code("kind"), chunk.of_code("step")
    own = ~done & chunk.timed & (kind != NOWHERE)
    end = _ends(chunk, own, step)
    ended = marked(len(end), end[end >= 0])
    begins = own & (step != END) & (~chunk.of_code("lasting") | (step == START) | (end >= 0))
    rows = np.flatnonzero(~done & ~ended)
    kind = np.where(begins, kind, chunk.general())
    visits = begins & (kind == ENCOUNTER)
    first = chunk.first(visits & chunk.visit & ~chunk.of_code("part"), chunk.subject, chunk.encounter)
    exact = chunk.exact(kind) & (~visits | first)
    closed = np.flatnonzero(end >= 0)
    exact[closed] &= chunk.ends_exactly(closed, end[closed])
    return Placed(rows, kind[rows], end[rows], exact[rows], begins[rows], first[rows], personal)


def _ends(chunk: FhirChunk, own: np.ndarray, step: np.ndarray) -> np.ndarray:
    """The event that ends each one, or -1: what has a start goes before what is without."""
    bases = [each.base for each in chunk.known]
    ends = own & (step == END)
    found = chunk.pairs(bases, own & (step == START), ends)
    left = ends & ~marked(len(found), found[found >= 0])
    return np.where(found >= 0, found, chunk.pairs(bases, own & (step == ""), left))


def _personal(chunk: FhirChunk) -> dict[str, np.ndarray]:
    """What Patient tells: the first birth, death, gender, and of the rest what has nothing else to say."""
    kinds = chunk.of_code("personal")
    found = {
        "birth": chunk.first((kinds == "birth") & chunk.timed, chunk.subject),
        "death": chunk.first((kinds == "death") & chunk.timed, chunk.subject),
        "gender": chunk.first((kinds == "gender") & ~chunk.timed, chunk.subject),
    }
    for kind in TRAITS.values():
        said = (kinds == kind) & ~chunk.timed & chunk.bare
        found[kind] = said if kind in MANY else chunk.first(said, chunk.subject)
    return {kind: np.flatnonzero(where) for kind, where in found.items()}


def decimals(column: pa.ChunkedArray) -> np.ndarray:
    """float64: of each float32 the shortest decimal that is read back as the same float32; NaN where null."""
    values = column.combine_chunks()
    plain = np.asarray(values.fill_null(np.nan)).astype(np.float64)
    short = np.asarray(values.cast(pa.string()).cast(pa.float64()).fill_null(np.nan))
    return np.where(short.astype(np.float32) == plain.astype(np.float32), short, plain)
