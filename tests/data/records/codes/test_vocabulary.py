from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from meds.schema import CodeMetadataSchema

from suwen.core.errors import DataError
from suwen.data.records.codes.hierarchy import Hierarchy, Range
from suwen.data.records.codes.vocabulary import add_hierarchy, hierarchy_of, link, load_hierarchy
from suwen.data.records.columns import build_columns
from suwen.data.records.events import Events
from suwen.data.records.features import Features
from suwen.data.records.kernels import DAY
from suwen.data.records.quality import check_store
from suwen.data.records.store import CODES, RecordStore

DISEASES = Hierarchy(
    parents={"DOID//9352": ("DOID//9351",), "DOID//9351": ("DOID//4",), "DOID//1579": ("DOID//4",), "DOID//4": ()},
    descriptions={"DOID//9352": "type 2 diabetes", "DOID//9351": "diabetes", "DOID//4": "disease"},
    named_by={
        ("ICD10CM", "E11"): ("DOID//9352",),
        ("SNOMED", "44054006"): ("DOID//9352",),
        ("ICD9CM", "250"): ("DOID//9351",),
    },
    ranges=(Range("ICD9CM", "460", "519", "DOID//1579"), Range("ICD9CM", "001", "999", "DOID//4")),
)
CODES_OF = [
    "ICD10CM//E11.65",
    "DIAGNOSIS//ICD9CM//25001",
    "SNOMED//44054006",
    "DIAGNOSIS//ICD9CM//4660",
    "LOINC//718-7",
]


def store(path: Path, codes: list[str] = CODES_OF, rows: list[dict[str, object]] | None = None) -> RecordStore:
    events = Events()
    for subject in range(len(codes)):
        for code in codes[: subject + 1]:
            events.add(subject, subject * DAY, code)
    (path / "data").mkdir(parents=True)
    pq.write_table(events.taken(), path / "data" / "0.parquet")
    if rows is not None:
        (path / "metadata").mkdir()
        pq.write_table(pa.Table.from_pylist(rows), path / CODES)
    return RecordStore(path)


def test_codes_reach_diseases_through_their_categories_and_cross_references() -> None:
    found = link(CODES_OF, DISEASES)
    tops = {code: set(found.ancestors(code)) & set(DISEASES) for code in CODES_OF}
    assert tops["ICD10CM//E11.65"] == tops["SNOMED//44054006"] == {"DOID//9352", "DOID//9351", "DOID//4"}
    assert tops["DIAGNOSIS//ICD9CM//25001"] == {"DOID//9351", "DOID//4"}
    assert tops["DIAGNOSIS//ICD9CM//4660"] == {"DOID//1579", "DOID//4"}  # 466 lies in 460-519, the narrower range
    assert tops["LOINC//718-7"] == set()
    assert not link(CODES_OF, DISEASES, xrefs=False, built_in=False).ancestors("ICD10CM//E11.65")


def test_a_fathers_disease_is_not_rolled_up_to_the_patients() -> None:
    found = link(["FAMILY//FTH//ICD10CM//E11", "REASON//SNOMED//44054006"], DISEASES)
    assert not any(found.parents.values())


def test_a_hierarchy_in_another_spelling_is_found() -> None:
    groups = Hierarchy(parents={"ICD10CM//E11.65": ("CCS//END003",)}, descriptions={"ICD10CM//E11.65": "with sugar"})
    found = link(["DIAGNOSIS//ICD10CM//E1165"], groups)
    assert "CCS//END003" in found.ancestors("DIAGNOSIS//ICD10CM//E1165")
    assert found.descriptions["DIAGNOSIS//ICD10CM//E1165"] == "with sugar"


def test_a_store_gets_descriptions_and_whole_chains_and_keeps_what_it_had(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"code": "ICD10CM//E11.65", "description": "ours", "parent_codes": ["LOCAL//1"], "mine": 7},
        {"code": "SNOMED//44054006", "description": None, "parent_codes": None, "mine": None},
    ]
    opened = store(tmp_path / "s", rows=rows)
    events = [file.read_bytes() for file in opened.shards]
    found = add_hierarchy(opened, DISEASES)
    table = {row["code"]: row for row in opened.codes.to_pylist()}
    assert table["ICD10CM//E11.65"] == {
        "code": "ICD10CM//E11.65", "description": "ours", "parent_codes": ["LOCAL//1", "ICD10CM//E11.6"], "mine": 7,
    }  # fmt: skip
    assert table["SNOMED//44054006"]["parent_codes"] == ["DOID//9352"]
    assert table["DOID//9352"]["description"] == "type 2 diabetes"
    above = {each for row in table.values() for each in row["parent_codes"]}
    assert above < set(table) and set(CODES_OF) < set(table)
    assert (found.codes, found.found, found.linked, found.described) == (5, 4, 4, 0)
    assert found.added == len(table) - 5 and found.not_found == {"LOINC": 1}
    assert [file.read_bytes() for file in opened.shards] == events
    assert check_store(opened, progress=False) == []
    CodeMetadataSchema.validate(opened.codes)


def test_done_again_nothing_changes(tmp_path: Path) -> None:
    opened = store(tmp_path / "s")
    add_hierarchy(opened, DISEASES)
    before = ((opened.path / CODES).read_bytes(), (opened.path / CODES).stat().st_mtime_ns)
    again = add_hierarchy(opened, DISEASES)
    assert ((opened.path / CODES).read_bytes(), (opened.path / CODES).stat().st_mtime_ns) == before
    assert (again.codes, again.found, again.linked, again.described, again.added) == (5, 4, 0, 0, 0)


def test_without_a_file_codes_say_themselves_what_they_belong_to(tmp_path: Path) -> None:
    opened = store(tmp_path / "s", ["ATC//A10BA02", "ICD10CM//E11.65"])
    assert add_hierarchy(opened).added == 4 + 2
    assert hierarchy_of(opened).ancestors("ATC//A10BA02") == ("ATC//A10BA", "ATC//A10B", "ATC//A10", "ATC//A")


def test_a_circle_of_the_store_and_the_file_is_refused_and_the_store_stays(tmp_path: Path) -> None:
    opened = store(
        tmp_path / "s", ["DOID//4"], [{"code": "DOID//4", "description": None, "parent_codes": ["DOID//9351"]}]
    )
    before = (opened.path / CODES).read_bytes()
    with pytest.raises(DataError, match=r"DOID//4 → DOID//9351|DOID//9351 → DOID//4"):
        add_hierarchy(opened, DISEASES)
    assert (opened.path / CODES).read_bytes() == before


def test_features_of_diseases_count_all_codes_below_them(tmp_path: Path) -> None:
    opened = store(tmp_path / "s")
    add_hierarchy(opened, DISEASES)
    columns = build_columns(opened.path)
    codes = hierarchy_of(opened).rollup(columns.vocabulary, ["DOID//9351", "DOID//1579"])
    assert codes == dict.fromkeys(CODES_OF[:3], "DOID//9351") | {CODES_OF[3]: "DOID//1579"}
    features = Features(columns, codes=codes, windows=("all",), aggregates=("count",), min_subjects=1)
    labels = pd.DataFrame({"subject_id": np.arange(5), "prediction_time": np.full(5, 9 * DAY).astype("datetime64[us]")})
    found = pd.DataFrame(features.fit_transform(labels).toarray(), columns=features.get_feature_names_out())
    assert found["DOID//9351|count|all"].tolist() == [1, 2, 3, 3, 3]
    assert found["DOID//1579|count|all"].tolist() == [0, 0, 0, 1, 1]


def test_codes_of_mimic_reach_the_disease_ontology(shared_data: Path) -> None:
    """The diagnoses of the demo: symptoms, states after operations and the like are no diseases."""
    table = pd.read_csv(shared_data / "mimic3_demo" / "DIAGNOSES_ICD.csv", dtype=str)
    codes = ("DIAGNOSIS//ICD9CM//" + table["icd9_code"].dropna()).tolist()
    diseases = load_hierarchy(shared_data / "kg" / "doid" / "doid.obo")
    found = link(codes, diseases)
    reached = [code for code in codes if "DOID//4" in found.ancestors(code)]
    assert len(reached) > 0.5 * sum(code.split("//")[2] < "780" for code in codes)
    heart_failure = found.rollup(["DIAGNOSIS//ICD9CM//42833"], ["DOID//6000", "DOID//114"])
    assert heart_failure == {"DIAGNOSIS//ICD9CM//42833": "DOID//6000"}
