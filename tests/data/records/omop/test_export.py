from __future__ import annotations

import csv
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from suwen.core.errors import DataError
from suwen.data.records import exporting
from suwen.data.records.events import SCHEMA, Events
from suwen.data.records.importers.omop import OMOP
from suwen.data.records.omop.export import export_omop
from suwen.data.records.omop.rows import NOTHING
from suwen.data.records.rejects import Rejects
from suwen.data.records.source import Described

Event = tuple[Any, ...]

BASES = (
    "ICD10CM//E11.9",
    "RxNorm//161",
    "LOINC//2345-7",
    "CPT4//70450",
    "SNOMED//1",
    "Visit//IP",
    "NOTE//discharge",
    "Gender//F",
    "Gender//other",
    "race//White",
    "OMOP//8527",
    "OMOP//123",
    "OMOP//0123",
    "OMOP//2100000001",
    "OMOP_SOURCE//DRUG_EXPOSURE//aspirin",
    "OMOP_SOURCE//PERSON_RACE//martian",
    "OBSERVATION_PERIOD",
    "MEDS_BIRTH",
    "MEDS_DEATH",
    "MEDS//x",
    "NULL",
    "//",
    "a//",
    "//b",
    "",
    "7",
)
WORDS = st.text(st.characters(codec="utf-8"), max_size=6)
CODES = st.one_of(
    st.tuples(st.sampled_from(BASES), st.sampled_from(["", "", "//START", "//END"])).map("".join),
    st.tuples(st.sampled_from(["ICD10CM//", "Visit//", "loinc//", ""]), WORDS).map("".join),
)
TEXTS = st.one_of(st.sampled_from(["", "NULL", "\\N", "NA", 'a "b", c\r\nd', "x" * 61, " ", "\r", "\x00a", "'"]), WORDS)
TIMES = st.one_of(
    st.sampled_from([datetime(1950, 1, 1), datetime(2020, 1, 1), datetime(2020, 1, 1, 0, 0, 0, 1)]),
    st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)),
)
NUMBERS = st.floats(width=32, allow_nan=False)
INTS = st.integers(-(2**63), 2**63 - 1)


def sometimes(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.none() | values


EVENT = st.tuples(
    st.sampled_from([1, 2, -7, 2**62 + 5]),
    st.none() | TIMES | TIMES,
    CODES,
    sometimes(NUMBERS),
    sometimes(TEXTS),
    st.none() | st.none() | st.none() | TIMES,
    sometimes(TEXTS),
    sometimes(st.sampled_from([70, 71]) | INTS),
)


def table_of(rows: list[Event]) -> pa.Table:
    """Events by subject and time, those without a time first."""
    events = Events()
    for row in sorted(rows, key=lambda row: (row[0], row[1] is not None, row[1] or datetime.min)):
        events.add(*row)
    return events.taken()


def read(folder: Path, rejects: Rejects | None = None, described: Described | None = None) -> list[Event]:
    rejects, described = rejects or Rejects(), described or Described()
    tables = [table for part in OMOP.parts(folder) for table in OMOP.read(part, rejects, described)]
    return rows_of(pa.concat_tables([*tables, SCHEMA.empty_table()]))


def rows_of(table: pa.Table) -> list[Event]:
    # repr tells -0.0 from 0.0
    return sorted((tuple(row.values()) for row in table.to_pylist()), key=repr)


def sheet(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


NIL = (None, None, None, None, None)


@settings(max_examples=20, deadline=None)
@given(st.lists(EVENT, max_size=120))
@example([(1, datetime(2020, 1, 2), "Visit//IP//END", *NIL), (1, datetime(2020, 1, 1), "Visit//IP//START", *NIL)])
@example(
    [(1, datetime(2020, 1, 1), "ICD10CM//E11.9//START", *NIL)] * 2
    + [(1, datetime(2021, 1, 1), "ICD10CM//E11.9//END", *NIL)]
)
@example([(1, datetime(1950, 1, 1), "MEDS_BIRTH", *NIL)] * 2)
@example(
    [
        (1, datetime(2020, 1, 1), "OBSERVATION_PERIOD//START", *NIL),
        (1, datetime(2020, 1, 1, 0, 0, 0, 1), "OBSERVATION_PERIOD//END", *NIL),
    ]
)
def test_events_come_back_equal(rows: list[Event]) -> None:
    table = table_of(rows)
    with tempfile.TemporaryDirectory() as folder:
        out, rejects = Path(folder) / "omop", Rejects()
        done = export_omop(iter([table]), out)
        assert repr(read(out, rejects)) == repr(rows_of(table))
        assert done.events == len(table) and done.subjects == len(set(table["subject_id"].to_pylist()))
        assert set(rejects.counts) <= {NOTHING}
        for name, count in done.rows.items():
            assert count == len(sheet(out, name.upper()))


@settings(max_examples=6, deadline=None)
@given(st.lists(EVENT, min_size=1, max_size=40), st.integers(1, 5), st.integers(1, 9))
def test_it_does_not_matter_in_which_pieces_events_come(rows: list[Event], size: int, batch: int) -> None:
    table = table_of(rows)
    pieces = [table.slice(start, size) for start in range(0, len(table), size)]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "BATCH", batch)
        export_omop(pieces, Path(folder) / "omop")
        assert repr(read(Path(folder) / "omop")) == repr(rows_of(table))
        people = [row["person_id"] for row in sheet(Path(folder) / "omop", "PERSON")]
        assert sorted(people) == sorted(map(str, set(table["subject_id"].to_pylist())))


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    n = None
    rows: list[Event] = [
        (1, datetime(1950, 3, 4), "MEDS_BIRTH", *NIL),
        (1, n, "Gender//F", *NIL),
        (1, n, "race//White", *NIL),
        (1, datetime(2020, 5, 1, 12, 30), "MEDS_DEATH", n, "sepsis", n, n, n),
        (1, datetime(2020, 1, 1), "Visit//IP//START", n, n, n, n, 70),
        (1, datetime(2020, 1, 5), "Visit//IP//END", n, n, n, n, 70),
        (1, datetime(2020, 1, 2), "ICD10CM//E11.9", n, n, n, n, 70),
        (1, datetime(2020, 1, 2), "ICD10CM//I10//START", *NIL),
        (1, datetime(2020, 1, 3), "ICD10CM//I10//END", *NIL),
        (1, datetime(2020, 1, 2), "RxNorm//161//START", 2.0, "daily", n, "tab", 70),
        (1, datetime(2020, 1, 2), "CPT4//70450", *NIL),
        (1, datetime(2020, 1, 2, 8, 0, 0, 5), "LOINC//2345-7", 0.1, n, n, "mg/dL", 70),
        (1, datetime(2020, 1, 2), "LOINC//5778-6", n, "amber", n, n, n),
        (1, datetime(2020, 1, 2, 9), "LOINC//2951-2", 140.0, n, datetime(2020, 1, 2, 10), "mmol/L", 71),
        (1, datetime(2020, 1, 2), "NOTE//discharge", n, "Went home.\nWell.", n, n, 70),
        (1, datetime(2020, 1, 2), "custom", n, n, n, n, n),
        (1, n, "blood type", n, "A", n, n, n),
    ]
    codes = pa.Table.from_pylist(
        [
            {"code": "ICD10CM//E11.9", "description": "Type 2 diabetes", "parent_codes": ["ICD10CM//E11"]},
            {"code": "ICD10CM//E11", "description": "Diabetes", "parent_codes": ["ICD10CM//E08-E13"]},
        ]
    )
    export_omop([table_of(rows)], tmp_path / "omop", codes)
    return tmp_path / "omop"


def test_readers_of_omop_find_things_where_they_look_for_them(exported: Path) -> None:
    (person,) = sheet(exported, "PERSON")
    assert person["person_id"] == "1"
    assert [person[f"{part}_of_birth"] for part in ("year", "month", "day")] == ["1950", "3", "4"]
    assert person["gender_concept_id"] == "8532" and person["race_concept_id"] == "8527"
    assert person["gender_source_value"] == "F" and person["ethnicity_concept_id"] == "0"
    (death,) = sheet(exported, "DEATH")
    assert death["death_date"] == "2020-05-01" and death["cause_source_value"] == "sepsis"
    concepts = {row["concept_id"]: row for row in sheet(exported, "CONCEPT")}
    visits = {row["visit_occurrence_id"]: row for row in sheet(exported, "VISIT_OCCURRENCE")}
    assert visits["70"]["visit_start_date"] == "2020-01-01" and visits["70"]["visit_end_date"] == "2020-01-05"
    assert visits["71"]["visit_start_datetime"].startswith("2020-01-02 09:00")  # from what happened in it
    once, lasting = sorted(sheet(exported, "CONDITION_OCCURRENCE"), key=lambda row: row["condition_source_value"])
    assert once["condition_source_value"] == "ICD10CM//E11.9" and once["visit_occurrence_id"] == "70"
    assert once["condition_concept_id"] == "0" and not once["condition_end_date"]
    assert lasting["condition_end_date"] == "2020-01-03"
    concept = concepts[once["condition_source_concept_id"]]
    assert concept["vocabulary_id"] == "ICD10CM" and concept["concept_code"] == "E11.9"
    assert concept["concept_name"] == "Type 2 diabetes" and concept["domain_id"] == "Condition"
    (drug,) = sheet(exported, "DRUG_EXPOSURE")
    assert (drug["quantity"], drug["sig"], drug["dose_unit_source_value"]) == ("2", "daily", "tab")
    assert len(sheet(exported, "PROCEDURE_OCCURRENCE")) == 1
    labs = {row["measurement_source_value"]: row for row in sheet(exported, "MEASUREMENT")}
    assert labs["LOINC//2345-7"]["value_as_number"] == "0.1" and labs["LOINC//2345-7"]["unit_source_value"] == "mg/dL"
    assert labs["LOINC//2345-7"]["measurement_datetime"] == "2020-01-02 08:00:00.000005"
    assert labs["LOINC//5778-6"]["value_source_value"] == "amber"
    assert labs["LOINC//2951-2"]["value_as_number"] == "140"  # although it is told in full elsewhere
    (note,) = sheet(exported, "NOTE")
    assert note["note_text"] == "Went home.\nWell."
    assert [row["observation_source_value"] for row in sheet(exported, "OBSERVATION")] == ["custom"]
    (period,) = sheet(exported, "OBSERVATION_PERIOD")
    assert period["observation_period_start_date"] == "2020-01-01"
    assert period["observation_period_end_date"] == "2020-05-01"
    assert [row["code"] for row in sheet(exported, "SUWEN_EVENT")] == ["blood type", "LOINC//2951-2"]
    assert sheet(exported, "CDM_SOURCE")[0]["cdm_version"] == "5.4"


def test_every_number_that_a_row_names_has_a_row(exported: Path) -> None:
    concepts = {row["concept_id"] for row in sheet(exported, "CONCEPT")}
    people = {row["person_id"] for row in sheet(exported, "PERSON")}
    visits = {row["visit_occurrence_id"] for row in sheet(exported, "VISIT_OCCURRENCE")}
    for file in exported.glob("*.csv"):
        rows = sheet(exported, file.stem)
        for row in rows:
            local = {value for name, value in row.items() if "concept_id" in name and len(value) == 10}
            assert local <= concepts and row.get("person_id", "1") in people
            assert not row.get("visit_occurrence_id") or row["visit_occurrence_id"] in visits
        keys = [row.get(f"{file.stem.lower()}_id") for row in rows]
        assert keys[:1] == [None] or len(set(keys)) == len(keys)


def test_descriptions_and_parents_of_codes_come_back(exported: Path) -> None:
    described = Described()
    read(exported, described=described)
    assert described.descriptions["ICD10CM//E11.9"] == "Type 2 diabetes"
    assert described.parents["ICD10CM//E11.9"] == ["ICD10CM//E11"]


def test_nan_is_null_and_every_float32_comes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**32, 20_000, np.uint32).view(np.float32)
    count = len(values)
    table = pa.Table.from_arrays(
        [
            pa.array(np.ones(count, np.int64)),
            pa.array(np.arange(count)).cast(pa.timestamp("us")),
            pa.array(["LOINC//1"] * count),
            pa.array(values),
            *(pa.nulls(count, field.type) for field in list(SCHEMA)[4:]),
        ],
        schema=SCHEMA,
    )
    export_omop([table], tmp_path / "omop")
    found = {row[1]: row[3] for row in read(tmp_path / "omop")}
    back = np.array([found[datetime(1970, 1, 1) + timedelta(microseconds=n)] for n in range(count)], np.float32)
    assert (back.view(np.uint32) == values.view(np.uint32))[~np.isnan(values)].all() and np.isnan(
        back[np.isnan(values)]
    ).all()


def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    good = table_of([(1, datetime(2020, 1, 1), "a", *NIL)])

    def tables() -> Any:
        yield good
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        export_omop(tables(), tmp_path / "omop")
    assert not list(tmp_path.iterdir())


def test_tables_take_their_places_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[Path] = []
    for name in ("rename", "replace"):
        real = getattr(Path, name)

        def once(path: Path, target: Path, real: Any = real) -> Any:
            if moved:
                raise OSError("the machine was turned off")
            moved.append(path)
            return real(path, target)

        monkeypatch.setattr(Path, name, once)
    export_omop([table_of([(1, datetime(2020, 1, 1), "a", *NIL)])], tmp_path / "omop")
    assert len(moved) == 1 and {"PERSON.csv", "CONCEPT.csv", "SUWEN_EVENT.csv"} <= {
        file.name for file in (tmp_path / "omop").iterdir()
    }


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    far = pa.Table.from_pylist([{"subject_id": 1, "time": 2**60, "code": "a"}], schema=SCHEMA)
    with pytest.raises(DataError, match="year of four digits"):
        export_omop([far], tmp_path / "far")
    apart = table_of([(1, None, "a", *NIL)])
    with pytest.raises(DataError, match="subject 1 lie apart"):
        export_omop([apart, table_of([(2, None, "a", *NIL)]), apart], tmp_path / "apart")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="holds other files"):
        export_omop([apart], tmp_path / "full")


def test_no_events_give_tables_without_rows(tmp_path: Path) -> None:
    assert export_omop([], tmp_path / "omop").events == 0
    assert read(tmp_path / "omop") == [] and sheet(tmp_path / "omop", "PERSON") == []
