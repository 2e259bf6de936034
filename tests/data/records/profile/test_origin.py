from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from suwen.core.errors import FileUnreadable
from suwen.data.records.profile.origin import origin_of
from suwen.data.records.store import CODES, DATASET, MADE, RecordStore


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    for folder in ("data", "metadata"):
        (tmp_path / "cohort" / folder).mkdir(parents=True)
    return RecordStore(tmp_path / "cohort")


def test_imports_and_rejections_are_added_up(store: RecordStore) -> None:
    imports = {
        "a": {"part": "Doe_John.json", "from": "fhir", "events": 7, "rejected": {"no subject": 2}},
        "b": {"part": "Roe_Jane.json", "from": "fhir", "events": 5, "rejected": {"no subject": 1, "no time": 9}},
    }
    (store.path / MADE).write_text(json.dumps({"shards": 1, "imports": imports}))
    found = origin_of(store, 10)
    assert found.by_suwen and found.imports == {"fhir": (2, 12)} and found.repeated == 2
    assert found.rejected == {"no time": 9, "no subject": 3} and "Doe" not in repr(found)


def test_of_a_store_of_others_nothing_is_made_up(store: RecordStore) -> None:
    found = origin_of(store, 10)
    assert not found.by_suwen and found.repeated is None and found.name == "cohort" and found.texts == 0


@pytest.mark.parametrize(
    ("name", "simulated"), [("Synthea 1k", True), ("simulated-hospital", True), ("MIMIC-IV demo", False)]
)
def test_made_up_patients_are_known_by_the_name(store: RecordStore, name: str, simulated: bool) -> None:
    (store.path / DATASET).write_text(json.dumps({"dataset_name": name}))
    assert origin_of(store, 0).simulated is simulated


def test_made_up_patients_are_known_by_what_the_metadata_say(store: RecordStore) -> None:
    (store.path / MADE).write_text(json.dumps({"imports": {}, "simulated": True}))
    assert origin_of(store, 0).simulated


def test_made_up_patients_are_known_by_the_truth_beside_them(store: RecordStore) -> None:
    (store.path.parent / "truth").mkdir()
    assert origin_of(store, 0).simulated


def test_texts_are_counted_without_reading_them(store: RecordStore) -> None:
    pq.write_table(pa.table({"text_value": ["a", None, "b"]}), store.path / "data" / "0.parquet")
    pq.write_table(pa.table({"code": ["A"]}), store.path / "data" / "1.parquet")
    assert origin_of(store, 4).texts == 2
    pq.write_table(pa.table({"text_value": ["a"]}), store.path / "data" / "2.parquet", write_statistics=False)
    assert origin_of(store, 5).texts is None
    (store.path / "data" / "1.parquet").write_bytes(b"no parquet")
    with pytest.raises(FileUnreadable, match="damaged"):
        origin_of(store, 5)


def test_descriptions_are_single_lines_and_may_be_missing(store: RecordStore) -> None:
    pq.write_table(pa.table({"code": ["A", "B", "C"], "description": ["x\n y", None, " "]}), store.path / CODES)
    assert origin_of(store, 0).descriptions == {"A": "x y"}
    pq.write_table(pa.table({"code": ["A"]}), store.path / CODES)
    assert origin_of(store, 0).descriptions == {}
