"""Where the reading of a message stands: whose it is, in which visit, under which order, and what came of it so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from suwen.data.records.dates import PartialDate, known_from, last_of
from suwen.data.records.events import SCHEMA, later, number_of
from suwen.data.records.hl7.codes import Codes
from suwen.data.records.hl7.message import NULL, Separators
from suwen.data.records.hl7.times import MIXED, UNREADABLE, Times, minutes_of
from suwen.data.records.rejects import Rejects
from suwen.data.records.source import Described

NO_PATIENT = "segment of no known patient (PID)"
NO_TIME = "no time, neither its own nor the message's"

HELD = 1 << 16
FRAMES = 64

Row = tuple[int, "int | None", str, "float | None", "str | None", "int | None", "str | None", "int | None"]
"""An event in the order of `SCHEMA`."""


class Numbers(dict[str, int]):
    """`number_of`, remembered."""

    def __missing__(self, name: str) -> int:
        if len(self) > HELD:
            self.clear()
        self[name] = found = number_of(name)
        return found


class Units(dict[str, "str | None"]):
    """Unit fields (OBX-6, CE or CWE) → code of the unit, else its words."""

    def __init__(self, separators: Separators) -> None:
        super().__init__()
        self.separators = separators

    def __missing__(self, raw: str) -> str | None:
        if len(self) > HELD:
            self.clear()
        parts = [*map(self.separators.value, self.separators.parts(self.separators.repeats(raw)[0])), None, None]
        found = next((str(part).strip() for part in parts[:2] if part and part is not NULL), None)
        self[raw] = found or None
        return found or None


class Frame:
    """What depends on how a message is written: its separators, and its zone. Things seen before are here.

    Attributes:
        times, units: raw fields → what they say.
        people, visits: segments that were read → subject, encounter: their events are there already.
        kinds: MSH-9 → code and trigger, of those that are read.
        handlers: first four characters of a segment → what reads it.
    """

    def __init__(self, separators: Separators, zone: int | None, reading: Reading) -> None:
        self.separators, self.described = separators, reading.described
        self.times = Times(separators.component, zone, lambda raw: reading.refuse(UNREADABLE, raw))
        self.units = Units(separators)
        self.people: dict[str, int] = {}
        self.visits: dict[tuple[int, str], int | None] = {}
        self._codes: dict[tuple[str, str], Codes] = {}
        self.results = self.codes("OBX-3")
        self.handlers: dict[str, Callable[[Reading, str], None]] = {}
        self.kinds: dict[str, tuple[str, str]] = {}

    def codes(self, field: str, prefix: str = "", *, bare: bool = False) -> Codes:
        """Codes of a field."""
        key = (field, prefix)
        if key not in self._codes:
            self._codes[key] = Codes(self.separators, field, self.described, prefix, bare=bare)
        return self._codes[key]


@dataclass
class Report:
    """Text that comes in lines, each an OBX.

    Attributes:
        key: lines of the same belong together.
        event: the event that it becomes; its text is yet to come.
        lines: so far.
    """

    key: tuple[object, ...]
    event: Row
    lines: list[str] = field(default_factory=list)


class Reading:
    """One part being read.

    Attributes:
        flat: events that were not handed over yet, value after value: of a tuple an event the garbage collector would
            look at each, again and again.
        numbers: names of subjects and encounters → their numbers.
        frames: MSH-1, MSH-2 and the offset of MSH-7 → how such messages are written.
        batch_began: number of the last message before this batch.
        number: of the message in its file.
        code, trigger: of MSH-9.
        separator: of fields.
        subject: of the last PID; None before one, or where it names nobody.
        encounter: of the last PV1.
        occurred, recorded: EVN-6, EVN-2.
        ordered, starts: ORC-9, ORC-7.4.
        cancelled: why nothing of this order is to happen; empty otherwise.
        observed, reported, status, service: of the last OBR: OBR-7, OBR-22, OBR-25, OBR-4.
        known: since when results can be known, where that was asked for: see `since`.
        report: text whose lines are still coming.
        document: the TXA whose text the next OBX bring.
    """

    def __init__(self, name: str, rejects: Rejects, described: Described) -> None:
        self.name, self.rejects, self.described = name, rejects, described
        self.flat: list[Any] = []
        self.numbers = Numbers()
        self.batch_began = self.number = 0
        self.frames: dict[tuple[str, str, str], Frame] = {}
        self._clocks: Counter[str] = Counter()
        self.report: Report | None = None
        self.no_order()

    def begin(self, frame: Frame, code: str, trigger: str, sent: str) -> None:
        """A message begins.

        Args:
            frame: how it is written.
            code, trigger: MSH-9.
            sent: MSH-7.
        """
        self.frame, self.times = frame, frame.times
        self.separator, self.first = frame.separators.field, frame.separators.first
        self.code, self.trigger, self._sent = code, trigger, sent
        self.subject: int | None = None
        self.encounter: int | None = None
        self.occurred: int | None = None
        self.recorded: int | None = None

    def begin_file(self, name: str) -> None:
        """Another file of the part begins: messages and batches are counted anew."""
        self.name = name
        self.batch_began = self.number = 0
        self.no_order()

    def new_frame(self, header: str, key: tuple[str, str, str]) -> Frame:
        """How a message with this header is written.

        Args:
            header: MSH.
            key: MSH-1, MSH-2 and the offset of MSH-7.

        Raises:
            NotAMessage: the separators are none.
        """
        separators = Separators.of(header)
        try:
            minutes = minutes_of(key[2]) if key[2] else None
        except ValueError:
            minutes = None
        if len(self.frames) >= FRAMES:
            self._count_clocks()
            self.frames.clear()
        frame = self.frames[key] = Frame(separators, minutes, self)
        return frame

    def no_order(self) -> None:
        """What follows belongs to no order that was before."""
        self.ordered: int | None = None
        self.starts: int | None = None
        self.cancelled = ""
        self.observed: int | None = None
        self.reported: int | None = None
        self.known: int | None = None
        self.status = self.service = ""
        self.document: Report | None = None

    @property
    def sent(self) -> int | None:
        """MSH-7."""
        return self.times[self._sent]

    @property
    def happened(self) -> int | None:
        """When what the message tells of happened, as far as it says: EVN-6, EVN-2, MSH-7."""
        return next((time for time in (self.occurred, self.recorded) if time is not None), self.sent)

    def since(self) -> int | None:
        """Since when results under this OBR can be known: OBR-22; where it does not say, the message, MSH-7, brings
        them. Asked once an OBR: most say it."""
        if self.known is None:
            told = self.reported if self.reported is not None else self.sent
            self.known = None if told is None else last_of(told)
        return self.known

    def fields(self, line: str, count: int) -> list[str]:
        """Fields of a segment by number, at least to `count`."""
        found = line.split(self.separator)
        if len(found) <= count:
            found.extend([""] * (count + 1 - len(found)))
        return found

    def text(self, raw: str) -> str:
        """A field as text for people: repetitions are lines, of components those that say something, spaces between."""
        separators = self.frame.separators
        lines = []
        for repetition in separators.repeats(raw):
            parts = [separators.value(separators.subparts(part)[0]) for part in separators.parts(repetition)]
            lines.append(" ".join(str(part) for part in parts if part and part is not NULL))
        return "\n".join(lines).strip()

    def refuse(self, reason: str, record: str) -> None:
        """Count what is not mapped."""
        self.rejects.add(reason, f"{self.name}, message {self.number}", record)

    def add(
        self,
        time: int | None,
        code: str,
        number: float | None = None,
        text: str | None = None,
        known: int | None = None,
        unit: str | None = None,
    ) -> None:
        """One event of this subject, in this visit."""
        if self.report is not None:
            self.end_report()
        if type(time) is PartialDate:
            known = known_from(time, known)
        if self.subject is not None:
            self.flat += (self.subject, time, code, number, text, known, unit, self.encounter)

    def end_report(self) -> None:
        """The text that came in lines is complete."""
        report, self.report = self.report, None
        if report is not None:
            self.document = None
            subject, time, code, number, _, known, unit, encounter = report.event
            text = "\n".join(report.lines) or None
            self.flat += (subject, time, code, number, text, known, unit, encounter)

    def taken(self) -> pa.Table:
        """All events so far as a table of `SCHEMA`; none are left.

        What could be known before it happened, as an OBR-22 before OBX-14 says, is known at its own time.
        """
        arrays = []
        for at, column in enumerate(SCHEMA):
            kind = pa.int64() if pa.types.is_timestamp(column.type) else column.type
            arrays.append(pa.array(self.flat[at :: len(SCHEMA)], kind).view(column.type))
        self.flat.clear()
        time, known = (SCHEMA.get_field_index(name) for name in ("time", "available_time"))
        arrays[known] = later(arrays[known], arrays[time])
        return pa.Table.from_arrays(arrays, schema=SCHEMA)

    def finish(self) -> None:
        """The file ends: tell what can only be told of the whole."""
        self._count_clocks()
        local, zoned = self._clocks["local"], self._clocks["zoned"]
        if local and zoned:
            self.rejects.add(MIXED, self.name, f"{zoned} different times with, {local} without")

    def _count_clocks(self) -> None:
        for frame in self.frames.values():
            self._clocks["local"] += frame.times.local
            self._clocks["zoned"] += frame.times.zoned
