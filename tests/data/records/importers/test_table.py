from __future__ import annotations

import csv
import gzip
import io
import statistics
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from meds import DataSchema

from suwen.core.errors import DataError, FileUnreadable
from suwen.core.registry import IMPORTERS
from suwen.data.records.building import import_records
from suwen.data.records.events import SCHEMA, number_of
from suwen.data.records.importers.table import TableImporter
from suwen.data.records.rejects import Rejects
from suwen.data.records.source import Described
from suwen.data.records.store import RecordStore
from suwen.data.records.tables.rows import PART
from suwen.data.records.tables.zones import SEVERAL

DATA = Path(__file__).resolve().parents[4] / ".." / "shared" / "data"
BEGIN = datetime(2000, 1, 1)

Event = dict[str, Any]


class Read:
    """All that an importer makes of a source, part by part."""

    def __init__(self, name: str, source: Path, only: str = "") -> None:
        importer = TableImporter(name)
        self.described = Described()
        self.tables: dict[str, list[pa.Table]] = {}
        self.rejects: dict[str, Rejects] = {}
        for part in importer.parts(source):
            if only in part.name:
                self.rejects[part.name] = Rejects()
                self.tables[part.name] = list(importer.read(part, self.rejects[part.name], self.described))

    def events(self, part: str = "") -> list[Event]:
        return [
            row for name, tables in self.tables.items() if part in name for each in tables for row in each.to_pylist()
        ]

    def counts(self, part: str = "") -> Counter[str]:
        return sum((each.counts for name, each in self.rejects.items() if part in name), Counter())

    def rejected(self, part: str = "") -> int:
        """Rows that gave nothing."""
        return sum(count for reason, count in self.counts(part).items() if not reason.startswith(PART))

    def of(self, subject: str) -> list[Event]:
        return [row for row in self.events() if row["subject_id"] == number_of(subject)]


def real(name: str) -> Path:
    if not (DATA / name).exists():
        pytest.skip(f"{name} is not among the shared data")
    return DATA / name


def rows_of(text: str, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text, encoding="utf-8")
    return folder


OWN = """
name: own
tables:
  - files: labs.*
    subject: patient
    time: taken
    events: [{code: "LAB//{test}", value: result, or_text: true, unit: "{unit}"}]
"""
LABS = "patient,test,taken,result,unit\n1,K,2001-02-03 04:05:06,4.1,mmol/L\nA-2,K,2001-02-03,high,\n"


def told(events: list[Event]) -> list[tuple[Any, ...]]:
    return [
        (row["subject_id"], row["time"], row["code"], row["numeric_value"], row["text_value"], row["unit"])
        for row in events
    ]


LABS_TOLD = [
    (1, datetime(2001, 2, 3, 4, 5, 6), "LAB//K", pytest.approx(4.1), None, "mmol/L"),
    (number_of("A-2"), datetime(2001, 2, 3), "LAB//K", None, "high", None),
]


def as_csv(folder: Path) -> None:
    write(folder, labs__csv=LABS)


def with_a_byte_order_mark(folder: Path) -> None:
    write(folder, labs__csv="\ufeff" + LABS.replace("\n", "\r\n"))


def as_gzip(folder: Path) -> None:
    (folder / "labs.csv.gz").write_bytes(gzip.compress(LABS.encode()))


def in_a_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "all.zip", "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("deep/labs.csv", LABS)
        made.writestr("__MACOSX/deep/labs.csv", "rubbish")


def gzip_in_a_zip(folder: Path) -> None:
    with zipfile.ZipFile(folder / "all.zip", "w") as made:
        made.writestr("labs.csv.gz", gzip.compress(LABS.encode()))


def as_parquet(folder: Path) -> None:
    columns = {name: [row[name] or None for row in rows_of(LABS)] for name in rows_of(LABS)[0]}
    pq.write_table(pa.table(columns), folder / "labs.parquet")


def in_other_letters(folder: Path) -> None:
    write(folder, labs__csv=LABS.replace("patient,test", "PATIENT,Test"))


@pytest.mark.parametrize(
    "laid", [as_csv, with_a_byte_order_mark, as_gzip, in_a_zip, gzip_in_a_zip, as_parquet, in_other_letters]
)
def test_a_table_gives_the_same_events_wherever_it_lies(laid: Callable[[Path], None], tmp_path: Path) -> None:
    write(tmp_path, mapping__yaml=OWN)
    laid(tmp_path)
    read = Read("", tmp_path)
    assert told(read.events()) == LABS_TOLD and not read.counts()
    assert all(table.schema == SCHEMA for tables in read.tables.values() for table in tables)
    assert told(Read("", tmp_path / "mapping.yaml").events()) == LABS_TOLD


def test_separators_encodings_headers_and_columns_of_the_path(tmp_path: Path) -> None:
    mapping = """
name: own
tables:
  - files: "*.psv"
    path: "{ward}/p{who}.psv"
    separator: "|"
    encoding: gb18030
    header: [day, what]
    subject: who
    time: {column: day, format: "%d.%m.%Y"}
    events: [{code: "{ward}//{what}"}]
"""
    write(tmp_path, mapping__yaml=mapping)
    (tmp_path / "内科").mkdir()
    (tmp_path / "内科" / "p7.psv").write_bytes("31.01.2001|咳嗽\n".encode("gb18030"))
    assert told(Read("", tmp_path).events()) == [(7, datetime(2001, 1, 31), "内科//咳嗽", None, None, None)]


def test_another_encoding_is_an_error_that_says_so(tmp_path: Path) -> None:
    write(tmp_path, mapping__yaml=OWN)
    (tmp_path / "labs.csv").write_bytes(LABS.replace("high", "高").encode("gb18030"))
    with pytest.raises(FileUnreadable, match=r"labs\.csv") as error:
        Read("", tmp_path)
    assert "encoding:" in error.value.fix


def test_a_column_that_is_not_there_is_refused_before_anything_is_read_with_those_that_are(tmp_path: Path) -> None:
    write(tmp_path, mapping__yaml=OWN, labs__csv=LABS.replace("result", "outcome"))
    with pytest.raises(DataError, match=r"labs\.csv has no column result") as error:
        TableImporter("").parts(tmp_path)
    assert error.value.why == "its columns are patient, test, taken, outcome, unit"


def test_nothing_of_a_mapping_is_refused_with_what_was_looked_for(tmp_path: Path) -> None:
    write(tmp_path, other__csv="a\n1\n")
    with pytest.raises(DataError, match="no table of MIMIC-III") as error:
        TableImporter("mimic3").parts(tmp_path)
    assert "PATIENTS.csv" in error.value.why
    with pytest.raises(DataError, match=r"no mapping\.yaml"):
        TableImporter("").parts(tmp_path)


def test_damaged_files_are_unreadable_and_named(tmp_path: Path) -> None:
    write(tmp_path, mapping__yaml=OWN)
    (tmp_path / "labs.csv.gz").write_bytes(gzip.compress(LABS.encode() * 1000)[:-20])
    with pytest.raises(FileUnreadable, match=r"labs\.csv\.gz"):
        Read("", tmp_path)
    (tmp_path / "labs.csv.gz").unlink()
    (tmp_path / "labs.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(FileUnreadable, match=r"labs\.parquet"):
        Read("", tmp_path)


def test_what_cannot_be_mapped_is_counted_once_a_row_and_kept_with_its_place(tmp_path: Path) -> None:
    bad = ",K,2001-01-01,1,\n1,K,yesterday,1,\n1,K,,1,\n1,,2001-01-01,1,\n1,K,2001-01-01\n"
    write(tmp_path, mapping__yaml=OWN, labs__csv=LABS + bad, strange__csv='a,b\n1,"x"\n2,y')
    read = Read("", tmp_path)
    assert told(read.events()) == LABS_TOLD
    assert read.counts() == {
        "no subject": 1,
        "time does not parse: taken": 1,
        "no time": 1,
        "no code: test is empty": 1,
        "too few or too many fields": 1,
        "table not mapped: strange": 2,
    }
    kept = {each["reason"]: each for rejects in read.rejects.values() for each in rejects.kept}
    assert kept["no subject"]["where"] == "labs.csv, row 3" and '"K"' in kept["no subject"]["record"]


def test_rows_of_many_batches_are_all_there_in_their_order(tmp_path: Path) -> None:
    unit = "u" * 40
    lines = [f"{n % 5000},T{n % 7},2001-01-01 00:00:{n % 60:02d},{n},{unit}" for n in range(150_000)]
    write(tmp_path, mapping__yaml=OWN, labs__csv="patient,test,taken,result,unit\n" + "\n".join(lines) + "\n,K,,,\n")
    read = Read("", tmp_path)
    tables = read.tables["labs.csv"]
    assert len(tables) > 1
    assert pa.concat_tables(tables)["numeric_value"].to_pylist() == list(range(150_000))
    assert [each["where"] for each in read.rejects["labs.csv"].kept] == ["labs.csv, row 150001"]


def test_members_of_a_large_zip_are_in_one_part_each_and_in_their_order() -> None:
    source = real("physionet2012/set-a.zip")
    parts = TableImporter("physionet2012").parts(source)
    members = [member for part in parts for member in part.options["members"]]
    with zipfile.ZipFile(source) as opened:
        assert len(parts) > 1 and members == sorted(name for name in opened.namelist() if not name.endswith("/"))
    assert len({part.name for part in parts}) == len(parts)


def test_many_small_files_of_a_table_are_one_part_and_what_is_refused_names_its_file(tmp_path: Path) -> None:
    for number in range(300):
        subject = "" if number == 123 else number
        text = f"patient,test,taken,result,unit\n{subject},K,2001-01-01 00:00:00,{number},mmol/L\n"
        (tmp_path / f"labs{number:03d}.csv").write_text(text)
    write(tmp_path, mapping__yaml=OWN.replace("labs.*", "labs*.csv"))
    parts, read = TableImporter("").parts(tmp_path), Read("", tmp_path)
    assert len(parts) < 5 and len({part.name for part in parts}) == len(parts)
    assert [each["numeric_value"] for each in read.events()] == [n for n in range(300) if n != 123]
    kept = [each["where"] for rejects in read.rejects.values() for each in rejects.kept]
    assert kept == ["labs123.csv, row 1"]


def test_an_import_of_a_mapping_is_a_store_and_again_changes_nothing(tmp_path: Path) -> None:
    IMPORTERS._added["table-of-test"] = TableImporter()
    source = write(tmp_path / "source", mapping__yaml=OWN, labs__csv=LABS)
    first = import_records(source, "table-of-test", tmp_path / "store", progress=False)
    again = import_records(source, "table-of-test", tmp_path / "store", progress=False)
    assert first.events == again.events == 2 and again.known == 1
    for table in RecordStore(tmp_path / "store").tables():
        DataSchema.validate(table)


MIMIC_ROW = {
    "PATIENTS": "GENDER//",
    "ADMISSIONS": "HOSPITAL_ADMISSION//",
    "ICUSTAYS": "ICU_STAY//*START",
    "TRANSFERS": "TRANSFER//",
    "SERVICES": "SERVICE//",
    "CALLOUT": "CALLOUT//REQUESTED//",
    "DIAGNOSES_ICD": "DIAGNOSIS//ICD9CM//",
    "PROCEDURES_ICD": "PROCEDURE//ICD9PCS//",
    "DRGCODES": "DRG//",
    "CPTEVENTS": "CPT//",
    "PRESCRIPTIONS": "PRESCRIPTION//*START",
    "INPUTEVENTS_MV": "INPUT//*START",
    "OUTPUTEVENTS": "OUTPUT//",
    "PROCEDUREEVENTS_MV": "PROCEDURE_ICU//*START",
    "DATETIMEEVENTS": "DATETIME//",
    "MICROBIOLOGYEVENTS": "MICROBIOLOGY//SPECIMEN//",
    "NOTEEVENTS": "NOTE//",
}
"""Table → the event that every row of it gives."""


@pytest.fixture(scope="module")
def mimic() -> Iterator[Read]:
    yield Read("mimic3", real("mimic3_demo"))


def mimic_table(name: str) -> list[dict[str, str]]:
    return rows_of((real("mimic3_demo") / f"{name}.csv").read_text(encoding="utf-8"))


def at(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


@pytest.mark.parametrize("name", MIMIC_ROW)
def test_every_row_of_mimic_gives_its_event_or_is_counted(name: str, mimic: Read) -> None:
    begin, _, end = MIMIC_ROW[name].partition("*")
    codes = [row["code"] for row in mimic.events(f"{name}.csv")]
    made = sum(code.startswith(begin) and code.endswith(end) for code in codes)
    assert made + mimic.rejected(f"{name}.csv") == len(mimic_table(name))


def test_every_table_of_mimic_is_mapped_a_lookup_or_counted(mimic: Read) -> None:
    files = {file.stem for file in real("mimic3_demo").glob("*.csv")}
    lookups = {"D_ITEMS", "D_LABITEMS", "D_ICD_DIAGNOSES", "D_ICD_PROCEDURES"}
    counted = {reason.partition(": ")[2] for reason in mimic.counts() if reason.startswith("table not mapped")}
    assert len(files) == 23 and files == set(MIMIC_ROW) | lookups | counted
    assert mimic.counts()["table not mapped: CAREGIVERS"] == len(mimic_table("CAREGIVERS"))


def test_a_diagnosis_of_mimic_is_known_at_discharge_and_not_before(mimic: Read) -> None:
    left = {row["hadm_id"]: at(row["dischtime"]) for row in mimic_table("ADMISSIONS")}
    wanted = Counter(
        (int(row["subject_id"]), left[row["hadm_id"]], f"DIAGNOSIS//ICD9CM//{row['icd9_code']}", int(row["hadm_id"]))
        for row in mimic_table("DIAGNOSES_ICD")
    )
    found = mimic.events("DIAGNOSES_ICD")
    assert Counter((row["subject_id"], row["time"], row["code"], row["encounter_id"]) for row in found) == wanted
    assert all(row["available_time"] is None for row in found), "null is: at its own time"


def single(text: str) -> float | None:
    """A number as float32 has it."""
    return pa.scalar(float(text), pa.float32()).as_py() if text else None


def naive_mimic(subject: str) -> Counter[tuple[Any, ...]]:
    """Some tables of a patient, row by row: time, code, number, unit, available time."""
    found: Counter[tuple[Any, ...]] = Counter()
    names = ("PATIENTS", "OUTPUTEVENTS", "ICUSTAYS")
    mine = {name: [row for row in mimic_table(name) if row["subject_id"] == subject] for name in names}
    for row in mine["PATIENTS"]:
        found[(None, f"GENDER//{row['gender']}", None, None, None)] += 1
        found[(at(row["dob"]), "MEDS_BIRTH", None, None, None)] += 1
        if row["dod"]:
            late = datetime.fromisoformat(row["dod"]) + timedelta(days=1, microseconds=-1)
            found[(late, "MEDS_DEATH", None, None, None)] += 1
    for row in mine["OUTPUTEVENTS"]:
        stored, when = at(row["storetime"]), at(row["charttime"])
        available = stored if stored and when and stored > when else None
        found[(when, f"OUTPUT//{row['itemid']}", single(row["value"]), row["valueuom"] or None, available)] += 1
    for row in mine["ICUSTAYS"]:
        code = f"ICU_STAY//{row['first_careunit']}"
        found[(at(row["intime"]), f"{code}//START", None, None, None)] += 1
        found[(at(row["outtime"]), f"{code}//END", single(row["los"]), "d", None)] += 1
    return found


@pytest.mark.parametrize("subject", ["10006", "10011", "10017", "42367"])
def test_the_events_of_a_patient_of_mimic_are_those_of_reading_row_by_row(subject: str, mimic: Read) -> None:
    codes = ("GENDER//", "MEDS_", "OUTPUT//", "ICU_STAY//")
    keys = ("time", "code", "numeric_value", "unit", "available_time")
    found = [row for row in mimic.of(subject) if row["code"].startswith(codes)]
    assert Counter(tuple(row[key] for key in keys) for row in found) == naive_mimic(subject) and found


def test_what_is_given_by_an_infusion_is_known_at_its_end(mimic: Read) -> None:
    rows = [row for row in mimic_table("INPUTEVENTS_MV") if row["statusdescription"] != "Rewritten"]
    found = mimic.events("INPUTEVENTS_MV")
    starts = [row for row in found if row["code"].endswith("//START")]
    assert len(starts) == len(rows) and mimic.counts("INPUTEVENTS_MV")[
        "the order was written again with other numbers"
    ] == len(mimic_table("INPUTEVENTS_MV")) - len(rows)
    for event, row in zip(starts, rows, strict=True):
        assert event["time"] == at(row["starttime"]) and event["code"] == f"INPUT//{row['itemid']}//START"
        assert event["numeric_value"] == (pytest.approx(float(row["rate"]), rel=1e-6) if row["rate"] else None)
    ends = Counter(
        round(row["numeric_value"], 3) for row in found if row["code"].endswith("//END") and row["numeric_value"]
    )
    assert sum(ends.values()) == sum(bool(row["amount"]) and float(row["amount"]) != 0 for row in rows)


@pytest.mark.parametrize("name", ["INPUTEVENTS_MV", "PROCEDUREEVENTS_MV"])
def test_what_is_charted_later_is_not_known_before(name: str, mimic: Read) -> None:
    rows = [row for row in mimic_table(name) if row["statusdescription"] != "Rewritten"]
    found = mimic.events(name)
    starts = [row for row in found if row["code"].endswith("//START")]
    late = 0
    for event, row in zip(starts, rows, strict=True):
        stored, begun = at(row["storetime"]), at(row["starttime"])
        assert stored and begun
        assert event["available_time"] == (stored if stored > begun else None)
        late += stored > begun
    assert late > len(rows) / 2
    stored_of = {(row["itemid"], row["endtime"]): set() for row in rows}
    for row in rows:
        stored_of[row["itemid"], row["endtime"]].add(at(row["storetime"]))
    for event in found:
        if event["code"].endswith("//END"):
            known = event["available_time"] or event["time"]
            stored = stored_of[event["code"].split("//")[1], str(event["time"])]
            assert any(known == max(each, event["time"]) for each in stored)


def test_mimic_4_charts_later_too(tmp_path: Path) -> None:
    times = "2180-05-06 10:00:00,2180-05-06 12:00:00,2180-05-06 11:00:00"
    write(
        tmp_path / "icu",
        inputevents__csv="subject_id,hadm_id,itemid,starttime,endtime,storetime,amount,amountuom,rate,rateuom,"
        f"statusdescription\n10,20,5,{times},1,ml,2,ml/h,FinishedRunning\n",
        procedureevents__csv="subject_id,hadm_id,itemid,starttime,endtime,storetime,value,valueuom,statusdescription\n"
        f"10,20,6,{times},3,min,FinishedRunning\n",
        d_items__csv="itemid,label\n5,x\n6,y\n",
    )
    found = [(row["code"], row["available_time"]) for row in Read("mimic4", tmp_path).events()]
    stored = datetime(2180, 5, 6, 11)
    assert found == [
        ("INPUT//5//START", stored),
        ("INPUT//5//END", None),
        ("PROCEDURE_ICU//6//START", stored),
        ("PROCEDURE_ICU//6//END", None),
    ]


@pytest.mark.parametrize(
    ("times", "hours"),
    [
        (["2001-02-03T10:00:00+09:00", "2001-02-03T11:00:00+09:00"], [10, 11]),
        (["2001-02-03T10:00:00+09:00", "2001-02-03T09:30:00Z"], [1, 9]),
    ],
)
def test_what_came_first_comes_first_whatever_its_offset(tmp_path: Path, times: list[str], hours: list[int]) -> None:
    rows = "".join(f"1,K,{time},4.1,\n" for time in times)
    write(tmp_path, mapping__yaml=OWN, labs__csv="patient,test,taken,result,unit\n" + rows)
    read = Read("", tmp_path)
    assert [row["time"].hour for row in read.events()] == hours
    assert read.counts() == ({SEVERAL: 1} if hours == [1, 9] else {})


def medians(events: list[Event], *codes: str) -> dict[str, tuple[float, str]]:
    return {
        code: (statistics.median(row["numeric_value"] for row in events if row["code"] == code), unit)
        for code in codes
        for unit in {row["unit"] for row in events if row["code"] == code}
    }


def test_units_of_sepsis_2019_fit_its_values(tmp_path: Path) -> None:
    some_of(real("sepsis2019/training_setB_1500.zip"), tmp_path / "training.zip", 200)
    found = medians(Read("sepsis2019", tmp_path).events(), "Magnesium", "Lactate", "FiO2")
    # normal: magnesium 1.7 to 2.2 mg/dL, which is 0.7 to 0.9 mmol/L; lactate below 2 mmol/L, which is 18 mg/dL
    assert found["Magnesium"][1] == "mg/dL" and 1.5 < found["Magnesium"][0] < 2.5
    assert found["Lactate"][1] == "mmol/L" and 1 < found["Lactate"][0] < 4
    assert found["FiO2"][1] == "1" and 0.21 <= found["FiO2"][0] <= 1


def test_codes_of_mimic_have_the_descriptions_of_its_dictionaries(mimic: Read) -> None:
    long = {row["icd9_code"]: row["long_title"] for row in mimic_table("D_ICD_DIAGNOSES")}
    labels = {row["itemid"]: row["label"] for row in mimic_table("D_ITEMS")}
    texts = mimic.described.descriptions
    for code in {row["icd9_code"] for row in mimic_table("DIAGNOSES_ICD")} & set(long):
        assert texts[f"DIAGNOSIS//ICD9CM//{code}"] == long[code]
    for item in {row["itemid"] for row in mimic_table("OUTPUTEVENTS")}:
        assert texts[f"OUTPUT//{item}"] == labels[item].strip()


def test_tables_that_the_demo_lacks(tmp_path: Path) -> None:
    people = "ROW_ID,SUBJECT_ID,HADM_ID,"
    write(
        tmp_path,
        ADMISSIONS__csv=people + "ADMITTIME,DISCHTIME,DEATHTIME,ADMISSION_TYPE,ADMISSION_LOCATION,DISCHARGE_LOCATION,"
        "INSURANCE,LANGUAGE,RELIGION,MARITAL_STATUS,ETHNICITY,EDREGTIME,EDOUTTIME,DIAGNOSIS\n",
        D_ITEMS__csv="ROW_ID,ITEMID,LABEL\n1,211,Heart Rate\n",
        D_LABITEMS__csv="ROW_ID,ITEMID,LABEL\n1,50971,Potassium\n",
        LABEVENTS__csv="ROW_ID,SUBJECT_ID,HADM_ID,ITEMID,CHARTTIME,VALUE,VALUENUM,VALUEUOM,FLAG\n"
        "1,3,,50971,2101-10-12 16:07:00,4.1,4.1,mEq/L,\n2,3,145,50971,2101-10-13 16:07:00,>10,,mEq/L,abnormal\n"
        "3,3,145,50971,2101-10-14 16:07:00,HEMOLYZED,,,\n",
        CHARTEVENTS__csv="ROW_ID,SUBJECT_ID,HADM_ID,ICUSTAY_ID,ITEMID,CHARTTIME,STORETIME,CGID,VALUE,VALUENUM,VALUEUOM,"
        "WARNING,ERROR,RESULTSTATUS,STOPPED\n1,3,145,9,211,2101-10-20 16:00:00,2101-10-20 16:30:00,1,80,80,bpm,0,0,,\n"
        "2,3,145,9,211,2101-10-20 17:00:00,2101-10-20 17:30:00,1,800,800,bpm,0,1,,\n",
        NOTEEVENTS__csv="ROW_ID,SUBJECT_ID,HADM_ID,CHARTDATE,CHARTTIME,STORETIME,CATEGORY,DESCRIPTION,CGID,ISERROR,TEXT\n"
        '1,3,145,2101-10-31,,,Discharge summary,Report,,,"Two\nlines, ""quoted"""\n',
    )
    read = Read("mimic3", tmp_path)
    potassium = [(row["numeric_value"], row["text_value"], row["unit"]) for row in read.events("LABEVENTS")]
    assert potassium == [(pytest.approx(4.1), None, "mEq/L"), (None, ">10", "mEq/L"), (None, "HEMOLYZED", None)]
    (rate,) = read.events("CHARTEVENTS")
    assert rate["available_time"] == datetime(2101, 10, 20, 16, 30) and rate["encounter_id"] == 145
    assert read.counts("CHARTEVENTS") == {"marked as an error": 1}
    (note,) = read.events("NOTEEVENTS")
    assert note["text_value"] == 'Two\nlines, "quoted"' and note["code"] == "NOTE//Discharge summary//Report"
    assert note["time"] == datetime(2101, 10, 31, 23, 59, 59, 999999)
    assert read.described.descriptions == {
        "LAB//50971": "Potassium",
        "CHART//211": "Heart Rate",
    }


def test_mimic_4_with_its_columns_as_documented(tmp_path: Path) -> None:
    write(
        tmp_path / "hosp",
        patients__csv="subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod\n"
        "10,F,52,2180,2014 - 2016,2180-09-09\n",
        admissions__csv="subject_id,hadm_id,admittime,dischtime,deathtime,admission_type,admit_provider_id,"
        "admission_location,discharge_location,insurance,language,marital_status,race,edregtime,edouttime,"
        "hospital_expire_flag\n"
        "10,20,2180-05-06 22:23:00,2180-05-07 17:15:00,,URGENT,P,TRANSFER FROM HOSPITAL,HOME,Other,"
        "ENGLISH,WIDOWED,WHITE,2180-05-06 19:17:00,2180-05-06 23:30:00,0\n",
        diagnoses_icd__csv="subject_id,hadm_id,seq_num,icd_code,icd_version\n10,20,1,I10,10\n10,20,2,4019,9\n",
        d_icd_diagnoses__csv="icd_code,icd_version,long_title\n4019,9,Unspecified essential hypertension\n"
        "I10,10,Essential (primary) hypertension\n",
        labevents__csv="labevent_id,subject_id,hadm_id,specimen_id,itemid,order_provider_id,charttime,storetime,value,"
        "valuenum,valueuom,ref_range_lower,ref_range_upper,flag,priority,comments\n"
        "1,10,,5,50971,,2180-05-07 00:10:00,2180-05-07 01:00:00,4.4,4.4,mEq/L,3.3,5.1,,ROUTINE,\n",
        d_labitems__csv="itemid,label,fluid,category\n50971,Potassium,Blood,Chemistry\n",
    )
    read = Read("mimic4", tmp_path)
    left = datetime(2180, 5, 7, 17, 15)
    diagnoses = [(row["code"], row["time"]) for row in read.events("diagnoses_icd")]
    assert diagnoses == [("DIAGNOSIS//ICD10CM//I10", left), ("DIAGNOSIS//ICD9CM//4019", left)]
    assert read.described.descriptions["DIAGNOSIS//ICD9CM//4019"] == "Unspecified essential hypertension"
    (lab,) = read.events("labevents")
    assert lab["available_time"] == datetime(2180, 5, 7, 1) and lab["numeric_value"] == pytest.approx(4.4)
    assert {row["code"] for row in read.events("patients")} == {"GENDER//F", "AGE_AT_ANCHOR_YEAR", "MEDS_DEATH"}
    assert not read.counts()


def test_synthea_with_its_columns_as_documented(tmp_path: Path) -> None:
    who = "1d604da9-9a81-4ba9-80c2-de3375d59b40"
    visit = "d0c40d10-8d87-447e-836e-99d26ad52ea5"
    write(
        tmp_path,
        patients__csv="Id,BIRTHDATE,DEATHDATE,SSN,DRIVERS,PASSPORT,PREFIX,FIRST,LAST,SUFFIX,MAIDEN,MARITAL,RACE,ETHNICITY,"
        f"GENDER\n{who},1989-05-25,,999-76-6866,S99984236,X19277260X,Mr.,José,Gómez,,,M,white,hispanic,M\n",
        encounters__csv="Id,START,STOP,PATIENT,ORGANIZATION,PROVIDER,PAYER,ENCOUNTERCLASS,CODE,DESCRIPTION,"
        "BASE_ENCOUNTER_COST,TOTAL_CLAIM_COST,PAYER_COVERAGE,REASONCODE,REASONDESCRIPTION\n"
        f"{visit},2010-01-23T17:45:28Z,2010-01-23T18:10:28Z,{who},,,,ambulatory,185345009,Symptom,1,1,0,,\n",
        observations__csv="DATE,PATIENT,ENCOUNTER,CATEGORY,CODE,DESCRIPTION,VALUE,UNITS,TYPE\n"
        f"2010-01-23T17:45:28Z,{who},{visit},vital-signs,8302-2,Body Height,167.3,cm,numeric\n"
        f"2010-01-23T17:45:28Z,{who},{visit},survey,72166-2,Tobacco,Never smoker,,text\n",
        conditions__csv="START,STOP,PATIENT,ENCOUNTER,CODE,DESCRIPTION\n"
        f"2010-01-23,2010-02-01,{who},{visit},10509002,Acute bronchitis (disorder)\n",
        providers__csv="Id,NAME\n1,x\n",
    )
    read = Read("synthea", tmp_path)
    assert {row["subject_id"] for row in read.events()} == {number_of(who)}
    height, tobacco = read.events("observations")
    assert (height["numeric_value"], height["unit"]) == (pytest.approx(167.3), "cm")
    assert height["time"] == datetime(2010, 1, 23, 17, 45, 28) and height["encounter_id"] == number_of(visit)
    assert tobacco["text_value"] == "Never smoker" and tobacco["numeric_value"] is None
    start, end = read.events("conditions")
    assert start["code"] == "CONDITION//SNOMED//10509002//START" and end["time"] == datetime(
        2010, 2, 1, 23, 59, 59, 999999
    )
    assert start["available_time"] == datetime(2010, 1, 23, 23, 59, 59, 999999)
    assert read.counts() == {"table not mapped: providers": 1}


def some_of(archive: Path, out: Path, count: int) -> dict[str, str]:
    """A zip of the first members of another, and their texts: the whole takes too long for every run."""
    with zipfile.ZipFile(archive) as opened, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        texts = {name: opened.read(name).decode() for name in sorted(opened.namelist()) if not name.endswith("/")}
        texts = dict(list(texts.items())[:count])
        for name, text in texts.items():
            made.writestr(name, text)
    return texts


def test_stays_of_physionet_2012_are_those_of_reading_row_by_row(tmp_path: Path) -> None:
    texts = some_of(real("physionet2012/set-a.zip"), tmp_path / "set-a.zip", 40)
    read = Read("physionet2012", tmp_path)
    wanted: Counter[tuple[Any, ...]] = Counter()
    rejected = 0
    sex = {"0": "GENDER//F", "1": "GENDER//M"}
    for name, text in texts.items():
        for row in rows_of(text):
            hours, minutes = row["Time"].split(":")
            when = BEGIN + timedelta(hours=int(hours), minutes=int(minutes))
            value, parameter = float(row["Value"]), row["Parameter"]
            if value == -1 or parameter == "RecordID" or not parameter:
                rejected += 1
            elif parameter in ("Gender", "ICUType"):
                code = sex[row["Value"]] if parameter == "Gender" else f"ICU_TYPE//{row['Value']}"
                wanted[(int(Path(name).stem), None, code, None)] += 1
            else:
                time = None if parameter in ("Age", "Height") else when
                wanted[(int(Path(name).stem), time, parameter, pa.scalar(value, pa.float32()).as_py())] += 1
    found = Counter((row["subject_id"], row["time"], row["code"], row["numeric_value"]) for row in read.events())
    assert found == wanted and read.rejected() == rejected
    assert sum(wanted.values()) + rejected == sum(len(rows_of(text)) for text in texts.values())


def test_outcomes_of_physionet_2012_come_after_what_was_observed(tmp_path: Path) -> None:
    text = real("physionet2012/Outcomes-a.txt").read_text()
    write(tmp_path, **{"Outcomes-a__txt": text})
    read, rows = Read("physionet2012", tmp_path), rows_of(text)
    events = read.events()
    died = [row for row in events if row["code"] == "IN_HOSPITAL_DEATH//1"]
    assert len(died) == sum(row["In-hospital_death"] == "1" for row in rows) == 554
    assert sum(row["code"] == "SOFA" for row in events) == sum(row["SOFA"] != "-1" for row in rows)
    stays = {int(row["RecordID"]): int(row["Length_of_stay"]) for row in rows}
    for row in (each for each in events if each["code"].startswith("IN_HOSPITAL_DEATH")):
        days = stays[row["subject_id"]]
        late = datetime(2000, 1, 3, 0, 1) if days == -1 else BEGIN + timedelta(days=days + 1, microseconds=-1)
        assert row["time"] == late
    assert read.rejected() == 0


def test_patients_of_sepsis_2019_are_those_of_reading_row_by_row(tmp_path: Path) -> None:
    texts = some_of(real("sepsis2019/training_setB_1500.zip"), tmp_path / "training.zip", 30)
    read = Read("sepsis2019", tmp_path)
    static = {"Age", "Gender", "Unit1", "Unit2", "HospAdmTime", "ICULOS", "SepsisLabel"}
    wanted: Counter[tuple[Any, ...]] = Counter()
    hours = 0
    for name, text in texts.items():
        subject = number_of(Path(name).stem)
        for row in rows_of(text, "|"):
            hours += 1
            when = BEGIN + timedelta(hours=float(row["ICULOS"]))
            for code, value in row.items():
                if code not in static and value != "NaN":
                    wanted[(subject, when, code, pa.scalar(float(value), pa.float32()).as_py(), None)] += 1
            wanted[(subject, when, "SEPSIS_LABEL", float(row["SepsisLabel"]), when + timedelta(hours=6))] += 1
    timed = [row for row in read.events() if row["time"] is not None]
    keys = ("subject_id", "time", "code", "numeric_value", "available_time")
    assert Counter(tuple(row[key] for key in keys) for row in timed) == wanted and read.rejected() == 0
    ages = {row["subject_id"]: row["numeric_value"] for row in read.events() if row["code"] == "AGE"}
    assert ages == {number_of(Path(name).stem): float(rows_of(text, "|")[0]["Age"]) for name, text in texts.items()}
    assert sum(row["code"] == "SEPSIS_LABEL" for row in timed) == hours


def test_yaib_cohorts_are_the_cells_of_their_tables() -> None:
    folder = real("yaib_demo/mortality24")
    read = Read("yaib", folder)
    for hospital in ("mimic_demo", "eicu_demo"):
        table = pq.read_table(folder / hospital / "dyn.parquet")
        cells = sum(len(table) - table[name].null_count for name in table.column_names[2:])
        assert sum(len(each) for each in read.tables[f"{hospital}/dyn.parquet"]) == cells
    frame = pq.read_table(folder / "mimic_demo" / "dyn.parquet").to_pandas()
    stay = int(frame["stay_id"].iloc[0])
    mine = frame[frame["stay_id"] == stay]
    keys = pa.compute.equal
    found = Counter(
        (row["time"], row["code"], row["numeric_value"])
        for each in read.tables["mimic_demo/dyn.parquet"]
        for row in each.filter(keys(each["subject_id"], number_of(f"mimic_demo/{stay}"))).to_pylist()
    )
    wanted = Counter(
        (BEGIN + row["time"].to_pytimedelta(), name, pa.scalar(row[name], pa.float32()).as_py())
        for _, row in mine.iterrows()
        for name in frame.columns[2:]
        if row[name] == row[name]
    )
    assert found == wanted
    labels = read.events("mimic_demo/outc")
    assert len(labels) == 99 and {row["code"] for row in labels} == {"LABEL//mortality24"}
    assert min(row["time"] for row in labels) > max(time for time, _, _ in found if time)


def test_labels_of_hours_of_yaib_are_not_available_while_the_stay_lasts() -> None:
    read = Read("yaib", real("yaib_demo/sepsis/mimic_demo"), "outc")
    labels = read.events()
    assert len(labels) == pq.read_metadata(real("yaib_demo/sepsis/mimic_demo/outc.parquet")).num_rows
    assert {row["available_time"] for row in labels} == {datetime(2001, 1, 1)}
    assert {row["numeric_value"] for row in labels} == {0.0, 1.0}


def test_pima_has_no_zeros_where_zero_is_missing() -> None:
    read = Read("pima", real("tables/pima_768.csv"))
    with (real("tables/pima_768.csv")).open() as opened:
        rows = [row for row in csv.reader(opened) if row]
    counts = Counter(row["code"] for row in read.events())
    missing = {"glucose": 5, "blood_pressure": 35, "skin_fold": 227, "insulin": 374, "bmi": 11}
    assert {name: 768 - counts[name] for name in missing} == missing and len(rows) == 768
    assert counts["pregnancies"] == 768, "nobody has to have had any"
    first = {row["code"]: row["numeric_value"] for row in read.of("1")}
    assert first["glucose"] == 148 and "insulin" not in first and first["DIABETES_ONSET"] == 1
    onset = [row for row in read.events() if row["code"] == "DIABETES_ONSET"]
    assert sum(row["numeric_value"] for row in onset) == sum(row[8] == "1" for row in rows) == 268
    assert all(row["time"] == datetime(2005, 1, 1) for row in onset)


def test_nhanes_deaths_are_the_positive_years() -> None:
    read = Read("nhanes1", real("tables"), "nhanes1")
    years = {int(row[""]): float(row["y"]) for row in rows_of(real("tables/nhanes1_y.csv").read_text())}
    ends = {row["subject_id"]: row for row in read.events("nhanes1_y")}
    assert len(ends) == len(years) == 9932
    assert sum(row["code"] == "MEDS_DEATH" for row in ends.values()) == sum(y > 0 for y in years.values()) == 3473
    for subject, row in ends.items():
        after = (row["time"] - datetime(1973, 1, 1)).total_seconds() / 86400 / 365.25
        assert after == pytest.approx(abs(years[subject]), abs=1e-6)
    ages = {row["subject_id"]: row["numeric_value"] for row in read.events("nhanes1_X") if row["code"] == "Age"}
    assert ages[0] == 35 and len(ages) == 9932 and read.rejected() == 0
    # normal: 1.4 to 1.8 mEq/L, which is 1.7 to 2.2 mg/dL
    ((median, unit),) = medians(read.events("nhanes1_X"), "Serum Magnesium").values()
    assert unit == "mEq/L" and 1.4 < median < 1.8
