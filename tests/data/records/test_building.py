from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from meds import CodeMetadataSchema, DataSchema, DatasetMetadataSchema

from suwen.core.errors import DataError
from suwen.core.registry import IMPORTERS
from suwen.data.records.building import import_records, uncollected
from suwen.data.records.events import SCHEMA, Events, number_of
from suwen.data.records.ordering import in_order
from suwen.data.records.rejects import Rejects
from suwen.data.records.source import Described, Part
from suwen.data.records.store import RecordStore, shard_of


class Lines:
    """A format for tests: ``subject day code value`` a line, and ``?`` for what cannot be mapped."""

    summary = "lines"

    def parts(self, source: Path) -> Sequence[Part]:
        return [Part(file.name, (file,), file.stat().st_size) for file in sorted(source.iterdir())]

    def read(self, part: Part, rejects: Rejects, described: Described) -> Iterator[pa.Table]:
        events = Events()
        for number, line in enumerate(part.files[0].read_text().splitlines()):
            if line == "?":
                rejects.add("cannot be mapped", f"{part.name}, line {number + 1}", line)
                continue
            subject, day, code, value = line.split()
            when = None if day == "-" else datetime(2020, 1, int(day))
            events.add(number_of(subject), when, code, float(value))
            described.descriptions[code] = f"about {code}"
            if len(events) == 3:
                yield events.taken()
        yield events.taken()


IMPORTERS._added["lines"] = Lines()


def write(folder: Path, seed: int = 0, files: int = 4, lines: int = 200) -> Path:
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        rows = [
            f"{rng.choice(['7', '12', 'abc', 'x-1', '9'])} {rng.choice(['-', *range(1, 29)])} "
            f"C{rng.integers(9)} {rng.integers(100)}"
            for _ in range(lines)
        ]
        (folder / f"{number}.txt").write_text("\n".join([*rows, "?"]))
    return folder


def events_of(store: Path) -> list[tuple[Any, ...]]:
    rows = [tuple(row.values()) for table in RecordStore(store).tables() for row in table.to_pylist()]
    return sorted(rows, key=repr)


def test_every_event_is_in_the_store_once_and_the_store_is_meds(tmp_path: Path) -> None:
    source = write(tmp_path / "source")
    found = import_records(source, "lines", tmp_path / "store", shards=3, progress=False)
    wanted = {line for file in source.iterdir() for line in file.read_text().splitlines() if line != "?"}
    assert found.events == len(wanted) == len(RecordStore(tmp_path / "store")) and found.subjects == 5
    assert found.repeated == 4 * 200 - len(wanted) and found.rejected == {"cannot be mapped": 4}
    seen: set[int] = set()
    for table in RecordStore(tmp_path / "store").tables():
        DataSchema.validate(table)
        subjects = table["subject_id"].to_pylist()
        assert not seen & set(subjects) and subjects == sorted(subjects)
        seen |= set(subjects)
        for subject in set(subjects):
            times = [row["time"] for row in table.to_pylist() if row["subject_id"] == subject]
            known = [time for time in times if time is not None]
            assert times == [None] * (len(times) - len(known)) + sorted(known)
    codes = RecordStore(tmp_path / "store").codes
    CodeMetadataSchema.validate(codes)
    assert codes["code"].to_pylist() == [f"C{n}" for n in range(9)] and codes["description"][0].as_py() == "about C0"
    DatasetMetadataSchema.validate(json.loads((tmp_path / "store" / "metadata" / "dataset.json").read_text()))
    kept = [json.loads(line) for line in (tmp_path / "store" / "metadata" / "rejected.ndjson").open()]
    assert [each["where"] for each in kept] == [f"{n}.txt, line 201" for n in range(4)]


def test_importing_again_changes_nothing_and_new_files_are_added(tmp_path: Path) -> None:
    source, store = write(tmp_path / "source"), tmp_path / "store"
    import_records(source, "lines", store, shards=2, progress=False)
    first = events_of(store)
    again = import_records(source, "lines", store, progress=False)
    assert again.parts == 0 and again.known == 4 and events_of(store) == first
    (source / "new.txt").write_text("77 3 C1 5\n7 1 C2 2000")
    added = import_records(source, "lines", store, progress=False)
    assert added.parts == 1 and len(events_of(store)) == len(first) + 2
    assert len(RecordStore(store).subject(77)) == 1
    with pytest.raises(DataError, match="no subject 5"):
        RecordStore(store).subject(5)


@pytest.mark.parametrize("workers", [1, 2])
def test_shards_and_workers_change_no_event(tmp_path: Path, workers: int) -> None:
    source = write(tmp_path / "source")
    one, many = tmp_path / "one", tmp_path / "many"
    import_records(source, "lines", one, shards=1, progress=False)
    import_records(source, "lines", many, shards=5, workers=workers, progress=False)
    assert events_of(one) == events_of(many)


def test_other_folders_and_other_numbers_of_shards_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "source", files=1)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(DataError, match="holds other files"):
        import_records(source, "lines", tmp_path / "notes", progress=False)
    import_records(source, "lines", tmp_path / "store", shards=2, progress=False)
    with pytest.raises(DataError, match="the store has 2"):
        import_records(source, "lines", tmp_path / "store", shards=3, progress=False)
    with pytest.raises(DataError, match="is no record store"):
        RecordStore(tmp_path / "notes")


def test_events_of_one_time_keep_their_order_and_repeated_ones_go() -> None:
    day = datetime(2020, 1, 1)
    rows = [(2, day, "B"), (1, day, "Z"), (1, None, "S"), (1, day, "A"), (1, day, "Z"), (1, None, "S")]
    events = Events()
    for row in rows:
        events.add(*row)
    found, repeated = in_order(events.taken())
    assert [(r["subject_id"], r["time"], r["code"]) for r in found.to_pylist()] == [
        (1, None, "S"), (1, day, "Z"), (1, day, "A"), (2, day, "B"),
    ]  # fmt: skip
    assert repeated == 2 and found.schema == SCHEMA


def test_shards_are_of_about_one_size() -> None:
    counts = np.bincount(shard_of(np.arange(100_000), 16), minlength=16)
    assert counts.min() > 0.9 * 100_000 / 16 and counts.max() < 1.1 * 100_000 / 16


def test_the_search_for_cycles_rests_while_a_part_is_read_and_goes_on_after_an_error() -> None:
    with pytest.raises(ValueError), uncollected():
        assert not gc.isenabled()
        raise ValueError
    assert gc.isenabled()
