"""What imports do with files that are damaged, or made to do harm: the file is named, or the record counted, and the
rest of the source is not lost."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from suwen.core.errors import FileUnreadable
from suwen.data.records import packed as packed_files
from suwen.data.records.building import import_records
from suwen.data.records.store import DATA, REJECTED, RecordStore

GROWN = 200 * 2**20
"""Bytes that a bomb expands to."""


def sodium(value: float, **fields: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2951-2"}]},
        "subject": {"reference": "Patient/1"},
        "effectiveDateTime": "2020-01-01",
        "valueQuantity": {"value": value},
        **fields,
    }


def line(value: float, **fields: Any) -> bytes:
    return json.dumps(sodium(value, **fields)).encode() + b"\n"


def zeros(file: Path) -> None:
    """As many as `GROWN`, packed; a MiB at a time."""
    block = b"0" * 2**20
    if file.suffix == ".zip":
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.json", "w") as stream:
            for _ in range(GROWN // len(block)):
                stream.write(block)
        return
    with gzip.open(file, "wb", compresslevel=1) as packed:
        for _ in range(GROWN // len(block)):
            packed.write(block)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "name"),
    [("fhir", "a.json.gz"), ("fhir", "a.ndjson.gz"), ("fhir", "a.zip")],
)
def test_a_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path, kind: str, name: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    zeros(source / name)
    assert (source / name).stat().st_size < GROWN / 200
    tracemalloc.start()
    try:
        with pytest.raises(FileUnreadable, match=name.replace(".", r"\.")):
            import_records(source, kind, tmp_path / "store", progress=False)
        assert tracemalloc.get_traced_memory()[1] < GROWN
    finally:
        tracemalloc.stop()
    assert not (tmp_path / "store" / DATA).exists()


@pytest.mark.parametrize("name", ["labs.csv.gz", "labs.csv", "labs.csv.gz in a zip"])
def test_a_table_that_grows_beyond_measure_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(packed_files, "UNSUSPECTED", 2**20)
    text = b"subject,time,code,value\n" + b"1,2020-01-01,sodium,140\n" * 400_000
    packed = gzip.compress(text, 9)
    assert len(text) > 200 * len(packed)
    source = tmp_path / "source"
    source.mkdir()
    if name == "labs.csv.gz":
        (source / name).write_bytes(packed)
    else:
        with zipfile.ZipFile(source / "labs.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name.removesuffix(" in a zip"), packed if "gz" in name else text)
    table = {"files": "labs.*", "subject": "subject", "time": "time", "events": [{"code": "{code}", "value": "value"}]}
    (source / "mapping.yaml").write_text(json.dumps({"name": "own", "tables": [table]}))
    with pytest.raises(FileUnreadable, match=r"labs\..*bytes become"):
        import_records(source, "table", tmp_path / "store", progress=False)


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "cut within a line": lambda good: good + line(9)[:-20],
    "cut within a character": lambda good: good + line(9, note=[{"text": "é"}]).replace(b"\\u00e9", b"\xc3"),
    "ISO 8859-1": lambda good: good + line(9, note=[{"text": "é"}]).replace(b"\\u00e9", b"\xe9"),
    "a surrogate alone": lambda good: good + line(9, note=[{"text": "\ud800"}]),
    "zeros at the end": lambda good: good + bytes(4096),
    "nested without end": lambda good: good + b"[" * 100_000,
    "NaN, which is not JSON": lambda good: good + line(float("nan")),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_named_and_taken_out_the_import_goes_on(tmp_path: Path, damage: str) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "a.ndjson").write_bytes(line(1) + line(2))
    (source / "b.ndjson").write_bytes(DAMAGED[damage](line(3)))
    (source / "c.ndjson").write_bytes(line(4))
    with pytest.raises(FileUnreadable, match=r"b\.ndjson, line 2"):
        import_records(source, "fhir", tmp_path / "store", progress=False)
    assert not (tmp_path / "store" / DATA).exists()  # half of it is not told as if it were all
    (source / "b.ndjson").unlink()
    found = import_records(source, "fhir", tmp_path / "store", progress=False)
    values = [
        value for table in RecordStore(tmp_path / "store").tables() for value in table["numeric_value"].to_pylist()
    ]
    assert values == [1.0, 2.0, 4.0] and found.rejected == {}


def test_references_that_lead_nowhere_are_counted_and_what_they_are_of_is_kept(tmp_path: Path) -> None:
    entries = [
        {"resourceType": "Patient", "id": "1", "birthDate": "1950-01-01"},
        sodium(1, encounter={"reference": "urn:uuid:gone"}),
        sodium(2, subject={"reference": "urn:uuid:gone"}),
        sodium(3, subject={"reference": "#gone"}),
        sodium(4, subject={"identifier": {"system": "x", "value": "gone"}}),
        sodium(5, subject={"reference": "Group/1"}),
        sodium(6, subject={}),
        {
            "resourceType": "MedicationRequest",
            "authoredOn": "2020-01-02",
            "subject": {"reference": "Patient/1"},
            "medicationReference": {"reference": "urn:uuid:gone", "display": "Aspirin"},
        },
    ]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in entries]}
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "bundle.json").write_text(json.dumps(bundle))
    found = import_records(tmp_path / "source", "fhir", tmp_path / "store", progress=False)
    assert found.rejected == {
        "broken reference: Observation": 3,
        "subject is not a patient: Observation": 1,
        "no patient: Observation": 1,
        "in part: broken reference to the encounter: Observation": 1,
        "in part: broken reference to the medication: MedicationRequest": 1,
    }
    codes = [code for table in RecordStore(tmp_path / "store").tables() for code in table["code"].to_pylist()]
    assert codes == ["MEDS_BIRTH", "LOINC//2951-2", "TEXT//Aspirin"]
    kept = [json.loads(row) for row in (tmp_path / "store" / REJECTED).read_text().splitlines()]
    assert [each["where"].rpartition(", ")[2] for each in kept] == [f"entry {n}" for n in (1, 2, 3, 4, 5, 6, 7)]
