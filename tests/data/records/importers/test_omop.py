from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import pytest

from suwen.core.errors import DataError, FileUnreadable
from suwen.core.registry import IMPORTERS
from suwen.data.records import packed as packed_files
from suwen.data.records.building import import_records
from suwen.data.records.events import SCHEMA
from suwen.data.records.importers.omop import OMOP
from suwen.data.records.omop.rows import NO_CODE, NO_TIME, NOBODY, NOTHING, STRANGER, People
from suwen.data.records.rejects import Rejects
from suwen.data.records.source import Described, Part
from suwen.data.records.store import RecordStore
from suwen.data.records.tables import sheets
from suwen.data.records.tables.zones import MIXED, SEVERAL

EUNOMIA = Path(__file__).resolve().parents[4] / ".." / "shared" / "data" / "eunomia_omop"
COLUMNS = ("subject_id", "time", "code", "numeric_value", "text_value", "unit", "encounter_id")

Event = tuple[Any, ...]


def read(source: Path, rejects: Rejects | None = None, described: Described | None = None) -> dict[str, pa.Table]:
    rejects, described = rejects or Rejects(), described or Described()
    found = {}
    for part in OMOP.parts(source):
        tables = list(OMOP.read(part, rejects, described))
        assert all(table.schema.equals(SCHEMA) for table in tables)
        found[part.name] = pa.concat_tables(tables) if tables else SCHEMA.empty_table()
    return found


def events(table: pa.Table) -> list[Event]:
    """`COLUMNS` of each, sorted."""
    return sorted((tuple(row[name] for name in COLUMNS) for row in table.to_pylist()), key=repr)


def write(folder: Path, **tables: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in tables.items():
        (folder / f"{name.upper()}.csv").write_text(text, encoding="utf-8")
    return folder


PERSON = "person_id,gender_concept_id,year_of_birth,race_concept_id,ethnicity_concept_id\n"


def rows_of(name: str) -> list[dict[str, str]]:
    file = next(EUNOMIA.glob(f"{name}.csv*"))
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return [{key.lower(): value for key, value in row.items()} for row in csv.DictReader(io.StringIO(content.decode()))]


@pytest.fixture(scope="module")
def eunomia() -> dict[str, tuple[pa.Table, Rejects, Described]]:
    """Part → its events, and what was said of them."""
    if not EUNOMIA.is_dir():
        pytest.skip(f"no public OMOP data in {EUNOMIA}")
    found = {}
    for part in OMOP.parts(EUNOMIA):
        rejects, described = Rejects(), Described()
        tables = [*OMOP.read(part, rejects, described), SCHEMA.empty_table()]
        found[part.name] = (pa.concat_tables(tables), rejects, described)
    return found


Eunomia = dict[str, tuple[pa.Table, Rejects, Described]]


def test_every_row_of_eunomia_gives_its_events_or_is_counted_as_refused(eunomia: Eunomia) -> None:
    for part, (table, rejects, _) in eunomia.items():
        codes = Counter(table["code"].to_pylist())
        name = part.partition(".")[0]
        starts = sum(count for code, count in codes.items() if code.endswith("//START"))
        spans = name in {"OBSERVATION_PERIOD", "VISIT_OCCURRENCE", "CONDITION_ERA", "DRUG_ERA"}
        mapped = codes["MEDS_BIRTH"] if name == "PERSON" else starts if spans else sum(codes.values())
        assert mapped + sum(rejects.counts.values()) == len(rows_of(name)), name


def test_eunomia_gives_what_a_mapping_row_by_row_gives(eunomia: Eunomia) -> None:
    concepts = {row["concept_id"]: f"{row['vocabulary_id']}//{row['concept_code']}" for row in rows_of("CONCEPT")}
    people = {row["person_id"] for row in rows_of("PERSON")}

    def day(text: str) -> datetime:
        return datetime.fromisoformat(text[:10])

    def coded(number: str) -> str:
        return concepts.get(number, f"OMOP//{number}")

    expected: dict[str, list[Event]] = {"PERSON.csv": [], "VISIT_OCCURRENCE.csv": [], "OBSERVATION.csv": []}
    expected |= {"CONDITION_ERA.csv.gz": [], "PROCEDURE_OCCURRENCE.csv.gz": []}
    for row in rows_of("PERSON"):
        about = (None, None, None, None)
        person = int(row["person_id"])
        expected["PERSON.csv"].append((person, day(row["birth_datetime"]), "MEDS_BIRTH", *about))
        for kind in ("gender", "race", "ethnicity"):
            number, said = row[f"{kind}_concept_id"], row[f"{kind}_source_value"]
            code = coded(number) if number != "0" else f"OMOP_SOURCE//PERSON_{kind.upper()}//{said}"
            expected["PERSON.csv"].append((person, None, code, *about))
    for name, prefix, concept in (
        ("VISIT_OCCURRENCE.csv", "visit", "visit"),
        ("CONDITION_ERA.csv.gz", "condition_era", "condition"),
        ("OBSERVATION.csv", "observation", "observation"),
        ("PROCEDURE_OCCURRENCE.csv.gz", "procedure", "procedure"),
    ):
        for row in rows_of(name.partition(".")[0]):
            number, visit = row[f"{concept}_concept_id"], row.get("visit_occurrence_id")
            if number == "0" or row["person_id"] not in people:
                assert name == "CONDITION_ERA.csv.gz"
                continue
            person, code, rest = int(row["person_id"]), coded(number), (None, None, None, int(visit) if visit else None)
            if f"{prefix}_start_date" in row:
                for step in ("start", "end"):
                    time = day(row[f"{prefix}_{step}_date"])
                    expected[name].append((person, time, f"{code}//{step.upper()}", *rest))
            else:
                expected[name].append((person, day(row[f"{prefix}_date"]), code, *rest))
    for name, wanted in expected.items():
        assert Counter(zip(*(eunomia[name][0][column].to_pylist() for column in COLUMNS), strict=True)) == Counter(
            wanted
        )


def test_codes_of_eunomia_are_described_and_have_parents(eunomia: Eunomia) -> None:
    described = Described()
    for _, _, each in eunomia.values():
        described.descriptions |= each.descriptions
        described.parents |= each.parents
    names = {f"{row['vocabulary_id']}//{row['concept_code']}": row["concept_name"] for row in rows_of("CONCEPT")}
    assert described.descriptions["Visit//IP"] == described.descriptions["Visit//IP//START"] == "Inpatient Visit"
    assert described.parents["Visit//IP//END"] == ["Visit//IP"]
    for code, text in described.descriptions.items():
        assert text == names[code.removesuffix("//START").removesuffix("//END")]
    direct = {
        (row["descendant_concept_id"], row["ancestor_concept_id"])
        for row in rows_of("CONCEPT_ANCESTOR")
        if row["min_levels_of_separation"] == "1"
    }
    numbers = {f"{row['vocabulary_id']}//{row['concept_code']}": row["concept_id"] for row in rows_of("CONCEPT")}
    for code in ("RxNorm//161", "SNOMED//444814009"):
        wanted = {above for below, above in direct if below == numbers[code]}
        assert wanted and {numbers.get(each, each.removeprefix("OMOP//")) for each in described.parents[code]} == wanted


def test_eunomia_becomes_a_store(tmp_path: Path, eunomia: Eunomia) -> None:
    if "omop" not in IMPORTERS:
        IMPORTERS.add("omop", OMOP)
    done = import_records(EUNOMIA, "omop", tmp_path / "store", shards=2, progress=False)
    store = RecordStore(tmp_path / "store")
    assert done.subjects == 2694 and len(store) == done.events
    assert done.events + done.repeated == sum(len(table) for table, _, _ in eunomia.values())
    assert done.rejected == {STRANGER: 2649, NO_CODE: 443}
    occurring = pa.concat_tables(store.tables(["code"]))["code"].unique()
    assert set(occurring.to_pylist()) <= set(store.codes["code"].to_pylist())


def every_table(folder: Path) -> Path:
    """One or two rows of each table, with what can be in them."""
    return write(
        folder,
        person="PERSON_ID,GENDER_CONCEPT_ID,YEAR_OF_BIRTH,MONTH_OF_BIRTH,DAY_OF_BIRTH,BIRTH_DATETIME,RACE_CONCEPT_ID,"
        "RACE_SOURCE_VALUE,ETHNICITY_CONCEPT_ID\n1,8507,1950,3,4,,0,martian,0\n2,8532,1961,,,,8527,,38003564\n"
        "3,0,1970,1,1,1970-01-01 06:30:00,0,,0\n",
        death="person_id,death_date,death_datetime,death_type_concept_id,cause_concept_id\n"
        "1,2020-02-01,2020-02-01 03:04:05.25,32817,99\n2,2020-02-01,,32817,0\n",
        observation_period="person_id,observation_period_start_date,observation_period_end_date\n"
        "1,2010-01-01,2020-01-01\n",
        visit_occurrence="visit_occurrence_id,person_id,visit_concept_id,visit_start_date,visit_end_date\n"
        "70,1,9201,2019-01-01,2019-01-05\n71,1,0,2019-02-01,\n",
        visit_detail="visit_detail_id,person_id,visit_detail_concept_id,visit_detail_source_value,"
        "visit_detail_start_date,visit_detail_end_date,visit_occurrence_id\n1,1,0,ICU,2019-01-02,2019-01-03,70\n",
        condition_occurrence="person_id,condition_concept_id,condition_source_concept_id,condition_source_value,"
        "condition_start_date,condition_end_date,visit_occurrence_id\n1,0,55,K92.2,2019-01-01,,70\n"
        "1,10,55,x,2019-01-02,2019-01-03,\n1,0,0,local,2019-01-01,,\n",
        condition_era="person_id,condition_concept_id,condition_era_start_date,condition_era_end_date\n"
        "1,10,2019-01-01,2019-01-03\n",
        drug_exposure="person_id,drug_concept_id,drug_exposure_start_date,drug_exposure_start_datetime,"
        "drug_exposure_end_date,quantity,sig,dose_unit_source_value\n"
        '1,20,2019-01-01,,2019-01-09,30,"one, daily",tab\n',
        drug_era="person_id,drug_concept_id,drug_era_start_date,drug_era_end_date\n",
        procedure_occurrence="person_id,procedure_concept_id,procedure_date,quantity\n2,30,20190405,2\n",
        measurement="person_id,measurement_concept_id,measurement_date,measurement_datetime,operator_concept_id,"
        "value_as_number,value_as_concept_id,unit_concept_id,unit_source_value,value_source_value\n"
        "1,40,2019-01-01,2019-01-01 08:00:00.0000000,4172703,5.5,0,8840,,5.5\n"
        "1,40,2019-01-01,,4171756,3,0,8840,mg%,\n1,40,2019-01-01,,0,,41,,,\n1,40,2019-01-01,,,,,,,positive\n",
        observation="person_id,observation_concept_id,observation_date,value_as_number,value_as_string,"
        "value_as_concept_id\n1,50,2019-01-01,,smoker,0\n1,50,2019-01-01,2,,\n1,50,2019-01-01,,,41\n",
        device_exposure="person_id,device_concept_id,device_exposure_start_date,device_exposure_end_date\n"
        "2,60,2019-01-01,\n",
        note="person_id,note_date,note_datetime,note_class_concept_id,note_text\n"
        '1,2019-01-01,,70,"line 1\nline ""2"""\n'
        "1,2019-01-01,,0,plain\n",
        specimen="person_id,specimen_concept_id,specimen_date,quantity,unit_concept_id\n1,80,2019-01-01,3,8840\n",
        cost="cost_id\n1\n",
        concept="concept_id,concept_name,vocabulary_id,concept_code,concept_class_id\n8507,MALE,Gender,M,Gender\n"
        "8532,FEMALE,Gender,F,Gender\n8527,White,Race,5,Race\n9201,Inpatient,Visit,IP,Visit\n10,Bleed,SNOMED,74474003,x\n"
        "55,Bleed,ICD10CM,K92.2,x\n20,Aspirin,RxNorm,1191,x\n30,Scan,CPT4,70450,x\n40,Glucose,LOINC,2345-7,x\n"
        "41,High,LOINC,LA9193-9,x\n50,Smoking,LOINC,72166-2,x\n60,Stent,SNOMED,1,x\n8840,mg/dL,UCUM,mg/dL,Unit\n",
    )


def test_each_column_of_each_table_goes_to_its_place(tmp_path: Path) -> None:
    rejects, n = Rejects(), None
    found = read(every_table(tmp_path), rejects)

    def day(month: int, date: int, *time: int) -> datetime:
        return datetime(2019, month, date, *time)

    def check(name: str, *wanted: Event) -> None:
        assert events(found[f"{name.upper()}.csv"]) == sorted(wanted, key=repr)

    check(
        "person",
        (1, datetime(1950, 3, 4), "MEDS_BIRTH", n, n, n, n),
        (1, n, "Gender//M", n, n, n, n),
        (1, n, "OMOP_SOURCE//PERSON_RACE//martian", n, n, n, n),
        (2, datetime(1961, 1, 1), "MEDS_BIRTH", n, n, n, n),
        (2, n, "Gender//F", n, n, n, n),
        (2, n, "Race//5", n, n, n, n),
        (2, n, "OMOP//38003564", n, n, n, n),
        (3, datetime(1970, 1, 1, 6, 30), "MEDS_BIRTH", n, n, n, n),
    )
    check(
        "death",
        (1, datetime(2020, 2, 1, 3, 4, 5, 250000), "MEDS_DEATH", n, "OMOP//99", n, n),
        # a day without a time: the patient was alive at its 00:00
        (2, datetime(2020, 2, 1, 23, 59, 59, 999999), "MEDS_DEATH", n, n, n, n),
    )
    check(
        "observation_period",
        (1, datetime(2010, 1, 1), "OBSERVATION_PERIOD//START", n, n, n, n),
        (1, datetime(2020, 1, 1), "OBSERVATION_PERIOD//END", n, n, n, n),
    )
    check(
        "visit_occurrence",
        (1, day(1, 1), "Visit//IP//START", n, n, n, 70),
        (1, day(1, 5), "Visit//IP//END", n, n, n, 70),
    )
    check(
        "visit_detail",
        (1, day(1, 2), "OMOP_SOURCE//VISIT_DETAIL//ICU//START", n, n, n, 70),
        (1, day(1, 3), "OMOP_SOURCE//VISIT_DETAIL//ICU//END", n, n, n, 70),
    )
    check(
        "condition_occurrence",
        (1, day(1, 1), "ICD10CM//K92.2//START", n, n, n, 70),
        (1, day(1, 2), "SNOMED//74474003//START", n, n, n, n),
        (1, day(1, 3), "SNOMED//74474003//END", n, n, n, n),
        (1, day(1, 1), "OMOP_SOURCE//CONDITION_OCCURRENCE//local//START", n, n, n, n),
    )
    check("condition_era")
    check(
        "drug_exposure",
        # the unit is of the dose: 30 tablets of 5 mg are not 30 mg
        (1, day(1, 1), "RxNorm//1191//START", 30.0, "one, daily", n, n),
        (1, day(1, 9), "RxNorm//1191//END", n, n, n, n),
    )
    check("procedure_occurrence", (2, day(4, 5), "CPT4//70450", 2.0, n, n, n))
    check(
        "measurement",
        (1, day(1, 1, 8), "LOINC//2345-7", 5.5, n, "mg/dL", n),
        (1, day(1, 1), "LOINC//2345-7", 3.0, "<3", "mg%", n),
        (1, day(1, 1), "LOINC//2345-7", n, "LOINC//LA9193-9", n, n),
        (1, day(1, 1), "LOINC//2345-7", n, "positive", n, n),
    )
    check(
        "observation",
        (1, day(1, 1), "LOINC//72166-2", n, "smoker", n, n),
        (1, day(1, 1), "LOINC//72166-2", 2.0, n, n, n),
        (1, day(1, 1), "LOINC//72166-2", n, "LOINC//LA9193-9", n, n),
    )
    check("device_exposure", (2, day(1, 1), "SNOMED//1//START", n, n, n, n))
    check(
        "note",
        (1, day(1, 1), "OMOP//70", n, 'line 1\nline "2"', n, n),
        (1, day(1, 1), "NOTE", n, "plain", n, n),
    )
    check("specimen", (1, day(1, 1), "OMOP//80", 3.0, n, "mg/dL", n))
    assert rejects.counts == {NO_CODE: 1, "derived from a table that is imported": 1}


def end_of(*day: int) -> datetime:
    return datetime(*day, 23, 59, 59, 999999)


SPANS = "person_id,visit_concept_id,visit_start_date,visit_start_datetime,visit_end_date,visit_end_datetime\n"


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_what_has_a_date_and_no_time_of_day_is_known_when_the_day_is_over(tmp_path: Path, form: str) -> None:
    folder = write(
        tmp_path,
        person="person_id,year_of_birth,month_of_birth,day_of_birth\n1,1950,3,\n",
        measurement="person_id,measurement_concept_id,measurement_date,measurement_datetime\n"
        "1,7,2019-01-01,\n1,7,2019-01-01,2019-01-01 00:00:00\n1,7,2019-01-01,2019-01-01 08:00:00\n",
        observation="person_id,observation_concept_id,observation_date,observation_datetime\n1,7,,2019-01-02\n",
        visit_occurrence=SPANS + "1,7,2019-01-01,2019-01-01 10:00:00,2019-01-01,\n1,8,2019-01-01,,2019-01-05,\n",
    )
    if form == "parquet":
        for file in sorted(folder.glob("*.csv")):
            options = pv.ConvertOptions(
                column_types={"observation_datetime": pa.date32()}, strings_can_be_null=True, null_values=[""]
            )
            pq.write_table(pv.read_csv(file, convert_options=options), file.with_suffix(".parquet"))
            file.unlink()
    found = pa.concat_tables(read(folder).values()).to_pylist()
    assert sorted((row["code"], row["time"], row["available_time"]) for row in found if row["available_time"]) == [
        ("OMOP//7", datetime(2019, 1, 1), end_of(2019, 1, 1)),
        ("OMOP//7", datetime(2019, 1, 2), end_of(2019, 1, 2)),
        ("OMOP//8//END", datetime(2019, 1, 5), end_of(2019, 1, 5)),
        ("OMOP//8//START", datetime(2019, 1, 1), end_of(2019, 1, 1)),
    ]
    assert sorted((row["code"], row["time"]) for row in found if not row["available_time"]) == [
        ("MEDS_BIRTH", datetime(1950, 3, 1)),
        ("OMOP//7", datetime(2019, 1, 1)),
        ("OMOP//7", datetime(2019, 1, 1, 8)),
        ("OMOP//7//END", end_of(2019, 1, 1)),  # a day is not over before what began on it
        ("OMOP//7//START", datetime(2019, 1, 1, 10)),
    ]


def test_an_end_before_the_beginning_is_counted_and_none(tmp_path: Path) -> None:
    rejects = Rejects()
    late = "1,7,2019-01-05,,2019-01-01,\n"
    found = read(write(tmp_path, visit_occurrence=SPANS + late), rejects)["VISIT_OCCURRENCE.csv"]
    assert found["code"].to_pylist() == ["OMOP//7//START"]
    assert rejects.counts == {"part of a row: ends before it begins": 1}
    assert rejects.kept[0]["where"] == "VISIT_OCCURRENCE.csv, row 1"


def measured(*times: str) -> str:
    rows = "".join(f"1,{number},2019-01-01,{time}\n" for number, time in enumerate(times, 1))
    return "person_id,measurement_concept_id,measurement_date,measurement_datetime\n" + rows


@pytest.mark.parametrize("block", [200, 8 * 2**20])
def test_one_offset_keeps_the_clock_and_several_become_utc_whatever_the_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(sheets, "BLOCK", block)
    one = ["2019-01-01 10:00:00+09:00"] * 20 + ["2019-01-01 11:00:00+09:00"]
    rejects = Rejects()
    kept = read(write(tmp_path / "one", measurement=measured(*one)), rejects)["MEASUREMENT.csv"]
    assert [time.hour for time in kept["time"].to_pylist()] == [10] * 20 + [11] and not rejects.counts
    moved = read(write(tmp_path / "two", measurement=measured(*one, "2019-01-01 09:30:00Z")), rejects)
    assert [time.hour for time in moved["MEASUREMENT.csv"]["time"].to_pylist()] == [1] * 20 + [2, 9]
    assert rejects.counts == {SEVERAL: 1}
    mixed = Rejects()
    read(write(tmp_path / "mixed", measurement=measured(*one, "2019-01-01 09:30:00")), mixed)
    assert mixed.counts == {MIXED: 1}


def test_without_a_vocabulary_codes_are_numbers_of_concepts(tmp_path: Path) -> None:
    folder = every_table(tmp_path)
    (folder / "CONCEPT.csv").unlink()
    codes = read(folder)["MEASUREMENT.csv"]
    assert set(codes["code"].to_pylist()) == {"OMOP//40"} and "OMOP//8840" in codes["unit"].to_pylist()


@pytest.mark.parametrize("form", ["gz", "parquet", "typed", "tabs", "folders", "lower"])
def test_all_forms_of_a_file_give_the_same_events(tmp_path: Path, form: str) -> None:
    expected = read(every_table(tmp_path / "csv"))
    other = every_table(tmp_path / "other")
    for file in sorted(other.iterdir()):
        if form == "gz":
            (other / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        elif form == "lower":
            file.rename(other / file.name.lower().replace("csv", "CSV"))
            continue
        elif form == "tabs":
            rows = list(csv.reader(file.open(newline="")))
            with file.open("w", newline="") as opened:
                csv.writer(opened, delimiter="\t").writerows(rows)
            continue
        else:
            convert = pv.ConvertOptions(strings_can_be_null=True)
            if form == "parquet":
                names = pv.read_csv(file).column_names if file.stat().st_size else []
                convert.column_types = dict.fromkeys(names, pa.string())
            table = pv.read_csv(file, parse_options=pv.ParseOptions(newlines_in_values=True), convert_options=convert)
            target = other / f"{file.stem}.parquet"
            if form == "folders":
                target = other / file.stem / "part-0.parquet"
                target.parent.mkdir()
            pq.write_table(table, target)
        file.unlink()
    found = {name.partition(".")[0].partition("/")[0].upper(): events(table) for name, table in read(other).items()}
    assert found == {name.partition(".")[0]: events(table) for name, table in expected.items()}


def test_what_is_wrong_with_a_row_costs_that_row_and_is_kept(tmp_path: Path) -> None:
    folder = write(
        tmp_path, person=PERSON + "1,8507,1950,0,0\n2,,,,\n,8507,1950,0,0\nx,8507,1950,0,0\n4,8507,soon,0,0\n"
    )
    header = (
        "person_id,measurement_concept_id,measurement_date,measurement_datetime,value_as_number,"
        "measurement_source_value,visit_occurrence_id\n"
    )
    rows = [
        "1,7,2020-01-01,,1.5,,",
        ",7,2020-01-01,,,,",
        "99,7,2020-01-01,,,,",
        "1,0,2020-01-01,,,,",
        "1,7,,,,,",
        "1,7,2020-02-30,,,,",
        "1,7,2020-01-01,soon,,,",
        "1,7,2020-01-01,,<5,,",
        "1,7,2020-01-01,,,,,,,",
        "1,7,2020-01-01",
        "1,0,2020-01-01,,2,caf\xe9,",
        "1,7,2020-01-01,,,,12.5",
        "1.0,7.0,2020-01-01,,NA,,5.0",
    ]
    (folder / "MEASUREMENT.csv").write_bytes((header + "\n".join(rows)).encode("latin-1"))
    rejects = Rejects()
    found = read(folder, rejects)
    assert events(found["MEASUREMENT.csv"]) == [
        (1, datetime(2020, 1, 1), "OMOP//7", 1.5, None, None, None),
        (1, datetime(2020, 1, 1), "OMOP//7", None, None, None, 5),
    ]
    assert rejects.counts == {
        NOTHING: 1,
        NOBODY: 2,
        "not a whole number: person_id": 1,
        "not a whole number: year_of_birth": 1,
        STRANGER: 1,
        NO_CODE: 1,
        NO_TIME: 1,
        "not a time: measurement_date": 1,
        "not a time: measurement_datetime": 1,
        "not a number: value_as_number": 1,
        "too few or too many fields": 2,
        "not UTF-8: measurement_source_value": 1,
        "not a whole number: visit_occurrence_id": 1,
    }
    kept = {each["reason"]: each for each in rejects.kept}
    number = kept["not a number: value_as_number"]
    assert number["where"] == "MEASUREMENT.csv, row 8" and json.loads(number["record"])["value_as_number"] == "<5"
    assert "caf\\\\xe9" in kept["not UTF-8: measurement_source_value"]["record"]
    assert sum(rejects.counts.values()) + 2 + 1 == len(rows) + 5


def test_a_thousand_bad_rows_are_kept_and_all_are_counted(tmp_path: Path) -> None:
    head = "person_id,condition_concept_id,condition_start_date\n"
    folder = write(tmp_path, condition_occurrence=head + "1,7,never\n" * 2500)
    rejects = Rejects()
    assert len(read(folder, rejects)["CONDITION_OCCURRENCE.csv"]) == 0
    assert rejects.counts == {"not a time: condition_start_date": 2500} and len(rejects.kept) == 1000
    assert rejects.kept[999]["where"].endswith("row 1000")


def test_long_files_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = "person_id,observation_concept_id,observation_date,value_as_string\n"
    rows = "".join(f'{n},7,2020-01-01,"a\n{n}"\n' for n in range(2000))
    folder = write(tmp_path, observation=head + rows)
    (part,) = OMOP.parts(folder)
    whole = list(OMOP.read(part, Rejects(), Described()))
    monkeypatch.setattr(sheets, "BLOCK", 1000)
    pieces = list(OMOP.read(part, Rejects(), Described()))
    assert len(whole) == 1 and len(pieces) > 30 and pa.concat_tables(pieces).equals(pa.concat_tables(whole))
    assert whole[0]["text_value"].to_pylist() == [f"a\n{n}" for n in range(2000)]


def test_a_missing_column_is_named_with_its_file(tmp_path: Path) -> None:
    folder = write(tmp_path, measurement="person_id,measurement_concept_id,value_as_number\n1,2,3\n")
    with pytest.raises(
        DataError, match=r"MEASUREMENT\.csv has no column measurement_datetime or measurement_date"
    ) as caught:
        read(folder)
    assert "measurement_concept_id" in str(caught.value) and caught.value.fix


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        ("person_id,gender_concept_id\n1,2\n".encode("utf-16"), "cannot be read"),
        (b"person_id,PERSON_ID\n1,1\n", "twice"),
        (b"\x00\x01\x02\xff\xfe", "cannot be read"),
    ],
)
def test_files_that_are_no_tables_are_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "PERSON.csv").write_bytes(content)
    with pytest.raises(FileUnreadable, match=said):
        read(tmp_path)


def test_files_cut_short_are_refused(tmp_path: Path) -> None:
    text = PERSON + "".join(f"{n},8507,1950,0,0\n" for n in range(50_000))
    packed = gzip.compress(text.encode())
    (tmp_path / "PERSON.csv.gz").write_bytes(packed[: len(packed) // 2])
    with pytest.raises(FileUnreadable, match=r"PERSON\.csv\.gz"):
        read(tmp_path)
    (tmp_path / "PERSON.csv.gz").unlink()
    (tmp_path / "PERSON.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(FileUnreadable, match=r"PERSON\.parquet"):
        read(tmp_path)


def test_a_gzip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed_files, "UNSUSPECTED", 10_000_000)
    (tmp_path / "PERSON.csv.gz").write_bytes(gzip.compress(PERSON.encode() + b"1,8507,1950,0,0\n" * 2_000_000))
    with pytest.raises(FileUnreadable, match="bytes become"):
        read(tmp_path)


def test_folders_without_tables_or_with_a_table_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not there"):
        OMOP.parts(tmp_path / "nowhere")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="has no table of OMOP"):
        OMOP.parts(tmp_path)
    write(tmp_path, person=PERSON)
    (tmp_path / "person.csv.gz").write_bytes(gzip.compress(PERSON.encode()))
    with pytest.raises(DataError, match="are both PERSON"):
        OMOP.parts(tmp_path)


def test_a_single_file_is_read_with_the_vocabulary_beside_it(tmp_path: Path) -> None:
    folder = every_table(tmp_path)
    (part,) = OMOP.parts(folder / "DEATH.csv")
    assert part.name == "DEATH.csv" and part.size == (folder / "DEATH.csv").stat().st_size
    json.dumps(dict(part.options))
    assert len(pa.concat_tables(OMOP.read(part, Rejects(), Described()))) == 2


def test_reading_a_part_twice_gives_the_same(tmp_path: Path) -> None:
    folder = every_table(tmp_path)
    for part in OMOP.parts(folder):
        first, second = ([table.to_pylist() for table in OMOP.read(part, Rejects(), Described())] for _ in range(2))
        assert first == second


def test_vocabularies_of_athena_have_tabs_and_bare_quotation_marks(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        person=PERSON + "1,8507,1950,0,0\n",
        concept="\ufeffconcept_id\tconcept_name\tvocabulary_id\tconcept_code\tconcept_class_id\n"
        '8507\t12" "MALE\tGender\tM\tGender\n',
        concept_relationship="concept_id_1\tconcept_id_2\trelationship_id\n8507\t5\tIs a\n8507\t6\tMaps to\n",
    )
    described = Described()
    assert "Gender//M" in read(folder, described=described)["PERSON.csv"]["code"].to_pylist()
    assert described.descriptions == {"Gender//M": '12" "MALE'} and described.parents == {"Gender//M": ["OMOP//5"]}


def test_a_table_that_others_are_derived_from_is_imported_instead_of_them_if_it_has_rows(tmp_path: Path) -> None:
    head = "person_id,drug_concept_id,drug_{}_start_date,drug_{}_end_date\n"
    era, exposure = (head.format(kind, kind) for kind in ("era", "exposure"))
    folder = write(tmp_path, drug_era=era + "1,5,2020-01-01,2020-01-02\n", drug_exposure=exposure)
    assert len(read(folder)["DRUG_ERA.csv"]) == 2
    write(tmp_path, drug_exposure=exposure + "1,5,2020-01-01,2020-01-02\n")
    found = read(shutil.copytree(tmp_path, tmp_path / "copy"))
    assert len(found["DRUG_ERA.csv"]) == 0 and len(found["DRUG_EXPOSURE.csv"]) == 2


def test_parts_are_files_and_their_names_do_not_depend_on_the_folder(tmp_path: Path) -> None:
    one, two = (OMOP.parts(every_table(tmp_path / name)) for name in ("one", "two"))
    assert [part.name for part in one] == [part.name for part in two]
    assert all(isinstance(part, Part) and part.files[0].name == part.name for part in one)


@pytest.mark.parametrize("spread", [1, 2**40])
def test_who_is_known_does_not_depend_on_how_far_apart_numbers_lie(spread: int) -> None:
    people = People(np.array([5, -3, 9, 5]) * spread)
    asked = np.array([-3, 5, 6, 9, 10, -4, 0, 2**62, -(2**63)])
    asked[:7] *= spread
    assert people.has(asked).tolist() == [True, True, False, True, False, False, False, False, False]
    assert not People(np.zeros(0, np.int64)).has(asked).any()
