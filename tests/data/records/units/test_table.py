from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.records.columns import build_columns
from suwen.data.records.events import Events
from suwen.data.records.features import Features
from suwen.data.records.kernels import DAY
from suwen.data.records.store import CODES, RecordStore
from suwen.data.records.units.rows import Analyte
from suwen.data.records.units.table import load_unit_table, shipped_units, standard_units, without_unit
from suwen.data.records.units.units import Conversion

TABLE = shipped_units()
ANALYTES = TABLE.rows[0].analytes


def made(code: str, value: float, unit: str, to: str | None = None) -> float:
    analyte = TABLE.analyte(code)
    assert analyte is not None
    found = TABLE.conversion(analyte, unit, to)
    assert found is not None
    return value * found.factor + found.offset


@pytest.mark.parametrize(
    ("code", "unit", "to", "factor"),
    [
        # typed from published tables: AMA Manual of Style, 10th ed. 2007, SI conversion calculator; Lundberg, Iseri &
        # Hunt, JAMA 1988;260:73-76; none of them is worked out by suwen
        ("2345-7", "mmol/L", "mg/dL", 18.0156),
        ("2345-7", "mg/dL", "mmol/L", 0.0555),
        ("2160-0", "mg/dL", "umol/L", 88.4),
        ("2160-0", "µmol/L", "mg/dL", 0.01131),
        ("2093-3", "mmol/L", "mg/dL", 38.67),
        ("2571-8", "mmol/L", "mg/dL", 88.57),
        ("3094-0", "mg/dL", "mmol/L", 0.357),
        ("22664-7", "mmol/L", "mg/dL", 6.006),
        ("3084-1", "mg/dL", "umol/L", 59.48),
        ("1975-2", "mg/dL", "umol/L", 17.104),
        ("17861-6", "mg/dL", "mmol/L", 0.2495),
        ("17861-6", "mEq/L", "mg/dL", 2.004),
        ("19123-9", "mg/dL", "mmol/L", 0.4114),
        ("2777-1", "mg/dL", "mmol/L", 0.3229),
        ("2498-4", "ug/dL", "umol/L", 0.179),
        ("2524-7", "mg/dL", "mmol/L", 0.111),
        ("16362-6", "ug/dL", "umol/L", 0.5872),
        ("2951-2", "mEq/L", "mmol/L", 1),
        ("718-7", "g/dL", "mmol/L", 0.6206),
        ("718-7", "g/L", "g/dL", 0.1),
        ("1751-7", "g/L", "g/dL", 0.1),
        ("1988-5", "mg/dL", "mg/L", 10),
        ("2284-8", "ng/mL", "nmol/L", 2.266),
        ("2132-9", "pg/mL", "pmol/L", 0.7378),
        ("1989-3", "ng/mL", "nmol/L", 2.496),
        ("3024-7", "ng/dL", "pmol/L", 12.87),
        ("3026-2", "ug/dL", "nmol/L", 12.87),
        ("3051-0", "pg/mL", "pmol/L", 1.536),
        ("3053-6", "ng/dL", "nmol/L", 0.01536),
        ("2143-6", "ug/dL", "nmol/L", 27.588),
        ("2986-8", "ng/dL", "nmol/L", 0.03467),
        ("2243-4", "pg/mL", "pmol/L", 3.671),
        ("2839-9", "ng/mL", "nmol/L", 3.18),
        ("10535-3", "ng/mL", "nmol/L", 1.281),
        ("1742-6", "U/L", "ukat/L", 0.01667),
        ("1742-6", "IU/L", "U/L", 1),
        ("9318-7", "mg/mmol", "mg/g", 8.84),
        ("3016-3", "uIU/mL", "mIU/L", 1),
        ("777-3", "10*9/L", "K/uL", 1),
        ("6690-2", "cells/uL", "10*9/L", 0.001),
        ("777-3", "万/μL", "10*9/L", 10),
        ("789-8", "10^12/L", "M/uL", 1),
        ("4544-3", "L/L", "%", 100),
        ("2703-7", "kPa", "mmHg", 7.50062),
        ("8480-6", "kPa", "毫米汞柱", 7.50062),
        ("20077-4", "mbar", "cmH2O", 1.01972),
        ("29463-7", "lb", "kg", 0.45359237),
        ("29463-7", "lbs", "公斤", 0.45359237),
        ("8302-2", "in", "cm", 2.54),
        ("8302-2", "ft", "cm", 30.48),
    ],
)  # fmt: skip
def test_factors_are_those_that_are_published(code: str, unit: str, to: str, factor: float) -> None:
    assert made(f"LOINC//{code}", 1.0, unit, to) == pytest.approx(factor, rel=2e-3)
    assert made(f"LOINC//{code}", 0.0, unit, to) == 0


@pytest.mark.parametrize(
    ("code", "value", "unit", "to", "expected", "within"),
    [
        ("4548-4", 48, "mmol/mol", "%", 6.5, 0.05),  # NGSP: 48 mmol/mol is 6.5 %, 53 is 7.0 %, 20 is 4.0 %
        ("4548-4", 53, "mmol/mol", "%", 7.0, 0.05),
        ("4548-4", 20, "mmol/mol", "%", 4.0, 0.05),
        ("4548-4", 6.5, "%", "mmol/mol", 48, 0.6),
        ("4548-4", 0.065, "1", "%", 6.5, 1e-9),
        ("8310-5", 98.6, "°F", "Cel", 37.0, 1e-9),
        ("8310-5", 212, "[degF]", "℃", 100.0, 1e-9),
        ("8310-5", -40, "deg F", "degC", -40.0, 1e-9),
        ("8310-5", 310.15, "K", "摄氏度", 37.0, 1e-9),
    ],
)
def test_what_does_not_begin_at_zero_is_moved_too(
    code: str, value: float, unit: str, to: str, expected: float, within: float
) -> None:
    assert made(f"LOINC//{code}", value, unit, to) == pytest.approx(expected, abs=within)


@pytest.mark.parametrize("analyte", ANALYTES, ids=lambda each: each.analyte)
def test_each_analyte_has_a_unit_of_the_table_a_source_and_codes_with_their_check_digit(analyte: Analyte) -> None:
    assert TABLE.conversion(analyte, analyte.unit) == Conversion(analyte.unit) and analyte.unit in TABLE.units
    assert analyte.source and all(each.source for each in analyte.equations)
    for code in analyte.loinc:  # LOINC Users' Guide, appendix C: mod 10 (Luhn)
        digits, check = code.split("-")
        doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(digits))]
        assert -sum(each // 10 + each % 10 for each in doubled) % 10 == int(check), code


@given(st.data(), st.floats(0.01, 1e4))
def test_there_and_back_is_the_same(data: st.DataObject, value: float) -> None:
    analyte = data.draw(st.sampled_from(ANALYTES))
    unit = data.draw(st.sampled_from(sorted(TABLE.units)))
    there, back = TABLE.conversion(analyte, unit), TABLE.conversion(analyte, analyte.unit, unit)
    assert (there is None) == (back is None)
    if there is not None and back is not None:
        again = (value * there.factor + there.offset) * back.factor + back.offset
        assert again == pytest.approx(value, rel=1e-9, abs=1e-6)


@given(st.data())
def test_by_a_third_unit_the_result_is_the_same(data: st.DataObject) -> None:
    analyte = data.draw(st.sampled_from(ANALYTES))
    known = [unit for unit in sorted(TABLE.units) if TABLE.conversion(analyte, unit) is not None]
    one, two, three = (data.draw(st.sampled_from(known)) for _ in range(3))
    first, second, straight = (TABLE.conversion(analyte, *each) for each in ((one, two), (two, three), (one, three)))
    assert first is not None and second is not None and straight is not None
    assert first.factor * second.factor == pytest.approx(straight.factor, rel=1e-12)
    assert first.offset * second.factor + second.offset == pytest.approx(straight.offset, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    ("code", "unit"),
    [
        ("2345-7", "mg"),
        ("2345-7", "g/d"),
        ("2345-7", "%"),
        ("2345-7", ""),
        ("718-7", "10*9/L"),
        ("59261-8", "%"),  # a percentage of the IFCC is none of the NGSP
        ("4548-4", "mmol/L"),
        ("2777-1", "mEq/L"),  # of phosphate it depends on the pH
        ("1751-7", "umol/L"),
        ("6690-2", "%"),
        ("3016-3", "ng/mL"),
        ("29463-7", "cm"),
    ],
)
def test_what_is_not_known_is_not_converted(code: str, unit: str) -> None:
    analyte = TABLE.analyte(f"LOINC//{code}")
    assert analyte is not None and TABLE.conversion(analyte, unit) is None


def test_what_a_unit_means_follows_from_what_is_measured() -> None:
    assert made("LOINC//718-7", 150, "G/L") == 15  # grams
    assert made("LOINC//777-3", 150, "G/L") == 150  # giga
    assert made("LOINC//2823-3", 4, "mM") == 4 and made("LOINC//8302-2", 1700, "mm") == 170


CODE = "LOINC//2345-7"


def write(path: Path, rows: list[tuple[str, float | None, str | None]], **parents: list[str]) -> Path:
    events = Events()
    for day, (code, value, unit) in enumerate(rows):
        events.add(1, day * DAY, code, value, unit=unit)
    (path / "data").mkdir(parents=True)
    pq.write_table(events.taken(), path / "data" / "0.parquet")
    if parents:
        (path / "metadata").mkdir()
        above = [{"code": code, "description": None, "parent_codes": each} for code, each in parents.items()]
        pq.write_table(pa.Table.from_pylist(above), path / CODES)
    return path


def test_features_of_a_store_with_two_units_see_one(tmp_path: Path) -> None:
    rows = [
        (CODE, 90.078, "mg/dL"),
        (CODE, 5.0, "mmol/L"),
        (CODE, 5.0, "MMOL/L"),
        (CODE, 100.0, "mg"),
        ("X", 1.0, "mg/dL"),
    ]
    store = write(tmp_path / "s", rows)
    columns = build_columns(store, conversions=standard_units(store))
    assert columns.units[CODE] == {"mg/dL": 3, "mg": 1}
    assert [(each.code, each.unit, each.events, each.usual) for each in columns.units.odd()] == [
        (CODE, "mg", 1, "mg/dL")
    ]
    features = Features(columns, codes=[CODE], windows=("3d",), aggregates=("min", "max"), min_subjects=1)
    labels = pd.DataFrame({"subject_id": [1], "prediction_time": np.array([2 * DAY]).astype("datetime64[us]")})
    np.testing.assert_allclose(features.fit_transform(labels).toarray(), [[90.078, 90.078]], rtol=1e-6)


def test_columns_and_counts_give_the_conversions_that_the_store_gives(tmp_path: Path) -> None:
    store = write(tmp_path / "s", [(CODE, 5.0, "mmol/L"), (CODE, 90.0, "mg/dL"), ("LOINC//8310-5", 98.6, "F")])
    found = standard_units(store)
    assert set(found) == {(CODE, "mmol/L"), ("LOINC//8310-5", "F")}  # what is as it should be is not touched
    columns = build_columns(store)
    assert found == standard_units(columns) == standard_units(columns.units) == standard_units(RecordStore(store))


def test_a_shard_in_pieces_with_other_units_each_is_read_as_one(tmp_path: Path) -> None:
    """Pieces of a Parquet file have dictionaries of their own."""
    events = Events()
    events.add(1, 0, "LOINC//2345-7", 90.0, unit="mg/dL")
    events.add(1, DAY, "LOINC//2345-7", 5.0, unit="mmol/L")
    table, folder = events.taken(), tmp_path / "store" / "data"
    folder.mkdir(parents=True)
    with pq.ParquetWriter(folder / "0.parquet", table.schema) as writer:
        for row in range(2):
            writer.write_table(table.slice(row, 1))
    assert standard_units(tmp_path / "store") == standard_units({"LOINC//2345-7": {"mg/dL": 1, "mmol/L": 1}}) != {}


def test_codes_of_a_hospital_are_converted_by_what_they_are_said_to_be(tmp_path: Path) -> None:
    parents = {"LAB//1": ["LOINC//2345-7"], "LAB//2": ["LOINC/718-7"], "LAB//3": ["LOINC//2345-7", "LOINC//718-7"]}
    rows = [(f"LAB//{number}", 1.0, unit) for number, unit in ((1, "mmol/L"), (2, "g/L"), (3, "g/L"), (4, "g/L"))]
    store = write(tmp_path / "s", rows, **parents)
    assert {code: to.unit for (code, _), to in standard_units(store).items()} == {"LAB//1": "mg/dL", "LAB//2": "g/dL"}
    said = standard_units(store, codes={"LAB//4": "LOINC//1751-7", "LAB//1": "LOINC//718-7"})
    assert {code: to.unit for (code, _), to in said.items()} == dict.fromkeys(["LAB//1", "LAB//2", "LAB//4"], "g/dL")
    with pytest.raises(DataError, match="no such code"):
        standard_units(store, codes={"LAB//4": "LOINC//9999-9"})


def test_other_spellings_of_a_code_and_ends_of_a_range_are_the_same_analyte() -> None:
    units = {
        code: {"mmol/L": 1}
        for code in ("OBSERVATION//LOINC//2345-7", f"{CODE}//LOW", f"{CODE}//HIGH", "FAMILY//LOINC//2345-7")
    }
    assert {code for code, _ in standard_units(units)} == set(list(units)[:3])


def test_numbers_without_a_unit_are_told(tmp_path: Path) -> None:
    rows = [(CODE, 5.0, "mmol/L"), (CODE, 5.0, None), (CODE, None, None), ("X", 1.0, None)]
    store = write(tmp_path / "s", rows)
    assert without_unit(RecordStore(store)) == {CODE: 1}
    assert build_columns(store, conversions=standard_units(store)).values[1] == 5.0  # as it is


YAML = """
units:
  - {unit: "[jin]", of: mass, size: 1/2, also: [斤]}
analytes:
  - analyte: weight of ours
    codes: [WEIGHT]
    unit: kg
  - analyte: glucose, as we like it
    loinc: ["2345-7"]
    unit: mmol/L
    molar_mass: 180.156
"""


def test_a_table_of_the_user_counts_before_that_of_suwen(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text(YAML, encoding="utf-8")
    ours = load_unit_table(tmp_path / "ours.yaml")
    units = {"WEIGHT": {"斤": 1, "lb": 1}, CODE: {"mg/dL": 1, "mmol/L": 1}, "LOINC//718-7": {"g/L": 1}}
    found = standard_units(units, table=ours)
    assert found["WEIGHT", "斤"] == Conversion("kg", 0.5) and found["WEIGHT", "lb"] == Conversion("kg", 0.45359237)
    assert found[CODE, "mg/dL"].unit == "mmol/L" and (CODE, "mmol/L") not in found
    assert found["LOINC//718-7", "g/L"] == Conversion("g/dL", 0.1)


def test_a_table_may_be_a_csv_of_codes_and_units(tmp_path: Path) -> None:
    rows = [
        "code,unit,to,factor,offset,source",
        "LAB//1,mmol/L,mg/dL,18.0156,,ours",
        "TEMP,F,C,5/9,-160/9,",
        "TEMP,K,C,1,-273.15",
    ]
    (tmp_path / "ours.csv").write_text("\n".join(rows))
    found = standard_units(
        {"LAB//1": {"MMOL/L": 1, "g/L": 1}, "TEMP": {"°F": 1, "K": 1, "F": 1}},
        table=load_unit_table(tmp_path / "ours.csv"),
    )
    assert found["LAB//1", "MMOL/L"] == Conversion("mg/dL", 18.0156)
    assert found["TEMP", "F"] == Conversion("C", 5 / 9, -160 / 9) and found["TEMP", "K"] == Conversion("C", 1, -273.15)
    assert found["LAB//1", "g/L"] == Conversion("mg/dL", 100.0)  # units that suwen knows


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "", "no row"),
        ("a.yaml", "units:\n  - {unit: x, of: mass, size: 0}", "line 2.*0 is not above 0"),
        ("a.yaml", "units:\n  - {unit: x, of: mass, size: 1/0}", "divides by 0"),
        ("a.yaml", "units:\n  - {unit: x, of: mass, size: 1e99}", "beyond 1e30"),
        ("a.yaml", "units:\n  - {unit: x, of: mass, size: about 3}", "about 3' is no number"),
        ("a.yaml", "units:\n  - {unit: x, of: mass, size: 1, spelled: [y]}", "line 2.*unknown key"),
        ("a.yaml", "analytes:\n  - {analyte: x, unit: kg}", "x has no codes"),
        (
            "a.yaml",
            "analytes:\n  - {analyte: x, unit: kg, codes: [A]}\n  - {analyte: y, unit: g, codes: [A]}",
            "A is there twice",
        ),
        (
            "a.yaml",
            "analytes:\n  - {analyte: x, unit: g, loinc: [1-8]}\n  - {analyte: y, unit: g, loinc: [1-8]}",
            "LOINC//1-8 is",
        ),
        ("a.yaml", "units: [", "not YAML"),
        ("a.csv", "", "no column code"),
        ("a.csv", "code,unit,to,factor\n", "no row"),
        ("a.csv", "code,unit,to\n", "no column factor"),
        ("a.csv", "code,unit,to,factor\nA,g,kg,0\n", "line 2: a factor of 0"),
        ("a.csv", "code,unit,to,factor\nA,g,kg,much\n", "line 2: 'much' is no number"),
        ("a.csv", "code,unit,to,factor\nA,,kg,1\n", "line 2: from"),
        ("a.csv", "code,unit,to,factor\nA,g,kg,1\nA,lb,g,1\n", "line 3: A becomes g, and kg above"),
        ("a.txt", "", "its ending"),
    ],
)
def test_a_table_that_cannot_be_right_is_refused_with_the_line(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=said):
        load_unit_table(tmp_path / name)


def test_a_table_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("code,unit,to,factor\nA,微克,克,1\n".encode("gb18030"))
    with pytest.raises(FileUnreadable, match="UTF-8"):
        load_unit_table(tmp_path / "a.csv")
