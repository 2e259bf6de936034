"""The cohorts among the examples find who they say."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from suwen.data.records.cohorts.config import read_cohort
from suwen.data.records.cohorts.extract import extract
from suwen.data.records.cohorts.labels import Labels
from suwen.data.records.columns import build_columns
from suwen.data.records.events import Events
from suwen.data.records.kernels import DAY

COHORTS = Path(__file__).resolve().parents[2] / "examples" / "cohorts"
HOUR = DAY // 24


def labels_of(name: str, folder: Path, rows: list[tuple[int, float, str, float | None]]) -> Labels:
    """Of rows of a subject, a day, a code and a value."""
    events = Events()
    for subject, day, code, value in rows:
        events.add(subject, round(day * DAY), code, value)
    (folder / "data").mkdir()
    pq.write_table(events.taken(), folder / "data" / "0.parquet")
    return extract(build_columns(folder), read_cohort(COHORTS / f"{name}.yaml"))


def stay(subject: int, day: float, days: float, left: str) -> list[tuple[int, float, str, float | None]]:
    labs = [(subject, day + hour / 24, "LAB//50912", 1.0) for hour in range(1, 9)]
    return [
        (subject, day, "HOSPITAL_ADMISSION//URGENT//UNKNOWN", None),
        *labs,
        (subject, day + days, f"HOSPITAL_DISCHARGE//{left}", None),
    ]


def test_deaths_in_hospital(tmp_path: Path) -> None:
    """The third is gone too soon, and the fourth too little is known of."""
    rows = stay(1, 0, 5, "HOME") + stay(2, 0, 9, "DIED") + stay(3, 0, 1.5, "HOME")
    rows += [(4, 0, "VISIT//IMP//START", None), (4, 3, "VISIT//IMP//END", None)]
    labels = labels_of("in_hospital_mortality", tmp_path, rows)
    assert labels.values is not None
    assert labels.subject_ids.tolist() == [1, 2] and labels.values.tolist() == [False, True]
    assert labels.prediction_times.tolist() == [DAY, DAY]


def test_readmissions(tmp_path: Path) -> None:
    """The first is back after 20 days, and not again, as far as is known; the second died; the third is not seen again,
    and the fourth later."""
    rows = stay(1, 0, 4, "HOME") + stay(1, 24, 4, "HOME") + stay(2, 0, 4, "DIED") + stay(3, 0, 4, "HOME")
    rows += [*stay(4, 0, 4, "HOME"), (4, 50, "LAB//1", 1.0)]
    labels = labels_of("readmission_30d", tmp_path, rows)
    assert labels.values is not None
    assert labels.subject_ids.tolist() == [1, 4] and labels.values.tolist() == [True, False]
    lost = {step.what: step.lost for step in labels.funnel.steps if step.lost}
    assert [*lost.values()] == [1, 2] and "input: more than 0 of death" in lost


@pytest.mark.parametrize(
    ("code", "value", "has"),
    [
        ("CONDITION//ICD10CM//E119", None, True),
        ("DIAGNOSIS//ICD9CM//25000", None, True),
        ("CONDITION//SNOMED//44054006", None, True),
        ("OBSERVATION//LOINC//4548-4", 6.5, True),
        ("OBSERVATION//LOINC//4548-4", 6.4, False),
        ("DIAGNOSIS//ICD10CM//I214", None, False),
    ],
)
def test_onsets_of_diabetes(tmp_path: Path, code: str, value: float | None, has: bool) -> None:
    """The first visit has no history, the second has; at the third the diabetic is known to be one."""
    visit = "VISIT//ambulatory//SNOMED//185349003//START"
    rows = [(1, -9000, "MEDS_BIRTH", None), *((1, day, visit, None) for day in (0, 500))]
    rows += [(1, 900, code, value), (1, 901, visit, None), (1, 4000, visit, None)]
    labels = labels_of("diabetes_5y", tmp_path, rows)
    assert labels.values is not None
    days = (labels.prediction_times // DAY).tolist()
    assert dict(zip(days, labels.values.tolist(), strict=True)) == ({500: True} if has else {500: False, 901: False})
    assert labels.days[0] == (400 if has else 1826)
