from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from suwen.core.errors import DataError
from suwen.core.registry import IMPORTERS
from suwen.data.records.building import Imported, import_records
from suwen.data.records.importers.table import TableImporter
from suwen.data.records.profile.origin import origin_of
from suwen.data.records.readings import READ
from suwen.data.records.store import RecordStore

IMPORTERS._added["table-of-readings"] = TableImporter()
LAB = "subject,time,code,value\n1,2020-01-01,sodium,140\n1,2020-01-02,sodium,141\n,2020-01-01,sodium,139\n"
TABLE = {"files": "lab*.csv", "subject": "subject", "time": "time", "events": [{"code": "{code}", "value": "value"}]}


def write(folder: Path, table: dict[str, Any] = TABLE, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "mapping.yaml").write_text(json.dumps({"name": "own", "tables": [table]}))
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return folder


def again(source: Path, kind: str = "table-of-readings") -> Imported:
    return import_records(source, kind, source.parent / "store", progress=False)


def values(source: Path) -> list[float]:
    tables = RecordStore(source.parent / "store").tables()
    return sorted(value for table in tables for value in table["numeric_value"].to_pylist())


def rejected(source: Path) -> dict[str, int]:
    store = RecordStore(source.parent / "store")
    return origin_of(store, len(store)).rejected


def later(file: Path) -> None:
    os.utime(file, ns=(1, file.stat().st_mtime_ns + 10**9))


def test_a_corrected_file_is_refused_and_the_store_stays(tmp_path: Path) -> None:
    source = write(tmp_path / "source", lab=LAB)
    again(source)
    write(source, lab=LAB.replace("140", "104"))
    with pytest.raises(DataError, match=r"lab\.csv was imported into .* in another version(.|\n)*--out NEW"):
        again(source)
    assert values(source) == [140, 141]
    write(source, lab=LAB)
    later(source / "lab.csv")
    again(source)
    assert values(source) == [140, 141]


def test_a_file_that_was_only_touched_is_not_counted_twice(tmp_path: Path) -> None:
    source = write(tmp_path / "source", lab=LAB)
    again(source)
    later(source / "lab.csv")
    found = again(source)
    assert (found.parts, found.events) == (1, 2) and rejected(source) == {"no subject": 1}
    assert len(RecordStore(tmp_path / "store").made["imports"]) == 1
    assert again(source).parts == 0


def test_lines_that_were_added_since_are_taken_and_a_last_line_that_grew_is_not(tmp_path: Path) -> None:
    source = write(tmp_path / "source", lab=LAB)
    again(source)
    write(source, lab=LAB + "2,2020-01-01,sodium,142")
    again(source)
    assert values(source) == [140, 141, 142] and rejected(source) == {"no subject": 1}
    write(source, lab=LAB + "2,2020-01-01,sodium,1420\n")
    with pytest.raises(DataError, match="another version"):
        again(source)


def test_files_that_come_into_another_group_are_not_counted_twice(tmp_path: Path) -> None:
    source = write(tmp_path / "source", lab1=LAB, lab3=LAB.replace("1,2020", "3,2020"))
    again(source)
    write(source, lab2=LAB.replace("1,2020", "2,2020"))
    found = again(source)
    assert found.events == 6 and rejected(source) == {"no subject": 3}
    (key,) = RecordStore(tmp_path / "store").made["imports"]
    write(source, lab2=LAB.replace("1,2020", "2,2020").replace("140", "104"))
    with pytest.raises(DataError, match=r"lab2\.csv was imported"):
        again(source)
    assert list(RecordStore(tmp_path / "store").made["imports"]) == [key]


def test_another_mapping_of_the_same_files_is_refused(tmp_path: Path) -> None:
    source = write(tmp_path / "source", lab=LAB)
    again(source)
    write(source, {**TABLE, "events": [{"code": "LAB//{code}", "value": "value"}]})
    with pytest.raises(DataError, match=r"lab\.csv was imported .* by another mapping"):
        again(source)


def test_a_table_that_is_looked_up_in_may_not_change(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    drug = {"resourceType": "Medication", "id": "m", "code": {"text": "aspirin"}}
    order = {
        "resourceType": "MedicationRequest",
        "authoredOn": "2020-01-01",
        "subject": {"reference": "Patient/1"},
        "medicationReference": {"reference": "Medication/m"},
    }
    (source / "Medication.ndjson").write_text(json.dumps(drug) + "\n")
    (source / "MedicationRequest.ndjson").write_text(json.dumps(order) + "\n")
    again(source, "fhir")
    (source / "Medication.ndjson").write_text(json.dumps(drug).replace("aspirin", "heparin") + "\n")
    with pytest.raises(DataError, match=r"Medication\.ndjson was imported"):
        again(source, "fhir")


def test_the_same_names_in_another_folder_are_another_source(tmp_path: Path) -> None:
    again(write(tmp_path / "one", lab=LAB))
    found = again(write(tmp_path / "two", lab=LAB.replace("140", "104")))
    assert found.events == 3 and values(tmp_path / "one") == [104, 140, 141]


def test_nothing_of_what_was_read_is_named(tmp_path: Path) -> None:
    again(write(tmp_path / "source", lab=LAB))
    text = (tmp_path / "store" / READ).read_bytes()
    assert b"lab" not in text and b"source" not in text


def test_an_import_that_was_stopped_before_its_end_still_replaces_what_it_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write(tmp_path / "source", lab=LAB)
    again(source)
    write(source, lab=LAB + "2,2020-01-01,sodium,142\n")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("suwen.data.records.building._finish", interrupted)
        again(source)
    again(source)
    assert len(RecordStore(tmp_path / "store").made["imports"]) == 1
    assert values(source) == [140, 141, 142] and rejected(source) == {"no subject": 1}
    assert again(source).parts == 0
    write(source, lab=LAB + "2,2020-01-01,sodium,241\n")
    with pytest.raises(DataError, match="another version"):
        again(source)


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt
