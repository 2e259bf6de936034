from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from suwen.data.records.events import SCHEMA
from suwen.data.records.profile.numbers import numbers_of
from suwen.data.records.profile.profile import profile

SECRET = "Mrs Ada Byron, ward 7"
RARE = "SNOMED//RARE-DISEASE"
FIRST_ID = 7_310_000_000
PEOPLE = frozenset(["subjects", "births", "deaths", "female", "male", "other", "unknown", "contradictory"]) | {
    "not said",
    "all others",
}
EVENTS = frozenset(("events", "later", "begun", "never_ended", "never_begun", "far", "timeless", "outside", "texts"))


def events_of(subject: int, rng: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    """Of one subject: traits, a birth, some visits with values, a text, and of three subjects a rare code."""
    number = FIRST_ID + subject
    birth = datetime(1900 + int(rng.integers(5, 95)), 3, 1)
    yield number, None, f"GENDER//{'FM'[subject % 2]}", None, None, None, None
    yield number, None, f"RACE//{'AAAAB'[subject % 5]}", None, None, None, None
    yield number, birth, "MEDS_BIRTH", None, None, None, None
    for visit in range(int(rng.integers(1, 6))):
        time = datetime(2010 + visit, 1, 1) + timedelta(days=int(rng.integers(0, 300)))
        yield number, time, "VISIT//IMP//START", None, None, None, None
        value, unit = float(rng.normal(10, 2)), "g/dL" if visit else "g/L"
        yield number, time, "LOINC//718-7", value, None, time + timedelta(hours=3), unit
        yield number, time, "AGE", 20.0 + 3 * subject, None, None, None
        yield number, time, "TEXT//" + SECRET if subject == 1 else "NOTE", None, SECRET, None, None
        yield number, time + timedelta(days=visit), "VISIT//IMP//END", None, None, None, None
    if subject < 3:
        yield number, datetime(2019, 5, 6), RARE, None, None, None, None
        yield number, datetime(2019, 5, 7), "MEDS_DEATH", None, None, None, None


def write_cohort(path: Path, subjects: int, seed: int = 0) -> Path:
    """A MEDS folder of others."""
    rng = np.random.default_rng(seed)
    rows = [row for subject in range(subjects) for row in events_of(subject, rng)]
    rows.sort(key=lambda row: (row[0], row[1] is not None, row[1] or datetime.min))
    names = ("subject_id", "time", "code", "numeric_value", "text_value", "available_time", "unit")
    table: dict[str, list[Any]] = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    table["encounter_id"] = [None] * len(rows)
    (path / "data").mkdir(parents=True)
    pq.write_table(pa.table(table, schema=SCHEMA), path / "data" / "0.parquet")
    return path


def walk(told: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with the name it has."""
    if isinstance(told, dict):
        for key, value in told.items():
            yield from walk(value, str(key))
    elif isinstance(told, list):
        for value in told:
            yield from walk(value, name)
    else:
        yield name, told


@pytest.mark.parametrize("subjects", [0, 1, 5, 12, 40, 90])
@pytest.mark.parametrize("by", [None, "sex", "age", "RACE"])
def test_no_few_subjects_or_events_are_told(tmp_path: Path, subjects: int, by: str | None) -> None:
    if by == "RACE" and not subjects:
        pytest.skip("nobody has one")
    numbers = numbers_of(profile(write_cohort(tmp_path / "s", subjects), by=by, few=11))
    few = [(name, value) for name, value in walk(numbers) if type(value) is int and 0 < value < 11]
    assert not [(name, value) for name, value in few if name in PEOPLE | EVENTS]
    assert json.loads(json.dumps(numbers, allow_nan=False)) == numbers


def test_nobody_is_named_or_quoted_and_dates_are_years(tmp_path: Path) -> None:
    said = json.dumps(numbers_of(profile(write_cohort(tmp_path / "s", 40), by="sex", few=11)), ensure_ascii=False)
    assert SECRET not in said and RARE not in said and not re.search(rf"{FIRST_ID // 100}\d\d", said)
    assert not re.search(r"\d{4}-\d{2}-\d{2}", said) and '"RACE//B"' not in said


def test_what_somebody_wrote_stays_unsaid_even_if_all_is_shown(tmp_path: Path) -> None:
    numbers = numbers_of(profile(write_cohort(tmp_path / "s", 40)), smallest=1)
    said = json.dumps(numbers, ensure_ascii=False)
    assert SECRET not in said and str(FIRST_ID) not in said
    assert numbers["people"]["deaths"] == 3 and RARE in {row["code"] for row in numbers_of_all(tmp_path / "s")}


def numbers_of_all(store: Path) -> list[dict[str, Any]]:
    """Codes of all, however few have them."""
    return list(numbers_of(profile(store), smallest=1)["commonest"])


def test_numbers_are_those_of_the_store(tmp_path: Path) -> None:
    store = write_cohort(tmp_path / "s", 40)
    numbers = numbers_of(profile(store, few=11))
    frame = pq.read_table(store / "data").to_pandas()
    assert (numbers["subjects"], numbers["events"]) == (40, len(frame))
    assert numbers["codes"] == frame["code"].nunique()
    assert numbers["people"]["sex"]["female"] == 20 and numbers["people"]["deaths"] == "<11"
    (haemoglobin,) = (row for row in numbers["measured"] if row["code"] == "LOINC//718-7")
    values = frame.loc[frame["code"] == "LOINC//718-7", "numeric_value"]
    assert haemoglobin["values"] == len(values) and haemoglobin["unit"] == "g/dL"
    assert haemoglobin["other_units"] == (frame["unit"] == "g/L").sum() and haemoglobin["no_unit"] == 0
    assert haemoglobin["spread"]["p50"] == pytest.approx(values.median())
    assert numbers["delays"]["days"]["p50"] == pytest.approx(0.125)
    assert numbers["stays"][0]["stay"] == "VISIT//IMP" and numbers["units"]["odd"][0]["unit"] == "g/L"
    assert numbers["texts"] == frame["text_value"].notna().sum()
    assert sum(cell["subjects"] for cell in numbers["people"]["histogram"]) == 40


def test_ages_of_ninety_and_more_are_one_wherever_they_stand(tmp_path: Path) -> None:
    numbers = numbers_of(profile(write_cohort(tmp_path / "s", 90), few=11))
    assert max(numbers["people"]["age"].values()) <= 90
    (ages,) = (row for row in numbers["measured"] if row["code"] == "AGE")
    assert ages["spread"]["p95"] == 90.0
    assert [row["age"] for row in numbers["people"]["ages"]][-2:] == ["90+", "not known"]


def test_groups_of_a_few_are_one(tmp_path: Path) -> None:
    rows = numbers_of(profile(write_cohort(tmp_path / "s", 40), by="RACE", few=11))["groups"]["rows"]
    assert [row["group"] for row in rows] == ["A", "other groups"]
    assert [row["subjects"] for row in rows] == ["hidden", "<11"] and rows[0]["events"] is None
    told = numbers_of(profile(tmp_path / "s", by="RACE"), smallest=1)["groups"]["rows"]
    assert {row["group"]: row["subjects"] for row in told} == {"A": 32, "B": 8}
