"""OBR, OBX and TXA: results, reports, documents."""

from __future__ import annotations

import re
from collections.abc import Mapping

from suwen.data.records.dates import known_from, last_of
from suwen.data.records.hl7.codes import DESCRIBED, WRITTEN, Codes
from suwen.data.records.hl7.reading import NO_PATIENT, NO_TIME, Reading, Report

FINAL = frozenset({"F", "C", "A", "B", "V", "U", ""})
"""OBX-11 (HL7 table 0085) of results: final, corrected, amended, appended, verified, now final; or it does not say."""

STATUSES: Mapping[str, str] = {
    "D": "deleted",
    "I": "pending",
    "N": "not asked for",
    "O": "order detail only",
    "P": "preliminary",
    "R": "not verified",
    "S": "partial",
    "W": "wrong (another patient, or specimen)",
    "X": "cannot be obtained",
}
"""OBX-11 of what is no result, or not yet."""

TEXTS = frozenset({"ST", "IS", "ID", "DT", "TM", "TS", "DTM", "CF", "CE", "CWE", "CNE", "SI", "PN", "XPN", "XCN", "CX"})
CODED = frozenset({"CF", "CE", "CWE", "CNE"})
LINES = frozenset({"TX", "FT"})
"""Value types (OBX-2, HL7 table 0125) whose segments are the lines of one text."""

LARGEST = 3.4e38
"""Of float32."""

NO_NUMBER = "NM that is no number (kept as text)"
NO_VALUE = "result without a value (OBX-5)"
_PLAIN = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)", re.ASCII)


def finite(raw: str) -> float | None:
    """The number that a field is; None where it is none, or none that float32 can hold."""
    try:
        number = float(raw)
    except ValueError:
        return None
    return number if -LARGEST < number < LARGEST and "_" not in raw else None


def request(reading: Reading, line: str) -> None:
    """OBR: the times and the status that its results may leave out."""
    if reading.report is not None:
        reading.end_report()
    fields = reading.fields(line, 25)
    times = reading.times
    reading.observed, reading.reported, reading.status = times[fields[7]], times[fields[22]], fields[25]
    reading.service, reading.known = fields[4], None
    reading.document = None


def result(reading: Reading, line: str) -> None:
    """OBX: a value, in most cases a number."""
    fields = line.split(reading.separator)
    if len(fields) < 15:
        fields.extend([""] * (15 - len(fields)))
    if fields[11] != "F" and not _is_result(reading, fields, line):
        return
    raw, when = fields[5], fields[14]
    if not raw or raw == '""':
        reading.refuse(NO_VALUE, line)
        return
    subject = reading.subject
    if subject is None:
        reading.refuse(f"OBX: {NO_PATIENT}", line)
        return
    time = reading.times[when] if when else None
    if time is None:
        time = _time(reading)
    known = reading.known or reading.since()
    if len(fields) > 19 and fields[19]:
        known = _analysed(reading, fields[19], known)
    if fields[2] != "NM" or type(time) is not int:  # none, or a date without a time of day
        _other(reading, fields, line, time, known)
        return
    frame, number = reading.frame, finite(raw)
    code = frame.results[fields[3]]
    if code is None or number is None:
        _other(reading, fields, line, time, known)
        return
    if reading.report is not None:
        reading.end_report()
    unit = frame.units[fields[6]]
    reading.flat += (subject, time, code, number, None, known, unit, reading.encounter)


def _is_result(reading: Reading, fields: list[str], line: str) -> bool:
    status = fields[11].strip() or reading.status.strip()
    if status in FINAL:
        return True
    reading.refuse(f"result {STATUSES.get(status, 'of unknown status')}", line)
    return False


def _analysed(reading: Reading, raw: str, known: int | None) -> int | None:
    """OBX-19: nobody knew before it was analysed."""
    time = reading.times[raw]
    return known if time is None else last_of(time) if known is None else max(known, last_of(time))


def _time(reading: Reading) -> int | None:
    """Of a result that has none: its OBR's, else that of the report, else when the message was sent: not too early."""
    for time in (reading.observed, reading.reported):
        if time is not None:
            return time
    return reading.happened


def _other(reading: Reading, fields: list[str], line: str, time: int | None, known: int | None) -> None:
    kind, raw = fields[2].strip(), fields[5]
    if reading.document is not None and kind in LINES | {"ST"}:
        reading.document.lines.append(reading.text(raw))
        return
    # lines of a report often leave out what OBR says
    code = reading.frame.results[fields[3]] or reading.frame.codes("OBR-4")[reading.service]
    if code is None or time is None:
        reading.refuse(f"OBX: {NO_TIME}" if code else "OBX: no code", line)
    elif kind in LINES:
        _line(reading, code, time, raw, known)
    elif kind == "NM":
        for each in reading.frame.separators.repeats(raw):
            _number(reading, fields, line, code, time, each, known)
    elif kind == "SN":
        _structured(reading, fields, code, time, known)
    elif kind in TEXTS:
        for each in reading.frame.separators.repeats(raw):
            _text(reading, fields, kind, code, time, each, known)
    else:
        named = re.fullmatch(r"[A-Z]{2,3}", kind)
        reading.refuse(f"value type not mapped: {kind}" if named else "value type not known (OBX-2)", line)


def _number(reading: Reading, fields: list[str], line: str, code: str, time: int, raw: str, known: int | None) -> None:
    number = finite(raw)
    text = None
    if number is None:
        text = reading.text(raw)
        reading.refuse(NO_NUMBER, line)
    reading.add(time, code, number, text, known, reading.frame.units[fields[6]])


def _structured(reading: Reading, fields: list[str], code: str, time: int, known: int | None) -> None:
    """SN: ``<^5`` is the number 5 and the text ``<5``; a range (``-``), a ratio (``:``), ``+``: text alone."""
    separators = reading.frame.separators
    for each in separators.repeats(fields[5]):
        parts = [str(separators.value(part) or "").strip() for part in separators.parts(each)]
        comparator, first, separator, second = (*parts, "", "", "", "")[:4]
        number = finite(first) if not separator and not second else None
        text = f"{comparator if comparator != '=' else ''}{first}{separator}{second}"
        plain = number is not None and comparator in ("", "=")
        unit = reading.frame.units[fields[6]]
        reading.add(time, code, number, None if plain else text, known, unit)


def _text(reading: Reading, fields: list[str], kind: str, code: str, time: int, raw: str, known: int | None) -> None:
    """Text; where it is a number, as laboratories often send one, the number too. A coded value: see `_answer`."""
    if kind in CODED:
        _answer(reading, fields, code, time, raw, known)
        return
    text = reading.text(raw)
    number = finite(text) if kind == "ST" and _PLAIN.fullmatch(text) else None
    unit = reading.frame.units[fields[6]]
    if text:
        reading.add(time, code, number, text, known, unit)


def _answer(reading: Reading, fields: list[str], code: str, time: int, raw: str, known: int | None) -> None:
    """A coded value: ``QUESTION//ANSWER``, as ``LOINC//22314-9//SNOMED//260385009``; words without a code are text."""
    answer = reading.frame.codes("OBX-5")[raw]
    if answer is None:
        reading.refuse(NO_VALUE, reading.separator.join(fields))
    elif answer.startswith(WRITTEN):
        reading.add(time, code, None, reading.text(raw), known)
    else:
        whole = f"{code}//{answer}"
        said = reading.described.descriptions
        if code in said and answer in said and len(said) < DESCRIBED:
            said.setdefault(whole, f"{said[code]}: {said[answer]}")
        reading.add(time, whole, known=known)


def _line(reading: Reading, code: str, time: int, raw: str, known: int | None) -> None:
    """A line of a text: those that follow one another with the same code, time and order are one event."""
    key = (reading.subject, code, time, known, reading.encounter)
    if reading.report is None or reading.report.key != key:
        reading.end_report()
        assert reading.subject is not None
        event = (reading.subject, time, code, None, None, known_from(time, known), None, reading.encounter)
        reading.report = Report(key, event)
    reading.report.lines.append(reading.text(raw))


REFUSED: Mapping[int, Mapping[str, str]] = {
    17: {"IN": "document incomplete", "IP": "document in progress"},
    19: {"CA": "document deleted"},
}
"""Fields of TXA (HL7 tables 0271, 0273) → values by which a document is not yet one, or no more."""


def document(reading: Reading, line: str) -> None:
    """TXA: a document; the OBX that follow are its text. Without any it is an event all the same."""
    reading.end_report()
    reading.document = None
    fields = reading.fields(line, 22)
    if reading.subject is None:
        reading.refuse(f"TXA: {NO_PATIENT}", line)
        return
    for number, values in REFUSED.items():
        if why := values.get(reading.first(fields[number])):
            reading.refuse(f"TXA: {why}", line)
            return
    codes: Codes = reading.frame.codes("TXA-2")
    code = codes[fields[2]] or "HL7//TXA"
    times = [reading.times[fields[number]] for number in (4, 6)]
    time = next((each for each in (*times, reading.observed) if each is not None), reading.happened)
    if time is None:
        reading.refuse(f"TXA: {NO_TIME}", line)
        return
    known = known_from(time, _read_since(reading, fields))
    event = (reading.subject, time, code, None, None, known, None, reading.encounter)
    reading.document = reading.report = Report((line,), event)


def _read_since(reading: Reading, fields: list[str]) -> int | None:
    """Since when the text of a document could be read: it was begun (TXA-6), transcribed (7), edited (8),
    authenticated (22.15), the last of these. Where it is not said when the text was made, the message brings it."""
    separators, times = reading.frame.separators, reading.times
    signed = [[*separators.parts(each), *[""] * 15][14] for each in separators.repeats(fields[22])]
    made = [times[each] for each in (fields[7], *separators.repeats(fields[8]), *signed)]
    if not any(each is not None for each in made):
        made = [reading.sent]
    return max((last_of(each) for each in (*made, times[fields[6]]) if each is not None), default=None)
