from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.records.events import BIRTH, DEATH, Events
from suwen.data.records.quality import check_store, refuse_broken
from suwen.data.records.store import RecordStore


def store_of(root: Path, *shards: list[tuple[object, ...]]) -> RecordStore:
    (root / "data").mkdir(parents=True)
    for number, rows in enumerate(shards):
        events = Events()
        for row in rows:
            events.add(*row)  # type: ignore[arg-type]
        pq.write_table(events.taken(), root / "data" / f"{number:04d}.parquet")
    return RecordStore(root)


def day(year: int, number: int = 1) -> datetime:
    return datetime(year, 1, number)


def names(store: RecordStore) -> dict[str, int]:
    return {each.name: each.count for each in check_store(store, now=datetime(2026, 1, 1), progress=False)}


def test_a_good_store_has_no_findings(tmp_path: Path) -> None:
    rows = [(1, None, "SEX//F"), (1, day(1950), BIRTH), (1, day(2020), "A", 1.0, None, day(2020, 2), "mg")]
    assert names(store_of(tmp_path, rows, [(2, day(2000), "A", 2.0, None, None, "mg")])) == {}


def test_what_cannot_be_is_told(tmp_path: Path) -> None:
    store = store_of(
        tmp_path,
        [
            (1, day(1900), "A"),
            (1, day(1950), DEATH),
            (1, day(1960), BIRTH),
            (1, day(1970), "A", 1.0, None, day(1969), "mg"),
            (1, day(2040), "A", 1.0, None, None, "g"),
        ],
    )
    assert names(store) == {
        "subjects who died before they were born": 1,
        "events before birth": 2,
        "events known before they happened": 1,
        "events in the future": 1,
        "events before 1901": 1,
        "codes with more than one unit": 1,
    }
    refuse_broken(check_store(store, progress=False))


def test_what_breaks_the_store_is_refused_with_its_place(tmp_path: Path) -> None:
    store = store_of(
        tmp_path, [(1, day(2001), "A"), (1, day(2000), "A"), (2, None, "A"), (1, None, "A")], [(2, None, "B")]
    )
    found = check_store(store, progress=False)
    assert [(each.name, each.count) for each in found] == [
        ("subjects whose events lie apart", 1),
        ("events before the one above", 1),
        ("subjects in more than one file", 1),
    ]
    with pytest.raises(DataError, match=r"lie apart: 0000\.parquet: subject 1"):
        refuse_broken(found)


def test_other_columns_and_damaged_files_are_told(tmp_path: Path) -> None:
    store = store_of(tmp_path / "a", [(1, None, "A")])
    pq.write_table(pa.table({"subject_id": [1], "time": [3.5], "code": ["A"]}), store.shards[0])
    with pytest.raises(DataError, match=r"files that are not MEDS: 0000\.parquet"):
        refuse_broken(check_store(store, progress=False))
    store.shards[0].write_bytes(b"PAR1 no more")
    with pytest.raises(FileUnreadable, match=r"0000\.parquet"):
        check_store(store, progress=False)
