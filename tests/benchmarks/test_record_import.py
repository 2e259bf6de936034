from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.record_import import DATA, RESULTS_EACH, differing_events, record_import, speed
from benchmarks.record_import_sources import APART, bundles, messages, omop
from benchmarks.results import read_result

from suwen.data.records.importers.hl7v2 import HL7V2
from suwen.data.records.rejects import Rejects
from suwen.data.records.source import Described

UUID = "0f000000-aaaa-bbbb-cccc-dddddddddddd"


def test_a_copied_bundle_is_of_another_patient_throughout(tmp_path: Path) -> None:
    (tmp_path / "one.json").write_text(f'{{"id": "{UUID}", "subject": "urn:uuid:{UUID}", "code": "0f000000"}}')
    size = bundles(tmp_path, tmp_path / "out", 2)
    first, second = (file.read_text() for file in sorted((tmp_path / "out").iterdir()))
    assert first == (tmp_path / "one.json").read_text() and size == 2 * len(first)
    assert second == first.replace(UUID, "0f000001" + UUID[8:])


def test_copied_tables_are_of_other_persons_and_vocabulary_is_copied_once(tmp_path: Path) -> None:
    (tmp_path / "PERSON.csv").write_text("PERSON_ID,YEAR_OF_BIRTH\n1,1950\n2,1960\n")
    (tmp_path / "CONCEPT.csv").write_text("CONCEPT_ID\n5\n")
    assert omop(tmp_path, tmp_path / "out", 3) == 6
    persons = [line.split(",")[0] for line in (tmp_path / "out" / "PERSON.csv").read_text().splitlines()]
    assert persons == ["PERSON_ID", "1", "2", *(str(APART * copy + each) for copy in (1, 2) for each in (1, 2))]
    assert (tmp_path / "out" / "CONCEPT.csv").read_text() == "CONCEPT_ID\n5\n"


def test_every_result_of_the_messages_is_an_event(tmp_path: Path) -> None:
    messages(tmp_path / "a.hl7", 30, RESULTS_EACH, 10)
    rejects = Rejects()
    tables = [table for part in HL7V2.parts(tmp_path) for table in HL7V2.read(part, rejects, Described())]
    codes = [code for table in tables for code in table["code"].to_pylist()]
    assert sum(code.startswith("LOINC//") for code in codes) == 30 * RESULTS_EACH and not rejects.counts


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "synthea_fhir").is_dir(), reason="needs the bundles of Synthea and Eunomia's tables")
def test_a_quick_run_reads_all_of_it_and_fhir_gives_the_same_events(tmp_path: Path) -> None:
    record_import(quick=True, results=tmp_path)
    figures = read_result(tmp_path / "quick" / "record-import.json").figures
    assert figures["fhir"]["differing"] == 0 and figures["fhir"]["counts"]["reading"] == 14_616
    assert all(speed(figures[name], "import") > 0 for name in ("fhir", "omop", "hl7v2"))


@pytest.mark.skipif(not (DATA / "synthea_fhir").is_dir(), reason="needs the bundles of Synthea")
def test_what_fhir_resources_writes_gives_the_same_events(tmp_path: Path) -> None:
    files = sorted((DATA / "synthea_fhir" / "bundles").glob("*.json"), key=lambda each: each.stat().st_size)
    file = files[len(files) // 2]  # the smallest are of hospitals, not of patients
    assert differing_events([file], tmp_path / "again") == 0
