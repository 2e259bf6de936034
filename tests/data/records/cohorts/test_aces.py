"""Labels against those of es-aces, and what follows from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from suwen.data.records.building import import_records
from suwen.data.records.cohorts.config import read_cohort
from suwen.data.records.cohorts.extract import extract
from suwen.data.records.cohorts.labels import Labels
from suwen.data.records.columns import Columns, build_columns
from suwen.data.records.events import Events
from suwen.data.records.kernels import DAY, SECOND

HOUR = 3600 * SECOND

ACES = {
    "in-hospital mortality": """
        predicates:
          admission: {code: {regex: "^HOSPITAL_ADMISSION//.*"}}
          discharge: {code: {regex: "^HOSPITAL_DISCHARGE//.*"}}
          death: {code: MEDS_DEATH}
          discharge_or_death: {expr: "or(discharge, death)"}
        patient_demographics:
          male: {code: GENDER//M}
        trigger: admission
        windows:
          input:
            {start: NULL, end: trigger + 24h, start_inclusive: True, end_inclusive: True, index_timestamp: end,
             has: {_ANY_EVENT: "(5, None)"}}
          gap:
            {start: trigger, end: start + 48h, start_inclusive: False, end_inclusive: True,
             has: {admission: "(None, 0)", discharge: "(None, 0)", death: "(None, 0)"}}
          target:
            {start: gap.end, end: start -> discharge_or_death, start_inclusive: False, end_inclusive: True,
             label: death}
        """,
    "readmission": """
        description: 30 days after the discharge
        predicates:
          admission: {code: {regex: "HOSPITAL_ADMISSION//.*"}}
          discharge: {code: {regex: "HOSPITAL_DISCHARGE//.*"}}
        trigger: admission
        windows:
          input:
            {start: trigger, end: start -> discharge, start_inclusive: False, end_inclusive: True, index_timestamp: end}
          target:
            {start: input.end, end: start + 30 days, start_inclusive: False, end_inclusive: True, label: admission}
        """,
    "readmission, followed up": """
        metadata: {contacts: [{name: somebody}]}
        predicates:
          hospital_admission: {code: {any: [HOSPITAL_ADMISSION//EMERGENCY, HOSPITAL_ADMISSION//ELECTIVE]}}
          hospital_discharge: {code: HOSPITAL_DISCHARGE//HOME}
        trigger: hospital_discharge
        windows:
          input: {start: NULL, end: trigger, start_inclusive: True, end_inclusive: True, index_timestamp: end}
          prior:
            {start: end <- hospital_admission, end: trigger, start_inclusive: True, end_inclusive: True}
          target:
            {start: trigger, end: start + 30d, start_inclusive: False, end_inclusive: True, label: hospital_admission}
          censoring_protection:
            {start: target.end, end: null, start_inclusive: False, end_inclusive: True, has: {_ANY_EVENT: "(1, None)"}}
        """,
    "long-term recurrence": """
        predicates:
          admission: {code: {regex: "^HOSPITAL_ADMISSION"}}
          discharge: {code: {regex: "^HOSPITAL_DISCHARGE"}}
          icd9: {code: DIAGNOSIS//ICD9CM//410.71}
          icd10: {code: DIAGNOSIS//ICD10CM//I21.4}
          infarction: {expr: "or(icd9, icd10)"}
        trigger: discharge
        windows:
          input:
            {start: end <- admission, end: trigger, start_inclusive: False, end_inclusive: True, index_timestamp: end,
             has: {infarction: "(1, None)"}}
          gap:
            {start: trigger, end: start + 10 days, start_inclusive: False, end_inclusive: True,
             has: {infarction: "(None, 0)"}}
          target: {start: gap.end, end: start + 95 days, start_inclusive: False, end_inclusive: True, label: infarction}
        """,
    "abnormal lab": """
        predicates:
          spo2: {code: LAB//SPO2}
          normal: {code: LAB//SPO2, value_min: 94, value_max: 97, value_min_inclusive: True, value_max_inclusive: True}
          low: {code: LAB//SPO2, value_max: 94, value_max_inclusive: False}
          high: {code: LAB//SPO2, value_min: 97, value_min_inclusive: False}
          abnormal: {expr: "or(low, high)"}
        trigger: normal
        windows:
          input: {start: NULL, end: trigger, start_inclusive: True, end_inclusive: True, index_timestamp: end}
          gap: {start: trigger, end: start + 12h, start_inclusive: False, end_inclusive: True}
          target:
            {start: gap.end, end: start + 1d 12h, start_inclusive: False, end_inclusive: True, label: abnormal,
             has: {spo2: "(1, 2)"}}
        """,
    "imminent mortality": """
        predicates:
          death: {code: {regex: "^MEDS_DEATH"}}
        trigger: _ANY_EVENT
        windows:
          gap:
            {start: trigger, end: start + 2 hours, start_inclusive: True, end_inclusive: True, index_timestamp: end,
             has: {_ANY_EVENT: "(2, None)"}}
          target: {start: gap.end, end: start + 24 hours, start_inclusive: False, end_inclusive: True, label: death,
                   has: {_ANY_EVENT: "(1, 1)"}}
        """,
    "diagnosed in hospital": """
        predicates:
          admission: {code: {regex: "HOSPITAL_ADMISSION//.*"}}
          discharge: {code: {regex: "HOSPITAL_DISCHARGE//.*"}}
          lab: {code: LAB//SPO2}
          diagnosis: {code: {regex: "ICD(9|10)CM"}}
          assessed: {expr: "and(discharge, diagnosis)"}
        trigger: assessed
        windows:
          data_before_admission:
            {start: end - 30d, end: admission_is_there.start, start_inclusive: True, end_inclusive: False,
             has: {_ANY_EVENT: "(1, None)"}}
          admission_is_there:
            {start: end <- admission, end: trigger, start_inclusive: True, end_inclusive: True, has: {lab: "(2, None)"}}
          input: {start: NULL, end: trigger, start_inclusive: True, end_inclusive: True, index_timestamp: end}
          target: {start: input.end, end: start + 30d, start_inclusive: False, end_inclusive: True, label: lab}
        """,
}
"""Tasks in the shape of those that come with ACES (sample_configs/, tests/) and MEDS-DEV."""

WANTED: dict[str, dict[int, list[tuple[int, int]]]] = {
    "in-hospital mortality": {6: [(1036, 1)], 7: [(888, 0), (1865, 0)], 9: [(626, 0), (1310, 1)]},
    "readmission": {
        1: [(216, 0)],
        2: [(137, 1), (382, 0)],
        3: [(963, 1), (1714, 0)],
        4: [(222, 0), (1055, 0)],
        5: [(723, 0), (1622, 1), (1784, 0), (2567, 0)],
        6: [(293, 1)],
        7: [(371, 1), (964, 0), (1922, 1), (2437, 0)],
        9: [(698, 1)],
        14: [(311, 1), (512, 0), (1390, 0)],
        15: [(657, 1), (1165, 1)],
    },
    "readmission, followed up": {
        1: [(216, 0)],
        2: [(137, 1), (382, 0)],
        3: [(963, 1)],
        4: [(222, 0)],
        5: [(723, 0), (1622, 1), (1784, 0), (2567, 0)],
        6: [(293, 1)],
        7: [(371, 1), (964, 0), (1922, 1)],
        14: [(311, 1), (512, 0), (1390, 0)],
        15: [(657, 1)],
    },
    "long-term recurrence": {
        1: [(216, 1)],
        2: [(382, 0)],
        3: [(963, 1), (1714, 0)],
        4: [(222, 1), (1055, 0)],
        5: [(723, 3), (1784, 1), (2567, 0)],
        6: [(293, 0)],
        7: [(371, 3), (964, 2), (1922, 1), (2437, 0)],
        9: [(698, 1)],
        14: [(512, 0)],
        15: [(657, 2), (1165, 1)],
    },
    "abnormal lab": {
        0: [(269, 2), (277, 2)],
        1: [(199, 0)],
        3: [(948, 1)],
        4: [(191, 1), (203, 1), (1011, 2)],
        5: [(1600, 0), (1759, 2), (2549, 1)],
        6: [(264, 2), (1024, 0), (1042, 0), (1061, 0)],
        7: [(929, 2), (941, 2), (1893, 2), (2407, 0), (2424, 0)],
        8: [(451, 2), (463, 2)],
        9: [(664, 1), (679, 1), (1324, 0)],
        10: [(711, 1), (760, 1), (771, 1)],
        11: [(169, 0)],
        12: [(750, 0)],
        13: [(233, 0)],
        14: [(260, 0), (288, 0), (295, 0), (491, 1)],
        15: [(1141, 1), (1866, 0)],
    },
    "imminent mortality": {10: [(773, 0)], 13: [(204, 0)], 14: [(493, 0)], 15: [(1868, 1)]},
    "diagnosed in hospital": {
        1: [(216, 0)],
        2: [(382, 0)],
        3: [(1714, 0)],
        4: [(222, 0)],
        5: [(723, 0), (1784, 0)],
        6: [(293, 0)],
        7: [(371, 10), (964, 0), (2437, 0)],
        9: [(698, 6)],
        14: [(311, 10), (512, 0)],
        15: [(657, 7), (1165, 6)],
    },
}
"""Task → subject → (hour of the prediction, how often the label's predicate holds).

Made by es-aces 0.7.3 (polars 1.44.2): `aces.predicates.get_predicates_df` over the Parquet file of `hospital`, and
`aces.query.query`, whose columns subject_id, index_timestamp and label these are.
"""


def hospital(folder: Path, subjects: int = 16) -> Path:
    """Stays, labs and deaths of some subjects, by a congruential generator (Numerical Recipes, 3rd ed., 7.1), so that
    they never change."""
    state, events = 20_240_601, Events()

    def draw(below: int) -> int:
        nonlocal state
        state = (1664525 * state + 1013904223) % 2**32
        return state * below >> 32

    for subject in range(subjects):
        events.add(subject, None, f"GENDER//{'MF'[draw(2)]}")
        hour = draw(50)
        events.add(subject, hour * HOUR, "MEDS_BIRTH")
        for _ in range(1 + draw(4)):
            hour += 24 + draw(900)
            events.add(subject, hour * HOUR, f"HOSPITAL_ADMISSION//{('EMERGENCY', 'ELECTIVE')[draw(2)]}")
            for _ in range(3 + draw(8)):
                hour += draw(20)
                events.add(subject, hour * HOUR, "LAB//SPO2", 90.0 + draw(10))
            for code in ("DIAGNOSIS//ICD9CM//410.71", "DIAGNOSIS//ICD10CM//I21.4", "DIAGNOSIS//ICD10CM//I21.4"):
                if not draw(3):
                    events.add(subject, hour * HOUR, code)
            if not draw(4):
                events.add(subject, hour * HOUR, "MEDS_DEATH")
                break
            events.add(subject, hour * HOUR, "HOSPITAL_DISCHARGE//HOME")
        else:
            events.add(subject, (hour + draw(1500)) * HOUR, "VISIT")
    (folder / "data").mkdir(parents=True)
    pq.write_table(events.taken(), folder / "data" / "0.parquet")
    return folder


def hours(labels: Labels) -> dict[int, list[tuple[int, int]]]:
    """Subject → hour of the prediction and value, in time."""
    found: dict[int, list[tuple[int, int]]] = {}
    assert labels.values is not None
    rows = zip(
        labels.subject_ids.tolist(), (labels.prediction_times // HOUR).tolist(), labels.values.tolist(), strict=True
    )
    for subject, hour, value in sorted(rows):
        found.setdefault(subject, []).append((hour, value))
    return found


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> Columns:
    return build_columns(hospital(tmp_path_factory.mktemp("hospital")))


@pytest.mark.parametrize("task", ACES)
@pytest.mark.parametrize("threads", [1, 2])
def test_labels_are_those_of_aces(columns: Columns, tmp_path: Path, task: str, threads: int) -> None:
    file = tmp_path / "task.yaml"
    file.write_text(ACES[task], encoding="utf-8")
    whether = extract(columns, read_cohort(file), threads=threads)
    assert whether.values is not None and whether.values.dtype == bool
    file.write_text(ACES[task].replace("label:", "value: integer, label:"), encoding="utf-8")
    how_often = extract(columns, read_cohort(file), threads=threads)
    assert hours(how_often) == WANTED[task]
    assert hours(whether) == {who: [(hour, count > 0) for hour, count in rows] for who, rows in WANTED[task].items()}


def test_the_number_of_threads_changes_nothing(columns: Columns, tmp_path: Path) -> None:
    file = tmp_path / "task.yaml"
    file.write_text(ACES["abnormal lab"], encoding="utf-8")
    found = [extract(columns, read_cohort(file), threads=threads) for threads in (1, 2, 3)]
    for other in found[1:]:
        assert other.table().equals(found[0].table()) and other.survival().equals(found[0].survival())
        assert other.funnel == found[0].funnel


def test_survival_times_are_days_from_the_prediction(columns: Columns, tmp_path: Path) -> None:
    file = tmp_path / "task.yaml"
    file.write_text(ACES["readmission"], encoding="utf-8")
    labels = extract(columns, read_cohort(file))
    table = labels.survival().to_pandas()
    events = pd.DataFrame({"subject_id": np.repeat(columns.subjects, np.diff(columns.offsets)), "time": columns.times})
    codes = np.array(columns.vocabulary)[columns.codes]
    admissions = events[[code.startswith("HOSPITAL_ADMISSION") for code in codes]]
    for row in table.itertuples():
        at = row.prediction_time.value // 1000
        its = admissions[admissions["subject_id"] == row.subject_id]["time"]
        after = its[(its > at) & (its <= at + 30 * DAY)]
        assert row.event == bool(len(after))
        if row.event:
            assert row.time == (after.min() - at) / DAY
    assert table["time"].max() <= 30


@pytest.mark.parametrize(
    ("task", "labels", "positive", "known_later"),
    [("in_hospital_mortality", 115, 29, 114), ("readmission_30d", 89, 11, 89)],
)
def test_real_stays_give_what_aces_gives(
    shared_data: Path, tmp_path: Path, task: str, labels: int, positive: int, known_later: int
) -> None:
    """MIMIC-III demo. Subjects, times and values were equal to those of es-aces 0.7.3, which does not look at when an
    event became known; of one stay too little was known in time."""
    store = tmp_path / "store"
    import_records(shared_data / "mimic3_demo", "mimic3", store)
    cohort = read_cohort(Path(__file__).resolve().parents[4] / "examples" / "cohorts" / f"{task}.yaml")
    assert len(extract(build_columns(store), cohort)) == known_later
    (tmp_path / "plain" / "data").mkdir(parents=True)
    for shard in (store / "data").iterdir():
        table = pq.read_table(shard).drop_columns(["available_time"])
        pq.write_table(table, tmp_path / "plain" / "data" / shard.name)
    found = extract(build_columns(tmp_path / "plain"), cohort)
    assert (len(found), found.positive) == (labels, positive)
