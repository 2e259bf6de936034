from __future__ import annotations

from suwen.data.records.codes.obo import terms

TEXT = r"""format-version: 1.4
remark: id: DOID:0 is no term

[Term]
id: DOID:9352 ! a comment
name: type 2 diabetes\, the \"mellitus\" kind! {source="x"} ! a comment
alt_id: DOID:1
def: "is_a: DOID:7 [Term]" [url:http\://example.org]
xref: ICD10CM:E11
xref: NCI:C26747 "a description"
xref: UMLS_CUI:C0011860 {xref="url:https://example.org/x"}
xref: OMIM:125853\n
is_a: DOID:9351 {comment="sure"} ! diabetes mellitus
is_a: DOID:4 ! disease
relationship: part_of DOID:7

[Typedef]
id: part_of
is_a: DOID:13

[Term]
id: DOID:2
is_obsolete: true
replaced_by: DOID:9352
"""


def test_values_are_read_without_escapes_comments_and_modifiers() -> None:
    first, second = terms(TEXT.splitlines(keepends=True))
    assert (first.ids, first.alternatives, first.line) == (["DOID:9352"], ["DOID:1"], 4)
    assert first.names == ['type 2 diabetes, the "mellitus" kind!']
    assert first.xrefs == ["ICD10CM:E11", "NCI:C26747", "UMLS_CUI:C0011860", "OMIM:125853"]
    assert first.parents == ["DOID:9351", "DOID:4"] and not first.obsolete
    assert second.obsolete and second.replaced_by == ["DOID:9352"]


def test_windows_line_ends_and_lines_that_go_on_change_nothing() -> None:
    plain = list(terms(TEXT.splitlines(keepends=True)))
    assert list(terms([line + "\r\n" for line in TEXT.splitlines()])) == plain
    broken = list(terms(TEXT.replace("ICD10CM:E11", "ICD10CM:E\\\n11").splitlines(keepends=True)))
    assert broken[0].xrefs == plain[0].xrefs
