"""Events that are being made from FHIR resources: what all resource types need for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from suwen.data.records.authorities import TWO_AUTHORITIES
from suwen.data.records.dates import ENDS_EARLY, known_from, last_of, over, partial
from suwen.data.records.events import END, SCHEMA
from suwen.data.records.fhir.names import EVENT, extensions
from suwen.data.records.fhir.references import BrokenReference, OtherSubject, Scope, server_of
from suwen.data.records.fhir.told import told
from suwen.data.records.fhir.values import (
    FLOAT32_MAX,
    Json,
    LocalTime,
    code_of,
    instant,
    number,
    plain,
    unit_of,
    words,
    words_code,
)
from suwen.data.records.source import Described

REMEMBERED = 1 << 18
"""Codings whose codes are remembered."""

Valued = tuple[float | None, str | None, str | None]
"""numeric_value, text_value, unit."""

NOTHING: Valued = (None, None, None)

ONSET = "onset"
"""Before the fields of when something began; a period in them is one in which it began at some time."""

MIXED = "times with an offset (now UTC) and times without (as they were) in one part"


class NotAnEvent(Exception):
    """A resource gives no event; the message is the reason, of a fixed set."""


class Draft:
    """Rows of events, and what is remembered from resource to resource.

    Attributes:
        rows: values in the order of `SCHEMA`; times in microseconds since 1970.
        issues: what of the resource at hand was not mapped.
        scope: in which references are looked up.
        kind: the type of the resource at hand.
        mixed: there were times of day with an offset, which are UTC now, and times without, which are as they were.
    """

    def __init__(self, described: Described) -> None:
        self.rows: list[tuple[Any, ...]] = []
        self.issues: list[str] = []
        self.scope = Scope()
        self.kind = ""
        self._described = described
        self._codes: dict[tuple[Any, Any], tuple[int, str]] = {}
        self._clocks: set[type] = set()

    def add(
        self,
        subject: int,
        time: int | None,
        code: str,
        valued: Valued = NOTHING,
        known: int | None = None,
        encounter: int | None = None,
    ) -> None:
        """One event.

        Args:
            subject: subject_id.
            time: when, None for what has no time.
            code: of it.
            valued: its number, text and unit.
            known: when somebody could know of it; its own time if that is later, and never before the end of a day
                of which no more is said.
            encounter: encounter_id.
        """
        known = known_from(time, known)
        self.rows.append((subject, time, code, valued[0], valued[1], known, valued[2], encounter))

    def told(self, holder: Any, subject: int) -> bool:
        """Add the events that a resource or an element tells in full (`EVENT`), as they are; whether there are any."""
        found = extensions(holder, EVENT)
        for extension in found:
            time, code, value, text, known, unit, encounter = told(extension)
            self.rows.append((subject, time, code, value, text, known, unit, encounter))
        return bool(found)

    def taken(self) -> pa.Table:
        """All rows so far as a table of `SCHEMA`; none are left."""
        columns = list(zip(*self.rows, strict=True)) if self.rows else [()] * len(SCHEMA)
        self._clocks |= set(map(type, columns[SCHEMA.get_field_index("time")]))
        arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
        self.rows.clear()
        return pa.Table.from_arrays(arrays, schema=SCHEMA)

    @property
    def mixed(self) -> bool:
        """Whether some of the times of day that were taken had an offset and others had none."""
        return {int, LocalTime} <= self._clocks

    def issue(self, reason: str) -> None:
        """Something of the resource at hand is not mapped; the same thing is said once."""
        text = f"{reason}: {self.kind}"
        if text not in self.issues:
            self.issues.append(text)

    def refusal(self, reason: str) -> NotAnEvent:
        """To be raised: the resource at hand gives no event."""
        return NotAnEvent(f"{reason}: {self.kind}")

    def patient(self, resource: Json, field: str) -> int:
        """subject_id of the resource's patient.

        Raises:
            NotAnEvent: it has none, or none that can be found.
        """
        reference = resource.get(field)
        if not reference:
            raise self.refusal("no patient")
        found = self.scope.patients.get(reference.get("reference"))
        return self._searched(reference, resource) if found is None else found

    def _searched(self, reference: Json, resource: Json) -> int:
        try:
            found = self.scope.patient(reference, resource)
            self.numbered_by(found, server_of(str(reference.get("reference"))))
            return found
        except BrokenReference as error:
            named = reference.get("reference") or reference.get("identifier")
            raise self.refusal("broken reference" if named else "no patient") from error
        except OtherSubject as error:
            raise self.refusal("subject is not a patient") from error

    def numbered_by(self, subject: int, server: str) -> None:
        """Note which server calls a patient so; two that do may mean two people, which is an issue."""
        if server and self._described.authorities.setdefault(subject, server) != server:
            self.issue(TWO_AUTHORITIES)

    def encounter(self, reference: Json | None) -> int | None:
        """encounter_id, None where there is none; a broken reference is an issue."""
        if not reference:
            return None
        found = self.scope.encounters.get(reference.get("reference"))
        if found is not None:
            return found
        try:
            return self.scope.encounter(reference)
        except BrokenReference:
            self.issue("broken reference to the encounter")
            return None

    def code(self, concept: Json | None) -> str | None:
        """``SYSTEM//CODE`` of a CodeableConcept, ``TEXT//words`` where it has no coding, None where it is empty.

        Every coding's display becomes its description.
        """
        if not concept:
            return None
        codings = concept.get("coding")
        if not codings or len(codings) > 1:
            return self._best(codings or (), concept.get("text"))
        coding = codings[0]
        found = self._codes.get((coding.get("system"), coding.get("code")))
        if found is None:
            display = coding.get("display") or concept.get("text")
            found = self._coded(coding, display)
            if found is None:
                return self._best((), display)
        return found[1]

    def _best(self, codings: Sequence[Json], text: Any) -> str | None:
        """The code of several codings, whose system comes first in `SYSTEMS`; without any, the words."""
        found = [each for each in (self._coded(coding, coding.get("display")) for coding in codings) if each]
        if found:
            return min(found, key=lambda each: each[0])[1]
        said = text or next((coding["display"] for coding in codings if coding.get("display")), None)
        return words_code(words(said)) if said else None

    def _coded(self, coding: Json, display: Any) -> tuple[int, str] | None:
        """Rank and code of a Coding; remembered once it is described."""
        key = (coding.get("system"), coding.get("code"))
        found = self._codes.get(key)
        if found is None:
            found = code_of(*key)
            if found is not None and display:
                self.describe(found[1], words(display))
                if len(self._codes) >= REMEMBERED:
                    self._codes.clear()
                self._codes[key] = found
        return found

    def describe(self, code: str, text: Any) -> None:
        """Say what a code means, unless it is known.

        Raises:
            TypeError: with something that is no text.
        """
        if text:
            self._described.descriptions.setdefault(code, words(text))

    def place_below(self, code: str, above: list[str]) -> None:
        """Say which codes are above a code, unless it is known."""
        self._described.parents.setdefault(code, above)

    def prefixed(self, prefix: str, code: str) -> str:
        """A code in another role than the thing itself, as ``ALLERGY//RXNORM//7980``, described alike."""
        if not prefix:
            return code
        self.describe(prefix + code, self._described.descriptions.get(code))
        return prefix + code

    def answer(self, question: str, answer: str) -> str:
        """The code of a coded answer to a question: both; the question is its parent."""
        code = f"{question}//{answer}"
        if code not in self._described.parents:
            texts = [self._described.descriptions.get(each) for each in (question, answer)]
            if all(texts):
                self.describe(code, ": ".join(str(each) for each in texts))
            self._described.parents[code] = [question]
        return code

    def time(self, value: Any, *, last: bool = False) -> int | None:
        """Microseconds since 1970 of a date, a dateTime, or one end of a Period; a date that is none is an issue.

        Args:
            value: text, or ``{"start", "end"}``.
            last: the end of a period; else its start. Of a period that has only the other, the other.
        """
        if type(value) is dict:
            ends = (value.get("end"), value.get("start")) if last else (value.get("start"), value.get("end"))
            value = ends[0] or ends[1]
        if value is None or value == "":
            return None
        found = instant(value)
        if found is None:
            self.issue("not a date")
        return found

    def first_time(self, resource: Json, fields: tuple[str, ...], *, last: bool = False) -> int | None:
        """The first of the fields that holds a time.

        Of a period of the onset it is known only at its end that it was, like a date that is a whole year.
        """
        for field in fields:
            value = resource.get(field)
            if value is not None:
                found = instant(value) if type(value) is str else None
                if found is None:
                    found = self.time(value, last=last)
                if found is not None and type(value) is dict and field.startswith(ONSET):
                    until = self.time(value, last=True)
                    found = partial(found, last_of(until)) if until is not None and until > found else found
                if found is not None:
                    return found
        return None

    def ending(self, resource: Json, when: tuple[str, ...], until: tuple[str, ...]) -> int | None:
        """When something is over: a field that says so, or the end of the period in which it was, not of its onset."""
        found = self.first_time(resource, until, last=True) if until else None
        if found is not None:
            return found
        for field in when:
            value = resource.get(field)
            if type(value) is dict and value.get("start") and not field.startswith(ONSET):
                return self.time(value.get("end"))
        return None

    def span(
        self,
        subject: int,
        code: str,
        begin: int,
        end: int | None,
        valued: Valued,
        known: int | None,
        encounter: int | None,
        start: str = "",
    ) -> None:
        """Something that begins with ``CODE`` and, where it is known to end, ends with ``CODE//END``.

        Where an export says that it begins with ``CODE//START`` (`start`), its end is known when it comes.
        """
        self.add(subject, begin, code + start, valued, known, encounter)
        until = self.over(begin, end)
        if until is not None:
            self.describe(code + END, self._described.descriptions.get(code))
            self.add(subject, until, code + END, NOTHING, None if start else known, encounter)

    def over(self, begin: int | None, end: int | None) -> int | None:
        """When it ended, if it did; an end before the beginning is an issue, and none."""
        if end is None:
            return None
        found = over(begin, end)
        if found is None:
            self.issue(ENDS_EARLY)
        return found

    def quantity(self, quantity: Json | None) -> Valued:
        """Number and unit of a Quantity; with a comparator also its text, as ``<5``."""
        if not quantity:
            return NOTHING
        value = quantity.get("value")
        if value is None:
            return NOTHING
        found = value if type(value) is float and -FLOAT32_MAX <= value <= FLOAT32_MAX else number(value)
        if found is None:
            self.issue("value that is no number")
            return NOTHING
        comparator = quantity.get("comparator")
        return found, (words(comparator) + plain(value) if comparator else None), unit_of(quantity)


@dataclass(frozen=True)
class Row:
    """How a resource type is read.

    Attributes:
        read: makes the events.
        refused: fields, and the values of them with which nothing has happened.
        patient: the field of its patient.
        code: the field of what it is about.
        encounter: the field of the encounter.
        when: fields of its time, the first that is there counts; periods begin at their start.
        until: fields of its end, besides that of a period.
        known: fields of when it was written down.
        prefix: of its codes.
        amount: fields on the way to a Quantity of it.
        events: whether it gives any; else it tells about codes.
    """

    read: Callable[[Json, Any, Draft], None]
    refused: tuple[tuple[str, frozenset[Any]], ...] = ()
    patient: str = "subject"
    code: str = "code"
    encounter: str = "encounter"
    when: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    prefix: str = ""
    amount: tuple[str, ...] = ()
    events: bool = True


def at(value: Any, path: tuple[str, ...]) -> Any:
    """What lies at the end of the fields; of lists the first."""
    for field in path:
        value = value.get(field)
        if type(value) is list:
            value = value[0] if value else None
        if value is None:
            return None
    return value
