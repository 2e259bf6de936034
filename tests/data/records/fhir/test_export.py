from __future__ import annotations

import json
import tempfile
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from suwen.core.errors import DataError
from suwen.data.records import exporting
from suwen.data.records.building import import_records
from suwen.data.records.events import SCHEMA, Events
from suwen.data.records.fhir.export import export_fhir
from suwen.data.records.importers.fhir import FHIR
from suwen.data.records.rejects import Rejects
from suwen.data.records.source import Described
from suwen.data.records.store import CODES_SCHEMA, RecordStore

Event = tuple[Any, ...]
Resource = dict[str, Any]

BASES = (
    "ICD10CM//E11.9",
    "ICD10CM//E119",
    "RXNORM//161",
    "RxNorm//161",
    "LOINC//2345-7",
    "LOINC//72166-2//SNOMED//266919005",
    "CVX//08",
    "CPT//70450",
    "ICD9PCS//9749",
    "SNOMED//1",
    "ALLERGY//SNOMED//1",
    "ALLERGY//TEXT//bee stings",
    "ALLERGY//",
    "FAMILY//FTH//SNOMED//230690007",
    "DIAGNOSIS//ICD9CM//4019",
    "PRESCRIPTION//MAIN//Heparin  5000",
    "INPUT//226361",
    "VISIT",
    "VISIT//AMB",
    "VISIT//Ward 7",
    "Visit//IP",
    "ICU_STAY//MICU",
    "NOTE//discharge",
    "TEXT//sore throat",
    "TEXT// sore  throat",
    "GENDER//male",
    "GENDER//F",
    "Gender//",
    "RACE//2106-3",
    "RACE//Martian  red",
    "ETHNICITY//x",
    "MARITAL_STATUS//never wed",
    "LANGUAGE//zh",
    "OMOP//8507",
    "OBSERVATION_PERIOD",
    "MEDS_BIRTH",
    "MEDS_DEATH",
    "LOCAL//7",
    "UCUM//%",
    "urn:x//y",
    "100%",
    "%",
    "//",
    "a//",
    "//b",
    "",
    "7",
)
WORDS = st.text(st.characters(codec="utf-8"), max_size=6)
CODES = st.one_of(
    st.tuples(st.sampled_from(BASES), st.sampled_from(["", "", "//START", "//END"])).map("".join),
    st.tuples(st.sampled_from(["ICD10CM//", "VISIT//", "SNOMED//", "TEXT//", "RACE//", "GENDER//", ""]), WORDS).map(
        "".join
    ),
)
TEXTS = st.one_of(st.sampled_from(["", "<5", ">=0.1", 'a "b", c\r\nd', "x" * 257, " ", "\r", "\x00a", "'"]), WORDS)
UNITS = st.one_of(st.sampled_from(["", "mg/dL", "mm[Hg]", "K/uL", " mg "]), WORDS)
TIMES = st.one_of(
    st.sampled_from([datetime(1950, 1, 1), datetime(2020, 1, 1), datetime(2020, 1, 1, 0, 0, 0, 1)]),
    st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)),
)
NUMBERS = st.one_of(st.sampled_from([5.0, 0.1, 0.0]), st.floats(width=32))
SMALLEST = -(2**63)
INTS = st.integers(SMALLEST, 2**63 - 1)


def sometimes(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | st.none() | values


EVENT = st.tuples(
    st.sampled_from([1, 2, -7, 0, SMALLEST, 2**62 + 5]),
    st.none() | TIMES | TIMES,
    CODES,
    sometimes(NUMBERS),
    sometimes(TEXTS),
    st.none() | st.none() | st.none() | TIMES,
    sometimes(UNITS),
    sometimes(st.sampled_from([70, 71, -1]) | INTS),
)
DAY, NEXT, LATER = datetime(2020, 1, 1), datetime(2020, 1, 2), datetime(2020, 1, 3)
NIL = (None, None, None, None, None)


def table_of(rows: list[Event]) -> pa.Table:
    """Events by subject and time, those without a time first."""
    events = Events()
    for row in sorted(rows, key=lambda row: (row[0], row[1] is not None, row[1] or datetime.min)):
        events.add(*row)
    return events.taken()


def once(table: pa.Table) -> list[str]:
    """Rows as a store has them, each once; NaN as nothing. repr tells -0.0 from 0.0."""
    return sorted({repr(tuple(None if each != each else each for each in row.values())) for row in table.to_pylist()})


def stored(folder: Path, kind: str = "fhir") -> RecordStore:
    """The store that an import makes, which rejects nothing."""
    found = import_records(folder, kind, folder.parent / "store", progress=False)
    assert found.rejected == {}
    return RecordStore(folder.parent / "store")


def events_of(store: RecordStore) -> list[str]:
    return once(pa.concat_tables([SCHEMA.empty_table(), *store.tables()]))


def read(folder: Path, described: Described | None = None) -> pa.Table:
    described, rejects = described or Described(), Rejects()
    tables = [table for part in FHIR.parts(folder) for table in FHIR.read(part, rejects, described)]
    assert not rejects.counts
    return pa.concat_tables([SCHEMA.empty_table(), *tables])


def resources(folder: Path) -> list[Resource]:
    found = [json.loads(line) for file in sorted(folder.glob("*.ndjson")) for line in file.open(encoding="utf-8")]
    for file in sorted(folder.glob("*.json")):
        whole = json.loads(file.read_text(encoding="utf-8"))
        found += [entry["resource"] for entry in whole["entry"]] if whole["resourceType"] == "Bundle" else [whole]
    return found


# --- what comes back ---


@settings(max_examples=25, deadline=None)
@given(st.lists(EVENT, max_size=80), st.booleans())
@example([(1, NEXT, "VISIT//IMP//END", *NIL), (1, DAY, "VISIT//IMP//START", *NIL)], False)
@example([(1, NEXT, "VISIT//IMP//END", *NIL[:4], 7), (1, DAY, "VISIT//IMP//START", *NIL[:4], 7)] * 2, False)
@example([(1, DAY, "SNOMED//1", *NIL), (1, DAY, "SNOMED//1//START", *NIL), (1, NEXT, "SNOMED//1//END", *NIL)], False)
@example([(1, DAY, "MEDS_BIRTH", *NIL), (1, NEXT, "MEDS_BIRTH", *NIL), (1, None, "MEDS_DEATH", *NIL)], True)
@example([(1, DAY, "SNOMED//1", None, None, NEXT, None, None), (1, LATER, "SNOMED//1//END", *NIL)], False)
@example([(1, DAY, "ICD10CM//I10//START", None, None, NEXT, None, None), (1, LATER, "ICD10CM//I10//END", *NIL)], True)
@example([(1, DAY, "LOINC//1", 5.0, "<5", NEXT, "mg/dL", 3), (1, DAY, "LOINC//1", float("-inf"), *NIL[1:])], False)
def test_events_come_back_equal(rows: list[Event], bundles: bool) -> None:
    table = table_of(rows)
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "fhir"
        done = export_fhir(iter([table]), out, bundles=bundles)
        assert done.events == len(table) and done.subjects == len(set(table["subject_id"].to_pylist()))
        assert done.rows == Counter(each["resourceType"] for each in resources(out))
        if rows:
            assert events_of(stored(out)) == once(table)
            assert len(read(out)) == len(table)  # what is told twice comes back twice


@settings(max_examples=6, deadline=None)
@given(st.lists(EVENT, min_size=1, max_size=40), st.integers(1, 5), st.integers(1, 9))
def test_it_does_not_matter_in_which_pieces_events_come(rows: list[Event], size: int, batch: int) -> None:
    table = table_of(rows)
    pieces = [table.slice(start, size) for start in range(0, len(table), size)]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporting, "BATCH", batch)
        export_fhir(pieces, Path(folder) / "fhir")
        assert once(read(Path(folder) / "fhir")) == once(table)
        check(Path(folder) / "fhir")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("synthea_fhir", "fhir"), ("eunomia_omop", "omop"), ("mimic3_demo", "mimic3"), ("hl7v2", "hl7v2")],
)
@pytest.mark.parametrize("bundles", [False, True], ids=["ndjson", "bundles"])
@pytest.mark.slow
def test_real_records_come_back_equal(tmp_path: Path, shared_data: Path, name: str, kind: str, bundles: bool) -> None:
    import_records(shared_data / name, kind, tmp_path / "first", progress=False)
    first = RecordStore(tmp_path / "first")
    done = export_fhir(first.tables(), tmp_path / "fhir", first.codes, bundles=bundles)
    second = stored(tmp_path / "fhir")
    assert done.events == len(first) == len(second)
    assert events_of(second) == events_of(first)
    assert second.codes.equals(first.codes)
    check(tmp_path / "fhir")


def test_every_float32_comes_back_as_a_short_decimal(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2**32, 20_000, np.uint32).view(np.float32)
    values[:3] = 0.1, 140, -0.0
    values = values[np.isfinite(values)]
    table = pa.Table.from_arrays(
        [
            pa.array(np.ones(len(values), np.int64)),
            pa.array(np.arange(len(values))).cast(pa.timestamp("us")),
            pa.array(["LOINC//1"] * len(values)),
            pa.array(values),
            *(pa.nulls(len(values), field.type) for field in list(SCHEMA)[4:]),
        ],
        schema=SCHEMA,
    )
    export_fhir([table], tmp_path / "fhir")
    found = read(tmp_path / "fhir")["numeric_value"].to_numpy()
    assert (found.view(np.uint32) == values.view(np.uint32)).all()
    lines = (tmp_path / "fhir" / "Observation.ndjson").read_text().splitlines()
    assert '"valueQuantity":{"value":0.1}' in lines[0] and '{"value":140.0}' in lines[1]
    assert not any("extension" in line for line in lines)


def test_descriptions_and_parents_of_codes_come_back(tmp_path: Path) -> None:
    codes = [
        {"code": "ICD10CM//E11.9", "description": "Type 2 diabetes", "parent_codes": ["ICD10CM//E11", " odd\n%"]},
        {"code": "ICD10CM//E11.9//END", "description": "over", "parent_codes": []},
        {"code": "ICD10CM//E11", "description": "Diabetes", "parent_codes": []},
        {"code": " odd\n%", "description": "odd", "parent_codes": []},
        {"code": "TEXT//words", "description": "more words", "parent_codes": []},
        {"code": "ALLERGY//SNOMED//1", "description": "an allergy", "parent_codes": []},
        {"code": "VISIT//AMB//START", "description": "a visit begins", "parent_codes": []},
        {"code": "LOINC//1//SNOMED//2", "description": "answered: so", "parent_codes": ["LOINC//1"]},
        {"code": "nothing is known of", "description": None, "parent_codes": None},
    ]
    rows = [(1, DAY, each["code"], *NIL) for each in codes] + [(1, DAY, "ICD10CM//E11.9", *NIL)]
    for bundles in (False, True):
        out = tmp_path / str(bundles) / "fhir"
        export_fhir([table_of(rows)], out, pa.Table.from_pylist(codes, schema=CODES_SCHEMA), bundles=bundles)
        found = {row["code"]: row for row in stored(out).codes.to_pylist()}
        for each in codes:
            assert found[each["code"]]["description"] == each["description"]
            assert found[each["code"]]["parent_codes"] == (each["parent_codes"] or [])
        assert set(found) == {each["code"] for each in codes}


# --- what it looks like to others ---

REQUIRED = {
    "AllergyIntolerance": ("patient", "clinicalStatus"),
    "CodeSystem": ("status", "content"),
    "Condition": ("subject",),
    "DiagnosticReport": ("status", "code"),
    "DocumentReference": ("status", "content"),
    "Encounter": ("status", "class"),
    "Immunization": ("status", "vaccineCode", "patient", "occurrenceDateTime"),
    "MedicationAdministration": ("status", "medicationCodeableConcept", "subject"),
    "MedicationStatement": ("status", "medicationCodeableConcept", "subject"),
    "Observation": ("status", "code"),
    "Patient": (),
    "Procedure": ("status", "subject"),
}
"""Elements that http://hl7.org/fhir/R4 does not let a resource be without, and those that its constraints ask for."""


def empty_in(value: Any) -> bool:
    if isinstance(value, dict | list):
        return not value or any(map(empty_in, value.values() if isinstance(value, dict) else value))
    return value is None or value == ""


def check(folder: Path) -> None:
    """Elements are there, nothing is empty, ids are unique but for encounters that subjects share, references lead
    somewhere."""
    found = resources(folder)
    known = Counter(f"{each['resourceType']}/{each['id']}" for each in found)
    assert all(count == 1 or name.startswith("Encounter/") for name, count in known.items())
    for each in found:
        assert all(name in each for name in REQUIRED[each["resourceType"]]), each
        assert not empty_in(each)
        referred = [each.get(name) for name in ("subject", "patient", "encounter", "partOf")]
        place = each.get("context", {})
        referred += place.get("encounter", [place])
        assert all(reference["reference"] in known for reference in referred if reference)


@pytest.fixture
def exported(tmp_path: Path) -> dict[str, list[Resource]]:
    n = None
    rows: list[Event] = [
        (1, datetime(1950, 3, 4), "MEDS_BIRTH", *NIL),
        (1, n, "GENDER//female", *NIL),
        (1, n, "RACE//2106-3", *NIL),
        (1, n, "MARITAL_STATUS//M", *NIL),
        (1, n, "LANGUAGE//zh", *NIL),
        (1, datetime(2020, 5, 1, 12, 30), "MEDS_DEATH", *NIL),
        (1, DAY, "VISIT//IMP//START", n, n, n, n, 70),
        (1, LATER, "VISIT//IMP//END", n, n, n, n, 70),
        (1, NEXT, "ICU_STAY//MICU//START", n, n, n, n, 70),
        (1, DAY, "ICD10CM//E11.9", n, n, NEXT, n, 70),
        (1, DAY, "ICD10CM//I10//START", *NIL),
        (1, NEXT, "ICD10CM//I10//END", *NIL),
        (1, DAY, "RxNorm//161//START", 2.0, n, n, "mg", 70),
        (1, LATER, "RxNorm//161//END", n, n, n, n, 70),
        (1, DAY, "INPUT//9", 2.0, n, n, "mL", 70),
        (1, DAY, "CPT//70450", *NIL),
        (1, DAY, "CVX//08", 0.5, n, n, "mL", n),
        (1, DAY, "ALLERGY//SNOMED//1", *NIL),
        (1, datetime(2020, 1, 1, 8, 0, 0, 5), "LOINC//2345-7", 0.1, n, NEXT, "mg/dL", 70),
        (1, DAY, "LOINC//5778-6", n, "amber", n, n, 71),
        (1, DAY, "LOINC//777-3", 5.0, "<5", n, "K/uL", n),
        (1, DAY, "LOINC//72166-2//SNOMED//266919005", *NIL),
        (1, DAY, "NOTE//discharge", n, "Went home.\nWell.", n, n, 70),
        (1, DAY, "LOINC//24627-2", n, "CT. " * 100, NEXT, n, 70),
        (1, DAY, "custom", 1.0, "one", n, n, n),
        (1, n, "blood type", n, "A", n, n, n),
    ]
    codes = [
        {"code": "LOINC//2345-7", "description": "Glucose", "parent_codes": []},
        {"code": "LOINC//72166-2//SNOMED//266919005", "description": "Never", "parent_codes": ["LOINC//72166-2"]},
    ]
    export_fhir([table_of(rows)], tmp_path / "fhir", pa.Table.from_pylist(codes, schema=CODES_SCHEMA))
    check(tmp_path / "fhir")
    assert once(read(tmp_path / "fhir")) == once(table_of(rows))
    found: dict[str, list[Resource]] = {}
    for each in resources(tmp_path / "fhir"):
        found.setdefault(each["resourceType"], []).append(each)
    return found


def test_a_patient_is_who_they_are(exported: dict[str, list[Resource]]) -> None:
    (patient,) = exported["Patient"]
    assert {name: patient[name] for name in ("id", "birthDate", "gender", "deceasedDateTime")} == {
        "id": "1",
        "birthDate": "1950-03-04",
        "gender": "female",
        "deceasedDateTime": "2020-05-01T12:30:00Z",
    }
    assert patient["maritalStatus"]["coding"][0]["code"] == "M"
    assert patient["communication"][0]["language"]["coding"][0]["code"] == "zh"
    (race,) = patient["extension"]
    assert race["url"].endswith("us-core-race") and race["extension"][0]["valueCoding"]["code"] == "2106-3"


def test_a_visit_has_a_period_a_stay_is_a_part_of_it_and_one_is_made_where_none_is_told(
    exported: dict[str, list[Resource]],
) -> None:
    visits = {each["id"]: each for each in exported["Encounter"]}
    assert visits["70"]["period"] == {"start": "2020-01-01T00:00:00Z", "end": "2020-01-03T00:00:00Z"}
    assert visits["70"]["class"]["code"] == "IMP" and visits["70"]["status"] == "finished"
    (stay,) = (each for each in visits.values() if "partOf" in each)
    assert stay["partOf"] == {"reference": "Encounter/70"} and stay["status"] == "unknown"
    assert visits["71"]["meta"]["tag"][0]["code"] == "told"
    assert visits["71"]["period"]["start"] == "2020-01-01T00:00:00Z"


def test_what_has_a_resource_of_its_own_is_there(exported: dict[str, list[Resource]]) -> None:
    once_, lasting = exported["Condition"]
    assert once_["code"]["coding"] == [{"system": "http://hl7.org/fhir/sid/icd-10-cm", "code": "E11.9"}]
    assert once_["recordedDate"] == "2020-01-02T00:00:00Z" and once_["encounter"] == {"reference": "Encounter/70"}
    assert lasting["abatementDateTime"] == "2020-01-02T00:00:00Z" and "extension" not in once_
    assert lasting["clinicalStatus"]["coding"][0]["code"] == "resolved"
    (drug,) = exported["MedicationStatement"]
    assert {each["system"] for each in drug["medicationCodeableConcept"]["coding"]} == {
        "urn:suwen:codes",
        "http://www.nlm.nih.gov/research/umls/rxnorm",
    }
    assert drug["effectivePeriod"] == {"start": "2020-01-01T00:00:00Z", "end": "2020-01-03T00:00:00Z"}
    assert drug["dosage"][0]["doseAndRate"][0]["doseQuantity"]["value"] == 2.0
    assert exported["MedicationAdministration"][0]["dosage"]["dose"]["unit"] == "mL"
    assert exported["Immunization"][0]["doseQuantity"]["value"] == 0.5
    assert exported["AllergyIntolerance"][0]["code"]["coding"][0]["system"] == "http://snomed.info/sct"
    assert exported["Procedure"][0]["performedDateTime"] == "2020-01-01T00:00:00Z"


def test_observations_have_values_units_and_when_they_were_known(exported: dict[str, list[Resource]]) -> None:
    found = {each["code"]["coding"][0]["code"]: each for each in exported["Observation"]}
    glucose = found["2345-7"]
    assert glucose["code"]["coding"][0]["display"] == "Glucose"
    assert glucose["effectiveDateTime"] == "2020-01-01T08:00:00.000005Z"
    assert glucose["issued"] == "2020-01-02T00:00:00Z"
    ucum = {"system": "http://unitsofmeasure.org", "code": "mg/dL"}
    assert glucose["valueQuantity"] == {"value": 0.1, "unit": "mg/dL", **ucum}
    assert found["5778-6"]["valueString"] == "amber"
    # thousands, which UCUM would take for kelvin
    assert found["777-3"]["valueQuantity"] == {"value": 5.0, "comparator": "<", "unit": "K/uL"}
    assert found["72166-2"]["valueCodeableConcept"]["coding"][0]["code"] == "266919005"
    assert not any("extension" in found[code] for code in ("2345-7", "5778-6", "777-3", "72166-2"))
    assert found["custom"]["valueQuantity"] == {"value": 1.0} and found["custom"]["note"] == [{"text": "one"}]
    assert "effectiveDateTime" not in found["blood type"] and found["blood type"]["valueString"] == "A"


def test_long_texts_are_documents_and_reports(exported: dict[str, list[Resource]]) -> None:
    (note,) = exported["DocumentReference"]
    assert note["content"][0]["attachment"]["contentType"].startswith("text/plain")
    assert note["context"] == {"encounter": [{"reference": "Encounter/70"}]}
    (report,) = exported["DiagnosticReport"]
    assert report["issued"] == "2020-01-02T00:00:00Z" and len(report["presentedForm"]) == 1


def test_a_bundle_is_what_one_patient_has(tmp_path: Path) -> None:
    rows = [(1, DAY, "custom", *NIL[:4], 70), (-2, DAY, "custom", *NIL)]
    done = export_fhir([table_of(rows)], tmp_path / "fhir", bundles=True)
    files = sorted(file.name for file in (tmp_path / "fhir").iterdir())
    assert files == ["Patient-1.json", "Patient-int64.-2.json"]
    bundle = json.loads((tmp_path / "fhir" / "Patient-1.json").read_text())
    assert bundle["type"] == "collection"
    kinds = [each["resource"]["resourceType"] for each in bundle["entry"]]
    assert kinds == ["Patient", "Encounter", "Observation"] and done.rows["Observation"] == 2
    for each in bundle["entry"]:
        assert each["fullUrl"].endswith(f"/{each['resource']['resourceType']}/{each['resource']['id']}")
    check(tmp_path / "fhir")


# --- what is refused ---


@pytest.mark.parametrize("bundles", [False, True])
def test_an_export_that_fails_leaves_nothing(tmp_path: Path, bundles: bool) -> None:
    def tables() -> Any:
        yield table_of([(1, DAY, "a", *NIL)])
        yield table_of([(2, DAY, "a", *NIL)])
        raise OSError("gone")

    with pytest.MonkeyPatch.context() as patch, pytest.raises(OSError, match="gone"):
        patch.setattr(exporting, "BATCH", 1)
        export_fhir(tables(), tmp_path / "fhir", bundles=bundles)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_exported_is_refused(tmp_path: Path) -> None:
    far = pa.Table.from_pylist([{"subject_id": 1, "time": 2**60, "code": "a"}], schema=SCHEMA)
    with pytest.raises(DataError, match="year of four digits"):
        export_fhir([far], tmp_path / "far")
    apart = table_of([(1, None, "a", *NIL)])
    with pytest.raises(DataError, match="subject 1 lie apart"):
        export_fhir([apart, table_of([(2, None, "a", *NIL)]), apart], tmp_path / "apart")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="holds other files"):
        export_fhir([apart], tmp_path / "full")
    assert [file.name for file in tmp_path.iterdir()] == ["full"]


def test_no_events_give_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "fhir").mkdir()
    done = export_fhir([], tmp_path / "fhir")
    assert (done.events, done.subjects, done.rows) == (0, 0, {}) and not list((tmp_path / "fhir").iterdir())


def test_events_of_one_subject_far_apart_in_time_keep_their_microseconds(tmp_path: Path) -> None:
    times = [
        datetime(1, 1, 1),
        datetime(1, 1, 1) + timedelta(microseconds=10),
        datetime(9999, 12, 31, 23, 59, 59, 999999),
    ]
    export_fhir([table_of([(1, time, "a", *NIL) for time in times])], tmp_path / "fhir")
    assert read(tmp_path / "fhir")["time"].to_pylist() == times
