"""A manifest says everything in columns; what it says wrongly is named by row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from suwen.core.errors import DataError
from suwen.data.readers.manifest import read_manifest

Write = Callable[..., Path]


@pytest.fixture
def write(make_folders: Any) -> Write:
    """Write a manifest beside four pictures, ``films/000.png`` to ``films/003.png``."""
    root = make_folders({"films": 4})

    def written(text: str, encoding: str = "utf-8") -> Path:
        (root / "manifest.csv").write_text(text, encoding=encoding)
        return Path(root / "manifest.csv")

    return written


def test_columns_become_samples_and_further_columns_metadata(write: Write) -> None:
    csv = write(
        "path,label,subject,split,age,site\n"
        "films/000.png,normal,P1,train,63,north\n"
        "films/001.png,pneumonia,P2,Validation,7,\n"
        "films/002.png,normal,,test,41,south\n"
    )
    first, second, third = read_manifest(csv)
    assert (first.id, first.target, first.subject, first.split) == ("films/000.png", "normal", "P1", "train")
    assert first.source == csv.parent / "films/000.png"
    assert first.metadata == {"age": "63", "site": "north"}
    assert second.split == "val"
    assert second.metadata["site"] == ""
    assert third.subject == third.id


def test_several_labels_are_written_with_bars_and_none_with_a_bar(write: Write) -> None:
    csv = write("path,label\nfilms/000.png,effusion|nodule\nfilms/001.png,nodule\nfilms/002.png,|\n")
    assert [sample.target for sample in read_manifest(csv)] == [("effusion", "nodule"), ("nodule",), ()]


def test_a_label_is_text_whatever_it_looks_like(write: Write) -> None:
    csv = write("path,label\nfilms/000.png,1\nfilms/001.png,01\nfilms/002.png,None\nfilms/003.png,True\n")
    assert [sample.target for sample in read_manifest(csv)] == ["1", "01", "None", "True"]


def test_a_byte_order_mark_and_spaces_do_no_harm(write: Write) -> None:
    csv = write("path, label\nfilms/000.png, normal \n", encoding="utf-8-sig")
    assert read_manifest(csv)[0].target == "normal"


def test_without_labels_only_where_none_are_needed(write: Write) -> None:
    csv = write("path,age\nfilms/000.png,63\n")
    assert read_manifest(csv, labelled=False)[0].target is None
    with pytest.raises(DataError, match="path, age") as refusal:
        read_manifest(csv)
    assert "the column label is missing" in refusal.value.why
    assert "path,label,subject,split" in refusal.value.fix


FAULTS = {
    "label,split\nnormal,train\n": ("label, split", "the column path is missing", "'path'"),
    "path,label\nfilms/000.png,normal\nfilms/gone.png,normal\n": (
        "row 3 ('films/gone.png')",
        "no such file",
        "relative to",
    ),
    "path,label\nfilms/000.png,\nfilms/001.png,NaN\nfilms/002.png,normal\n": (
        "column 'label': row 2 (''), row 3 ('NaN')",
        "the label is missing",
        "remove the rows",
    ),
    "path,label,split\nfilms/000.png,a,train\nfilms/001.png,a,holdout\n": (
        "column 'split': row 3 ('holdout')",
        "not a split",
        "train, val or test",
    ),
    "path,label,split\nfilms/000.png,a,train\nfilms/001.png,a,\n": (
        "column 'split': row 3 ('')",
        "blank while other rows have one",
        "leave the column out",
    ),
    "path,label\nfilms/000.png,a\nfilms/000.png,b\n": (
        "column 'path': row 3 ('films/000.png')",
        "listed twice",
        "a|b",
    ),
    "path,label\n,a\n": ("column 'path': row 2 ('')", "found by its path", "fill them in"),
    "path,label\n": ("has no rows", "nothing to learn", "one row an image"),
    "": ("manifest.csv", "cannot be read as CSV", "path,label,subject,split"),
    "path,label\nfilms/000.png,a,b,c\nfilms/001.png,a\n": ("", "", ""),
}


@pytest.mark.parametrize("text", FAULTS)
def test_faults_name_the_column_the_row_and_the_value(write: Write, text: str) -> None:
    seen, why, fix = FAULTS[text]
    with pytest.raises(DataError) as refusal:
        read_manifest(write(text))
    assert "manifest.csv" in refusal.value.seen
    assert seen in refusal.value.seen
    assert why in refusal.value.why
    assert fix in refusal.value.fix


def test_many_faults_are_counted(write: Write) -> None:
    rows = "\n".join(f"films/missing{index}.png,a" for index in range(37))
    with pytest.raises(DataError, match="and 27 more"):
        read_manifest(write(f"path,label\n{rows}\n"))


def test_another_encoding_is_refused(write: Write) -> None:
    with pytest.raises(DataError, match="UTF-8"):
        read_manifest(write("path,label\nfilms/000.png,肺炎\n", encoding="gb18030"))
