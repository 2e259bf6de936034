"""PID, MRG, EVN and PV1: who, and in which visit."""

from __future__ import annotations

from collections.abc import Mapping

from suwen.data.records.authorities import TWO_AUTHORITIES
from suwen.data.records.dates import ENDS_EARLY, at_last, over
from suwen.data.records.events import BIRTH, DEATH, END, START
from suwen.data.records.hl7.reading import (
    HELD,
    NO_PATIENT,
    NO_TIME,
    Reading,
)

GENDERS: Mapping[str, str] = {"F": "female", "M": "male", "O": "other", "A": "other", "N": "other", "U": "unknown"}
"""PID-8 (HL7 table 0001) → as FHIR has it (http://hl7.org/fhir/R4/valueset-administrative-gender.html)."""

TRAITS: Mapping[int, str] = {10: "RACE//", 22: "ETHNICITY//", 16: "MARITAL_STATUS//", 15: "LANGUAGE//"}
"""Fields of PID that become events without a time: when they began is not said."""

PREFERRED = ("MR", "PI", "PT")
"""Types of patient numbers (HL7 table 0203): medical record number, patient internal, external. Else the first."""

VISIT = "VISIT"
BEGINS, ENDS = frozenset({"A01", "A04"}), frozenset({"A03"})
"""Triggers that are themselves the beginning, the end of a visit: where PV1-44, PV1-45 are empty the time is theirs."""

MOVES = frozenset({"A02"})
CANCELS = frozenset({"A11", "A12", "A13", "A23", "A25", "A26", "A27", "A38"})
"""Triggers that take back what another message said. An event that was told cannot be taken back: they are counted."""


def patient(reading: Reading, line: str) -> None:
    """PID: the subject; birth, death and traits, once for each spelling of the segment in a file."""
    if reading.report is not None:
        reading.end_report()
    reading.no_order()
    reading.encounter = None
    people = reading.frame.people
    reading.subject = people.get(line)
    if reading.subject is not None:
        return
    fields = reading.fields(line, 30)
    name = _patient_number(reading, fields)
    if not name:
        reading.refuse("patient without a number (PID-3)", line)
        return
    reading.subject = reading.numbers[name]
    if len(people) > HELD:
        people.clear()
    people[line] = reading.subject
    if (birth := reading.times[fields[7]]) is not None:
        reading.add(int(birth), BIRTH)  # no news at the end of its day
    death = reading.times[fields[29]]
    if death is not None:
        reading.add(at_last(death), DEATH)  # until then the patient may have been alive
    elif reading.first(fields[30]) == "Y":
        # an event without a time is known from the first day on: it would leak
        reading.refuse("death without a time (PID-29)", line)
    if sex := reading.first(fields[8]):
        reading.add(None, f"GENDER//{GENDERS.get(sex.upper(), sex)}")
    for number, prefix in TRAITS.items():
        if fields[number]:
            codes = reading.frame.codes(f"PID-{number}", prefix, bare=True)
            for each in reading.frame.separators.repeats(fields[number]):
                if code := codes[each]:
                    reading.add(None, code)


def _patient_number(reading: Reading, fields: list[str]) -> str:
    """PID-3, of several the one of a preferred type; PID-2 and PID-4, which are older, where there is none."""
    separators, first = reading.frame.separators, reading.first
    split = [[*separators.parts(each), "", "", "", ""] for each in separators.repeats(fields[3])]
    numbers = [parts for parts in split if first(parts[0])]
    if not numbers:
        return first(fields[2]) or first(fields[4])
    if len(numbers) > 1:
        numbers = [parts for kind in PREFERRED for parts in numbers if first(parts[4]) == kind] + numbers
    return _checked(reading, first(numbers[0][0]), first(numbers[0][3]))


def _checked(reading: Reading, name: str, authority: str) -> str:
    """The number; counted where another authority gave the same in this part. Parts are compared when all are read."""
    known, subject = reading.described.authorities, reading.numbers[name]
    if authority and known.setdefault(subject, authority) != authority:
        reading.refuse(TWO_AUTHORITIES, f"{name}: {known[subject]}, {authority}")
    return name


def merge(reading: Reading, line: str) -> None:
    """MRG: two numbers of one patient. Their events stay apart: it is counted."""
    reading.refuse("patient merge not applied (MRG)", line)


def event_type(reading: Reading, line: str) -> None:
    """EVN: when it was recorded, and when it happened."""
    fields = reading.fields(line, 6)
    reading.recorded, reading.occurred = reading.times[fields[2]], reading.times[fields[6]]
    reading.trigger = reading.trigger or reading.first(fields[1])


def visit(reading: Reading, line: str) -> None:
    """PV1: the encounter; ``VISIT//CLASS//START`` and ``//END``, where it went to, and moves between wards."""
    subject, trigger = reading.subject, reading.trigger
    if subject is None:
        reading.refuse(f"PV1: {NO_PATIENT}", line)
        return
    of_itself = reading.code == "ADT" and trigger in BEGINS | ENDS | MOVES | CANCELS
    visits = reading.frame.visits
    if not of_itself and (subject, line) in visits:
        reading.encounter = visits[subject, line]
        return
    fields = reading.fields(line, 45)
    number = reading.first(fields[19])
    reading.encounter = reading.numbers[number] if number else None
    if of_itself and trigger in CANCELS:
        reading.refuse(f"cancellation not applied: {trigger}", line)
        return
    _times(reading, line, fields)
    if not of_itself:
        if len(visits) > HELD:
            visits.clear()
        visits[subject, line] = reading.encounter


def _times(reading: Reading, line: str, fields: list[str]) -> None:
    adt = reading.code == "ADT"
    if not (adt or fields[44] or fields[45]):
        return  # most results come with a visit that neither begins nor ends with them
    begin, end = reading.times[fields[44]], reading.times[fields[45]]
    if adt and begin is None and reading.trigger in BEGINS:
        begin = reading.happened
    if adt and end is None and reading.trigger in ENDS:
        end = reading.happened
    if end is not None and (end := over(begin, end)) is None:
        reading.refuse(f"PV1: {ENDS_EARLY}", line)
    kind = reading.first(fields[2])
    whole = f"{VISIT}//{kind}" if kind else VISIT
    if begin is not None:
        reading.add(begin, whole + START)
    if end is not None:
        reading.add(end, whole + END)
        if disposition := reading.first(fields[36]):
            reading.add(end, f"DISCHARGE//{disposition}")
    if adt and reading.trigger in MOVES and (ward := reading.first(fields[3])):
        moved = reading.happened
        if moved is None:
            reading.refuse(f"PV1: {NO_TIME}", line)
        else:
            reading.add(moved, f"TRANSFER//{ward}")
