from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.cohorts import CODES, OTHERS, TASKS, _equal, _same, cohorts, generate
from benchmarks.record_stages import Done
from benchmarks.results import read_result

from suwen.data.records.cohorts.config import read_cohort
from suwen.data.records.cohorts.extract import extract
from suwen.data.records.columns import build_columns


def test_the_store_is_in_order_and_each_task_has_both_answers(tmp_path: Path) -> None:
    generate(tmp_path / "store", 60_000, 400)
    columns = build_columns(tmp_path / "store")
    assert abs(len(columns) / 60_000 - 1) < 0.2 and len(columns.subjects) == 400
    assert len(OTHERS) < len(columns.vocabulary) <= len(OTHERS) + CODES
    for task, written in TASKS.items():
        labels = extract(columns, read_cohort(written))
        assert 0 < labels.positive < len(labels), task


def test_labels_that_differ_are_seen(tmp_path: Path) -> None:
    ours = np.array([[1, 2], [10, 20], [0, 1]], np.int64)
    np.save(tmp_path / "t.npy", ours)
    columns = {"subject_id": [2, 1], "index_timestamp": pa.array([20, 10], pa.timestamp("us")), "label": [3, 0]}
    pq.write_table(pa.table(columns), tmp_path / "aces.parquet")
    assert _same(tmp_path, "t")
    for row, value in ((1, 11), (2, 1)):
        other = ours.copy()
        other[row, 0] = value
        np.save(tmp_path / "t.npy", other)
        assert not _same(tmp_path, "t")


def test_what_is_compared_with_aces_is_the_whole_way_too(tmp_path: Path) -> None:
    """ACES reads the Parquet file for each task; so do we where the columns are built for one alone."""
    built, ours, theirs = (Done(0.0, seconds, seconds, 0, 7) for seconds in (0.9, 0.1, 10.0))
    (verdict,) = _equal(built, {"t": {"suwen": ours, "aces": theirs}})
    assert verdict.value == "7 equal, 10× as fast with its columns built, 100× once they are" and verdict.met
    (verdict,) = _equal(built, {"t": {"suwen": ours}})
    assert verdict.value == "they differ" and not verdict.met


@pytest.mark.slow
def test_a_quick_run_measures_each_task(tmp_path: Path) -> None:
    cohorts(quick=True, results=tmp_path)
    figures = read_result(tmp_path / "quick" / "cohorts.json").figures
    assert set(figures["suwen"]) == set(TASKS)
    assert all(done["seconds"] > 0 and done["count"] > 0 for done in figures["suwen"].values())
