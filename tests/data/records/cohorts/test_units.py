from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import suwen
from suwen.data.records.cohorts.config import read_cohort
from suwen.data.records.cohorts.extract import extract
from suwen.data.records.cohorts.labels import Labels
from suwen.data.records.cohorts.units import told
from suwen.data.records.columns import build_columns
from suwen.data.records.events import Events
from suwen.data.records.kernels import DAY

GLUCOSE = "LOINC//2345-7"


def store_of(folder: Path, code: str = GLUCOSE) -> Path:
    """Five subjects are seen on day 0; glucose on day 1 is 180 mg/dL in three, and 10 mmol/L, which is the same, in
    two."""
    events = Events()
    for subject in range(5):
        value, unit = (180.0, "mg/dL") if subject < 3 else (10.0, "mmol/L")
        events.add(subject, 0, "VISIT")
        events.add(subject, DAY, code, value, None, None, unit)
        events.add(subject, 9 * DAY, "VISIT//LAST")
    (folder / "store" / "data").mkdir(parents=True)
    pq.write_table(events.taken(), folder / "store" / "data" / "0.parquet")
    return folder / "store"


def cohort(code: str = GLUCOSE) -> dict[str, Any]:
    seen = {"start": None, "end": "trigger", "start_inclusive": True, "end_inclusive": True, "index_timestamp": "end"}
    target = {"start": "trigger", "end": "start + 2d", "start_inclusive": False, "end_inclusive": True, "label": "high"}
    high = {"code": code, "value_min": 150}
    predicates = {"visit": {"code": "VISIT"}, "high": high, "other": {"code": "NOWHERE", "value_max": 1}}
    target["has"] = {"other": "(None, 0)"}
    return {"predicates": predicates, "trigger": "visit", "windows": {"input": seen, "target": target}}


def labelled(store: Path, out: Path, code: str = GLUCOSE) -> Labels:
    import yaml

    (store.parent / "cohort.yaml").write_text(yaml.safe_dump(cohort(code)))
    return suwen.records.label(store, store.parent / "cohort.yaml", out=out, quiet=True)


def test_limits_are_compared_in_one_unit_which_is_told(tmp_path: Path) -> None:
    labels = labelled(store_of(tmp_path), tmp_path / "out")
    assert labels.values is not None and labels.values.tolist() == [True] * 5
    assert labels.units == {"high": {"mg/dL": 5}} and "high is compared in mg/dL" in labels.lines()
    assert labels.summary()["units"] == {"high": {"mg/dL": 5}}


def test_units_that_nothing_converts_are_told(tmp_path: Path) -> None:
    store = store_of(tmp_path, "LAB//own")
    labels = labelled(store, tmp_path / "out", "LAB//own")
    assert labels.units == {"high": {"mg/dL": 3, "mmol/L": 2}}
    assert labels.lines()[-1] == "high is compared in more than one unit, as if they were one: mg/dL 3, mmol/L 2"
    bare = extract(build_columns(store), read_cohort(cohort("LAB//own")))
    assert bare.units == labels.units


@pytest.mark.parametrize(
    ("units", "line"),
    [({}, "high is compared with numbers of no unit"), ({"%": 7}, "high is compared in %")],
)
def test_what_is_said_of_a_predicate_with_limits(units: dict[str, int], line: str) -> None:
    assert told({"high": units}) == [line]
