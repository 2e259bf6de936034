from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.records.columns import FOLDER, Columns, build_columns
from suwen.data.records.events import NOWHEN, SCHEMA, Events
from suwen.data.records.units.units import Conversion, OddUnit, Units

Row = tuple[Any, ...]


def write(store: Path, *shards: list[Row]) -> Path:
    """Rows are the arguments of `Events.add`."""
    (store / "data").mkdir(parents=True, exist_ok=True)
    for number, rows in enumerate(shards):
        events = Events()
        for row in rows:
            events.add(*row)
        pq.write_table(events.taken(), store / "data" / f"{number:04d}.parquet")
    return store


FIRST: list[Row] = [
    (7, None, "SEX//F"),
    (7, 10, "LAB//K", 4.5, None, None, "mmol/L"),
    (7, 10, "LAB//NA", 140.0, None, None, "mmol/L"),
    (7, 20, "LAB//K", 3.5, None, None, "mmol/L"),
]
SECOND: list[Row] = [(3, 5, "LAB//K", 39.0, None, None, "mg/dL"), (3, 6, "ICD//I10")]


def test_columns_hold_what_the_store_holds(tmp_path: Path) -> None:
    found = build_columns(write(tmp_path, FIRST, SECOND))
    assert found.vocabulary == ("LAB//K", "ICD//I10", "LAB//NA", "SEX//F")  # by number, then by name
    assert found.counts.tolist() == [3, 1, 1, 1]
    assert [found.vocabulary[code] for code in found.codes] == [row[2] for row in FIRST + SECOND]
    assert found.times.tolist() == [NOWHEN, 10, 10, 20, 5, 6]
    np.testing.assert_array_equal(found.values, np.array([np.nan, 4.5, 140, 3.5, 39, np.nan], np.float32))
    assert found.subjects.tolist() == [7, 3] and found.offsets.tolist() == [0, 4, 6]
    assert found.places(np.array([3, 4, 7])).tolist() == [1, -1, 0]
    assert found.available is None
    kinds = [each.dtype for each in (found.codes, found.times, found.values, found.subjects, found.offsets)]
    assert kinds == [np.int32, np.int64, np.float32, np.int64, np.int64]
    assert not any(each.flags.writeable for each in (found.codes, found.times, found.values))


def test_times_of_availability_are_kept_only_where_they_differ(tmp_path: Path) -> None:
    same = write(tmp_path / "same", [(1, 5, "A", None, None, 5), (1, 6, "A")])
    later = write(tmp_path / "later", [(1, None, "A"), (1, 5, "A")], [(2, None, "A", None, None, 3), (2, 6, "A")])
    assert build_columns(same).available is None
    assert build_columns(later).available.tolist() == [NOWHEN, 5, 3, 6]  # type: ignore[union-attr]


def test_a_second_call_reads_what_the_first_wrote(tmp_path: Path) -> None:
    store = write(tmp_path, FIRST)
    first = build_columns(store)
    written = {file: file.stat().st_mtime_ns for file in (store / FOLDER).rglob("*")}
    assert build_columns(store).fingerprint == first.fingerprint
    assert {file: file.stat().st_mtime_ns for file in (store / FOLDER).rglob("*")} == written


def test_a_changed_store_is_read_again_and_the_old_columns_go(tmp_path: Path) -> None:
    store = write(tmp_path, FIRST)
    old = build_columns(store)
    assert len(build_columns(write(tmp_path, FIRST, SECOND))) == 6
    assert len(list((store / FOLDER).iterdir())) == 1
    assert old.times.tolist() == [NOWHEN, 10, 10, 20]  # who has them open keeps them
    os.utime(store / "data" / "0000.parquet", ns=(1, 1))
    assert build_columns(store).fingerprint != old.fingerprint


def test_stores_share_a_cache_and_nothing_else_in_it_is_taken_away(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    (cache / "mine").mkdir(parents=True)
    (cache / "mine" / "thesis.txt").write_text("years of work")
    one, two = write(tmp_path / "one", FIRST), write(tmp_path / "two", SECOND)
    first, second = (build_columns(store, cache=cache) for store in (one, two))
    written = {file: file.stat().st_mtime_ns for file in cache.rglob("*")}
    again = [build_columns(store, cache=cache).fingerprint for store in (one, two)]
    assert again == [first.fingerprint, second.fingerprint]
    assert {file: file.stat().st_mtime_ns for file in cache.rglob("*")} == written
    os.utime(one / "data" / "0000.parquet", ns=(1, 1))
    build_columns(one, cache=cache)
    assert (cache / "mine" / "thesis.txt").read_text() == "years of work"
    assert len(list(cache.rglob("times.npy"))) == 2  # earlier ones of that store, and only these, are gone


def test_a_damaged_file_is_written_again(tmp_path: Path) -> None:
    store = write(tmp_path, FIRST)
    build_columns(store)
    (file,) = (store / FOLDER).rglob("times.npy")
    file.write_bytes(file.read_bytes()[:-8])
    assert build_columns(store).times.tolist() == [NOWHEN, 10, 10, 20]


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    store = write(tmp_path, [(1, 9, "A"), (1, 8, "A")])
    with pytest.raises(DataError, match="earlier than the one above"):
        build_columns(store)
    assert not list((store / FOLDER).iterdir())


@pytest.mark.parametrize(
    "shards",
    [
        [[(1, 1, "A"), (2, 1, "A"), (1, 2, "A")]],
        [[(1, 1, "A")], [(2, 1, "A"), (1, 2, "A")]],
    ],
)
def test_a_subject_in_two_pieces_is_refused(tmp_path: Path, shards: list[list[Row]]) -> None:
    with pytest.raises(DataError, match="subject 1 lie in 2 places"):
        build_columns(write(tmp_path, *shards))


def test_a_time_after_none_is_in_order_and_none_after_a_time_is_not(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="subject 1"):
        build_columns(write(tmp_path, [(1, 1, "A"), (1, None, "A")]))


def test_a_truncated_parquet_is_named(tmp_path: Path) -> None:
    store = write(tmp_path, FIRST)
    file = store / "data" / "0000.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(FileUnreadable, match=r"0000\.parquet"):
        build_columns(store)


def test_the_three_columns_of_meds_are_enough_and_fewer_are_not(tmp_path: Path) -> None:
    (tmp_path / "data" / "train").mkdir(parents=True)
    file = tmp_path / "data" / "train" / "0.parquet"
    ids, times = pa.array([1, 1]), pa.array([None, 1_000_000_000], pa.timestamp("ns"))
    pq.write_table(pa.table({"subject_id": ids, "time": times, "code": pa.array(["B", "A"], pa.large_string())}), file)
    found = build_columns(tmp_path)
    assert found.times.tolist() == [NOWHEN, 1_000_000] and np.isnan(found.values).all()
    pq.write_table(pa.table({"subject_id": ids, "time": times}), file)
    with pytest.raises(DataError, match="no column code"):
        build_columns(tmp_path)


def test_an_empty_store_has_no_events(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(parents=True)
    pq.write_table(SCHEMA.empty_table(), tmp_path / "data" / "0.parquet")
    found = build_columns(tmp_path)
    assert len(found) == 0 and found.places(np.array([1])).tolist() == [-1]


def test_many_batches_are_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows: list[Row] = [
        (
            subject,
            int(time),
            f"C{rng.integers(9)}",
            float(rng.normal()),
            None,
            int(time + rng.integers(2)),
            "ab"[time % 2],
        )
        for subject in range(20)
        for time in np.sort(rng.integers(0, 1000, 30))
    ]
    whole = build_columns(write(tmp_path, rows), cache=tmp_path / "whole")
    monkeypatch.setattr("suwen.data.records.column_batches.EVENTS", 7)
    pieces = build_columns(tmp_path, cache=tmp_path / "pieces")
    for name in ("codes", "times", "values", "available", "subjects", "offsets"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(pieces, name))
    assert whole.vocabulary == pieces.vocabulary and whole.units == pieces.units


def test_units_that_differ_are_told_and_nothing_is_converted(tmp_path: Path) -> None:
    found = build_columns(write(tmp_path, FIRST, SECOND))
    assert found.units.odd() == [OddUnit("LAB//K", "mg/dL", 1, "mmol/L")]
    assert found.values[4] == 39


def test_units_are_converted_by_a_table_that_is_handed_over(tmp_path: Path) -> None:
    store = write(tmp_path, FIRST, SECOND)
    table = {("LAB//K", "mg/dL"): Conversion("mmol/L", 1 / 3.91, 0.5)}
    found = build_columns(store, conversions=table)
    assert found.units.odd() == [] and found.units["LAB//K"] == {"mmol/L": 3}
    np.testing.assert_allclose(found.values[[1, 2, 3, 4]], [4.5, 140, 3.5, 39 / 3.91 + 0.5], rtol=1e-6)
    assert build_columns(store).values[4] == 39  # both stay, each under its own fingerprint


def test_the_usual_unit_is_the_commonest() -> None:
    units = Units({"A": {"g": 2, "kg": 5}, "B": {"b": 1, "a": 1}})
    assert (units.usual("A"), units.usual("B"), units.usual("C")) == ("kg", "a", None)


def test_a_deep_copy_reads_nothing(tmp_path: Path) -> None:
    found: Columns = build_columns(write(tmp_path, FIRST))
    assert copy.deepcopy(found) is found
