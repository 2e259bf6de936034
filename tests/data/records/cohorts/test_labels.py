from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from meds.schema import LabelSchema

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.records.cohorts.config import read_cohort
from suwen.data.records.cohorts.extract import extract
from suwen.data.records.cohorts.labels import Labels, read_labels
from suwen.data.records.columns import build_columns
from suwen.data.records.events import Events
from suwen.data.records.features import Features
from suwen.data.records.kernels import DAY

INCLUSIVE = {"start_inclusive": False, "end_inclusive": True}


def made(folder: Path, **target: Any) -> Labels:
    """Subjects 0 to 9 are seen on day 0; every second has two strokes on day 3; all are seen on day 9 again."""
    events = Events()
    for subject in range(10):
        events.add(subject, 0, "VISIT")
        for _ in range(2 * (subject % 2)):
            events.add(subject, 3 * DAY, "STROKE")
        events.add(subject, 9 * DAY, "LAB", 1.0)
    (folder / "store" / "data").mkdir(parents=True)
    pq.write_table(events.taken(), folder / "store" / "data" / "0.parquet")
    written: dict[str, Any] = {
        "predicates": {"visit": {"code": "VISIT"}, "stroke": {"code": "STROKE"}},
        "trigger": "visit",
        "windows": {"input": {"start": None, "end": "trigger", **INCLUSIVE, "end_inclusive": True}},
    }
    written["windows"]["input"] |= {"index_timestamp": "end", "start_inclusive": True}
    if target:
        written["windows"]["target"] = {"start": "trigger", "end": "start + 5d", **INCLUSIVE} | target
    return extract(build_columns(folder / "store"), read_cohort(written))


def test_what_is_written_is_meds_and_read_again(tmp_path: Path) -> None:
    labels = made(tmp_path, label="stroke")
    folder = labels.write(tmp_path / "out")
    assert sorted(file.name for file in folder.iterdir()) == ["cohort.json", "labels.parquet", "survival.parquet"]
    LabelSchema.validate(pq.read_table(folder / "labels.parquet"))
    for path in (folder, folder / "labels.parquet"):
        again = read_labels(path)
        assert again.equals(labels.table()) and again.column_names == ["subject_id", "prediction_time", "boolean_value"]
    assert again["boolean_value"].to_pylist() == [False, True] * 5


def test_how_often_is_an_integer(tmp_path: Path) -> None:
    labels = made(tmp_path, label="stroke", value="integer")
    assert labels.table()["integer_value"].to_pylist() == [0, 2] * 5 and labels.positive == 5
    LabelSchema.validate(labels.table())


def test_the_survival_table_has_an_event_and_days(tmp_path: Path) -> None:
    folder = made(tmp_path, label="stroke").write(tmp_path / "out")
    table = pq.read_table(folder / "survival.parquet")
    assert table["event"].to_pylist() == [False, True] * 5 and table["time"].to_pylist() == [5.0, 3.0] * 5
    assert table.schema.field("time").type == pa.float64()


def test_the_summary_says_what_the_labels_rest_on(tmp_path: Path) -> None:
    labels = made(tmp_path, label="stroke")
    told = json.loads((labels.write(tmp_path / "out") / "cohort.json").read_text(encoding="utf-8"))
    assert told["store"] == build_columns(tmp_path / "store").fingerprint
    assert told["definition"]["digest"] == labels.cohort.digest
    assert told["definition"]["windows"][1]["label"] == "stroke"
    assert (told["labels"], told["subjects"], told["positive"], told["censored_negative"]) == (10, 10, 5, 0)
    assert told["funnel"]["triggers"] == 10 and told["unmatched"] == []


def test_a_cohort_without_a_label_is_written_without_values(tmp_path: Path) -> None:
    made(tmp_path / "a", label="stroke").write(tmp_path / "out")
    labels = made(tmp_path / "b")
    assert labels.values is None and labels.positive == 0
    folder = labels.write(tmp_path / "out")
    assert sorted(file.name for file in folder.iterdir()) == ["cohort.json", "labels.parquet"]
    assert read_labels(folder).column_names == ["subject_id", "prediction_time"]


def test_features_take_what_is_read(tmp_path: Path) -> None:
    labels = made(tmp_path, label="stroke")
    table = read_labels(labels.write(tmp_path / "out"))
    features = Features(tmp_path / "store", windows=("all",), aggregates=("count",), min_subjects=1)
    matrix = features.fit_transform(table)
    assert features.codes_.tolist() == ["VISIT"] and matrix.toarray().ravel().tolist() == [1.0] * 10


def test_label_files_of_others_are_read(tmp_path: Path) -> None:
    """Of ACES, which writes all four columns of values and a file a shard; times of another unit."""
    for shard, subject in (("0", 1), ("1", 2)):
        table = pa.table(
            {
                "subject_id": pa.array([subject], pa.int32()),
                "prediction_time": pa.array([DAY // 1000], pa.timestamp("ms")),
                "boolean_value": [True],
                "integer_value": pa.nulls(1, pa.int64()),
                "float_value": pa.nulls(1, pa.float32()),
                "categorical_value": pa.nulls(1, pa.string()),
            }
        )
        (tmp_path / "train").mkdir(exist_ok=True)
        pq.write_table(table, tmp_path / "train" / f"{shard}.parquet")
    found = read_labels(tmp_path)
    assert found.column_names == ["subject_id", "prediction_time", "boolean_value"]
    assert found["subject_id"].to_pylist() == [1, 2]
    assert np.asarray(found["prediction_time"].cast(pa.int64())).tolist() == [DAY, DAY]


def test_what_are_no_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no labels in"):
        read_labels(tmp_path)
    file = tmp_path / "x.parquet"
    file.write_bytes(b"not parquet")
    with pytest.raises(FileUnreadable, match=r"x\.parquet"):
        read_labels(file)
    pq.write_table(pa.table({"subject_id": [1]}), file)
    with pytest.raises(DataError, match="no column prediction_time"):
        read_labels(file)
    pq.write_table(pa.table({"subject_id": [1], "prediction_time": pa.nulls(1, pa.timestamp("us"))}), file)
    with pytest.raises(DataError, match="1 labels without a prediction_time"):
        read_labels(file)
    pq.write_table(pa.table({"subject_id": ["x"], "prediction_time": pa.array([1], pa.timestamp("us"))}), file)
    with pytest.raises(DataError, match="subject_id"):
        read_labels(file)


def test_labels_at_one_time_are_counted(tmp_path: Path) -> None:
    """Two admissions before one discharge: two labels, as in ACES."""
    events = Events()
    for day, code in ((0, "ADMISSION"), (1, "ADMISSION"), (2, "DISCHARGE"), (3, "ADMISSION"), (4, "DISCHARGE")):
        events.add(1, day * DAY, code)
    (tmp_path / "data").mkdir()
    pq.write_table(events.taken(), tmp_path / "data" / "0.parquet")
    stay = {"start": "trigger", "end": "start -> discharge", **INCLUSIVE, "index_timestamp": "end"}
    predicates = {"admission": {"code": "ADMISSION"}, "discharge": {"code": "DISCHARGE"}}
    written = {"predicates": predicates, "trigger": "admission", "windows": {"stay": stay}}
    labels = extract(build_columns(tmp_path), read_cohort(written))
    assert (labels.prediction_times // DAY).tolist() == [2, 2, 4] and labels.repeated == 1
