"""HL7 v2 messages, files of any number of them, plain or ``.gz`` → events.

`suwen.data.records.hl7.segments` says which segment becomes what, and `suwen.data.records.hl7.times` what is done about
zones. In short: PID gives birth, death and traits; PV1 ``VISIT//CLASS//START`` and ``//END``; DG1, PRB, PR1, RXA, RXO,
RXE codes alone; AL1 and IAM ``ALLERGY//…``; OBX results, where they are final or corrected, available since OBR-22,
else since the message that brought them; TXA documents, likewise. What is dated without a time of day is available when
that date is over; a death lies there. A subject is the number of PID-3, an encounter that of PV1-19, each without its
authority. What a message takes back (cancellations, merges) is counted, not applied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.records.events import BATCH, SCHEMA
from suwen.data.records.hl7.files import Bytes, texts
from suwen.data.records.hl7.message import ENVELOPE, HEADERS, NotAMessage
from suwen.data.records.hl7.reading import Frame, Reading
from suwen.data.records.hl7.segments import MESSAGES, SEGMENTS, Handler, envelope
from suwen.data.records.hl7.times import offset_of
from suwen.data.records.pieces import groups_of, name_of_group
from suwen.data.records.rejects import Rejects
from suwen.data.records.source import Described, Part

SUFFIXES = frozenset({".hl7", ".hl7v2", ".er7", ".mllp"})
MAYBE = frozenset({".txt", ".dat", ".msg", ".adt", ".oru", ""})
"""Suffixes of files that are messages if they begin like one."""

LOOKED_AT = 1 << 16
NO_TYPE = "message without a type (MSH-9): cut off, or no message"
OTHER_TYPE = "message type not known (MSH-9)"
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")


class HL7v2:
    """The importer."""

    summary = (
        "HL7 v2 messages: .hl7 files (or .hl7.gz), one message or millions in each, with or without MLLP and batches"
    )

    def parts(self, source: Path) -> Sequence[Part]:
        """Small files in groups, others a part each.

        Raises:
            DataError: there are no messages.
        """
        if source.is_dir():
            files = [path for path in sorted(source.rglob("*")) if path.is_file() and _is_of(path)]
        else:
            files = [source] if source.is_file() and _has_messages(source) else []
        if not files:
            raise DataError(
                f"no HL7 v2 messages in {source}",
                why=f"looked for {', '.join(sorted(SUFFIXES))}, each also with .gz, and for files that begin with MSH",
                fix="give a file or a folder with such",
            )
        root = source if source.is_dir() else source.parent
        sizes = {path: path.stat().st_size for path in files}
        return [
            Part(
                name_of_group(group, root),
                tuple(group),
                sum(sizes[path] for path in group),
                {"root": str(root)} if len(group) > 1 else {},
            )
            for group in groups_of(sizes.items())
        ]

    def read(self, part: Part, rejects: Rejects, described: Described) -> Iterator[pa.Table]:
        """Batches of events, in the order of the file.

        Raises:
            FileUnreadable: it is damaged, UTF-16, or expands beyond all measure.
        """
        reading = Reading(part.name, rejects, described)

        def refuse(reason: str, number: int, record: str) -> None:
            reading.number = number
            reading.refuse(reason, record)

        for path in part.files:
            if len(part.files) > 1:
                reading.begin_file(path.relative_to(part.options["root"]).as_posix())
            with Bytes(path) as stream:
                for number, text in texts(stream.read, refuse):
                    reading.number = number
                    read_message(reading, text)
                    if len(reading.flat) >= BATCH * len(SCHEMA):
                        yield reading.taken()
        reading.name = part.name
        reading.finish()
        if reading.flat:
            yield reading.taken()


HL7V2 = HL7v2()


def read_message(reading: Reading, text: str) -> None:
    """The events of one message, into the reading.

    Args:
        reading: takes them, and what cannot be mapped.
        text: segments ended by CR.
    """
    lines = text.split("\r")
    separator = text[3:4] or "\r"
    fields = lines[0].split(separator, 9) + [""] * 9
    key = separator, fields[1], offset_of(fields[6])
    try:
        frame = reading.frames.get(key) or reading.new_frame(lines[0], key)
    except NotAMessage as error:
        _refuse(reading, error.reason, text)
        return
    kind = frame.kinds.get(fields[8]) or _kind(reading, frame, fields[8], text)
    if kind is None:
        return
    reading.begin(frame, *kind, fields[6])
    handlers = frame.handlers or _handlers(frame)
    for line in lines[1:]:
        handler = handlers.get(line[:4])
        if handler is not None:
            handler(reading, line)
        elif line.strip():
            _not_mapped(reading, line, separator)
    if reading.report is not None:
        reading.end_report()


def _kind(reading: Reading, frame: Frame, raw: str, text: str) -> tuple[str, str] | None:
    """Code and trigger of MSH-9; None, and it is counted, where such messages are not read."""
    code, trigger = (*map(str.strip, frame.separators.parts(raw)), "")[:2]
    if code in MESSAGES:
        if len(frame.kinds) > LOOKED_AT:
            frame.kinds.clear()
        frame.kinds[raw] = found = (code, trigger)
        return found
    if not code:
        _refuse(reading, NO_TYPE, text)
    else:
        _refuse(reading, f"message type not mapped: {code}" if _NAME.fullmatch(code) else OTHER_TYPE, text)
    return None


def _refuse(reading: Reading, reason: str, text: str) -> None:
    """Count a whole message; what comes after it in a batch is not of it."""
    reading.refuse(reason, text)
    for line in text.split("\r"):
        if line[:3] in ENVELOPE:
            envelope(reading, line)


def _handlers(frame: Frame) -> dict[str, Handler]:
    """`SEGMENTS`, by the name with the field separator of the message after it."""
    frame.handlers = {name + frame.separators.field: handler for name, handler in SEGMENTS.items()}
    return frame.handlers


def _not_mapped(reading: Reading, line: str, separator: str) -> None:
    name = line.split(separator, 1)[0]
    if not _NAME.fullmatch(name) or separator not in line:
        reading.refuse("line that is no segment", line)
    else:
        reading.refuse(f"segment not mapped: {name}", line)


def _is_of(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    last = next((suffix for suffix in reversed(suffixes) if suffix != ".gz"), "")
    return last in SUFFIXES or (last in MAYBE and _begins_like_one(path))


def _head(path: Path) -> bytes:
    with Bytes(path) as stream:
        return stream.read(LOOKED_AT)


def _begins_like_one(path: Path) -> bool:
    try:
        start = _head(path).lstrip(b"\xef\xbb\xbf\x0b\r\n \t")
    except FileUnreadable:  # of another format, which is not asked for
        return False
    return start[:3] in [name.encode() for name in HEADERS]


def _has_messages(path: Path) -> bool:
    return b"MSH" in _head(path)
