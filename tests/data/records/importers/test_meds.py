from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.records.events import SCHEMA, Events
from suwen.data.records.importers import meds
from suwen.data.records.importers.meds import MEDS
from suwen.data.records.rejects import Rejects
from suwen.data.records.source import Described

BASE = {
    "subject_id": pa.array([1, 1, 2], pa.int64()),
    "time": pa.array([None, datetime(1950, 1, 1), datetime(2020, 1, 1, 0, 0, 0, 7)], pa.timestamp("us")),
    "code": pa.array(["Gender//F", "MEDS_BIRTH", "LAB//1"]),
}


def write(folder: Path, name: str = "0.parquet", **columns: pa.Array) -> Path:
    file = folder / "data" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({key: value for key, value in {**BASE, **columns}.items() if value is not None}), file)
    return folder


def read(source: Path, rejects: Rejects | None = None, described: Described | None = None) -> pa.Table:
    rejects, described = rejects or Rejects(), described or Described()
    tables = [table for part in MEDS.parts(source) for table in MEDS.read(part, rejects, described)]
    assert all(table.schema.equals(SCHEMA) for table in tables)
    return pa.concat_tables(tables) if tables else SCHEMA.empty_table()


def test_what_has_our_columns_comes_back_equal(tmp_path: Path) -> None:
    events = Events()
    events.add(1, None, "Gender//F")
    events.add(1, -5, "LAB//1", 0.1, "über\n", datetime(2020, 1, 2), "mg/dL", 7)
    table = events.taken()
    (tmp_path / "data").mkdir()
    pq.write_table(table, tmp_path / "data" / "0.parquet")
    assert read(tmp_path).equals(table)


def test_columns_that_are_lacking_are_null_and_shards_lie_at_any_depth(tmp_path: Path) -> None:
    write(tmp_path, "train/0.parquet")
    write(tmp_path, "held_out/deep/1.parquet")
    assert [part.name for part in MEDS.parts(tmp_path)] == ["data/held_out/deep/1.parquet", "data/train/0.parquet"]
    found = read(tmp_path)
    assert len(found) == 6 and found["numeric_value"].null_count == 6 and found["code"].to_pylist()[2] == "LAB//1"


def test_columns_that_are_not_kept_are_counted_once_a_file(tmp_path: Path) -> None:
    write(tmp_path, hadm_id=pa.array([1, 2, 3]), site=pa.array(["a", "b", "c"]))
    write(tmp_path, "1.parquet", hadm_id=pa.array([1, 2, 3]))
    rejects = Rejects()
    assert len(read(tmp_path, rejects)) == 6
    assert rejects.counts == {"column not kept: hadm_id": 2, "column not kept: site": 1}


def test_rows_without_a_subject_or_a_code_are_counted_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meds, "BATCH", 2)
    subjects, codes = pa.array([1, None, 2, None, 3], pa.int64()), pa.array(["a", "b", None, None, "e"])
    write(tmp_path, subject_id=subjects, code=codes, time=pa.nulls(5, pa.timestamp("us")))
    rejects = Rejects()
    assert read(tmp_path, rejects)["code"].to_pylist() == ["a", "e"]
    assert rejects.counts == {"no subject_id": 2, "no code": 1}
    assert sorted(each["where"] for each in rejects.kept) == [f"data/0.parquet, row {row}" for row in (2, 3, 4)]


def test_other_encodings_of_the_same_types_are_read(tmp_path: Path) -> None:
    write(
        tmp_path,
        code=BASE["code"].dictionary_encode(),
        time=BASE["time"].cast(pa.timestamp("ns")),
        numeric_value=pa.array([None, 1.5, 0.1], pa.float64()),
        text_value=pa.array(["x", None, "y"]),
    )
    found = read(tmp_path)
    assert (
        found["code"].to_pylist() == BASE["code"].to_pylist() and found["time"].to_pylist() == BASE["time"].to_pylist()
    )
    assert found["numeric_value"].equals(pa.chunked_array([pa.array([None, 1.5, 0.1], pa.float32())]))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"code": None}, "Missing required columns: code"),
        ({"subject_id": pa.array(["a", "b", "c"])}, "subject_id"),
        ({"time": pa.array(["soon", "later", "never"])}, "time"),
        ({"encounter_id": pa.array([1.5, 2.5, 3.5])}, "not MEDS"),
    ],
)
def test_what_is_not_meds_is_refused(tmp_path: Path, columns: dict[str, pa.Array], said: str) -> None:
    write(tmp_path, **columns)
    with pytest.raises(FileUnreadable, match=said) as caught:
        read(tmp_path)
    assert "0.parquet" in str(caught.value) and caught.value.fix


def test_files_that_are_damaged_and_folders_without_data_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is no MEDS dataset"):
        MEDS.parts(tmp_path)
    file = write(tmp_path) / "data" / "0.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(FileUnreadable, match=r"0\.parquet"):
        read(tmp_path)


def test_codes_that_occur_are_described(tmp_path: Path) -> None:
    (write(tmp_path) / "metadata").mkdir()
    rows = [
        {"code": "LAB//1", "description": "Glucose", "parent_codes": ["LOINC//2345-7"]},
        {"code": "MEDS_BIRTH", "description": None, "parent_codes": None},
        {"code": "never", "description": "never", "parent_codes": ["x"]},
    ]
    schema = pa.schema([("code", pa.string()), ("description", pa.string()), ("parent_codes", pa.list_(pa.string()))])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "metadata" / "codes.parquet")
    described = Described()
    read(tmp_path, described=described)
    assert described.descriptions == {"LAB//1": "Glucose"} and described.parents == {"LAB//1": ["LOINC//2345-7"]}
    (tmp_path / "metadata" / "codes.parquet").write_bytes(b"no")
    with pytest.raises(FileUnreadable, match=r"codes\.parquet"):
        read(tmp_path)
