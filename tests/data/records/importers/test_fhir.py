from __future__ import annotations

import gzip
import json
import math
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.records.authorities import TWO_AUTHORITIES
from suwen.data.records.building import import_records
from suwen.data.records.events import SCHEMA, number_of
from suwen.data.records.fhir import files as fhir_files
from suwen.data.records.fhir.draft import MIXED
from suwen.data.records.importers import fhir
from suwen.data.records.importers.fhir import FHIR, IN_PART, Tally
from suwen.data.records.rejects import Rejects
from suwen.data.records.source import Described, Part

SHARED = Path(__file__).resolve().parents[4].parent / "shared" / "data"
SYNTHEA, EXAMPLES = SHARED / "synthea_fhir", SHARED / "fhir_r4_examples"

needs = {
    folder: pytest.mark.skipif(not folder.is_dir(), reason=f"needs the public data in shared/data/{folder.name}")
    for folder in (SYNTHEA, EXAMPLES)
}


class Read:
    """A source, read."""

    def __init__(self, source: Path, parts: list[Part] | None = None) -> None:
        self.rejects, self.described, self.tally = Rejects(), Described(), Tally()
        self.parts = list(FHIR.parts(source)) if parts is None else parts
        tables = [table for part in self.parts for table in FHIR.read(part, self.rejects, self.described, self.tally)]
        assert all(table.schema == SCHEMA for table in tables)
        self.table = pa.concat_tables(tables) if tables else SCHEMA.empty_table()
        self.events = self.table.to_pylist()

    @property
    def codes(self) -> list[str]:
        return [each["code"] for each in self.events]

    @property
    def whole(self) -> Counter[str]:
        """Reasons for which whole resources were rejected."""
        return Counter({why: n for why, n in self.rejects.counts.items() if not why.startswith(IN_PART)})


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    entries = [{"fullUrl": f"urn:uuid:{number}", "resource": each} for number, each in enumerate(resources)]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def sodium(value: float = 140.0, patient: str = "Patient/1", **fields: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2951-2"}]},
        "subject": {"reference": patient},
        "effectiveDateTime": "2020-01-01",
        "valueQuantity": {"value": value},
        **fields,
    }


PATIENT = {"resourceType": "Patient", "id": "p", "birthDate": "1900-01-01"}


# --- real data ---


def documents(folder: Path) -> Iterator[tuple[str, Any]]:
    """Name and JSON of every file of a folder and its zip archives, by the standard library alone."""
    for file in sorted(folder.rglob("*")):
        if file.suffix == ".json":
            yield file.name, json.loads(file.read_text(encoding="utf-8"))
        if file.suffix == ".zip":
            with zipfile.ZipFile(file) as archive:
                for name in archive.namelist():
                    if name.endswith(".json"):
                        yield name, json.loads(archive.read(name))


def resources(value: Any) -> Iterator[dict[str, Any]]:
    if value.get("resourceType") != "Bundle":
        yield value
    else:
        for entry in value.get("entry", []):
            yield from resources(entry["resource"])


@pytest.mark.parametrize(
    "folder", [pytest.param(each, marks=needs[each], id=each.name) for each in (SYNTHEA, EXAMPLES)]
)
def test_every_resource_is_mapped_or_counted_with_its_reason(folder: Path) -> None:
    found = Read(folder)
    expected = Counter(each["resourceType"] for _, value in documents(folder) for each in resources(value))
    assert found.tally.mapped + found.tally.rejected == expected
    assert found.whole.total() == found.tally.rejected.total()
    assert not any("malformed" in why or "not a date" in why for why in found.rejects.counts)


@pytest.fixture(scope="module")
def synthea() -> Read:
    return Read(SYNTHEA)


@needs[SYNTHEA]
def test_synthea_is_read_whole(synthea: Read) -> None:
    found = synthea
    assert len(set(found.table["subject_id"].to_pylist())) == 118
    assert set(found.whole) == {
        f"resource type not mapped: {kind}"
        for kind in (
            "CarePlan",
            "Claim",
            "ExplanationOfBenefit",
            "Goal",
            "ImagingStudy",
            "Organization",
            "Practitioner",
        )
    }
    counts = Counter(found.codes)
    assert counts["MEDS_BIRTH"] == 118
    assert counts["MEDS_DEATH"] == 10
    started = sum(n for code, n in counts.items() if code.startswith("VISIT//") and code.endswith("//START"))
    assert started == 1210
    assert found.described.descriptions["LOINC//8302-2"] == "Body Height"


def naive(observation: dict[str, Any]) -> list[tuple[Any, ...]]:
    """(code, time, known, number, unit) of a Synthea Observation, written independently: no tables, no shared code."""

    def utc(text: str) -> datetime:
        return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)

    def name(concept: dict[str, Any]) -> str:
        short = {"http://loinc.org": "LOINC", "http://snomed.info/sct": "SNOMED"}
        return f"{short[concept['coding'][0]['system']]}//{concept['coding'][0]['code']}"

    time, known = utc(observation["effectiveDateTime"]), utc(observation["issued"])
    found: list[tuple[Any, ...]] = []
    for part in observation.get("component", [observation]):
        code, quantity = name(part["code"]), part.get("valueQuantity")
        if quantity is not None:
            found.append((code, time, known, float(np.float32(quantity["value"])), quantity["unit"]))
        elif "valueString" in part:
            found.append((code, time, known, None, None))
        else:
            found.append((code + "//" + name(part["valueCodeableConcept"]), time, known, None, None))
    return found


@needs[SYNTHEA]
def test_observations_are_what_another_reading_makes_of_them(synthea: Read) -> None:
    expected: list[tuple[Any, ...]] = []
    for _, value in documents(SYNTHEA):
        patients = {each["fullUrl"]: each["resource"]["id"] for each in value["entry"]}
        for each in resources(value):
            if each["resourceType"] == "Observation":
                who = number_of(patients[each["subject"]["reference"]])
                visit = number_of(patients[each["encounter"]["reference"]])
                expected += [(who, visit, *event) for event in naive(each)]
    wanted = {event[2] for event in expected}
    fields = ("subject_id", "encounter_id", "code", "time", "available_time", "numeric_value", "unit")
    found = [tuple(each[name] for name in fields) for each in synthea.events if each["code"] in wanted]
    assert Counter(found) == Counter(expected)


@needs[SYNTHEA]
def test_reading_again_in_any_order_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir, "GROUP", 2**20)
    first = Read(SYNTHEA / "bundles")
    assert len(first.parts) > 2
    assert first.table.equals(Read(SYNTHEA / "bundles", first.parts).table)
    turned = Read(SYNTHEA / "bundles", first.parts[::-1])
    assert sorted(map(str, first.events)) == sorted(map(str, turned.events))
    assert turned.rejects.counts == first.rejects.counts


# --- generated observations ---

numbers = st.floats(-1e9, 1e9, allow_nan=False) | st.integers(-(10**12), 10**12)
identifiers = st.text("abcXYZ019-.", min_size=1, max_size=20)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(numbers, identifiers, st.datetimes(datetime(1900, 1, 1), timezones=st.just(UTC)))))
def test_any_observation_comes_through(rows: list[tuple[float, str, datetime]]) -> None:
    lines = [
        json.dumps(sodium(value, f"Patient/{name}", effectiveDateTime=time.isoformat())) for value, name, time in rows
    ]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "Observation.ndjson"
        file.write_text("\n".join(lines), encoding="utf-8")
        found = Read(file)
    assert found.tally.mapped.total() == len(rows)
    for event, (value, name, time) in zip(found.events, rows, strict=True):
        assert event["subject_id"] == number_of(name)
        assert event["time"] == time.replace(tzinfo=None)
        assert math.isclose(event["numeric_value"], value, rel_tol=1e-6, abs_tol=1e-30)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FULL: list[dict[str, Any]] = [
    sodium(issued="2020", encounter={"reference": "Encounter/1"}, component=[{"code": {"text": "x"}}]),
    {**PATIENT, "gender": "male", "deceasedBoolean": True, "communication": [], "extension": [], "maritalStatus": {}},
    {"resourceType": "Encounter", "id": "e", "subject": {"reference": "Patient/1"}, "class": {"code": "AMB"},
     "period": {"start": "2020"}, "type": [], "reasonCode": [], "hospitalization": {}},
    {"resourceType": "MedicationRequest", "subject": {"reference": "Patient/1"}, "authoredOn": "2020",
     "medicationReference": {"reference": "#m"}, "contained": [{"resourceType": "Medication", "id": "m"}],
     "dosageInstruction": [{"doseAndRate": [{"doseQuantity": {"value": 1}}]}]},
    {"resourceType": "DiagnosticReport", "subject": {"reference": "Patient/1"}, "code": {"text": "x"},
     "issued": "2020", "presentedForm": [{"data": "SGVs"}], "conclusion": "x", "conclusionCode": []},
    {"resourceType": "FamilyMemberHistory", "patient": {"reference": "Patient/1"}, "date": "2020",
     "relationship": {"text": "x"}, "condition": [{"code": {"text": "x"}}]},
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something lies in a JSON value: keys and positions on the way to it."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield (*path, step)
        yield from places(inner, (*path, step))


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(FULL), st.data())
def test_whatever_a_field_holds_the_resource_is_mapped_or_counted(
    resource: dict[str, Any], data: st.DataObject
) -> None:
    odd = json.loads(json.dumps(resource))
    path = data.draw(st.sampled_from(sorted(places(odd), key=str)))
    holder = odd
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = data.draw(json_values)
    with tempfile.TemporaryDirectory() as folder:
        found = Read(write(Path(folder) / "odd.json", [odd, sodium()]))
    assert found.tally.mapped.total() + found.tally.rejected.total() == 2
    assert found.whole.total() == found.tally.rejected.total()
    assert found.codes.count("LOINC//2951-2") >= 1


@pytest.mark.parametrize("field", ["maritalStatus", "communication"])
def test_a_display_that_is_no_text_costs_its_resource_and_not_the_import(tmp_path: Path, field: str) -> None:
    concept = {"coding": [{"code": "M", "display": {"text": "Married"}}]}
    odd = {**PATIENT, field: concept if field == "maritalStatus" else [{"language": concept}]}
    write(tmp_path / "source" / "a.json", [odd, sodium()])
    done = import_records(tmp_path / "source", "fhir", tmp_path / "store", progress=False)
    assert done.events == 1 and done.rejected == {"malformed: Patient": 1}


def test_times_with_an_offset_beside_times_without_are_counted(tmp_path: Path) -> None:
    zoned, local = (sodium(effectiveDateTime=time) for time in ("2020-01-01T10:00:00+09:00", "2020-01-01T09:30:00"))
    mixed = Read(write(tmp_path / "a.json", [zoned, local, sodium()]))
    assert [each["time"].hour for each in mixed.events] == [1, 9, 0]
    assert dict(mixed.rejects.counts) == {IN_PART + MIXED: 1}
    for alone in (zoned, local):  # a birth, a death and a date have no clock to be mixed with
        person = {**PATIENT, "deceasedDateTime": "2021"}
        assert not Read(write(tmp_path / "b.json", [alone, sodium(), person])).rejects.counts


def test_one_id_of_two_servers_is_counted_within_a_part_and_between_parts(tmp_path: Path) -> None:
    def of(server: str) -> dict[str, Any]:
        person = {"resourceType": "Patient", "id": "1", "gender": "male"}
        return {
            "resourceType": "Bundle",
            "entry": [{"fullUrl": f"https://{server}/fhir/Patient/1", "resource": person}],
        }

    within = Read(write(tmp_path / "a.json", [of("a.org"), of("A.org"), of("b.org")]))
    assert dict(within.rejects.counts) == {f"{IN_PART}{TWO_AUTHORITIES}: Patient": 1}
    referred = sodium(patient="https://c.org/fhir/Patient/1")
    assert len(Read(write(tmp_path / "b.json", [of("a.org"), referred])).rejects.counts) == 1
    for name in ("a", "b"):
        write(tmp_path / "source" / f"{name}.ndjson", of(f"{name}.org"))
    done = import_records(tmp_path / "source", "fhir", tmp_path / "store", progress=False)
    assert done.rejected == {TWO_AUTHORITIES: 1}


# --- files ---


def test_one_thing_in_every_wrapping_gives_the_same_events(tmp_path: Path) -> None:
    all_of_it = [PATIENT, sodium(patient="Patient/p"), {**sodium(1.0, "Patient/p"), "id": "2"}]
    text = json.dumps(bundle(*all_of_it)).encode()
    lines = "\n\n".join(json.dumps(each) for each in all_of_it).encode() + b"\r\n"
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("deep/er/a.json", text)
        archive.writestr("README.txt", "no FHIR")
        archive.writestr("__MACOSX/deep/._a.json", "no FHIR")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("a.ndjson", lines)
    (tmp_path / "a.json").write_bytes(text)
    (tmp_path / "b.json").write_bytes(b"\xef\xbb\xbf" + text)
    (tmp_path / "c.json").write_text(json.dumps(all_of_it))
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(text))
    (tmp_path / "a.ndjson").write_bytes(b"\xef\xbb\xbf" + lines)
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "A.JSONL").write_bytes(lines)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 9
    expected = Read(tmp_path / "a.json").table
    assert len(expected) == 3
    for file in files:
        assert Read(file).table.equals(expected), file
    assert len(Read(tmp_path).table) == 9 * 3


def test_parts_are_groups_of_small_files_and_pieces_of_large_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(10):
        write(tmp_path / "small" / f"{number}.json", sodium(number))
    write(tmp_path / ".hidden" / "x.json", sodium())
    lines = [json.dumps(sodium(100 + number)) for number in range(50)]
    (tmp_path / "Observation.ndjson").write_text("\n".join(lines) + "\n")
    whole = Read(tmp_path)
    assert [part.name for part in whole.parts] == ["Observation.ndjson", "small/0.json to small/9.json"]

    monkeypatch.setattr(fhir, "GROUP", 700)
    monkeypatch.setattr(fhir, "PIECE", 1000)
    cut = Read(tmp_path)
    assert len({part.name for part in cut.parts}) == len(cut.parts) > 12
    assert sum(part.size for part in cut.parts) == sum(part.size for part in whole.parts)
    assert [each["numeric_value"] for each in cut.events] == [*range(100, 150), *range(10)]
    assert json.loads(json.dumps([dict(part.options) for part in cut.parts])) == [
        dict(part.options) for part in cut.parts
    ]


@pytest.mark.parametrize("size", [1, 7, 64, 1000])
def test_lines_are_whole_however_the_bytes_come(size: int) -> None:
    def lines(chunks: list[bytes]) -> fhir_files.Opened:
        return fhir_files.Opened("a.ndjson", True, iter(chunks))

    text = b"\xef\xbb\xbf{}\n\n" + b"x" * 300 + b"\n12\r\nlast"
    chunks = [text[start : start + size] for start in range(0, len(text), size)]
    if size >= 3:  # a byte order mark comes in one piece: chunks are of a MiB
        assert [line for some in fhir_files.lines_of(lines(chunks)) for line in some] == text[3:].split(b"\n")
    plain = [text[3:][start : start + size] for start in range(0, len(text) - 3, size)]
    assert [line for some in fhir_files.lines_of(lines(plain)) for line in some] == text[3:].split(b"\n")


def test_drugs_of_a_bulk_export_lie_in_another_file(tmp_path: Path) -> None:
    drug = {"resourceType": "Medication", "id": "m", "code": {"coding": [{"system": "http://x.org/own", "code": "9"}]}}
    order = {
        "resourceType": "MedicationRequest",
        "authoredOn": "2020",
        "subject": {"reference": "Patient/1"},
        "medicationReference": {"reference": "Medication/m"},
    }
    (tmp_path / "MimicMedication.ndjson").write_text(json.dumps(drug) + "\n")
    (tmp_path / "MimicMedicationRequest.ndjson.gz").write_bytes(gzip.compress(json.dumps(order).encode()))
    found = Read(tmp_path)
    assert found.codes == ["x.org/own//9"]
    assert dict(found.rejects.counts) == {"resource type not mapped: Medication": 1}


def test_a_line_may_be_a_bundle(tmp_path: Path) -> None:
    lines = [bundle(PATIENT, sodium(1, "urn:uuid:0")), sodium(2, "urn:uuid:0"), sodium(3, "Patient/p")]
    (tmp_path / "a.ndjson").write_text("\n".join(json.dumps(each) for each in lines))
    found = Read(tmp_path)
    assert [each["numeric_value"] for each in found.events] == [None, 1.0, 3.0]
    assert dict(found.rejects.counts) == {"broken reference: Observation": 1}
    assert found.rejects.kept[0]["where"].endswith("a.ndjson, line 2")


def test_many_events_come_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir, "BATCH", 10)
    file = write(tmp_path / "a.json", bundle(*[sodium(number) for number in range(95)]))
    tables = list(FHIR.read(FHIR.parts(file)[0], Rejects(), Described()))
    assert [len(table) for table in tables] == [10] * 9 + [5]
    assert pa.concat_tables(tables)["numeric_value"].to_pylist() == list(range(95))


# --- bad input ---


def test_a_folder_without_fhir_is_told_what_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=r"\.ndjson"):
        FHIR.parts(tmp_path)
    with pytest.raises(DataError, match=r"notes\.txt"):
        FHIR.parts(tmp_path / "notes.txt")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("cut.json", json.dumps(bundle(sodium())).encode()[:-20]),
        ("latin.json", json.dumps(sodium()).replace("final", "fin\xe4l").encode("latin-1")),
        ("wide.json", json.dumps(sodium()).encode("utf-16")),
        ("empty.json", b""),
        ("page.json", b"<html></html>"),
        ("lines.ndjson", json.dumps(sodium()).encode() + b'\n{"resourceType": "Obs'),
        ("cut.json.gz", gzip.compress(json.dumps(sodium()).encode())[:-9]),
        ("wrong.json.gz", json.dumps(sodium()).encode()),
        ("wrong.zip", json.dumps(sodium()).encode()),
    ],
)
def test_a_damaged_file_is_named(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(FileUnreadable, match=name.replace(".", r"\.")):
        Read(tmp_path / name)


def test_a_damaged_member_and_a_damaged_line_are_named(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("good.json", json.dumps(sodium()))
        archive.writestr("bad.ndjson", json.dumps(sodium()) + "\n\n{")
    with pytest.raises(FileUnreadable, match=r"a\.zip: bad\.ndjson, line 3"):
        Read(tmp_path / "a.zip")


def test_an_archive_that_expands_beyond_measure_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blank = b" " * (6 * 2**20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(3):
            archive.writestr(f"{number}.ndjson", blank)
    (tmp_path / "bomb.ndjson.gz").write_bytes(gzip.compress(blank * 3))
    for name in ("bomb.zip", "bomb.ndjson.gz"):
        assert Read(tmp_path / name).events == []  # below 128 MiB nothing is refused
    monkeypatch.setattr(fhir_files, "MOST", 8 * 2**20)
    for name in ("bomb.zip", "bomb.ndjson.gz"):
        with pytest.raises(FileUnreadable, match=name):
            Read(tmp_path / name)


@pytest.mark.parametrize("name", ["bundle.json", "bundle.ndjson", "bundle.json.gz"])
def test_a_document_or_a_line_that_memory_may_not_hold_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(fhir_files, "LONGEST", 3 * 2**20)
    monkeypatch.setattr(fhir_files, "CHUNK", 2**18)
    large = json.dumps(bundle(*[sodium(number) for number in range(20_000)])).encode()
    assert len(large) > 4 * 2**20
    (tmp_path / name).write_bytes(gzip.compress(large) if name.endswith(".gz") else large)
    with pytest.raises(FileUnreadable, match=rf"{name}(.|\n)*jq -c"):
        Read(tmp_path / name)
    lines = b"\n".join(json.dumps(sodium(number)).encode() for number in range(20_000))
    (tmp_path / "lines.ndjson").write_bytes(lines)
    assert len(Read(tmp_path / "lines.ndjson").events) == 20_000  # as many in lines of their own


def test_an_ordinary_archive_may_be_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fhir_files, "MOST", 1000)
    lines = "\n".join(json.dumps(sodium(number * 1.7)) for number in range(500))
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(lines.encode()))
    assert len(Read(tmp_path / "a.ndjson.gz").events) == 500


@pytest.mark.parametrize("empty", [{}, {"entry": []}, {"entry": None}, {"entry": {"resource": 1}}])
def test_a_bundle_without_entries_is_counted(tmp_path: Path, empty: dict[str, Any]) -> None:
    found = Read(write(tmp_path / "a.json", {"resourceType": "Bundle", "type": "searchset", **empty}))
    assert dict(found.rejects.counts) == {"bundle without entries": 1}
    assert found.tally.rejected == {"Bundle": 1}


def test_what_is_no_resource_is_counted_with_its_place(tmp_path: Path) -> None:
    entries = [
        {"request": {"method": "DELETE", "url": "Patient/1"}},
        {"resource": {"id": "x"}},
        {"resource": 5},
        {"resource": {"resourceType": "Bad type!"}},
        7,
        {"resource": sodium()},
    ]
    found = Read(write(tmp_path / "a.json", {"resourceType": "Bundle", "entry": entries}))
    assert dict(found.rejects.counts) == {"no resource": 1, "no resourceType": 4}
    assert [each["where"].rsplit(", ", 1)[1] for each in found.rejects.kept] == [f"entry {n}" for n in range(5)]
    assert len(found.events) == 1
    manifest = Read(write(tmp_path / "manifest.json", {"transactionTime": "2020", "output": []}))
    assert dict(manifest.rejects.counts) == {"no resourceType": 1}


def test_a_broken_reference_is_counted_with_its_place(tmp_path: Path) -> None:
    found = Read(
        write(tmp_path / "a.json", bundle(PATIENT, sodium(patient="urn:uuid:0"), sodium(patient="urn:uuid:7")))
    )
    assert {each["subject_id"] for each in found.events} == {number_of("p")}
    assert dict(found.rejects.counts) == {"broken reference: Observation": 1}
    (kept,) = found.rejects.kept
    assert kept["where"] == f"{tmp_path / 'a.json'}, entry 2"
    assert json.loads(kept["record"])["subject"] == {"reference": "urn:uuid:7"}


def test_addresses_of_one_bundle_mean_nothing_in_another(tmp_path: Path) -> None:
    inner = bundle({**PATIENT, "id": "inner"}, sodium(1, "urn:uuid:0"))
    found = Read(write(tmp_path / "a.json", bundle(PATIENT, inner, sodium(2, "urn:uuid:0"))))
    values = {each["numeric_value"]: each["subject_id"] for each in found.events if each["numeric_value"]}
    assert values == {1.0: number_of("inner"), 2.0: number_of("p")}
    write(tmp_path / "b.json", sodium(3, "urn:uuid:0"))
    assert Read(tmp_path / "b.json").whole == {"broken reference: Observation": 1}


def test_two_resources_with_one_id_are_both_kept(tmp_path: Path) -> None:
    found = Read(write(tmp_path / "a.json", bundle(sodium(1, id="o"), sodium(2, id="o"))))
    assert [each["numeric_value"] for each in found.events] == [1.0, 2.0]


def test_implausible_times_are_kept(tmp_path: Path) -> None:
    file = write(tmp_path / "a.json", bundle(PATIENT, sodium(patient="Patient/p", effectiveDateTime="2999-12-31")))
    assert [each["time"] for each in Read(file).events] == [datetime(1900, 1, 1), datetime(2999, 12, 31)]


def test_a_date_that_is_none_is_counted(tmp_path: Path) -> None:
    late = sodium(issued="31.12.2020")
    found = Read(
        write(tmp_path / "a.json", bundle(sodium(effectiveDateTime="soon"), late, {**PATIENT, "birthDate": "?"}))
    )
    assert dict(found.rejects.counts) == {
        "not a date: Observation": 1, IN_PART + "not a date: Observation": 1, "not a date: Patient": 1,
    }  # fmt: skip
    assert len(found.events) == 1


def test_malformed_resources_leave_nothing_behind(tmp_path: Path) -> None:
    half = sodium(component=[{"code": {"text": "fine"}, "valueInteger": 1}, {"code": {"text": "x"}, "valueString": 5}])
    found = Read(write(tmp_path / "a.json", bundle(half, sodium(code=[1]), sodium(subject="Patient/1"))))
    assert found.events == []
    assert dict(found.rejects.counts) == {"malformed: Observation": 3}
    late = Read(write(tmp_path / "b.json", [{**PATIENT, "communication": 5}, sodium()]))  # its birth came first
    assert late.codes == ["LOINC//2951-2"]
    assert dict(late.rejects.counts) == {"malformed: Patient": 1}


# --- what suwen itself writes ---


def told(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"extension": [{"url": "urn:suwen:fhir:event", "extension": [{"url": "code", "valueCode": "a"}, *parts]}]}


def test_an_event_told_in_full_goes_before_what_else_a_resource_says(tmp_path: Path) -> None:
    parts = [{"url": "number", "valueString": "-Infinity"}, {"url": "encounter", "valueString": "-3"}]
    found = Read(write(tmp_path / "a.json", sodium(**told(*parts, {"url": "empty", "valueCode": "unit"}))))
    (event,) = found.events
    assert (event["code"], event["time"], event["unit"]) == ("a", None, "")
    assert (event["numeric_value"], event["encounter_id"]) == (-math.inf, -3)
    error = Read(write(tmp_path / "b.json", sodium(status="entered-in-error", **told())))
    assert error.events == [] and error.whole == {"status entered-in-error: Observation": 1}


@pytest.mark.parametrize(
    "part",
    [
        {"url": "time", "valueDateTime": "soon"},
        {"url": "number", "valueDecimal": 1e300},
        {"url": "number", "valueString": "NaN"},
        {"url": "encounter", "valueString": str(2**63)},
        {"url": "text", "valueString": 5},
        {"url": "code", "valueCode": "%ff"},
        "text",
    ],
)
def test_an_event_that_cannot_be_is_counted(tmp_path: Path, part: Any) -> None:
    found = Read(write(tmp_path / "a.json", [sodium(**told(part)), sodium()]))
    assert len(found.events) == 1 and found.whole == {"malformed: Observation": 1}


def test_what_codes_mean_is_read_first_and_of_no_other_system(tmp_path: Path) -> None:
    ours = {
        "resourceType": "CodeSystem",
        "url": "urn:suwen:codes",
        "concept": [{"code": "LOINC//2951-2", "display": "ours"}],
    }
    coding = {"system": "http://loinc.org", "code": "2951-2", "display": "theirs"}
    (tmp_path / "AObservation.ndjson").write_text(json.dumps(sodium(code={"coding": [coding]})))
    (tmp_path / "CodeSystem.ndjson").write_text("\n".join(map(json.dumps, [ours, {**ours, "url": "http://x.org"}])))
    found = Read(tmp_path)
    assert found.described.descriptions == {"LOINC//2951-2": "ours"} and len(found.events) == 1
    assert found.whole == {"resource type not mapped: CodeSystem": 1}
