from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from suwen.core.errors import DataError, FileUnreadable
from suwen.data.records.codes.files import load_hierarchy
from suwen.data.records.codes.hierarchy import Hierarchy

OBO = """format-version: 1.4

[Term]
id: DOID:4
name: disease

[Term]
id: DOID:9351
name: diabetes mellitus
xref: ICD10CM:E08-E13
is_a: DOID:4 ! disease

[Term]
id: DOID:9352
name: type 2 diabetes mellitus
alt_id: DOID:1
xref: ICD10CM:E11
xref: SNOMEDCT_US_2016_03_01:44054006
is_a: DOID:9351

[Term]
id: DOID:2
name: obsolete diabetes
xref: ICD10CM:E14
is_a: DOID:4
is_obsolete: true
replaced_by: DOID:9351
"""


def written(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def same(a: Hierarchy, b: Hierarchy) -> bool:
    return (a.parents, a.descriptions, a.named_by) == (b.parents, b.descriptions, b.named_by)


def test_obo_terms_become_codes_with_names_and_the_codes_above(tmp_path: Path) -> None:
    found = load_hierarchy(written(tmp_path / "do.obo", OBO))
    assert found.ancestors("DOID//9352") == ("DOID//9351", "DOID//4")
    assert found.descriptions["DOID//9352"] == "type 2 diabetes mellitus"
    assert found.named_by[("SNOMED", "44054006")] == ("DOID//9352",) == found.named_by[("ICD10CM", "E11")]
    assert not found.findings


def test_old_ids_stand_below_what_they_became(tmp_path: Path) -> None:
    found = load_hierarchy(written(tmp_path / "do.obo", OBO))
    assert found.parents["DOID//1"] == ("DOID//9352",) and found.parents["DOID//2"] == ("DOID//9351",)
    assert ("ICD10CM", "E14") not in found.named_by  # of a term that was retired


def test_a_prefix_takes_the_place_of_that_of_the_file(tmp_path: Path) -> None:
    assert load_hierarchy(written(tmp_path / "do.obo", OBO), prefix="DO").parents["DO//9352"] == ("DO//9351",)
    two = OBO + "\n[Term]\nid: HP:1\n"
    assert "HP//1" in load_hierarchy(written(tmp_path / "two.obo", two))
    with pytest.raises(DataError, match="DOID, HP"):
        load_hierarchy(tmp_path / "two.obo", prefix="DO")


def test_packed_it_is_the_same(tmp_path: Path) -> None:
    plain = load_hierarchy(written(tmp_path / "do.obo", OBO))
    assert same(plain, load_hierarchy(written(tmp_path / "do.obo.gz", gzip.compress(OBO.encode()))))


def test_what_is_odd_in_obo_is_counted(tmp_path: Path) -> None:
    odd = OBO + "\n[Term]\nid: DOID:9352\nname: another\nis_a: DOID:77\n\n[Term]\nname: nameless\n"
    odd += "\n[Term]\nid: DOID:5\nalt_id: DOID:4\n"
    found = load_hierarchy(written(tmp_path / "do.obo", odd))
    assert {each.name: each.count for each in found.findings} == {
        "codes above others that are no term": 1,
        "codes with two names, of which the first is kept": 1,
        "alternative ids that are terms of their own": 1,
        "terms without an id": 1,
    }
    assert found.descriptions["DOID//9352"] == "type 2 diabetes mellitus"
    assert found.parents["DOID//9352"] == ("DOID//9351", "DOID//77") and found.parents["DOID//77"] == ()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_has_a_row_for_each_code_above_a_code(tmp_path: Path, delimiter: str) -> None:
    rows = [
        "\ufeffCode,Parent,Description",
        "E11.9,E11,Type 2",
        "E11.9,CCS//END003,",
        "E11,,Diabetes",
        ",,",
        "E12,E11,",
    ]
    file = written(tmp_path / "h.csv", "\r\n".join(rows).replace(",", delimiter))
    found = load_hierarchy(file, prefix="ICD10CM")
    assert found.parents["ICD10CM//E11.9"] == ("ICD10CM//E11", "CCS//END003") and found.parents["ICD10CM//E11"] == ()
    assert found.descriptions == {"ICD10CM//E11.9": "Type 2", "ICD10CM//E11": "Diabetes"}
    assert [(each.name, each.examples) for each in found.findings] == [("rows without a code", ["line 5"])]
    assert "E11.9" in load_hierarchy(file)  # as it is written


def test_descriptions_may_hold_what_separates_and_line_ends(tmp_path: Path) -> None:
    file = written(tmp_path / "h.csv.gz", gzip.compress(b'code,parent,description\na,b,"one, and\nanother"\n'))
    assert load_hierarchy(file).descriptions == {"a": "one, and another"}


@pytest.mark.parametrize(
    ("name", "content", "error", "said"),
    [
        ("a.obo", "", DataError, r"no \[Term\]"),
        ("a.csv", "", DataError, "no column code and no column parent"),
        ("a.csv", "code,parent\n", DataError, "no row"),
        ("a.csv", "code,name\na,b\n", DataError, "no column parent"),
        ("a.owl", "<rdf:RDF>", DataError, "robot convert"),
        ("a.obo", "[Term]\nid: A:1\nis_a: A:2\n[Term]\nid: A:2\nis_a: A:1\n", DataError, "above themselves"),
        ("a.obo", b"[Term]\nid: A:1\nname: \xe9t\xe9\n", FileUnreadable, "line 3: byte 0xe9"),
        ("a.csv", "代码,parent\n".encode("gb18030"), FileUnreadable, "line 1: byte 0xb4"),
        ("a.obo.gz", gzip.compress(OBO.encode())[:-20], FileUnreadable, "cut short"),
        ("a.csv.gz", b"code,parent\n", FileUnreadable, "gzip"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_place(
    tmp_path: Path, name: str, content: str | bytes, error: type[DataError], said: str
) -> None:
    with pytest.raises(error, match=said):
        load_hierarchy(written(tmp_path / name, content))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable, match="No such file"):
        load_hierarchy(tmp_path / "none.obo")


def test_the_disease_ontology_as_it_is_published(shared_data: Path) -> None:
    """Release 2016-09-01: 9,344 terms, of which 6,971 live, and 1,604 alternative ids (counted by grep)."""
    found = load_hierarchy(shared_data / "kg" / "doid" / "doid.obo")
    assert found.descriptions["DOID//9352"] == "type 2 diabetes mellitus"
    assert {"DOID//9351", "DOID//4"} < set(found.ancestors("DOID//9352"))
    assert found.named_by[("ICD9CM", "250")] == ("DOID//9351",)
    assert sum(above != () for above in found.parents.values()) > 6900 and 10_900 < len(found) < 10_950
    # counted in the file by grep: one alternative id (13628, of 2862) is a living term
    assert [(each.name, each.count) for each in found.findings] == [("alternative ids that are terms of their own", 1)]
