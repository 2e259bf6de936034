from __future__ import annotations

import gzip
import random
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.records.authorities import TWO_AUTHORITIES
from suwen.data.records.building import import_records
from suwen.data.records.events import SCHEMA, number_of
from suwen.data.records.hl7.files import CUT_OFF
from suwen.data.records.hl7.message import NO_HEADER, NO_SEPARATORS
from suwen.data.records.hl7.reading import NO_PATIENT, NO_TIME
from suwen.data.records.hl7.results import NO_NUMBER, NO_VALUE
from suwen.data.records.hl7.segments import SEGMENTS
from suwen.data.records.hl7.times import MIXED, UNREADABLE
from suwen.data.records.importers.hl7v2 import HL7V2, NO_TYPE
from suwen.data.records.rejects import Rejects
from suwen.data.records.source import Described

Row = dict[str, Any]
SENT = datetime(2024, 1, 2, 3, 4, 5)


def message(*segments: str, kind: str = "ORU^R01", sent: str = "20240102030405") -> str:
    header = f"MSH|^~\\&|LAB|A|EHR|B|{sent}||{kind}|7|P|2.5.1"
    return "\r".join([header, *segments]) + "\r"


class Import:
    """What comes of a text: events without their empty columns, counts by reason, descriptions."""

    def __init__(self, folder: Path, text: str | bytes, name: str = "feed.hl7") -> None:
        path = folder / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        rejects, described = Rejects(), Described()
        (part,) = HL7V2.parts(path)
        tables = list(HL7V2.read(part, rejects, described))
        assert all(table.schema == SCHEMA for table in tables)
        self.rows: list[Row] = [short(row) for table in tables for row in table.to_pylist()]
        self.counts, self.kept, self.descriptions = dict(rejects.counts), rejects.kept, described.descriptions

    def codes(self) -> list[str]:
        return [row["code"] for row in self.rows]


def short(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}


PID = "PID|1||17^^^A^MR"
PV1 = "PV1|1|I|||||||||||||||||V1"
OBR = "OBR|1|||24323-8^Panel^LN|||202401010800|||||||||||||||202401010930|||F"


def test_a_result_has_its_code_number_unit_times_and_visit(tmp_path: Path) -> None:
    obx = "OBX|1|NM|718-7^Hemoglobin^LN||13.5|g/dL^gram per decilitre^UCUM|12-16|N|||F|||202401010815"
    found = Import(tmp_path, message(PID, PV1, OBR, obx))
    assert found.rows == [
        {
            "subject_id": 17,
            "time": datetime(2024, 1, 1, 8, 15),
            "code": "LOINC//718-7",
            "numeric_value": 13.5,
            "available_time": datetime(2024, 1, 1, 9, 30),
            "unit": "g/dL",
            "encounter_id": number_of("V1"),
        }
    ]
    assert found.descriptions == {"LOINC//718-7": "Hemoglobin"}
    assert not found.counts


@pytest.mark.parametrize(
    ("obr", "obx14", "time"),
    [
        (OBR, "", datetime(2024, 1, 1, 8)),
        (OBR, "never", datetime(2024, 1, 1, 8)),
        ("OBR|1|||X||||||||||||||||||202401010930", "", datetime(2024, 1, 1, 9, 30)),
        ("OBR|1|||X", "", SENT),
    ],
)
def test_a_result_without_a_time_has_that_of_its_report_or_message(
    tmp_path: Path, obr: str, obx14: str, time: datetime
) -> None:
    found = Import(tmp_path, message(PID, obr, f"OBX|1|NM|1^A^LN||1||||||F|||{obx14}"))
    assert found.rows[0]["time"] == time
    assert found.counts == ({UNREADABLE: 1} if obx14 else {})


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("718-7^Hemoglobin^LN", "LOINC//718-7"),
        ("HB^Hb^L^718-7^Hemoglobin^LN", "LOINC//718-7"),
        ("718-7^^LN^1234^^SCT", "LOINC//718-7"),
        ("HB^Hb^99LAB", "HL7//99LAB//HB"),
        ("HB^Hb", "HL7//OBX-3//HB"),
        ("^Blood  count", "TEXT//Blood count"),
        ("A\\T\\B^^99\\F\\", "HL7//99|//A&B"),
        ("T-28000^Lung^SNM3", "SNOMED3//T-28000"),  # SNOMED International is not SNOMED CT
    ],
)
def test_the_code_is_that_of_a_known_system_else_the_sender_s(tmp_path: Path, field: str, code: str) -> None:
    assert Import(tmp_path, message(PID, f"OBX|1|NM|{field}||1||||||F")).codes() == [code]


@pytest.mark.parametrize(
    ("kind", "raw", "number", "text"),
    [
        ("NM", "-1.5e2", -150, None),
        ("NM", "<5", None, "<5"),
        ("NM", "nan", None, "nan"),
        ("NM", "1e300", None, "1e300"),
        ("NM", "1_000", None, "1_000"),
        ("SN", "<^5", 5, "<5"),
        ("SN", ">=^5.5", 5.5, ">=5.5"),
        ("SN", "^5", 5, None),
        ("SN", "=^5", 5, None),
        ("SN", "^1^:^128", None, "1:128"),
        ("SN", "^10^-^20", None, "10-20"),
        ("SN", "^2^+", None, "2+"),
        ("ST", "6.4", 6.4, "6.4"),
        ("ST", "a\\F\\b", None, "a|b"),
        ("CWE", "^Not seen", None, "Not seen"),
        ("DT", "20240101", None, "20240101"),
        ("TX", "mild~severe", None, "mild\nsevere"),
        ("FT", "mild\\.br\\severe", None, "mild\nsevere"),
    ],
)
def test_values_of_each_type(tmp_path: Path, kind: str, raw: str, number: float | None, text: str | None) -> None:
    found = Import(tmp_path, message(PID, f"OBX|1|{kind}|1^A^LN||{raw}||||||F"))
    (row,) = found.rows
    assert row.get("numeric_value") == (number if number is None else pytest.approx(number))
    assert row.get("text_value") == text
    assert found.counts == ({NO_NUMBER: 1} if kind == "NM" and number is None else {})


def test_repetitions_of_a_value_are_events(tmp_path: Path) -> None:
    found = Import(tmp_path, message(PID, "OBX|1|NM|1^A^LN||1~2||||||F", "OBX|2|ST|2^B^LN||a~b||||||F"))
    assert [row.get("numeric_value", row.get("text_value")) for row in found.rows] == [1, 2, "a", "b"]


def test_a_coded_value_is_part_of_the_code(tmp_path: Path) -> None:
    found = Import(tmp_path, message(PID, "OBX|1|CWE|22314-9^HAV IgM^LN||260385009^Negative^SCT~NEG||||||F"))
    assert found.codes() == ["LOINC//22314-9//SNOMED//260385009", "LOINC//22314-9//HL7//OBX-5//NEG"]
    assert found.descriptions["LOINC//22314-9//SNOMED//260385009"] == "HAV IgM: Negative"


@pytest.mark.parametrize(
    ("status", "of_report", "result"),
    [
        ("F", "", True),
        ("C", "", True),
        ("", "", True),
        ("", "F", True),
        ("", "P", False),
        ("F", "P", True),
        *((status, "F", False) for status in "DINOPRSWX"),
        ("Q", "F", False),
    ],
)
def test_only_final_and_corrected_values_are_results(tmp_path: Path, status: str, of_report: str, result: bool) -> None:
    obr = "OBR|1|||X" + "|" * 21 + of_report
    found = Import(tmp_path, message(PID, obr, f"OBX|1|NM|1^A^LN||1||||||{status}"))
    assert bool(found.rows) == result
    assert sum(found.counts.values()) == (0 if result else 1)
    assert all(reason.startswith("result ") for reason in found.counts)


@pytest.mark.parametrize("raw", ["", '""'])
def test_a_result_without_a_value_is_counted(tmp_path: Path, raw: str) -> None:
    found = Import(tmp_path, message(PID, f"OBX|1|NM|1^A^LN||{raw}||||||F"))
    assert (found.rows, found.counts) == ([], {NO_VALUE: 1})


@pytest.mark.parametrize(
    ("obr22", "obx14", "obx19", "known"),
    [
        ("202401010930", "202401010815", "", datetime(2024, 1, 1, 9, 30)),
        ("", "202401010815", "", SENT),  # nobody knew before the message
        ("", "202401010815", "202401010900", SENT),
        ("202401010930", "202401010815", "202401011000", datetime(2024, 1, 1, 10)),
        ("202401010800", "202401010815", "", None),  # reported before it was observed: at its own time
        ("20240101", "202401010815", "", datetime(2024, 1, 1, 23, 59, 59, 999999)),
        ("202401010930", "20240101", "", datetime(2024, 1, 1, 23, 59, 59, 999999)),
        ("202401010930", "2023", "", datetime(2024, 1, 1, 9, 30)),
        ("", "20240102", "", datetime(2024, 1, 2, 23, 59, 59, 999999)),
    ],
)
@pytest.mark.parametrize("kind", ["NM", "ST", "TX", "CWE"])
def test_a_result_is_known_when_it_is_reported_else_when_the_message_comes(
    tmp_path: Path, kind: str, obr22: str, obx14: str, obx19: str, known: datetime | None
) -> None:
    obr = "OBR|1|||X|||202401010800" + "|" * 15 + obr22
    found = Import(tmp_path, message(PID, obr, f"OBX|1|{kind}|1^A^LN||13||||||F|||{obx14}|||||{obx19}"))
    assert found.rows[0].get("available_time") == known
    assert found.rows[0]["time"] == datetime.strptime((obx14 + "0101")[:8] + (obx14[8:] or "0000"), "%Y%m%d%H%M")


@pytest.mark.parametrize(
    ("end", "rows"),
    [
        ("OBX|1|NM|718-7^Hb^LN||13", 0),  # of 13.5|g/dL|…
        ("OBX|1|NM|718-7^Hb^LN||13\r", 1),
        ("OBX|1|NM|718-7^Hb^LN||13\nOBX|2|NM|718-7^Hb^LN||14\n", 2),
        ("OBX|1|NM|718-7^Hb^LN||13||||||F", 1),
        ("OBX|1|NM|718-7^Hb^LN||13\x1c", 1),
    ],
)
def test_a_result_cut_off_at_the_end_of_the_file_is_none(tmp_path: Path, end: str, rows: int) -> None:
    found = Import(tmp_path, GOOD + message(PID) + end)
    assert len(found.rows) == 1 + rows
    assert found.counts == ({} if rows else {CUT_OFF: 1})
    if not rows:
        assert found.kept[0]["where"] == "feed.hl7, message 2" and found.kept[0]["record"] == end


def test_each_order_of_a_message_is_known_when_it_is_reported(tmp_path: Path) -> None:
    obx, later = "OBX|1|NM|1^A^LN||1||||||F", OBR.replace("202401010930", "202401011130")
    found = Import(tmp_path, message(PID, OBR, obx, later, obx, "OBR|1|||X|||202401010800", obx))
    assert [row["available_time"] for row in found.rows] == [
        datetime(2024, 1, 1, 9, 30),
        datetime(2024, 1, 1, 11, 30),
        SENT,
    ]


def test_lines_of_a_report_are_one_text(tmp_path: Path) -> None:
    texts = [f"OBX|{at}|TX|||{line}||||||F" for at, line in enumerate(["Chest film.", "", "Clear."], 1) if line]
    found = Import(tmp_path, message(PID, OBR, *texts, "OBX|4|NM|1^A^LN||1||||||F", "OBX|5|TX|||Later.||||||F"))
    assert [(row["code"], row.get("text_value")) for row in found.rows] == [
        ("LOINC//24323-8", "Chest film.\nClear."),
        ("LOINC//1", None),
        ("LOINC//24323-8", "Later."),
    ]


def test_who_the_patient_is(tmp_path: Path) -> None:
    pid = (
        "PID|1||9^^^B^SS~17^^^A^MR||DOE^JANE||19870622|F||2106-3^White^HL70005~2028-9^Asian^HL70005||||"
        "|en|M||||||N^Not Hispanic^HL70189|||||||20240101|Y"
    )
    found = Import(tmp_path, message(pid, kind="ADT^A08"))
    assert {row["subject_id"] for row in found.rows} == {17}
    assert [(row["code"], row.get("time")) for row in found.rows] == [
        ("MEDS_BIRTH", datetime(1987, 6, 22)),
        # a day without a time: the patient was alive at its 00:00
        ("MEDS_DEATH", datetime(2024, 1, 1, 23, 59, 59, 999999)),
        ("GENDER//female", None),
        ("RACE//2106-3", None),
        ("RACE//2028-9", None),
        ("ETHNICITY//N", None),
        ("MARITAL_STATUS//M", None),
        ("LANGUAGE//en", None),
    ]


def test_a_death_without_a_time_is_counted_and_no_event_that_was_always_known(tmp_path: Path) -> None:
    found = Import(tmp_path, message(PID + "|" * 27 + "Y", kind="ADT^A08"))
    assert found.rows == []
    assert found.counts == {"death without a time (PID-29)": 1}


def test_a_number_from_two_authorities_is_counted(tmp_path: Path) -> None:
    obx = "OBX|1|NM|1^A^LN||1||||||F"
    found = Import(tmp_path, message(PID, obx) + message("PID|1||17^^^B^MR", obx))
    assert {row["subject_id"] for row in found.rows} == {17}
    assert found.counts == {TWO_AUTHORITIES: 1}


def test_a_number_from_two_authorities_is_counted_between_files_and_between_imports(tmp_path: Path) -> None:
    obx = "OBX|1|NM|1^A^LN||1||||||F"
    for name in "AAB":
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / f"{name}.hl7").write_text(message(f"PID|1||17^^^{name}^MR", obx) + message("PID|1||18", obx))
    both = import_records(tmp_path, "hl7v2", tmp_path / "both", progress=False)
    assert both.rejected == {TWO_AUTHORITIES: 1}
    store = tmp_path / "store"
    assert not import_records(tmp_path / "A", "hl7v2", store, progress=False).rejected
    assert import_records(tmp_path / "B", "hl7v2", store, progress=False).rejected == {TWO_AUTHORITIES: 1}
    kept = (store / "metadata" / "rejected.ndjson").read_text()
    assert "17: A, B" in kept


EVN = "EVN|A01|20240101100000||||20240101090000"
STAY = "PV1|1|I|6N^1^A" + "|" * 16 + "V1"


def stay(admitted: str = "", discharged: str = "", to: str = "") -> str:
    return STAY + "|" * 17 + to + "|" * 8 + admitted + "|" + discharged


@pytest.mark.parametrize(
    ("trigger", "pv1", "expected"),
    [
        ("A01", stay(), [("VISIT//I//START", datetime(2024, 1, 1, 9))]),
        ("A04", stay("202401010730"), [("VISIT//I//START", datetime(2024, 1, 1, 7, 30))]),
        ("A03", stay(), [("VISIT//I//END", datetime(2024, 1, 1, 9))]),
        (
            "A03",
            stay("202401010730", "202401030730", "20"),
            [
                ("VISIT//I//START", datetime(2024, 1, 1, 7, 30)),
                ("VISIT//I//END", datetime(2024, 1, 3, 7, 30)),
                ("DISCHARGE//20", datetime(2024, 1, 3, 7, 30)),
            ],
        ),
        ("A02", stay(), [("TRANSFER//6N", datetime(2024, 1, 1, 9))]),
        ("A08", stay("202401010730"), [("VISIT//I//START", datetime(2024, 1, 1, 7, 30))]),
        ("A08", stay(), []),
        # a day without a time of day is not over before what began on it
        (
            "A08",
            stay("202401010730", "20240101"),
            [
                ("VISIT//I//START", datetime(2024, 1, 1, 7, 30)),
                ("VISIT//I//END", datetime(2024, 1, 1, 23, 59, 59, 999999)),
            ],
        ),
    ],
)
def test_visits_begin_and_end(tmp_path: Path, trigger: str, pv1: str, expected: list[tuple[str, datetime]]) -> None:
    found = Import(tmp_path, message(EVN, PID, pv1, kind=f"ADT^{trigger}"))
    assert [(row["code"], row["time"]) for row in found.rows] == expected
    assert {row["encounter_id"] for row in found.rows} <= {number_of("V1")}
    assert not found.counts


@pytest.mark.parametrize(
    ("kind", "segment", "name"),
    [
        ("ADT^A08", stay("202401030730", "202401010730"), "PV1"),
        ("PPR^PC1", "PRB|AD|20231231|K80.00^Stones^I10|5|||20230301||20230101", "PRB"),
    ],
)
def test_an_end_before_the_beginning_is_counted_and_none(tmp_path: Path, kind: str, segment: str, name: str) -> None:
    found = Import(tmp_path, message(EVN, PID, segment, kind=kind))
    assert len(found.rows) == 1 and not found.codes()[0].endswith("//END")
    assert found.counts == {f"{name}: ends before it begins": 1}


def test_what_a_message_takes_back_is_counted(tmp_path: Path) -> None:
    cancelled = message(EVN, PID, stay("202401010730"), kind="ADT^A11")
    merged = message(EVN, PID, "MRG|18", kind="ADT^A40")
    found = Import(tmp_path, cancelled + merged)
    assert found.rows == []
    assert found.counts == {"cancellation not applied: A11": 1, "patient merge not applied (MRG)": 1}


@pytest.mark.parametrize(
    ("kind", "segments", "expected"),
    [
        ("ADT^A08", ["DG1|1||A01.3^Typhoid^I10C||20231231"], [("ICD10CM//A01.3", datetime(2023, 12, 31))]),
        ("ADT^A08", ["DG1|1|I9|250.00|Diabetes|"], [("ICD9CM//250.00", SENT)]),
        ("ADT^A08", ["PR1|1||B45^Scan^L||202312310800"], [("HL7//L//B45", datetime(2023, 12, 31, 8))]),
        ("ADT^A08", ["AL1|1|DA|1605^acetaminophen^L|MO|hives"], [("ALLERGY//HL7//L//1605", SENT)]),
        ("ADT^A08", ["AL1|1|DA|^OXYCODONE"], [("ALLERGY//TEXT//OXYCODONE", SENT)]),
        (
            "PPR^PC1",
            ["PRB|AD|20231231|K80.00^Stones^I10|5|||20230101||20230301"],
            [("ICD10//K80.00", datetime(2023, 1, 1)), ("ICD10//K80.00//END", datetime(2023, 3, 1))],
        ),
        ("VXU^V04", ["ORC|RE", "RXA|0|1|20130531||48^HIB^CVX|0.5|ML^^UCUM"], [("CVX//48", datetime(2013, 5, 31))]),
        (
            "RDE^O11",
            ["ORC|NW|||||||20240101", "RXE|^^^20240102|7^Pill^NDC|1||TAB"],
            [("NDC//7", datetime(2024, 1, 2))],
        ),
        ("OMP^O09", ["ORC|NW|||||||^^^20240103", "RXO|7^Pill^NDC|1"], [("NDC//7", SENT)]),
        (
            "ORM^O01",
            ["ORC|NW||||||||20240101", "OBR|1|||58410-2^CBC^LN"],
            [("ORDER//LOINC//58410-2", datetime(2024, 1, 1))],
        ),
        (
            "DFT^P03",
            ["FT1|1|||20231231||CG|71020^Film^C4||||||||||||J18.9^^I10"],
            [("CHARGE//CPT//71020", datetime(2023, 12, 31)), ("ICD10//J18.9", datetime(2023, 12, 31))],
        ),
    ],
)
def test_each_kind_of_segment(
    tmp_path: Path, kind: str, segments: list[str], expected: list[tuple[str, datetime]]
) -> None:
    found = Import(tmp_path, message(PID, *segments, kind=kind))
    assert [(row["code"], row["time"]) for row in found.rows] == expected
    assert not found.counts


@pytest.mark.parametrize(
    ("kind", "segments", "reason"),
    [
        ("RDE^O11", ["ORC|CA", "RXE|^^^20240102|7^Pill^NDC|1||TAB"], "RXE: order cancelled"),
        ("ORM^O01", ["ORC|DC", "OBR|1|||58410-2^CBC^LN"], "OBR: order discontinued"),
        ("VXU^V04", ["RXA|0|1|20130531||48^HIB^CVX|0.5" + "|" * 14 + "RE"], "RXA: refused"),
        ("VXU^V04", ["RXA|0|1|20130531||998^None^CVX|999"], "RXA: not administered"),
        ("DFT^P03", ["FT1|1|||20231231||CD|71020"], "FT1: credit"),
        ("ADT^A08", ["DG1|1||" + "A01.3^^I10" + "|" * 18 + "D"], "DG1: deleted by its sender"),
        ("ADT^A08", ["DG1|1"], "DG1: no code"),
        ("ADT^A08", ["ZPD|1|pets"], "segment not mapped: ZPD"),
        ("ADT^A08", ["and so on"], "line that is no segment"),
        ("ORU^R01", ["OBX|1|ED|1^A^LN||^^^^UERG||||||F"], "value type not mapped: ED"),
        ("ORU^R01", ["OBX|1|NM|||1||||||F"], "OBX: no code"),
    ],
)
def test_what_is_not_mapped_is_counted_and_kept(tmp_path: Path, kind: str, segments: list[str], reason: str) -> None:
    found = Import(tmp_path, message(PID, *segments, kind=kind))
    assert (found.rows, found.counts) == ([], {reason: 1})
    (kept,) = found.kept
    assert kept["where"] == "feed.hl7, message 1"
    assert kept["record"] == segments[-1]


def test_a_dose_of_999_is_unknown(tmp_path: Path) -> None:
    found = Import(tmp_path, message(PID, "RXA|0|1|20130415||31^Hep B^CVX|999", kind="VXU^V04"))
    (row,) = found.rows
    assert row == {
        "subject_id": 17,
        "time": datetime(2013, 4, 15),
        "code": "CVX//31",
        # of a day without a time it is not known before the day is over
        "available_time": datetime(2013, 4, 15, 23, 59, 59, 999999),
    }


def test_a_document_has_its_lines_as_text(tmp_path: Path) -> None:
    lines = [f"OBX|{at}|TX|1^Note||{text}||||||F" for at, text in enumerate(["Stable.", "Home."], 1)]
    txa = "TXA|1|DS^Discharge summary^L|TX|202401011200|||202401011500"
    found = Import(tmp_path, message(PID, PV1, txa, *lines, kind="MDM^T02"))
    assert found.rows == [
        {
            "subject_id": 17,
            "time": datetime(2024, 1, 1, 12),
            "code": "HL7//L//DS",
            "text_value": "Stable.\nHome.",
            "available_time": datetime(2024, 1, 1, 15),
            "encounter_id": number_of("V1"),
        }
    ]


@pytest.mark.parametrize(
    ("fields", "known"),
    [
        ({7: "202401011500"}, datetime(2024, 1, 1, 15)),
        ({}, SENT),
        ({6: "202401031500"}, datetime(2024, 1, 3, 15)),
        ({7: "202401011500", 8: "202401011600~202401011700"}, datetime(2024, 1, 1, 17)),
        ({7: "202401011500", 22: "1^DOE" + "^" * 13 + "202401011800"}, datetime(2024, 1, 1, 18)),
        ({7: "20240101"}, datetime(2024, 1, 1, 23, 59, 59, 999999)),
    ],
)
def test_a_document_is_known_when_its_text_was_made_else_when_the_message_comes(
    tmp_path: Path, fields: dict[int, str], known: datetime
) -> None:
    txa = ["TXA", "1", "DS^Discharge summary^L", "TX", "202401011200", *[fields.get(at, "") for at in range(5, 23)]]
    (row,) = Import(tmp_path, message(PID, "|".join(txa), "OBX|1|TX|1^N||Home.||||||F", kind="MDM^T02")).rows
    assert (row["time"], row["available_time"]) == (datetime(2024, 1, 1, 12), known)


def test_patients_and_orders_of_one_message_are_kept_apart(tmp_path: Path) -> None:
    obx = "OBX|1|NM|1^A^LN||{}||||||F"
    later = "OBR|1|||X|||202401020800"
    found = Import(
        tmp_path,
        message(PID, PV1, OBR, obx.format(1), later, obx.format(2), "PID|2||18", obx.format(3))
        + message(obx.format(4)),
    )
    assert [(row["subject_id"], row["time"], row.get("encounter_id")) for row in found.rows] == [
        (17, datetime(2024, 1, 1, 8), number_of("V1")),
        (17, datetime(2024, 1, 2, 8), number_of("V1")),
        (18, SENT, None),
    ]
    assert found.counts == {f"OBX: {NO_PATIENT}": 1}


GOOD = message(PID, "OBX|1|NM|1^A^LN||1||||||F")


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("PID|1||9\r", NO_HEADER),
        ("MSH|^~\\&|LAB\r", NO_TYPE),
        ("MSH", NO_SEPARATORS),
        ("MSHxxxxx|LAB\rPID|1||9\r", NO_SEPARATORS),
        (message(PID, kind="ACK^R01"), "message type not mapped: ACK"),
        (message(PID, kind="CUSTOM^PAT"), "message type not known (MSH-9)"),
    ],
)
def test_a_damaged_message_is_counted_and_the_rest_of_the_file_read(tmp_path: Path, bad: str, reason: str) -> None:
    if bad.startswith("MSH"):
        bad = GOOD + bad + "\r"
    found = Import(tmp_path, bad + GOOD)
    assert found.codes() == ["LOINC//1"] * (2 if "MSH" in bad else 1)
    assert found.counts == {reason: 1}


def test_separators_are_those_of_each_message(tmp_path: Path) -> None:
    other = "MSH#*~\\&#LAB#A#EHR#B#20240102030405##ORU*R01#7#P#2.5.1\rPID#1##18***A\rOBX#1#NM#9*B|C*LN##2#g|l#####F\r"
    found = Import(tmp_path, GOOD + other + GOOD)
    assert [(row["subject_id"], row["code"], row.get("unit")) for row in found.rows] == [
        (17, "LOINC//1", None),
        (18, "LOINC//9", "g|l"),
        (17, "LOINC//1", None),
    ]
    assert found.descriptions["LOINC//9"] == "B|C"


def test_batches_are_read_and_their_counts_compared(tmp_path: Path) -> None:
    batch = f"FHS|^~\\&|A\rBHS|^~\\&|A\r{GOOD * 2}BTS|{{}}\rFTS|1\r"
    assert Import(tmp_path, batch.format(2)).counts == {}
    assert len(Import(tmp_path, batch.format(2)).rows) == 2
    assert sum(Import(tmp_path, batch.format(3)).counts.values()) == 1
    unread = batch.format(3).replace("BTS", message(kind="ACK") + "BTS")
    assert Import(tmp_path, unread).counts == {"message type not mapped: ACK": 1}


def test_zones_are_those_of_the_value_then_of_the_message_and_mixtures_are_counted(tmp_path: Path) -> None:
    def obx(time: str) -> str:
        return f"OBX|1|NM|1^A^LN||1||||||F|||{time}"

    zoned = message(
        PID + "||||20240101", obx("202401010800"), obx("202401010800+0100"), obx("20240101"), sent="20240102030405-0500"
    )
    found = Import(tmp_path, zoned)
    assert [row["time"].hour for row in found.rows] == [0, 13, 7, 0]
    assert not found.counts
    mixed = Import(tmp_path, zoned + message(PID, obx("202401010900")))
    assert [row["time"].hour for row in mixed.rows][-1] == 9
    assert mixed.counts == {MIXED: 1}


def test_the_same_message_twice_is_read_twice(tmp_path: Path) -> None:
    assert len(Import(tmp_path, GOOD + GOOD).rows) == 2


def test_no_time_at_all_is_no_event(tmp_path: Path) -> None:
    found = Import(tmp_path, message(PID, "DG1|1||A01.3^^I10", "OBX|1|NM|1^A^LN||1||||||F", sent=""))
    assert (found.rows, found.counts) == ([], {f"DG1: {NO_TIME}": 1, f"OBX: {NO_TIME}": 1})


def test_reading_again_gives_the_same_and_batches_are_bounded(tmp_path: Path) -> None:
    many = "".join(message(f"PID|1||{at % 97}||||1987|F", f"OBX|1|NM|1^A^LN||{at}||||||F") for at in range(70_000))
    path = tmp_path / "many.hl7.gz"
    path.write_bytes(gzip.compress(many.encode(), 1))
    (part,) = HL7V2.parts(path)
    tables = list(HL7V2.read(part, Rejects(), Described()))
    assert [len(table) < 70_000 for table in tables] == [True, True]
    assert sum(map(len, tables)) == 70_000 + 2 * 97
    assert tables == list(HL7V2.read(part, Rejects(), Described()))


def test_parts_are_files_that_hold_messages(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name, text in {
        "a/1.HL7": GOOD,
        "a/2.txt": GOOD,
        "a/note.txt": "hello",
        "3": "\x0b" + GOOD,
        "x.csv": GOOD,
    }.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "4.hl7.gz").write_bytes(gzip.compress(GOOD.encode()))
    (tmp_path / "5.txt.gz").write_bytes(gzip.compress(GOOD.encode())[:20])
    (part,) = HL7V2.parts(tmp_path)
    assert part.name == "3 to a/2.txt"
    assert [file.relative_to(tmp_path).as_posix() for file in part.files] == ["3", "4.hl7.gz", "a/1.HL7", "a/2.txt"]
    assert [part.name for part in HL7V2.parts(tmp_path / "x.csv")] == ["x.csv"]
    for nothing in (tmp_path / "a" / "note.txt", tmp_path / "none"):
        with pytest.raises(DataError, match="no HL7 v2 messages"):
            HL7V2.parts(nothing)


def test_many_small_files_are_one_part_and_what_is_refused_names_its_file(tmp_path: Path) -> None:
    for number in range(300):
        broken = "\rZZZ" if number == 123 else ""
        text = message(f"PID|1||{number}", f"OBX|1|NM|1^A^LN||{number}||||||F{broken}")
        (tmp_path / f"{number:03d}.hl7").write_text(text)
    parts, rejects = HL7V2.parts(tmp_path), Rejects()
    assert len(parts) < 5 and sum(len(part.files) for part in parts) == 300
    found = [row for part in parts for table in HL7V2.read(part, rejects, Described()) for row in table.to_pylist()]
    assert [row["numeric_value"] for row in found] == list(range(300))
    assert [row["subject_id"] for row in found] == list(range(300))
    assert [each["where"] for each in rejects.kept] == ["123.hl7, message 1"]


def test_a_truncated_gzip_file_is_an_error(tmp_path: Path) -> None:
    rng = random.Random(0)
    noise = "".join(message(PID, f"OBX|1|NM|1^A^LN||{rng.random()}||||||F") for _ in range(20_000))
    with pytest.raises(FileUnreadable, match=r"feed\.hl7\.gz"):
        Import(tmp_path, gzip.compress(noise.encode())[:-1000], "feed.hl7.gz")


def real(shared_data: Path) -> list[Path]:
    files = sorted((shared_data / "hl7v2").glob("*.hl7"))
    assert len(files) == 60
    return files


def test_every_real_message_is_read_or_counted(shared_data: Path, tmp_path: Path) -> None:
    for path in real(shared_data):
        found = Import(tmp_path, path.read_bytes())
        assert found.rows or found.counts, path.name
        whole = any(reason.startswith("message type") for reason in found.counts)
        segments = path.read_bytes().decode().replace("\n", "\r").split("\r")[1:]
        names = [segment[:3] for segment in segments if segment]
        for name in set(names) - set(SEGMENTS) if not whole else ():
            assert found.counts[f"segment not mapped: {name}"] == names.count(name), path.name


def test_real_results_are_those_an_independent_reading_finds(shared_data: Path, tmp_path: Path) -> None:
    """Final NM results of LOINC codes of patients with a number, picked by position."""
    expected, actual, known = [], [], False
    for path in real(shared_data):
        for line in path.read_bytes().decode().split("\r"):
            fields = line.split("|") + [""] * 12
            coding = [*fields[3].split("^"), "", "", ""]
            known = any(fields[2:5]) if fields[0] == "PID" else known
            if known and fields[0] == "OBX" and fields[2] == "NM" and fields[11] == "F" and coding[2] == "LN":
                expected.append((f"LOINC//{coding[0]}", round(float(fields[5]), 4)))
        rows = Import(tmp_path, path.read_bytes()).rows
        actual += [
            (r["code"], round(r["numeric_value"], 4))
            for r in rows
            if "numeric_value" in r and r["code"][:7] == "LOINC//"
        ]
    assert actual == expected != []


@given(
    st.integers(0, 59),
    st.lists(st.tuples(st.integers(0, 4000), st.binary(max_size=3)), max_size=6),
    st.integers(0, 4000),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_damage_never_stops_the_import(
    shared_data: Path, tmp_path: Path, which: int, damage: list[tuple[int, bytes]], cut: int
) -> None:
    data = bytearray(real(shared_data)[which].read_bytes())
    for at, blob in damage:
        data[at % len(data) : at % len(data) + len(blob)] = blob
    found = Import(tmp_path, b"MSH" + bytes(data[cut % len(data) :]) + b"\r" + GOOD.encode())
    assert "LOINC//1" in found.codes()
