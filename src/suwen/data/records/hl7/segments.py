"""What becomes of each segment type: a row of `SEGMENTS`. Field numbers are those of HL7 v2.5.1 and v2.7.

What a patient has, gets or undergoes carries its code alone; in other roles codes have a prefix (``ALLERGY//``,
``ORDER//``, ``CHARGE//``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from suwen.data.records.dates import ENDS_EARLY, last_of, over
from suwen.data.records.events import END
from suwen.data.records.hl7.message import ENVELOPE
from suwen.data.records.hl7.people import event_type, merge, patient, visit
from suwen.data.records.hl7.reading import NO_PATIENT, NO_TIME, Reading
from suwen.data.records.hl7.results import document, finite, request, result

At = tuple[int, int]
"""A field and, from 0, a component of it."""

DELETED = {"D": "deleted by its sender"}
NO_CHARGE = {6: {"CD": "credit", "AJ": "adjustment", "PY": "payment", "CO": "co-payment"}}
"""FT1-6 (HL7 table 0017)."""


@dataclass(frozen=True)
class Coded:
    """A segment that says: this, then.

    Attributes:
        name: of the segment.
        code: the field that says what; each repetition is an event.
        when: fields that say when, the first that does; else the order's, for those of orders, or the message's time.
        known: fields that say since when it is known; else EVN-2 where that is later.
        until: field that says when it ended.
        prefix: before the code.
        words: field with words for a code that has none.
        system: field with the coding system of a code that names none.
        amount, unit: fields of a number and its unit.
        nothing: the number that stands for none.
        text: field of a text.
        refused: fields → values by which it is not to be counted, and why.
        of_order: it follows ORC, and does not happen where that cancels.
        optional: it may say nothing.
        leads: later OBX are of its time.
    """

    name: str
    code: int
    when: tuple[At, ...] = ()
    known: tuple[int, ...] = ()
    until: int = 0
    prefix: str = ""
    words: int = 0
    system: int = 0
    amount: int = 0
    nothing: float | None = None
    unit: int = 0
    text: int = 0
    refused: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    of_order: bool = False
    optional: bool = False
    leads: bool = False

    def __call__(self, reading: Reading, line: str) -> None:
        """Its events."""
        numbers = (*(at[0] for at in self.when), *self.known, *self.refused)
        last = max(self.code, self.until, self.words, self.system, self.amount, self.unit, self.text, *numbers)
        fields = reading.fields(line, last)
        if self.leads:
            reading.document = None
            reading.observed = self._time(reading, fields)
        if why := self._why_not(reading, fields):
            if why != "nothing":
                reading.refuse(f"{self.name}: {why}", line)
            return
        time = self._time(reading, fields)
        if time is None:
            reading.refuse(f"{self.name}: {NO_TIME}", line)
            return
        amount = finite(fields[self.amount]) if self.amount else None
        amount = None if amount == self.nothing else amount
        text = (reading.text(fields[self.text]) or None) if self.text else None
        known = self._known(reading, fields, time)
        unit = reading.frame.units[fields[self.unit]] if self.unit and amount is not None else None
        end = reading.times[fields[self.until]] if self.until else None
        if end is not None and (end := over(time, end)) is None:
            reading.refuse(f"{self.name}: {ENDS_EARLY}", line)
        for code in self._codes(reading, fields):
            reading.add(time, code, amount, text, known, unit)
            if end is not None:
                reading.add(end, code + END)

    def _why_not(self, reading: Reading, fields: list[str]) -> str:
        """Empty where it is to be mapped."""
        raw = fields[self.code]
        if self.optional and (not raw or raw == '""'):
            return "nothing"
        if reading.subject is None:
            return NO_PATIENT
        for number, values in self.refused.items():
            if why := values.get(reading.first(fields[number])):
                return why
        if self.of_order and reading.cancelled:
            return reading.cancelled
        return "" if self._codes(reading, fields) else "no code"

    def _codes(self, reading: Reading, fields: list[str]) -> list[str]:
        codes = reading.frame.codes(f"{self.name}-{self.code}", self.prefix)
        system = reading.first(fields[self.system]) if self.system else ""
        words = reading.text(fields[self.words]) if self.words else ""
        raw = reading.frame.separators.repeats(fields[self.code])
        found = [codes.read(each, system, words) if system or words else codes[each] for each in raw]
        return [code for code in found if code]

    def _time(self, reading: Reading, fields: list[str]) -> int | None:
        separators = reading.frame.separators
        for number, component in self.when:
            parts = separators.parts(separators.repeats(fields[number])[0])
            if component < len(parts) and (time := reading.times[parts[component]]) is not None:
                return time
        if self.of_order:
            for time in (reading.starts, reading.ordered):
                if time is not None:
                    return time
        return reading.happened

    def _known(self, reading: Reading, fields: list[str], time: int) -> int | None:
        for number in self.known:
            if (known := reading.times[fields[number]]) is not None:
                return last_of(known)
        recorded = reading.recorded
        return last_of(recorded) if recorded is not None and last_of(recorded) > time else None


CANCELS: Mapping[str, str] = {
    "CA": "order cancelled",
    "OC": "order cancelled",
    "CR": "order cancelled",
    "DC": "order discontinued",
    "OD": "order discontinued",
    "DR": "order discontinued",
    "DF": "order refill refused",
    "HD": "order on hold",
    "HR": "order on hold",
    "OH": "order on hold",
    "RP": "order replaced",
    "RQ": "order replaced",
    "RU": "order replaced",
    "UA": "order not accepted",
}
"""ORC-1 (HL7 table 0119) → why an order is none, or is not going on."""

ORDERS = frozenset({"ORM", "OML", "OMG", "OMI", "OMD", "OMS", "OMN", "OPL", "OPU"})
"""Messages in which OBR asks for something, instead of heading its results."""


def order(reading: Reading, line: str) -> None:
    """ORC: a new order begins."""
    reading.no_order()
    fields = reading.fields(line, 9)
    timing = reading.frame.separators.parts(reading.frame.separators.repeats(fields[7])[0])
    reading.ordered = reading.times[fields[9]]
    reading.starts = reading.times[timing[3]] if len(timing) > 3 else None
    reading.cancelled = CANCELS.get(reading.first(fields[1]), "")


def envelope(reading: Reading, line: str) -> None:
    """FHS, FTS: nothing of a patient. Between BHS and BTS there are as many messages as BTS says."""
    fields = [*line.split(line[3:4] or "|"), ""]
    if fields[0] == "BHS":
        reading.batch_began = reading.number
    elif fields[0] == "BTS" and fields[1].isascii() and fields[1].strip().isdecimal():
        count = reading.number - reading.batch_began
        if int(fields[1]) != count:
            reading.refuse("batch with another number of messages than its end says", f"{line}: {count} were read")
        reading.batch_began = reading.number


def request_or_order(reading: Reading, line: str) -> None:
    """OBR: heads results, and in messages of `ORDERS` is itself what is ordered."""
    request(reading, line)
    if reading.code in ORDERS:
        ORDERED(reading, line)


ORDERED = Coded("OBR", 4, when=((27, 3), (6, 0), (36, 0)), prefix="ORDER//", of_order=True)

Handler = Callable[[Reading, str], None]


def _each(*rows: Coded) -> Handler:
    def read(reading: Reading, line: str) -> None:
        for row in rows:
            row(reading, line)

    return read


SEGMENTS: Mapping[str, Handler] = {
    "PID": patient,
    "MRG": merge,
    "EVN": event_type,
    "PV1": visit,
    "ORC": order,
    "OBR": request_or_order,
    "OBX": result,
    "TXA": document,
    "DG1": Coded("DG1", 3, when=((5, 0),), known=(19,), words=4, system=2, refused={21: DELETED}),
    "PRB": Coded("PRB", 3, when=((16, 0), (7, 0), (2, 0)), known=(2,), until=9, refused={1: {"DE": DELETED["D"]}}),
    "PR1": Coded("PR1", 3, when=((5, 0),), words=4, system=2, refused={20: DELETED}),
    "AL1": Coded("AL1", 3, when=((6, 0),), text=5, prefix="ALLERGY//"),
    "IAM": Coded("IAM", 3, when=((11, 0), (13, 0)), known=(13,), text=5, prefix="ALLERGY//", refused={6: DELETED}),
    "RXA": Coded(
        "RXA",
        5,
        when=((3, 0),),
        known=(22,),
        amount=6,
        nothing=999,  # "unknown" (CDC implementation guide for immunization messaging, release 1.5)
        unit=7,
        refused={
            20: {"RE": "refused", "NA": "not administered"},
            21: DELETED,
            5: {"998": "not administered"},  # CVX: "no vaccine administered"
        },
        leads=True,
    ),
    "RXO": Coded("RXO", 1, amount=2, unit=4, of_order=True, optional=True),
    "RXE": Coded("RXE", 2, when=((1, 3),), amount=3, unit=5, of_order=True),
    "RXD": Coded("RXD", 2, when=((3, 0),), amount=4, unit=5),
    "RXG": Coded("RXG", 4, when=((3, 3),), amount=5, unit=7),
    "FT1": _each(
        Coded("FT1", 7, when=((4, 0),), prefix="CHARGE//", refused=NO_CHARGE),
        Coded("FT1", 19, when=((4, 0),), refused=NO_CHARGE, optional=True),
        Coded("FT1", 25, when=((4, 0),), refused=NO_CHARGE, optional=True),
    ),
    **dict.fromkeys(ENVELOPE, envelope),
}
"""Segment type → what reads it. All others are counted, and kept."""

MESSAGES = frozenset(
    {
        *("ADT", "BAR", "DFT", "MDM", "ORU", "OUL", "PPR", "RAS", "RDE", "RDS", "RGV", "VXU"),
        *("OMP", "ORM", "OML", "OMG", "OMI", "OMD", "OMS", "OMN", "OPL", "OPU", "PGL", "PPP", "PPV", "VXR", "ORF"),
    }
)
"""Messages that tell of patients (MSH-9.1). Others ask, answer, plan or configure: they are counted."""
