"""Events → HL7 v2.5.1 messages, from which `importers.hl7v2` makes the equal events again.

A visit that begins is ADT^A01 (in hospital) or A04, one that ends A03; diagnoses and procedures are written down in
A08, as is a death; numbers and coded answers come in ORU^R01, drugs in RDE^O11. What these messages cannot say is left
out and counted: when a drug was stopped, texts, events without a time but sex and language, codes of systems that HL7
has no name for. Messages of a subject are in the order in which they were sent; what has no ``available_time`` was sent
at once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from suwen.core.errors import DataError
from suwen.core.files import atomic_path
from suwen.data.records.events import BIRTH, DEATH, END, START, conform
from suwen.data.records.hl7.message import END_OF_SEGMENT, Separators
from suwen.data.records.hl7.people import GENDERS

SYSTEMS: Mapping[str, str] = {
    "LOINC": "LN",
    "SNOMED": "SCT",
    "RXNORM": "RXNORM",
    "ATC": "ATC",
    "ICD10CM": "I10C",
    "ICD10": "I10",
    "TEXT": "",
}
"""Short name → coding system (HL7 table 0396); words have none."""

DRUGS = frozenset({"RXNORM", "ATC"})
INPATIENT = "IMP"
PER_FILE = 500
"""Subjects."""

SEPARATORS = Separators()
ENCODING = SEPARATORS.encoding
SEXES = {word: letter for letter, word in reversed(list(GENDERS.items()))}


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        messages, events: how many.
        left: why events could not be written → how many.
    """

    messages: int
    events: int
    left: dict[str, int]


def export_hl7(
    tables: Iterable[pa.Table], out: Path, codes: pa.Table | None = None, *, facilities: Mapping[int, str] | None = None
) -> Written:
    """Write events as files of HL7 v2 messages, `PER_FILE` subjects in each.

    Args:
        tables: of `suwen.data.records.events.SCHEMA`, all events of a subject one after another, by time.
        out: folder, new or empty.
        codes: what is known of codes, as `suwen.data.records.store.RecordStore.codes` has it.
        facilities: subject_id → who sends its messages.

    Raises:
        DataError: the folder holds other files.
    """
    if out.is_dir() and any(out.iterdir()):
        raise DataError(f"{out} holds other files", why="they might be mixed up", fix="name a new folder")
    texts = dict(zip(codes["code"].to_pylist(), codes["description"].to_pylist(), strict=True)) if codes else {}
    writer = _Writer(texts, facilities or {})
    subjects = (subject for table in tables for subject in _subjects(conform(table)))
    for number, held in enumerate(_by(subjects, PER_FILE), start=1):
        with atomic_path(out / f"messages-{number:04d}.hl7") as temporary:
            text = "".join(message for subject in held for message in writer.messages(subject))
            temporary.write_text(text, encoding="utf-8", newline="")
    return Written(writer.count, writer.events, dict(writer.left))


def _subjects(table: pa.Table) -> Iterator[tuple[int, list[tuple[Any, ...]]]]:
    """Each subject with its events: time, code, number, unit, available_time and encounter, times as HL7 has them."""
    ids = table["subject_id"].to_numpy()
    columns = [
        _times(table["time"]),
        table["code"].to_pylist(),
        table["numeric_value"].cast(pa.string()).to_pylist(),
        table["unit"].to_pylist(),
        _times(table["available_time"]),
        table["encounter_id"].to_pylist(),
        table["text_value"].is_valid().to_pylist(),
    ]
    rows = list(zip(*columns, strict=True))
    starts = np.flatnonzero(np.diff(ids, prepend=~ids[0]) != 0) if len(ids) else np.zeros(0, np.int64)
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(ids)], strict=True):
        yield int(ids[start]), rows[start:end]


def _times(column: pa.ChunkedArray) -> list[str | None]:
    """``YYYYMMDDHHMMSS``, with microseconds where there are any."""
    return [
        None if text is None else text.translate(_PUNCTUATION).removesuffix(".000000")
        for text in column.cast(pa.string()).to_pylist()
    ]


_PUNCTUATION = str.maketrans("", "", "-: ")


def _by(items: Iterable[Any], count: int) -> Iterator[list[Any]]:
    held = []
    for item in items:
        held.append(item)
        if len(held) == count:
            yield held
            held = []
    if held:
        yield held


@dataclass
class _Person:
    """What PID says, and the class of each visit."""

    number: int
    facility: str
    birth: str = ""
    death: str = ""
    sex: str = ""
    language: str = ""
    visits: dict[int, str] = field(default_factory=dict)

    def segment(self, *, dead: bool) -> str:
        """PID: two numbers, of this hospital and of all of them."""
        ids = f"{self.number}^^^{self.facility}^MR~{self.number:010d}^^^MPI^PI"
        died = (self.death, "Y") if dead else ("", "")
        fields = ["PID", "1", "", ids, "", f"SUBJECT^{self.number}", "", self.birth, self.sex]
        fields += [""] * 6 + [self.language] + [""] * 13 + list(died)
        return "|".join(fields).rstrip("|")


class _Writer:
    """Messages, numbered one after another."""

    def __init__(self, texts: Mapping[str, str | None], facilities: Mapping[int, str]) -> None:
        self.count = self.events = 0
        self.left: Counter[str] = Counter()
        self._texts, self._facilities = texts, facilities
        self._coded: dict[str, str] = {}

    def messages(self, subject: tuple[int, list[tuple[Any, ...]]]) -> Iterator[str]:
        """All of one subject."""
        number, events = subject
        person = _Person(number, SEPARATORS.escaped(self._facilities.get(number, "SUWEN")))
        groups: dict[tuple[str, str, str, str | None, int | None], list[str]] = defaultdict(list)
        for event in events:
            if not self._of_person(person, event):
                self._place(person, event, groups)
        if person.death:
            groups[(person.death, "ADT", "A08", None, None)] = []
        if not groups:  # nothing but who it is
            groups[(person.birth, "ADT", "A08", None, None)] = []
        alive, dead = person.segment(dead=False), person.segment(dead=True)
        for (time, code, trigger, known, encounter), lines in sorted(groups.items(), key=_sent):
            self.count += 1
            about = dead if person.death and time >= person.death else alive
            visit = "" if encounter is None else _visit(person.visits.get(encounter, ""), encounter, time, trigger)
            yield self._message(person.facility, about, visit, time, (code, trigger), known, lines)

    def _of_person(self, person: _Person, event: tuple[Any, ...]) -> bool:
        """Whether PID, or nothing at all, says it."""
        time, code, number, _, known, encounter, text = event
        kind, _, word = code.partition("//")
        plain = number is None and known is None and encounter is None and not text
        if plain and time is None and kind == "GENDER" and word in SEXES:
            person.sex = SEXES[word]
        elif plain and time is None and kind == "LANGUAGE":
            person.language = SEPARATORS.escaped(word)
        elif plain and code == BIRTH and time is not None:
            person.birth = time.removesuffix("000000")
        elif plain and code == DEATH and time is not None:
            person.death = time
        elif time is None:
            self.left["without a time"] += 1
            return True
        else:
            return False
        self.events += 1
        return True

    def _place(self, person: _Person, event: tuple[Any, ...], groups: dict[Any, list[str]]) -> None:
        """Into a message: those of one time, and one visit, come together."""
        time, code, number, unit, known, encounter, text = event
        kind, _, rest = code.partition("//")
        if text:
            self.left["with a text"] += 1
            return
        if kind == "VISIT" and encounter is not None and code.endswith((START, END)):
            person.visits[encounter] = rest.rpartition("//")[0]
            begins = "A01" if person.visits[encounter] == INPATIENT else "A04"
            groups[(time, "ADT", begins if code.endswith(START) else "A03", known, encounter)] = []
        elif code.endswith(END) or kind not in SYSTEMS:
            self.left["ends" if code.endswith(END) else f"system {kind}"] += 1
            return
        elif number is not None or (kind == "LOINC" and "//" in rest):
            lines = groups[(time, "ORU", "R01", known, encounter)]
            lines.append(self._result(code, number, unit, len(lines) + 1))
        elif kind in DRUGS:
            groups[(time, "RDE", "O11", known, encounter)] += [
                f"ORC|NW|||||||||{time}",
                f"RXE|^^^{time}|{self._code(code)}",
            ]
        else:
            lines = groups[(time, "ADT", "A08", known, encounter)]
            name = "PR1" if kind == "LOINC" else "DG1"
            line = [name, str(len(lines) + 1), "", self._code(code), "", time, *([] if name == "PR1" else ["F"])]
            lines.append("|".join([*line, *([""] * 12 + [known] if known and name == "DG1" else [])]))
        self.events += 1

    def _result(self, code: str, number: str | None, unit: str | None, place: int) -> str:
        if number is not None:
            measured = f"{SEPARATORS.escaped(unit)}^^UCUM" if unit else ""
            return f"OBX|{place}|NM|{self._code(code)}||{number}|{measured}|||||F"
        question, answer = code.split("//", 2)[:2], code.split("//", 2)[2]
        return f"OBX|{place}|CWE|{self._code('//'.join(question))}||{self._code(answer)}||||||F"

    def _code(self, code: str) -> str:
        """CWE: code, words, system."""
        if code not in self._coded:
            kind, _, rest = code.partition("//")
            escaped = SEPARATORS.escaped(rest)
            text = SEPARATORS.escaped(self._texts.get(code) or "")
            self._coded[code] = f"{escaped}^{text}^{SYSTEMS[kind]}" if SYSTEMS[kind] else f"^{escaped}"
        return self._coded[code]

    def _message(
        self,
        facility: str,
        about: str,
        visit: str,
        time: str,
        kind: tuple[str, str],
        known: str | None,
        lines: list[str],
    ) -> str:
        code, trigger = kind
        header = f"MSH|{ENCODING}|SUWEN|{facility}|||{known or time}||{code}^{trigger}|{self.count}|P|2.5.1"
        segments = [header + "||||||UNICODE UTF-8"]
        if code == "ADT":
            segments.append(f"EVN|{trigger}|{time}")
        segments.append(about)
        if visit:
            segments.append(visit)
        if code == "ORU":
            segments.append(f"OBR|1|||PANEL^Results^L|||{time}" + (f"{'|' * 15}{known}" if known else ""))
        return END_OF_SEGMENT.join([*segments, *lines, ""])


def _visit(kind: str, encounter: int, time: str, trigger: str) -> str:
    """PV1: class, number, and when it began or ended, where that is what is told."""
    fields = ["PV1", "1", SEPARATORS.escaped(kind), *[""] * 16, str(encounter), *[""] * 24]
    began, ended = trigger in ("A01", "A04"), trigger == "A03"
    return "|".join([*fields, time if began else "", time if ended else ""]).rstrip("|")


ORDER = ("A01", "A04", "R01", "A08", "O11", "A03")
"""Of messages of one moment."""


def _sent(item: tuple[tuple[str, str, str, str | None, int | None], list[str]]) -> tuple[str, int, str, int]:
    (time, _, trigger, known, encounter), _ = item
    return known or time, ORDER.index(trigger), time, -1 if encounter is None else encounter
