from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from suwen.core.errors import DataError
from suwen.data.records import sharding
from suwen.data.records.building import import_records
from suwen.data.records.events import SCHEMA
from suwen.data.records.quality import check_store
from suwen.data.records.sharding import OUTGROWN, TIMES, Shards, _held, planned, refuse_too_large, unpacked
from suwen.data.records.source import Part
from suwen.data.records.store import DATASET, MADE, RecordStore, shard_name, shard_of


def write(folder: Path, first: int, subjects: int, events: int = 5) -> Path:
    """Observations, some of which are there twice, of subjects from `first` on, a file of them."""
    folder.mkdir(exist_ok=True)
    rows = [observation(first + number, day) for number in range(subjects) for day in [*range(1, events), 1]]
    (folder / f"Observation.{first}.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def observation(subject: int, day: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": f"{day % 3}-0"}]},
        "subject": {"reference": f"Patient/{subject}"},
        "effectiveDateTime": f"2020-01-0{day}T10:00:00Z",
        "valueQuantity": {"value": subject / 8, "unit": "mg/dL"},
    }


def events_of(store: Path) -> list[tuple[Any, ...]]:
    rows = [tuple(row.values()) for table in RecordStore(store).tables() for row in table.to_pylist()]
    return sorted(rows, key=repr)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards are of a few kilobytes."""
    monkeypatch.setattr(sharding, "SHARD_BYTES", 4000)


def test_a_packed_source_gets_as_many_shards_as_its_text_needs(tmp_path: Path) -> None:
    """Memory follows events, not bytes on the disk."""
    part = Part("a", (tmp_path / "a.ndjson",), 1000)
    packed = [Part("a", (tmp_path / f"a{suffix}",), 1000) for suffix in (".ndjson.gz", ".ZIP", ".parquet")]
    assert unpacked(part) == 1000 and all(unpacked(each) == TIMES * 1000 for each in packed)


def test_a_foreign_meds_dataset_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    foreign = tmp_path / "meds"
    (foreign / "data" / "train").mkdir(parents=True)
    (foreign / "metadata").mkdir()
    pq.write_table(SCHEMA.empty_table(), foreign / "data" / "train" / "0.parquet")
    (foreign / DATASET).write_text('{"dataset_name": "theirs"}')
    with pytest.raises(DataError, match=r"is a MEDS dataset that suwen did not make(.|\n)*--from meds"):
        import_records(write(tmp_path / "source", 0, 3), "fhir", foreign, progress=False)
    files = sorted(str(file.relative_to(foreign)) for file in foreign.rglob("*") if file.is_file())
    assert files == ["data/train/0.parquet", "metadata/dataset.json"]
    assert (foreign / DATASET).read_text() == '{"dataset_name": "theirs"}'


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_store_that_is_outgrown_is_divided_anew(tmp_path: Path, workers: int) -> None:
    source, store = write(tmp_path / "source", 0, 2), tmp_path / "store"
    import_records(source, "fhir", store, progress=False)
    assert RecordStore(store).made["shards"] == 1
    for first in (100, 200):
        write(source, first, 60)
    found = import_records(source, "fhir", store, workers=workers, progress=False)
    shards = RecordStore(store).made["shards"]
    assert shards > OUTGROWN and len(RecordStore(store).shards) == shards
    whole = import_records(source, "fhir", tmp_path / "whole", shards=3, progress=False)
    assert (found.events, found.subjects) == (whole.events, whole.subjects)
    assert events_of(store) == events_of(tmp_path / "whole")
    for number, table in enumerate(RecordStore(store).tables()):
        assert (shard_of(table["subject_id"].to_numpy(), shards) == number).all()
    assert not check_store(RecordStore(store), progress=False)
    assert len(RecordStore(store).subject(1)) == 4 == len(RecordStore(store).subject(230))
    assert import_records(source, "fhir", store, progress=False).parts == 0
    assert RecordStore(store).made["shards"] == shards


@pytest.mark.usefixtures("small")
def test_a_store_grows_by_whole_multiples_up_to_a_limit_and_not_where_its_shards_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "metadata").mkdir()
    (tmp_path / MADE).write_text('{"shards": 3}')

    def plan(asked: int | None, shards: float) -> Shards:
        return planned(tmp_path, asked, int(4000 * shards))

    assert plan(None, 3 * OUTGROWN) == Shards(3, 3)
    assert plan(None, 3 * OUTGROWN + 1) == Shards(3, 15)
    assert plan(None, 10_000) == Shards(3, 255)
    assert plan(3, 10_000) == Shards(3, 3)
    with pytest.raises(DataError, match="the store has 3"):
        plan(4, 1)


KILLED = """
import os, signal, sys
from pathlib import Path
from suwen.data.records import building, sharding

sharding.SHARD_BYTES = 4000
real, calls = building.put_in_order, 0

def killed(task):
    global calls
    calls += 1
    if calls == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    return real(task)

building.put_in_order = killed
building.import_records(Path(sys.argv[1]), "fhir", Path(sys.argv[2]), progress=False)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("small")
@pytest.mark.skipif(os.name != "posix", reason="processes are killed by a signal")
@pytest.mark.parametrize("moment", ["new shards", "old shards"])
def test_dividing_anew_goes_on_where_it_was_killed(tmp_path: Path, moment: str) -> None:
    source, store = write(tmp_path / "source", 0, 9), tmp_path / "store"
    import_records(source, "fhir", store, shards=2, progress=False)
    for first in (100, 200):
        write(source, first, 60)
    expected = import_records(source, "fhir", tmp_path / "copy", progress=False)
    assert expected.subjects == 129
    grown = planned_for(source, store)
    words = [sys.executable, "-c", KILLED, source, store, 3 if moment == "new shards" else grown]
    assert subprocess.run([*map(str, words)], check=False).returncode == -signal.SIGKILL
    assert RecordStore(store).made["shards"] == 2
    assert len(RecordStore(store).subject(3)) == 4  # looked for everywhere while it is not done
    found = import_records(source, "fhir", store, progress=False)
    assert RecordStore(store).made["shards"] == grown and found.subjects == 129
    assert events_of(store) == events_of(tmp_path / "copy")
    assert not check_store(RecordStore(store), progress=False)


def planned_for(source: Path, store: Path) -> int:
    """Shards that the store is to have."""
    fresh = sum(file.stat().st_size for file in source.iterdir() if ".0." not in file.name)
    needed = -(-(fresh + TIMES * _held(store)) // 4000)
    assert needed > 2 * OUTGROWN
    return 2 * -(-needed // 2)


def test_a_shard_that_arrow_cannot_hold_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharding, "MOST_TEXT", 1000)
    codes = pa.array(["C" * 10] * 100)
    table = pa.Table.from_pydict({"subject_id": np.arange(100), "code": codes, "unit": pa.nulls(100, pa.string())})
    with pytest.raises(DataError, match=r"0003\.parquet would have 100 events, whose codes(.|\n)*--shards 12 "):
        refuse_too_large(table, tmp_path / shard_name(3), Shards(4, 4))
    refuse_too_large(table.slice(0, 50), tmp_path / shard_name(3), Shards(4, 4))
