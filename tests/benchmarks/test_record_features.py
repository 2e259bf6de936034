from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from benchmarks.record_features import RIVALS, SAME, difference, generate, record_features
from benchmarks.results import read_result

from suwen.data.records.columns import build_columns


def test_the_store_is_in_order_and_has_what_was_asked_for(tmp_path: Path) -> None:
    generate(tmp_path, 20_000, 500, 40)
    columns = build_columns(tmp_path / "store")
    assert len(columns) == 20_000 and len(columns.subjects) == 40
    assert all(
        (np.diff(columns.times[a:b]) > 0).all() for a, b in zip(columns.offsets, columns.offsets[1:], strict=False)
    )
    assert columns.counts[0] > 5 * columns.counts[40]  # Zipf: the first of 1,600 far before the others
    assert abs(pq.read_metadata(tmp_path / "labels.parquet").num_rows - 500) <= 1


def test_an_answer_that_only_one_has_is_a_difference(tmp_path: Path) -> None:
    for name, values in (
        ("suwen", [1.0, np.nan]),
        ("same", [1.0, np.nan]),
        ("near", [1.1, np.nan]),
        ("more", [1.0, 2.0]),
    ):
        np.save(tmp_path / f"{name}.npy", np.array(values))
    assert [difference(tmp_path, name) for name in ("same", "near", "more")] == [0, pytest.approx(0.1), np.inf]


@pytest.mark.slow
def test_a_quick_run_has_the_same_answers_from_each(tmp_path: Path) -> None:
    record_features(quick=True, results=tmp_path)
    figures = read_result(tmp_path / "quick" / "record-features.json").figures
    assert all(figures["differences"][name] <= SAME for name in RIVALS)
    assert all(figures[name]["seconds"] > 0 for name in ("build", "suwen", *RIVALS))
