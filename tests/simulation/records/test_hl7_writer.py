"""Messages that say what the events say, to the importer and to the letter of the standard."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from suwen.core.errors import DataError
from suwen.data.records.events import SCHEMA, Events
from suwen.data.records.importers.hl7v2 import HL7V2
from suwen.data.records.rejects import Rejects
from suwen.data.records.source import Described
from suwen.data.records.store import CODES_SCHEMA
from suwen.simulation.records.hl7_writer import export_hl7

DAY = datetime(2020, 2, 29, 8, 30)
NEXT = datetime(2020, 3, 1, 0, 0, 1)


def _events() -> Events:
    events = Events()
    events.add(17, None, "GENDER//other")
    events.add(17, None, "LANGUAGE//zh")
    events.add(17, datetime(1950, 12, 31), "MEDS_BIRTH")
    events.add(17, DAY, "VISIT//IMP//START", encounter_id=5)
    events.add(17, DAY, "LOINC//718-7", 13.25, unit="g|d&L^~\\", available_time=NEXT, encounter_id=5)
    events.add(17, DAY, "LOINC//72166-2//SNOMED//8517006", encounter_id=5)
    events.add(17, DAY, "LOINC//30745-4", encounter_id=5)
    events.add(17, DAY, "ICD10CM//E11.9", available_time=NEXT, encounter_id=5)
    events.add(17, DAY, "TEXT//肺炎 & ^fever|", encounter_id=5)
    events.add(17, DAY, "RXNORM//6809", encounter_id=5)
    events.add(17, NEXT, "VISIT//IMP//END", encounter_id=5)
    events.add(17, NEXT, "ATC//A10BA02")
    events.add(17, datetime(2021, 1, 1, 12), "MEDS_DEATH")
    events.add(18, datetime(1990, 5, 5), "MEDS_BIRTH")
    return events


def _read(folder: Path) -> tuple[list[tuple[object, ...]], Rejects, Described]:
    rejects, described, rows = Rejects(), Described(), []
    for part in HL7V2.parts(folder):
        for table in HL7V2.read(part, rejects, described):
            rows += [tuple(row.values()) for row in table.to_pylist()]
    return rows, rejects, described


def _fields(message: str) -> list[list[str]]:
    """Fields of each segment by number, as the standard counts them: MSH-1 is the separator."""
    rows = [segment.split("|") for segment in message.split("\r") if segment]
    rows[0].insert(1, "|")
    return rows


def test_what_it_writes_is_read_again_with_escapes_and_words(tmp_path: Path) -> None:
    table = _events().taken()
    codes = pa.Table.from_pylist(
        [{"code": "LOINC//718-7", "description": "Hemoglobin | in blood", "parent_codes": []}], schema=CODES_SCHEMA
    )
    written = export_hl7([table], tmp_path / "out", codes)
    rows, rejects, described = _read(tmp_path / "out")
    assert set(rows) == {tuple(row.values()) for row in table.to_pylist()}
    assert not rejects.counts and not written.left and written.events == len(table)
    assert described.descriptions["LOINC//718-7"] == "Hemoglobin | in blood"


def test_messages_are_those_of_the_standard(tmp_path: Path) -> None:
    export_hl7([_events().taken()], tmp_path / "out", facilities={17: "DONGHU"})
    text = (tmp_path / "out" / "messages-0001.hl7").read_bytes().decode("utf-8")
    messages = [_fields("MSH" + each) for each in text.split("MSH")[1:]]
    headers = [message[0] for message in messages]
    kinds = [tuple(header[9].split("^")[:2]) for header in headers]
    assert kinds[0] == ("ADT", "A01") and {("ADT", "A03"), ("ORU", "R01"), ("RDE", "O11")} <= set(kinds)
    assert len({header[10] for header in headers}) == len(messages)
    sent = [message[0][7] for message in messages if "17^^^DONGHU^MR~" in str(message)]
    assert sent == sorted(sent) and len(sent) == len(messages) - 1
    dead = [message for message in messages if message[2][30:31] == ["Y"]]
    assert len(dead) == 1 and dead[0][2][0] == "PID" and dead[0][2][29] == "20210101120000"


def test_what_cannot_be_said_is_left_out_and_counted(tmp_path: Path) -> None:
    events = Events()
    events.add(1, DAY, "RXNORM//6809//END")
    events.add(1, DAY, "NOTE//x", text_value="long")
    events.add(1, None, "RACE//martian")
    events.add(1, DAY, "MADE//UP")
    events.add(1, DAY, "SNOMED//44054006")
    written = export_hl7([events.taken()], tmp_path / "out")
    assert written.events == 1
    assert written.left == {"ends": 1, "with a text": 1, "without a time": 1, "system MADE": 1}
    assert [row[2] for row in _read(tmp_path / "out")[0]] == ["SNOMED//44054006"]


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(DataError, match="other files"):
        export_hl7([SCHEMA.empty_table()], tmp_path)
