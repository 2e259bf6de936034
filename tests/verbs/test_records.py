from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import suwen
from suwen.cli.main import app
from suwen.core.errors import DataError, NameUnknown
from suwen.data.records.store import RecordStore

BUNDLE = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [
        {"resource": {"resourceType": "Patient", "id": "12", "birthDate": "1950-03-01", "gender": "female"}},
        {
            "resource": {
                "resourceType": "Observation",
                "id": "o",
                "status": "final",
                "code": {"coding": [{"system": "http://loinc.org", "code": "718-7", "display": "Hemoglobin"}]},
                "subject": {"reference": "Patient/12"},
                "effectiveDateTime": "2020-01-02T03:04:05Z",
                "valueQuantity": {"value": 13.6, "unit": "g/dL"},
            }
        },
        {"resource": {"resourceType": "Device", "id": "d"}},
    ],
}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "bundle.json").write_text(json.dumps(BUNDLE))
    suwen.records.import_(tmp_path / "source", "fhir", out=tmp_path / "store", quiet=True)
    return tmp_path / "store"


def run(*words: object) -> str:
    found = CliRunner().invoke(app, ["records", *map(str, words)], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.output


def test_a_bundle_becomes_a_store_and_says_what_it_left_out(tmp_path: Path, store: Path) -> None:
    said = json.loads(run("import", tmp_path / "source", "--from", "fhir", "--out", tmp_path / "again", "--json"))
    assert said["subjects"] == 1 and said["rejected"] == {"resource type not mapped: Device": 1}
    assert said["events"] == len(RecordStore(store)) >= 3
    told = run("import", tmp_path / "source", "--from", "fhir", "--out", tmp_path / "again")
    assert "1 known from before" in " ".join(told.split())


def test_a_timeline_tells_values_units_and_words(store: Path) -> None:
    events = list(suwen.records.timeline(store, 12))
    (lab,) = (event for event in events if event["code"] == "LOINC//718-7")
    assert lab == {
        "time": "2020-01-02 03:04:05",
        "code": "LOINC//718-7",
        "description": "Hemoglobin",
        "value": 13.6,
        "unit": "g/dL",
    }
    lines = run("timeline", store, 12).splitlines()
    assert "2020-01-02 03:04:05  LOINC//718-7  Hemoglobin  13.6 g/dL" in lines
    assert [json.loads(line)["code"] for line in run("timeline", store, 12, "--json").splitlines()] == [
        event["code"] for event in events
    ]
    with pytest.raises(DataError, match="no subject 13"):
        list(suwen.records.timeline(store, 13))


def test_a_good_store_is_said_to_be_one(store: Path) -> None:
    assert "nothing in it that cannot be" in run("check", store)
    assert json.loads(run("check", store, "--json")) == []


def test_what_is_exported_comes_back_equal(tmp_path: Path, store: Path) -> None:
    run("export", store, "--to", "omop", "--out", tmp_path / "cdm")
    suwen.records.import_(tmp_path / "cdm", "omop", out=tmp_path / "back", quiet=True)

    def events(path: Path) -> list[str]:
        return sorted(repr(row) for table in RecordStore(path).tables() for row in table.to_pylist())

    assert events(tmp_path / "back") == events(store)
    with pytest.raises(NameUnknown, match="format to export to"):
        suwen.records.export(store, "hl7v3", out=tmp_path / "x")
    with pytest.raises(NameUnknown, match="format of records"):
        suwen.records.import_(store, "fihr", out=tmp_path / "x", quiet=True)


def test_a_subject_is_found_by_the_name_the_source_had(tmp_path: Path) -> None:
    named = json.dumps(BUNDLE).replace("Patient/12", "Patient/p-12").replace('"id": "12"', '"id": "p-12"')
    (tmp_path / "bundle.json").write_text(named)
    suwen.records.import_(tmp_path / "bundle.json", "fhir", out=tmp_path / "store", quiet=True)
    assert "LOINC//718-7" in run("timeline", tmp_path / "store", "p-12")


def test_a_hierarchy_puts_codes_below_others(tmp_path: Path, store: Path) -> None:
    (tmp_path / "h.csv").write_text("code,parent,description\nLOINC//718-7,BLOOD,\nBLOOD,,Blood tests\n")
    assert json.loads(run("vocabulary", store, tmp_path / "h.csv", "--json"))["linked"] == 1
    rows = {row["code"]: row for row in RecordStore(store).codes.to_pylist()}
    assert rows["LOINC//718-7"]["parent_codes"] == ["BLOOD"] and rows["BLOOD"]["description"] == "Blood tests"
    assert "0 put below others now" in " ".join(run("vocabulary", store, tmp_path / "h.csv").split())


@pytest.mark.parametrize("to", ["fhir", "fhir-bundles", "omop"])
def test_an_exported_store_comes_back_equal(tmp_path: Path, store: Path, to: str) -> None:
    assert "events of 1 subjects written" in run("export", store, "--to", to, "--out", tmp_path / "out")
    kind = "omop" if to == "omop" else "fhir"
    suwen.records.import_(tmp_path / "out", kind, out=tmp_path / "again", quiet=True)
    before, after = (
        sorted((tuple(row.values()) for table in RecordStore(each).tables() for row in table.to_pylist()), key=repr)
        for each in (store, tmp_path / "again")
    )
    assert before == after


def test_a_cohort_gives_labels_and_says_where_the_others_were_lost(tmp_path: Path, store: Path) -> None:
    seen = {"start": None, "end": "trigger", "start_inclusive": True, "end_inclusive": True, "index_timestamp": "end"}
    cohort = {"predicates": {"lab": {"code": "LOINC//718-7"}}, "trigger": "lab", "windows": {"input": seen}}
    (tmp_path / "cohort.yaml").write_text(json.dumps(cohort))  # JSON is YAML
    said = json.loads(run("label", store, tmp_path / "cohort.yaml", "--out", tmp_path / "labels", "--json"))
    assert said["labels"] == said["subjects"] == 1 and (tmp_path / "labels" / "labels.parquet").is_file()
    assert "1 triggers: lab" in run("label", store, tmp_path / "cohort.yaml", "--out", tmp_path / "labels")
