"""FHIR R4 Observation as events: of each value, and of each component's.

Of a value over a period the time is the end of it: before, it is not complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from suwen.data.records.dates import known_from
from suwen.data.records.fhir.draft import NOTHING, Draft, Row, Valued
from suwen.data.records.fhir.values import Json, instant, number, plain, words

LOW, HIGH = "//LOW", "//HIGH"
"""Ends of a range: two events, since a middle of them was never measured."""

Coded = list[tuple[str, Valued]]
"""Codes with what they carry."""


def observation(resource: Json, row: Row, draft: Draft) -> None:
    """Its value, or its components', or, where it has neither, that it was made."""
    subject = draft.patient(resource, row.patient)
    when = resource.get("effectiveDateTime")
    time = instant(when) if type(when) is str else None
    if time is None and (time := draft.first_time(resource, row.when, last=True)) is None:
        raise draft.refusal("no time")
    issued = resource.get("issued")
    known = known_from(time, None if issued is None else draft.time(issued))
    encounter = draft.encounter(resource.get("encounter"))
    quantity, components = resource.get("valueQuantity"), resource.get("component")
    if quantity and not components and (code := draft.code(resource.get("code"))):
        # most of what hospitals send comes along here
        value, text, unit = draft.quantity(quantity)
        if value is not None:
            draft.rows.append((subject, time, code, value, text, known, unit, encounter))
            return
    found = values_of(resource, draft, alone=not components)
    for component in components or ():
        found += values_of(component, draft, alone=False)
    for code, valued in found:
        draft.add(subject, time, code, valued, known, encounter)


def values_of(holder: Json, draft: Draft, *, alone: bool) -> Coded:
    """Codes and values of an Observation, or of a component of one.

    Args:
        holder: has ``code`` and ``value[x]``.
        draft: takes what cannot be mapped.
        alone: without a value, and without a reason for that, the code still tells that it was observed.
    """
    code = draft.code(holder.get("code"))
    if code is None:
        draft.issue("no code")
        return []
    quantity = holder.get("valueQuantity")
    if quantity is not None:
        valued = draft.quantity(quantity)
        if valued is not NOTHING:
            return [(code, valued)]
    else:
        for field, read in VALUES.items():
            if field in holder:
                return read(holder[field], code, draft)
    if holder.get("dataAbsentReason"):
        draft.issue("value absent")
    elif alone:
        return [(code, NOTHING)]
    elif "component" not in holder:
        draft.issue("component without a value")
    return []


def _concept(value: Any, code: str, draft: Draft) -> Coded:
    """``QUESTION//ANSWER``, as ``LOINC//72166-2//SNOMED//266919005``; an answer in words is text."""
    answer = draft.code(value)
    if answer is None:
        draft.issue("answer without a code")
        return [(code, NOTHING)]
    if not value.get("coding") and value.get("text"):
        return [(code, (None, value["text"], None))]
    return [(draft.answer(code, answer), NOTHING)]


def _text(value: Any, code: str, draft: Draft) -> Coded:
    return [(code, (None, words(value), None))]


def _truth(value: Any, code: str, draft: Draft) -> Coded:
    """1 or 0."""
    if type(value) is not bool:
        raise TypeError(f"{value!r} is no truth value")
    return [(code, (float(value), None, None))]


def _integer(value: Any, code: str, draft: Draft) -> Coded:
    return [(code, draft.quantity({"value": value}))]


def _range(value: Any, code: str, draft: Draft) -> Coded:
    ends = [(code + LOW, draft.quantity(value.get("low"))), (code + HIGH, draft.quantity(value.get("high")))]
    return [each for each in ends if each[1] is not NOTHING] or [(code, NOTHING)]


def _ratio(value: Any, code: str, draft: Draft) -> Coded:
    """The quotient, and the ratio as it is written, as ``1:128``."""
    above, below = draft.quantity(value.get("numerator")), draft.quantity(value.get("denominator"))
    if above[0] is None or below[0] is None:
        draft.issue("ratio without two numbers")
        return [(code, NOTHING)]
    quotient = number(above[0] / below[0]) if below[0] else None
    written = ":".join(each[1] or plain(each[0] or 0.0) for each in (above, below))
    unit = f"{above[2] or '1'}/{below[2]}" if below[2] else above[2]
    return [(code, (quotient, written, unit))]


def _period(value: Any, code: str, draft: Draft) -> Coded:
    """As ISO 8601 writes an interval: ``START/END``."""
    return [(code, (None, "/".join(words(value.get(end) or "..") for end in ("start", "end")), None))]


def _unmapped(value: Any, code: str, draft: Draft) -> Coded:
    draft.issue("sampled data")
    return [(code, NOTHING)]


VALUES: Mapping[str, Callable[[Any, str, Draft], Coded]] = {
    "valueCodeableConcept": _concept,
    "valueString": _text,
    "valueBoolean": _truth,
    "valueInteger": _integer,
    "valueRange": _range,
    "valueRatio": _ratio,
    "valueDateTime": _text,
    "valueTime": _text,
    "valuePeriod": _period,
    "valueSampledData": _unmapped,
}
"""value[x] of an Observation, besides valueQuantity (http://hl7.org/fhir/R4/observation.html)."""
